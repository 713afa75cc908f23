"""Let a process kill itself at a chosen step of its work on the store.

The steps that count are those which change the store for good: renames, links, removals, fsyncs and the borders of
transactions.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
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
