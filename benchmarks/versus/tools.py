"""The tools that are compared: what each needs on disk, which command a user runs, and how to read what it did.

Every tool has a folder with a project of its own that holds the same models and the same sources. Ours is run as a user
would, without options. The two floors are what no tool can undercut: the same SQL on the same engine without any build
tool around it, and a look at every file without any decision.
"""

from __future__ import annotations

import re
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.generated import SOURCES, write_source
from benchmarks.versus.scenarios import SCENARIOS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

Command = list[str | Path]


class Tool(ABC):
    """A tool and its project."""

    name: str
    note = ""  # what a reader of its figures has to know
    is_peer = False
    scenarios: Iterable[str] = SCENARIOS
    environment: Mapping[str, str] = {}

    def __init__(self, folder: Path, programs: Path) -> None:
        """Take the folder of the project and that of the environment's programs."""
        self.folder = folder
        self.programs = programs

    @abstractmethod
    def write(self, texts: Mapping[str, str]) -> None:
        """Write the models, and whatever else the project needs."""

    @abstractmethod
    def clear(self) -> None:
        """Forget whatever was computed."""

    @abstractmethod
    def commands(self, scenario: str) -> list[Command]:
        """Return what a user runs in a scenario."""

    @abstractmethod
    def executed(self, output: str) -> int:
        """Return how many models were executed, from what the commands said."""

    @abstractmethod
    def tables(self) -> tuple[Path | None, str]:
        """Return the database and what a model's table is called there, or None and its file; {} is the model."""

    def prepare(self) -> list[Command]:
        """Return what has to be run before a cold build, unmeasured."""
        return []

    def settle(self) -> list[Command]:
        """Return what has to be run after a build so that the next one can be incremental, unmeasured."""
        return []

    def source(self, name: str) -> Path:
        """Return where a source stands."""
        return self.folder / "data" / f"{name}.parquet"

    def write_sources(self, rows: int) -> None:
        """Write all sources."""
        for name in SOURCES:
            write_source(self.source(name), rows=rows)

    def put(self, path: str, text: str) -> None:
        """Write a text file of the project; one that holds this text already is left alone."""
        target = self.folder / path
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")

    def remove(self, *paths: str) -> None:
        """Remove files and folders of the project."""
        for path in paths:
            target = self.folder / path
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)


class Rules(Tool):
    """This project's own tool."""

    name = "rules"

    def write(self, texts: Mapping[str, str]) -> None:
        """Write rules.toml and a file for each rule."""
        declared = "".join(f'\n[sources.{name}]\npath = "data/{name}.parquet"\n' for name in SOURCES)
        self.put("rules.toml", f'[project]\nname = "generated"\n{declared}')
        for name, sql in texts.items():
            self.put(f"rules/{name}.sql", sql + "\n")

    def clear(self) -> None:
        """Remove the store."""
        self.remove(".rules")

    def commands(self, scenario: str) -> list[Command]:
        """Run `rules build`."""
        del scenario
        return [[self.programs / "rules", "build"]]

    def executed(self, output: str) -> int:
        """Read "37 executed, 963 clean in 2.1 s"."""
        found = re.search(r"^([\d,]+) executed", output, re.MULTILINE)
        return int(found[1].replace(",", "")) if found else 0

    def tables(self) -> tuple[Path | None, str]:
        """Products are Parquet files."""
        return None, f"{self.folder}/.rules/products/{{}}.parquet"


class EngineFloor(Rules):
    """The floor of a cold build."""

    name = "floor: engine"
    note = "the same SQL on the same engine, two at a time; Parquet by the engine, compressed as ours; no build tool"
    scenarios = ("cold",)
    environment = {"PYTHONPATH": str(ROOT)}  # noqa: RUF012

    def clear(self) -> None:
        """Remove the tables."""
        self.remove("out")

    def commands(self, scenario: str) -> list[Command]:
        """Run the bare loop."""
        del scenario
        return [[sys.executable, HERE / "floor.py", self.folder, self.folder / "out"]]

    def executed(self, output: str) -> int:
        """Say what it always does."""
        del output
        return len(list((self.folder / "out").glob("*.parquet")))

    def tables(self) -> tuple[Path | None, str]:
        """Return its output."""
        return None, f"{self.folder}/out/{{}}.parquet"


class NoopFloor(Rules):
    """The floor of a build without changes; looks at the project and the store of ours."""

    name = "floor: stat"
    note = "looks at every file once and reads one record of the index, in bare Python; decides nothing"
    scenarios = ("no-op",)

    def commands(self, scenario: str) -> list[Command]:
        """Look at every file."""
        del scenario
        return [[sys.executable, "-I", "-S", HERE / "noop_floor.py", self.folder]]

    def executed(self, output: str) -> int:
        """Nothing is executed."""
        if output:
            raise ValueError(output)
        return 0
