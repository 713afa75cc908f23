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
    parts = [_about(results)]
    for size in sorted({size for size, *_ in results.found}):
        parts += [f"## {size:,} models", _main_table(results, size), _full_table(results, size)]
    scenarios = "\n".join(f"* {scenario}: {change}." for scenario, change in SCENARIOS.items())
    notes = "\n".join(f"* {kind.name}: {kind.note}." for kind in _NOTED)
    return "\n\n".join([*parts, f"## Scenarios\n\n{scenarios}", f"## Tools\n\n{notes}"]) + "\n"


def short(results: Results, size: int) -> str:
    """Return the main table of one size, and on what it was measured."""
    return f"{_main_table(results, size)}\n\n{_about(results)}"


def compared_sizes(results: Results) -> list[int]:
    """Return the sizes at which several tools were measured."""
    sizes = sorted({size for size, *_ in results.found})
    return [size for size in sizes if len(tools_at(results, size)) > 1]


def tools_at(results: Results, size: int) -> list[str]:
    """Return the tools that were measured at a size, without the floors."""
    return [tool for tool in COMPARED if any(key[:2] == (size, tool) for key in results.found)]


def _about(results: Results) -> str:
    about = results.about
    return (
        f"Medians, on {about['cores']} cores of {about['processor']}, {about['system']}, Python {about['python']}; "
        f"five sources of {int(about['rows']):,} rows; {about['dbt']}, {about['SQLMesh']}, {about['ninja']}."
    )


def _main_table(results: Results, size: int) -> str:
    """Return wall seconds with what was executed."""
    tools = tools_at(results, size)
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
    about = "Processor seconds are those of all processes, the peak is that of the largest one."
    return f"<details><summary>All figures</summary>\n\n{about}\n\n" + "\n".join(lines) + "\n\n</details>"


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.0f}"  # noqa: PLR2004
