"""Small projects on disk, and the command line run on them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from support.forks import shared

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
RULES = Path(sys.executable).parent / "rules"

WITHOUT_PANDAS = """
from importlib.machinery import PathFinder
found = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name == "pandas" else found(name, *rest)
"""
"""Code after which an interpreter is one without pandas."""


class SampleProject:
    """A project in a folder of its own."""

    def __init__(self, root: Path, *, sources: Iterable[str] = (), toml: str = "") -> None:
        """Make the folder with a rules.toml that declares Parquet `sources` at data/NAME.parquet, then `toml`."""
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        declared = "".join(f'\n[sources.{name}]\npath = "data/{name}.parquet"\n' for name in sources)
        self.write("rules.toml", f'[project]\nname = "sample"\n{declared}{toml}')
        (root / "rules").mkdir(exist_ok=True)

    @classmethod
    def at(cls, root: Path) -> SampleProject:
        """Return the project that is there."""
        found = cls.__new__(cls)
        found.root = root
        return found

    @classmethod
    def copy_of(cls, project: Path, root: Path) -> SampleProject:
        """Copy a project of fixtures/ without its store."""
        shutil.copytree(project, root, ignore=shutil.ignore_patterns(".rules"))
        return cls.at(root)

    def write(self, path: str, text: str) -> Path:
        """Write a text file below the root."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def read(self, path: str) -> str:
        """Return the text of a file below the root."""
        return (self.root / path).read_text(encoding="utf-8")

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace `old`, which must be there, in a file."""
        text = self.read(path)
        assert old in text, f"{old!r} is not in {path}"
        self.write(path, text.replace(old, new))

    def sql(self, name: str, text: str) -> Path:
        """Write rules/NAME.sql."""
        return self.write(f"rules/{name}.sql", text + "\n")

    def parquet(self, name: str, columns: Mapping[str, Any] | pa.Table) -> Path:
        """Write data/NAME.parquet."""
        table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
        target = self.root / "data" / f"{name}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, target)
        return target

    def cli(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `rules` in the project's folder, in a process of its own; in one that is `started` if `env` needs it."""
        if any(name.startswith(("PYTHON", "LC_")) for name in env or {}):
            return self.started(*arguments, env=env)
        done = shared().run(self.root, *arguments, env={**os.environ, **(env or {})})
        return subprocess.CompletedProcess(arguments, done.code, done.stdout, done.stderr)

    def started(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `rules` as from a shell: what only matters when Python starts and imports shows here alone."""
        return subprocess.run(
            [RULES, *arguments],
            cwd=self.root,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def json(self, *arguments: str, expect: int = 0, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Run a command with --json and return its document; the exit code must be `expect`."""
        done = self.cli(*arguments, "--json", env=env)
        assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def build(self, *arguments: str, expect: int = 0, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Run `rules build --json` and return its document."""
        return self.json("build", *arguments, expect=expect, env=env)

    def plan(self, *arguments: str) -> dict[str, Any]:
        """Run `rules plan --json` and return its document."""
        return self.json("plan", *arguments)

    def product(self, name: str) -> pa.Table:
        """Return a product as a reader of the products folder sees it."""
        return pq.read_table(self.root / ".rules" / "products" / f"{name}.parquet")

    @staticmethod
    def executed(document: Mapping[str, Any]) -> set[str]:
        """Return the products that a build executed."""
        return {product["name"] for product in document["products"] if product["status"] == "executed"}

    @staticmethod
    def statuses(document: Mapping[str, Any]) -> dict[str, str]:
        """Return each product's status (or verdict, of a plan)."""
        return {product["name"]: product.get("status") or product["verdict"] for product in document["products"]}
