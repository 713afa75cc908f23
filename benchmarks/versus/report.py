"""Results → Markdown: for each size, the medians of every tool in every scenario, and what it executed."""

from __future__ import annotations

from benchmarks.versus.peers import Dbt, Ninja, Sqlmesh
from benchmarks.versus.results import Results, Summary
from benchmarks.versus.scenarios import SCENARIOS
from benchmarks.versus.tools import EngineFloor, NoopFloor, Rules

COMPARED = (Rules.name, Dbt.name, Sqlmesh.name, Ninja.name)
_FLOORS = {"cold": EngineFloor, "no-op": NoopFloor}
_NOTED = (EngineFloor, NoopFloor, Dbt, Sqlmesh, Ninja)


def markdown(results: Results) -> str:
    """Return the whole report."""
    sizes = sorted({size for size, *_ in results.found})
    parts = [_about(results)]
    for size in sizes:
        parts += [f"### {size:,} models", _main_table(results, size), _full_table(results, size)]
    notes = "\n".join(f"* {kind.name}: {kind.note}." for kind in _NOTED)
    return "\n\n".join([*parts, "Notes:\n\n" + notes]) + "\n"


def _about(results: Results) -> str:
    about = results.about
    return (
        f"Medians, on {about['cores']} cores of {about['processor']}, {about['system']}, Python {about['python']}; "
        f"five sources of {int(about['rows']):,} rows; {about['dbt']}, {about['SQLMesh']}, {about['ninja']}."
    )


def _main_table(results: Results, size: int) -> str:
    """Return wall seconds with what was executed."""
    tools = [tool for tool in COMPARED if any(key[:2] == (size, tool) for key in results.found)]
    lines = [f"| scenario | ideal | {' | '.join(tools)} | floor |", "|---" * (len(tools) + 3) + "|"]
    for scenario in SCENARIOS:
        found = [results.summary(size, tool, scenario) for tool in tools]
        known = next((one for one in found if one), None)
        if known is None:
            continue
        floor = results.summary(size, _FLOORS[scenario].name, scenario) if scenario in _FLOORS else None
        cells = " | ".join(_cell(one) for one in found)
        lines.append(f"| {scenario} | {known.ideal:,} | {cells} | {_seconds(floor.wall) if floor else ''} |")
    return "Wall seconds, and in brackets the models executed:\n\n" + "\n".join(lines)


def _cell(summary: Summary | None) -> str:
    if summary is None:
        return ""
    if summary.wall is None or summary.executed is None:
        return "failed"
    wrong = ", **wrong tables**" if summary.agrees is False else ""
    return f"{_seconds(summary.wall)} ({summary.executed:,}{wrong})"


def _full_table(results: Results, size: int) -> str:
    """Return all that was measured, a line for each tool and scenario."""
    lines = [
        "| scenario | tool | runs | wall s | processor s | peak MiB | executed | ideal | tables |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for scenario in SCENARIOS:
        for tool in dict.fromkeys([*COMPARED, *(kind.name for kind in _FLOORS.values())]):
            one = results.summary(size, tool, scenario)
            if one is None:
                continue
            same = {None: "", True: "right", False: "**wrong**"}[one.agrees]
            executed = "failed" if one.executed is None else f"{one.executed:,}"
            memory = "" if one.peak is None else f"{one.peak:,.0f}"
            figures = f"{_seconds(one.wall)} | {_seconds(one.cpu)} | {memory} | {executed} | {one.ideal:,} | {same}"
            lines.append(f"| {scenario} | {tool} | {one.runs} | {figures} |")
    return "<details><summary>All figures</summary>\n\n" + "\n".join(lines) + "\n\n</details>"


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.0f}"  # noqa: PLR2004
