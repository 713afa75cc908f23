"""Run `rules` in processes of their own that are forked, not started: a run costs none of the time that imports take.

A `Forks` is one process that has everything imported and has run nothing; every run is a fork of it. `killing` makes a
run kill itself at a chosen step.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Ended:
    """How a run ended: exit code, what it wrote, and the steps it came to, in order, if they were counted."""

    code: int
    out: bytes = b""
    err: bytes = b""
    steps: tuple[str, ...] = ()

    @property
    def stdout(self) -> str:
        return self.out.decode()

    @property
    def stderr(self) -> str:
        return self.err.decode()

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def document(self) -> dict[str, Any]:
        assert self.code in {0, 1}, f"exit {self.code}\n{self.stdout}\n{self.stderr}"
        document: dict[str, Any] = json.loads(self.stdout)
        return document


class Forks:
    """The process that forks, for one run at a time. Use it as a context manager; `folder` is for its own files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        # As the installed program finds its modules: neither in the folder of this file nor in the working folder.
        command = [sys.executable, "-P", __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(timeout=30) == 0

    def run(
        self,
        root: Path,
        *arguments: str,
        kill_at: int | None = None,
        kill_by: int | None = signal.SIGKILL,
        call: tuple[str, int] | None = None,
        lasts: float = 0.0,
        kill_after: float | None = None,
        env: Mapping[str, str] | None = None,
        terminal: str | None = None,
        split: bool = False,
    ) -> Ended:
        """Run `rules ARGUMENTS` in `root`; if `kill_at` is given, count steps and kill it at that one (-1: at none).

        kill_by: the signal that kills.
        kill_after: kill it after so many seconds instead, by SIGALRM, which ends a process at once, too.
        call, lasts: kill it instead when it calls a function for so many times; see `killing.arm_call`.
        env: the environment, this process's if None. What Python reads only when it starts has no effect.
        terminal: the path of a terminal on which to run it; with `split` stdout is not that, but kept as ever.
        """
        wanted = {
            "root": str(root),
            "arguments": arguments,
            "kill_at": kill_at,
            "kill_by": None if kill_by is None else int(kill_by),
            "call": call,
            "lasts": lasts,
            "kill_after": kill_after,
            "folder": str(self._folder),
            "env": dict(os.environ if env is None else env),
            "terminal": terminal,
            "split": split,
        }
        with self._turn:
            try:
                return self._ended(wanted)
            except BaseException:  # such as a test's timeout: what comes next must not get the answer to this
                self._process.kill()
                shared.cache_clear()
                raise

    def _ended(self, wanted: dict[str, Any]) -> Ended:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        steps = self._folder / "steps"
        for name in ("steps", "stdout", "stderr"):
            (self._folder / name).write_bytes(b"")
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        out, err = ((self._folder / name).read_bytes() for name in ("stdout", "stderr"))
        return Ended(code, out, err, tuple(steps.read_text().splitlines()))


@functools.cache
def shared() -> Forks:
    """The one that all tests of this process share."""
    folder = tempfile.TemporaryDirectory(prefix="rules-forks-")
    forks = Forks(Path(folder.name))

    def end() -> None:
        with folder, forks:
            pass

    atexit.register(end)
    return forks


def _serve() -> None:
    for package in ("rules", "compiler", "cache", "graph"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith(".__main__"):
                importlib.import_module(module.name)
    gc.freeze()  # so that looking for garbage copies none of it
    for line in sys.stdin:
        wanted = json.loads(line)
        with warnings.catch_warnings():
            # Python warns of threads. There are none but those of numpy's BLAS, which knows of forks.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            _work(wanted)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _work(wanted: dict[str, Any]) -> NoReturn:
    """The forked process: run the command and end."""
    code = 70
    try:
        code = _run(wanted)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 — what is not caught here would end in the loop of `_serve`
        traceback.print_exc()
    finally:
        os._exit(code)


def _run(wanted: dict[str, Any]) -> int:
    from rules.cli import main

    folder = Path(wanted["folder"])
    _attach(0, wanted["terminal"] or os.devnull)
    _attach(1, folder / "stdout" if wanted["split"] else wanted["terminal"] or folder / "stdout")
    _attach(2, wanted["terminal"] or folder / "stderr")
    # Made anew, as at a start: a stream learns of its file only then whether that is a terminal, and can be sought.
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1 if os.isatty(1) else -1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(wanted["env"])
    os.chdir(wanted["root"])
    sys.argv = ["rules", *wanted["arguments"]]
    if wanted["kill_at"] is not None:
        sys.path.append(str(TESTS))
        from support.killing import arm

        arm(wanted["kill_at"], folder / "steps", wanted["kill_by"])
    if wanted["call"] is not None:
        sys.path.append(str(TESTS))
        from support.killing import arm_call

        place, number = wanted["call"]
        arm_call(place, number, folder / "steps", by=wanted["kill_by"], lasts=wanted["lasts"])
    if wanted["kill_after"] is not None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, wanted["kill_after"])
    return main(wanted["arguments"])


def _attach(number: int, path: str | Path) -> None:
    """Let a standard stream be a file, emptied, or a terminal."""
    file = os.open(path, (os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY) | os.O_NOCTTY, 0o600)
    os.dup2(file, number)
    os.close(file)


if __name__ == "__main__":
    _serve()
