"""Compare tools on data that grows: 365 daily files, 24 models in four layers, and what happens to such data.

Usage, from the root: python3 tasks.py bench-growing [OPTIONS], or python -m benchmarks.growing [OPTIONS]

One scenario after the other changes the data, or the models, of all projects; each tool builds and is measured, and
its tables are compared, row by row, with what the bare engine computes from all files. The results are kept in one
file, from which a table and a picture are made; with --publish they are written into the documentation. It ends with 1
if a goal is not met (`goals.py`). The short form is --days 12 --rows 2000 --min-rows 4000.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.growing import data
from benchmarks.growing.goals import goals
from benchmarks.growing.models import models
from benchmarks.growing.report import markdown, publish
from benchmarks.growing.tools import HERE, ROOT, TOOLS, Command, Tool
from benchmarks.versus.environments import PINS, programs
from benchmarks.versus.results import code, machine

_PAUSE = 0.3
_MEASURE = ROOT / "benchmarks" / "versus" / "measure.py"
PACKAGES = ("rules", "compiler", "cache", "graph")


class World:
    """The data and the models, as they are after some scenarios. days: that there are files of."""

    def __init__(self, folder: Path, days: int, rows: int) -> None:
        """Make the data from nothing."""
        self.data, self.days, self.rows, self.added = folder / "data", days, rows, False
        self.users = data.users_of(rows)
        shutil.rmtree(self.data, ignore_errors=True)
        (self.data / "orders").mkdir(parents=True)
        data.write_dimensions(self.data, self.users)
        for number in range(days):
            data.write_day(self.data, number, rows)

    def append(self) -> None:
        """A day comes."""
        data.write_day(self.data, self.days, self.rows)
        self.days += 1

    def late(self) -> None:
        """Rows come late, for a day in the first third."""
        data.write_day(self.data, self.days // 3, self.rows, late=max(3, self.rows // 100))

    def deleted(self) -> None:
        """The file of a day goes."""
        data.place_of(self.data, self.days // 2).unlink()

    def corrected(self) -> None:
        """A day is corrected, and its totals stay."""
        data.write_day(self.data, self.days // 4, self.rows, version=1)

    def dimension(self) -> None:
        """One user moves to another country."""
        data.write_dimensions(self.data, self.users, version=1)

    def rule(self) -> None:
        """A model is added in the middle."""
        self.added = True

    def nothing(self) -> None:
        """Nothing happens."""

    @property
    def latest(self) -> str:
        """The day after the last one."""
        return data.place_of(self.data, self.days).stem


SCENARIOS: dict[str, tuple[str, Callable[[World], None]]] = {
    "cold": ("the first build", World.nothing),
    "no-op": ("nothing has changed", World.nothing),
    "append": ("a day is appended", World.append),
    "late": ("rows of an old day come late", World.late),
    "deleted": ("the file of a day is deleted", World.deleted),
    "corrected": ("a day is corrected, with equal totals", World.corrected),
    "dimension": ("a row of a dimension changes", World.dimension),
    "rule": ("a model is added in the middle", World.rule),
}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    found = argparse.ArgumentParser(description="Compare tools on data that grows.")
    found.add_argument("--folder", type=Path, default=Path("benchmarks/results/growing"), help="(%(default)s)")
    found.add_argument("--environments", type=Path, default=Path("benchmarks/results/environments"))
    found.add_argument("--days", type=int, default=365, help="before one is appended (%(default)s)")
    found.add_argument("--rows", type=int, default=55_000, help="of each day (%(default)s)")
    found.add_argument("--min-rows", type=int, default=1_000_000, help="see docs/parts.md (%(default)s)")
    names = [one.name for one in TOOLS]
    found.add_argument("--tools", nargs="*", choices=names, default=names, metavar="TOOL", help=", ".join(names))
    found.add_argument("--limit", type=int, default=3600, help="seconds for one command (%(default)s)")
    found.add_argument("--publish", action="store_true", help="write docs/growing.md")
    found.add_argument("--report", action="store_true", help="measure nothing, write table and picture again")
    return found


def measured(tool: Tool, commands: list[Command], limit: int) -> dict[str, Any]:
    """Run commands in the project's folder; return what they took together, and what they said."""
    said = tool.folder.with_suffix(".out").resolve()
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**inherited, "PYTHONPATH": "", **tool.environment}
    total: dict[str, Any] = {"wall": 0.0, "cpu": 0.0, "peak": 0.0, "output": "", "error": ""}
    started = time.time()
    for command in commands:
        words = [sys.executable, "-I", "-S", _MEASURE, said, str(limit), *command]
        done = subprocess.run(words, cwd=tool.folder, env=environment, capture_output=True, text=True, check=True)
        taken = json.loads(done.stdout)
        output = said.read_text(encoding="utf-8", errors="replace")
        if taken["code"]:
            total["error"] = f"exit {taken['code']}: {output[-400:]}"
        for name in ("wall", "cpu"):
            total[name] = round(total[name] + taken[name], 3)
        total["peak"] = max(total["peak"], taken["peak"])
        total["output"] += output
    total["written"] = _written(tool.folder, started)
    return total


