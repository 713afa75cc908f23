"""Let a process kill itself at a chosen step of its work on the store, or when it calls a chosen function.

The steps that count are those which change the store for good: renames, links, removals, fsyncs and the borders of
transactions.
"""

from __future__ import annotations

import importlib
import os
import signal
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_STEPS = ("replace", "fsync", "symlink", "unlink", "mkdir", "rmdir")


def arm(kill_at: int, note: Path, by: int = signal.SIGKILL) -> None:
    """Count the steps, each before and after it is taken, and send this process a signal at the given count."""
    count = 0
    lock = threading.Lock()
    written = note.open("w", buffering=1)

    def tick(name: str) -> None:
        nonlocal count
        with lock:
            written.write(f"{name}\n")
            if count == kill_at:
                os.kill(os.getpid(), by)
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


def arm_call(place: str, call: int, note: Path, *, by: int | None, lasts: float = 0.0) -> None:
    """Send this process a signal when it calls a function for the `call`-th time, or let the call last long.

    place: `package.module:name` or `package.module:Class.name`, by which it is called. note: takes a line then. lasts:
    the seconds by which the clock goes forward then, so that nobody has to wait.
    """
    module, _, path = place.partition(":")
    *above, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for one in above:
        owner = getattr(owner, one)
    function = getattr(owner, name)
    lock, count = threading.Lock(), 0

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        with lock:
            count += 1
            is_it = count == call
        if is_it:
            note.write_text(f"{place} {call}\n", encoding="utf-8")
            if by is not None:
                os.kill(os.getpid(), by)
            if lasts:
                clock = time.perf_counter
                time.perf_counter = lambda: clock() + lasts  # type: ignore[assignment]
        return function(*arguments, **named)

    setattr(owner, name, counted)
