"""What is asked of the tool on data that grows, and whether the results have it. Times only count in the long form."""

from __future__ import annotations

from typing import Any, NamedTuple

OWN = "rules"
LONG = 365
"""The days from which on times are judged: of fewer, starting up is most of what there is to measure."""
_NEW = ("append", "late", "corrected", "deleted")
"""Scenarios in which one file is another, or is no more."""
_MOST = 2
"""Parts that one file can change: its own, and one of results where another is cut off."""
_UNPROVED = ("last_order",)
"""Rules that are read whole: the last order of a user may be on any day."""
_OF_COLD, _OF_FLOOR, _OF_APPEND = 1 / 25, 1.5, 1.5


class Goal(NamedTuple):
    """Something that is asked. seen: what was measured; met: whether that is enough."""

    text: str
    seen: str
    met: bool


def goals(results: dict[str, Any]) -> list[Goal]:
    """Return the goals that these results can show."""
    found = {(one["tool"], one["scenario"]): one for one in results["measurements"]}
    own = {scenario: one for (tool, scenario), one in found.items() if tool == OWN}
    wrong = sorted(f"{name} ({scenario})" for scenario, one in own.items() for name in one["wrong"] or ())
    failed = [scenario for scenario, one in own.items() if one["error"]]
    listed = [Goal("no table is wrong, in any scenario", ", ".join(wrong + failed) or "none", not (wrong or failed))]
    for scenario in _NEW:
        if scenario in own and not own[scenario]["error"]:
            listed += _reads_what_is_new(scenario, own[scenario])
    if results["about"]["days"] >= LONG and not failed:
        listed += _is_fast({scenario: one["wall"] for scenario, one in own.items()}, found.get(("floor", "append")))
    return listed


def _reads_what_is_new(scenario: str, one: dict[str, Any]) -> list[Goal]:
    """Every rule that can work by parts read at most those that one file changes, by parts and by their rows."""
    by_parts = {name: part for name, part in one["parts"].items() if part is not None}
    most = max((part["run"] for part in by_parts.values()), default=0)
    whole = sorted(name for name, part in one["parts"].items() if part is None)
    seen = f"{len(by_parts)} rules, at most {most} of their parts; whole: {', '.join(whole) or 'none'}"
    reads = bool(by_parts) and most <= _MOST and set(whole) <= set(_UNPROVED)
    share = max((part["rows"] / max(1, part["of"]) for part in by_parts.values()), default=0)
    limit = max(_MOST / part["total"] for part in by_parts.values()) if by_parts else 0
    return [
        Goal(f"{scenario}: each rule reads the parts that are new", seen, reads),
        Goal(f"{scenario}: of the rows of its input, at most", f"1/{1 / share:.0f}" if share else "0", share <= limit),
    ]


def _is_fast(walls: dict[str, float], floor: dict[str, Any] | None) -> list[Goal]:
    cold, append = walls["cold"], walls["append"]
    listed = [Goal("append: at most 1/25 of the cold build", f"1/{cold / append:.1f}", append <= cold * _OF_COLD)]
    if floor is not None and not floor["error"]:
        times = append / floor["wall"]
        listed.append(Goal("append: at most 1.5 times the floor", f"{times:.2f} times", times <= _OF_FLOOR))
    for scenario in _NEW[1:]:
        times = walls[scenario] / append
        listed.append(Goal(f"{scenario}: at the cost of an append", f"{times:.2f} times", times <= _OF_APPEND))
    return listed