def _written(folder: Path, since: float) -> int:
    """Return the bytes of the files of a project that were made or changed: of a database, its whole file."""
    total = 0
    for above, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "data"]
        for name in names:
            status = os.lstat(f"{above}/{name}")
            total += status.st_size if status.st_ctime >= since else 0
    return total


def facts(python: Path, database: Path | None, form: str, names: list[str]) -> dict[str, Any]:
    """Return the facts of tables, {} if they cannot be read."""
    tables = [f"{name}={form.format(name)}" for name in names]
    command: Command = [python, "-I", HERE / "facts.py", database or "", *tables]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-400:], file=sys.stderr)
        return {}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def expected(folder: Path, world: World) -> dict[str, Any]:
    """Return the facts of all models, computed by the bare engine from all files."""
    command: Command = [sys.executable, HERE / "floor.py", folder, "judge", *(["added"] if world.added else [])]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    found = facts(Path(sys.executable), None, f"{folder}/out/{{}}.parquet", list(models(added=world.added)))
    shutil.rmtree(folder / "out")
    return found


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every tool in every scenario; return the results, which are written after each of them."""
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    world = World(folder, options.days, options.rows)
    own, tools = Path(sys.executable).parent, list[Tool]()
    for kind in TOOLS:
        if kind.name in options.tools:
            place = folder / kind.name.lower().replace(", ", "-")
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            (place / "data").symlink_to(world.data)
            tools.append(
                kind(place, programs(options.environments, kind.name) if kind.name in PINS else own, options.min_rows)
            )
    about = {**machine(), "rules": code(ROOT, PACKAGES), "days": options.days, "rows": options.rows}
    about |= {"min_rows": options.min_rows, "notes": {tool.name: tool.note for tool in tools if tool.note}}
    about["scenarios"] = {name: text for name, (text, _) in SCENARIOS.items()}
    results: dict[str, Any] = {"about": about, "measurements": []}
    judge = folder / "expected"
    judge.mkdir(exist_ok=True)
    (judge / "data").unlink(missing_ok=True)
    (judge / "data").symlink_to(world.data)
    right: dict[str, Any] = {}
    for scenario, (_, change) in SCENARIOS.items():
        change(world)
        right = right if right and change is World.nothing else expected(judge, world)
        time.sleep(_PAUSE)
        for tool in tools:
            if not tool.scenarios or scenario in tool.scenarios:
                results["measurements"].append(_measurement(tool, scenario, world, right, options.limit))
                (folder / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    return results


def _measurement(tool: Tool, scenario: str, world: World, right: dict[str, Any], limit: int) -> dict[str, Any]:
    tool.write(models(added=world.added))
    if scenario == "cold":
        for command in tool.prepare():
            subprocess.run(command, cwd=tool.folder, check=True)
    found = measured(tool, tool.commands(scenario, world.latest), limit)
    output = found.pop("output")
    found |= {
        "tool": tool.name,
        "scenario": scenario,
        "rows_read": None,
        "parts": {},
        "tables": len(right),
        "wrong": None,
    }
    if not found["error"]:
        found["rows_read"], found["parts"] = tool.rows_read(output), tool.parts_read(output)
        database, form = tool.tables()
        python = tool.programs / "python" if database else Path(sys.executable)
        theirs = facts(python, database, form, list(right))
        found["wrong"] = sorted(name for name in right if theirs.get(name) != right[name])
    outcome = found["error"] or f"{found['wall']:.2f} s, {len(found['wrong'])} wrong tables {' '.join(found['wrong'])}"
    print(f"{scenario} {tool.name}: {outcome}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Run the command line."""
    options = parser().parse_args()
    path = options.folder / "results.json"
    results = json.loads(path.read_text(encoding="utf-8")) if options.report else compare(options)
    table = markdown(results)
    (options.folder / "table.md").write_text(table, encoding="utf-8")
    if options.publish:
        publish(results, ROOT)
    print(table)
    sys.exit(not all(goal.met for goal in goals(results)))


if __name__ == "__main__":
    main()
