"""Run one scenario with one tool: edit the project, run the tool's commands, count what it did, compare its tables.

What a folder holds is written beside it, so that an interrupted comparison goes on where it was. A run that was cut
short leaves its folder in a state that nobody knows: it is then made anew, with a cold build that is not measured.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.generated import ROWS, write_source
from benchmarks.versus.results import Measurement
from benchmarks.versus.scenarios import CHANGED_SOURCE, Subject
from benchmarks.versus.tools import HERE, ROOT, Command, NoopFloor, Tool

_PAUSE = 0.3  # between an edit and a build: time stamps of files are coarse, and no user is faster


class ToolError(Exception):
    """A tool did not do what it was asked to."""


@dataclass(frozen=True)
class Runner:
    """What all runs share.

    limit: seconds, for each command. rows: of each source.
    """

    subject: Subject
    limit: int
    rows: int = ROWS

    def measure(self, tool: Tool, scenario: str, run: int, done: Counter[str], *, check: bool) -> Measurement:
        """Run a scenario once more, after `done`, which says how often each has been run so far."""
        size, ideal, load = self.subject.size, self.subject.ideal[scenario], round(os.getloadavg()[0], 1)
        measured = partial(Measurement, size, tool.name, scenario, run, ideal, load)
        try:
            if scenario != "cold" and not isinstance(tool, NoopFloor) and _state(tool) != dict(done):
                self._restore(tool, done)
            _set_state(tool, None)
            self._edit(tool, scenario, done)
            figures = self._run(tool, tool.commands(scenario))
            executed = tool.executed(figures.pop("output"))
            self._run(tool, tool.settle())
            after = done + Counter({scenario: 1})
            agrees = self._agrees(tool, after) if check else None
        except (ToolError, ValueError) as error:
            return measured(error=str(error)[-400:])
        _set_state(tool, after)
        return measured(**figures, executed=executed, agrees=agrees)

    def _edit(self, tool: Tool, scenario: str, done: Counter[str]) -> None:
        """Bring the project into the state in which the scenario's build finds it."""
        if isinstance(tool, NoopFloor):
            return
        if scenario == "cold":
            self._write(tool, done)
            tool.clear()
            self._run(tool, tool.prepare())
        tool.write(self.subject.texts(done + Counter({scenario: 1})))
        if scenario == "touched source":
            os.utime(tool.source("s2"))
        if scenario == "source column":
            self._change_source(tool, done[scenario] + 1)
        time.sleep(_PAUSE)

    def _write(self, tool: Tool, done: Counter[str]) -> None:
        tool.write(self.subject.texts(done))
        tool.write_sources(self.rows)
        if done["source column"]:
            self._change_source(tool, done["source column"])

    def _change_source(self, tool: Tool, version: int) -> None:
        write_source(tool.source(CHANGED_SOURCE), rows=self.rows, version=version)

    def _restore(self, tool: Tool, done: Counter[str]) -> None:
        """Make the folder anew, in the state after `done`."""
        print(f"  {tool.name}: bringing its project up to date first", file=sys.stderr, flush=True)
        shutil.rmtree(tool.folder, ignore_errors=True)
        self._write(tool, done)
        tool.clear()
        for commands in (tool.prepare(), tool.commands("cold"), tool.settle()):
            self._run(tool, commands)

    def _run(self, tool: Tool, commands: Iterable[Command]) -> dict[str, Any]:
        """Run commands in the project's folder; return what they took together, and what they said."""
        total: dict[str, Any] = {"wall": 0.0, "cpu": 0.0, "peak": 0.0, "output": ""}
        said = tool.folder.with_suffix(".out").resolve()
        # Installed programs have their byte code; ours stands in a work tree, where it is written only if it may be.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = {**inherited, "PYTHONPATH": "", **tool.environment}
        for command in commands:
            words = [sys.executable, "-I", "-S", HERE / "measure.py", said, str(self.limit), *command]
            done = subprocess.run(words, cwd=tool.folder, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise ToolError(done.stderr[-300:])
            taken = json.loads(done.stdout)
            output = said.read_text(encoding="utf-8", errors="replace")
            if taken["code"]:
                late = f"it took more than {self.limit} s; " if taken["wall"] >= self.limit else ""
                raise ToolError(f"{late}exit {taken['code']}: {output[-300:]}")
            total["wall"] = round(total["wall"] + taken["wall"], 4)
            total["cpu"] = round(total["cpu"] + taken["cpu"], 4)
            total["peak"] = max(total["peak"], taken["peak"])
            total["output"] += output
        return total

    def _agrees(self, tool: Tool, done: Counter[str]) -> bool:
        """Are the tables of the sample those that the engine computes from nothing?"""
        database, form = tool.tables()
        python = tool.programs / "python" if database else Path(sys.executable)
        return self._facts(python, database, form) == self._expected(tool, done)

    def _expected(self, tool: Tool, done: Counter[str]) -> Mapping[str, Any]:
        """Return the facts of the sample, computed from this tool's own sources, or remembered if they were before."""
        folder = tool.folder.parent / "expected"
        relevant = {
            name: count for name, count in sorted(done.items()) if name not in ("cold", "no-op", "touched source")
        }
        remembered = folder / f"{json.dumps(relevant)}.json".replace('"', "")
        if not remembered.is_file():
            tables = folder / "tables"
            texts = folder / "rules"
            for one in (tables, texts):
                shutil.rmtree(one, ignore_errors=True)
            texts.mkdir(parents=True)
            for name, sql in self.subject.texts(done).items():
                (texts / f"{name}.sql").write_text(sql, encoding="utf-8")
            data = folder / "data"
            data.unlink(missing_ok=True)
            data.symlink_to((tool.folder / "data").resolve())
            command: Command = [sys.executable, HERE / "floor.py", folder, tables, *self.subject.sample]
            subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
            facts = self._facts(Path(sys.executable), None, f"{tables}/{{}}.parquet")
            remembered.write_text(json.dumps(facts), encoding="utf-8")
        found: dict[str, Any] = json.loads(remembered.read_text(encoding="utf-8"))
        return found

    def _facts(self, python: Path, database: Path | None, form: str) -> dict[str, Any]:
        tables = [f"{name}={form.format(name)}" for name in self.subject.sample]
        command: Command = [python, "-I", HERE / "facts.py", database or "", *tables]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ToolError(done.stderr[-300:])
        facts: dict[str, Any] = json.loads(done.stdout)
        return facts


def _state(tool: Tool) -> dict[str, int] | None:
    """Return how often each scenario has been run in a tool's folder, or None if that is not known."""
    path = tool.folder.with_suffix(".state")
    if not path.is_file() or not tool.folder.is_dir():
        return None
    state: dict[str, int] | None = json.loads(path.read_text(encoding="utf-8"))
    return state


def _set_state(tool: Tool, state: Mapping[str, int] | None) -> None:
    if isinstance(tool, NoopFloor):
        return  # it only looks at the folder of another
    tool.folder.mkdir(parents=True, exist_ok=True)
    tool.folder.with_suffix(".state").write_text(json.dumps(state and dict(state)), encoding="utf-8")
