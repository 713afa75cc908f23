"""Compare this tool with dbt, SQLMesh and ninja, side by side in one run, on a generated project.

Usage, from the root: python3 tasks.py bench [OPTIONS], or python -m benchmarks.versus [OPTIONS]

For each size, scenario and run, one tool after the other edits a project of its own, builds it, and is measured: wall
seconds, processor seconds of all its processes, the memory of the largest of them, and how many models it executed,
beside the ideal. After the last run of each scenario its tables are compared with what the engine computes anew.
Every measurement is kept at once: the same command, started again, goes on where it was interrupted. At the end stand
a table and plots in the folder, and the table on stdout; with --publish also in the documentation.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.generated import ROWS
from benchmarks.versus.environments import PINS, programs
from benchmarks.versus.peers import Dbt, Ninja, Sqlmesh
from benchmarks.versus.publish import publish
from benchmarks.versus.report import markdown
from benchmarks.versus.results import Results, code, machine
from benchmarks.versus.runner import Runner
from benchmarks.versus.scenarios import SCENARIOS, Subject
from benchmarks.versus.tools import ROOT, EngineFloor, NoopFloor, Rules, Tool

OURS = (Rules, EngineFloor, NoopFloor)
PEERS = (Dbt, Sqlmesh, Ninja)
TOOLS = {kind.name: kind for kind in (*OURS, *PEERS)}

PACKAGES = ("rules", "compiler", "cache", "graph")

_COLD_MODELS = {False: 3000, True: 1000}  # a cold build is repeated up to so many models, by is_peer


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    found = argparse.ArgumentParser(description="Compare with other tools on a generated project.")
    found.add_argument(
        "--folder", type=Path, default=Path("benchmarks/results"), help="for projects and results (%(default)s)"
    )
    found.add_argument("--environments", type=Path, help="for the peers' environments (FOLDER/environments)")
    found.add_argument("--sizes", type=int, nargs="*", default=[100, 1000], help="models (%(default)s)")
    found.add_argument("--own-sizes", type=int, nargs="*", default=[10_000], help="without peers (%(default)s)")
    found.add_argument("--rows", type=int, default=ROWS, help="of each source (%(default)s)")
    found.add_argument("--runs", type=int, default=5, help="of ours and of the floors (%(default)s)")
    found.add_argument("--peer-runs", type=int, default=3, help="of each peer (%(default)s)")
    found.add_argument("--tools", nargs="*", choices=TOOLS, default=list(TOOLS), metavar="TOOL", help=", ".join(TOOLS))
    found.add_argument("--scenarios", nargs="*", choices=SCENARIOS, default=list(SCENARIOS), metavar="SCENARIO")
    found.add_argument("--limit", type=int, default=3600, help="seconds for one command (%(default)s)")
    found.add_argument("--publish", action="store_true", help="write docs/benchmarks.md and the table of the README")
    found.add_argument("--report", action="store_true", help="measure nothing, write the table and the plots again")
    return found


def runs_of(tool: Tool, scenario: str, size: int, options: argparse.Namespace) -> int:
    """Return how often a tool runs a scenario: a large cold build less often, as it varies little."""
    wanted: int = options.peer_runs if tool.is_peer else options.runs
    return min(wanted, max(1, _COLD_MODELS[tool.is_peer] // size)) if scenario == "cold" else wanted


def tools_of(size: int, options: argparse.Namespace, folder: Path) -> list[Tool]:
    """Return the tools to be compared at a size, ours first."""
    environments = options.environments or options.folder / "environments"
    own = Path(sys.executable).parent
    found: list[Tool] = []
    for name in options.tools:
        kind = TOOLS[name]
        if kind in PEERS and size not in options.sizes:
            continue
        place = folder / (Rules.name if kind is NoopFloor else name.lower().replace(": ", "-"))
        found.append(kind(place.resolve(), programs(environments, name, PINS[name]) if name in PINS else own))
    return found


def compare(size: int, options: argparse.Namespace, results: Results) -> None:
    """Measure every tool in every scenario at one size."""
    folder = options.folder / f"{size}x{options.rows}"
    folder.mkdir(parents=True, exist_ok=True)
    tools = tools_of(size, options, folder)
    runner = Runner(Subject(size), options.limit, options.rows)
    done = {tool.name: Counter[str]() for tool in tools}
    for scenario in SCENARIOS:
        for tool, run, last in _turns(tools, scenario, size, options):
            if scenario in options.scenarios and (size, tool.name, scenario, run) not in results.found:
                check = last and not isinstance(tool, NoopFloor)
                measured = runner.measure(tool, scenario, run, done[tool.name], check=check)
                results.add(measured)
                what = (
                    measured.error
                    or f"{measured.wall:.2f} s, {measured.cpu:.2f} s of processor time, {measured.peak:.0f} MiB"
                )
                ran = f"executed {measured.executed} (ideal {measured.ideal})"
                wrong = ", WRONG TABLES" if measured.agrees is False else ""
                print(f"{size} {scenario} {run} {tool.name}: {what}, {ran}{wrong}", file=sys.stderr, flush=True)
            if scenario in options.scenarios:
                done[tool.name][scenario] += 1


def _turns(
    tools: list[Tool], scenario: str, size: int, options: argparse.Namespace
) -> Iterator[tuple[Tool, int, bool]]:
    """Yield whose turn it is, the number of the run, and whether it is the tool's last: run by run, tool by tool."""
    runs = {tool.name: runs_of(tool, scenario, size, options) for tool in tools if scenario in tool.scenarios}
    for run in range(1, max(runs.values(), default=0) + 1):
        for tool in tools:
            if run <= runs.get(tool.name, 0):
                yield tool, run, run == runs[tool.name]


def main() -> None:
    """Run the command line."""
    options = parser().parse_args()
    path = options.folder / "results.json"
    about = {
        **machine(),
        "rules": code(ROOT, PACKAGES),
        "rows": str(options.rows),
        **{name: pins[0] for name, pins in PINS.items()},
    }
    try:
        results = Results.load(path, {} if options.report else about)
    except ValueError as error:
        sys.exit(f"error: {error}")
    if not options.report:
        for size in sorted({*options.sizes, *options.own_sizes}):
            compare(size, options, results)
    table = markdown(results)
    (options.folder / "table.md").write_text(table, encoding="utf-8")
    plots = draw(results, options.folder)
    if options.publish:
        publish(results, plots, ROOT)
    print(table)


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw the plots, where there is a library to draw with."""
    try:
        from benchmarks.versus.plot import plot
    except ImportError as error:
        print(f"no plots: {error}", file=sys.stderr)
        return []
    return plot(results, folder)


if __name__ == "__main__":
    main()
