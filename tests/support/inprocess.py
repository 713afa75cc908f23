"""Run the command line in this process, which saves the start-up of one; its streams are caught."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rules.cli import main
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.stdout)
        return document

    @property
    def executed(self) -> set[str]:
        return {product["name"] for product in self.document["products"] if product["status"] == "executed"}

    @property
    def statuses(self) -> dict[str, str]:
        return {product["name"]: product["status"] for product in self.document["products"]}


def run(project: SampleProject, *arguments: str, expect: int | tuple[int, ...] | None = 0) -> Ran:
    """Run `rules -C PROJECT ARGUMENTS`; the exit code must be `expect`, or one of these (None: 0 or 1)."""
    ran = _ran(project, arguments)
    expected = (0, 1) if expect is None else (expect,) if isinstance(expect, int) else expect
    assert ran.code in expected, f"exit {ran.code}\n{ran.stdout}\n{ran.stderr}"
    return ran


def build(project: SampleProject, *arguments: str, expect: int | None = 0) -> Ran:
    """Run `rules build --json`."""
    return run(project, "build", "--json", *arguments, expect=expect)


class InProcess(SampleProject):
    """A project whose commands run in this process, but for those that need an environment of their own."""

    def cli(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `rules -C PROJECT ARGUMENTS` here; in a process of its own if it is given an environment."""
        if env:
            return super().cli(*arguments, env=env)
        ran = _ran(self, arguments)
        return subprocess.CompletedProcess(arguments, ran.code, ran.stdout, ran.stderr)


def _ran(project: SampleProject, arguments: tuple[str, ...]) -> Ran:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*arguments, "-C", str(project.root)])
    return Ran(code, out.getvalue(), err.getvalue())
