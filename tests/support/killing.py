"""Run `rules` in forked processes that kill themselves at a chosen step of their work on the store.

A `Forks` is one process that has everything imported and forks for each run, so that a run costs no start-up. The steps
that count are those which change the store for good: renames, links, removals, fsyncs and the borders of transactions.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_STEPS = ("replace", "fsync", "symlink", "unlink", "mkdir", "rmdir")


@dataclass(frozen=True)
class Ended:
    """How a run ended. steps: those it came to, in order, if they were counted; the last one killed it, if it was."""

    code: int
    stdout: str
    stderr: str
    steps: tuple[str, ...]

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def document(self) -> dict[str, Any]:
        assert self.code in {0, 1}, f"exit {self.code}\n{self.stdout}\n{self.stderr}"
        document: dict[str, Any] = json.loads(self.stdout)
        return document


class Forks:
    """The process that forks. Use it as a context manager; `folder` is for its own files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(timeout=30) == 0

    def run(self, root: Path, *arguments: str, kill_at: int | None = None) -> Ended:
        """Run `rules ARGUMENTS` in `root`; if `kill_at` is given, count steps and kill it at that one (-1: at none)."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        wanted = {"root": str(root), "arguments": arguments, "kill_at": kill_at, "folder": str(self._folder)}
        steps = self._folder / "steps"
        steps.write_text("")
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        out, err = (self._folder / "stdout").read_text(), (self._folder / "stderr").read_text()
        return Ended(code, out, err, tuple(steps.read_text().splitlines()))


def _serve() -> None:
    import rules.build
    import rules.cutoff
    import rules.engine.execute
    import rules.evidence
    import rules.execution
    import rules.sources.ingest  # noqa: F401 — imported here so that no run has to

    for line in sys.stdin:
        wanted = json.loads(line)
        child = os.fork()
        if child == 0:
            _work(wanted)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _work(wanted: dict[str, Any]) -> None:
    """The forked process: run the command and end."""
    from rules.cli import main

    folder = Path(wanted["folder"])
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.chdir(wanted["root"])
    if wanted["kill_at"] is not None:
        _arm(wanted["kill_at"], folder / "steps")
    try:
        code = main(wanted["arguments"])
    except SystemExit as end:
        code = int(end.code or 0)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _arm(kill_at: int, note: Path) -> None:
    """Count the steps, each before and after it is taken, and kill this process at the given count."""
    count = 0
    lock = threading.Lock()
    written = note.open("w", buffering=1)

    def tick(name: str) -> None:
        nonlocal count
        with lock:
            written.write(f"{name}\n")
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            tick(f"before {name}")
            result = function(*arguments, **named)
            tick(f"after {name}")
            return result

        return call

    for name in _STEPS:
        setattr(os, name, counted(name, getattr(os, name)))

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql not in {"BEGIN IMMEDIATE", "COMMIT"}:
                return super().execute(sql, *parameters)
            cursor: sqlite3.Cursor = counted(sql, super().execute)(sql)
            return cursor

        def executescript(self, sql: str) -> sqlite3.Cursor:
            cursor: sqlite3.Cursor = counted("script", super().executescript)(sql)
            return cursor

    connect = sqlite3.connect
    sqlite3.connect = lambda *arguments, **named: connect(*arguments, factory=Connection, **named)  # type: ignore[assignment]


if __name__ == "__main__":
    _serve()
