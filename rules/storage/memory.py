"""What a process keeps in memory between its runs over one project, so that a run pays for what has changed.

Every part belongs to the module that fills it. A part holds values together with all that they were made from, and
compares that before it gives a value out; it never decides by time, by a notification or by what was done last. So a
run with a memory says what a run of a new process says. A part is bounded: it holds what the last runs used. The index
stays open between runs, by which SQLite itself says whether anybody else has written to it.
"""

from __future__ import annotations

from typing import Any, TypeVar

from cache.decoding import Decoded
from rules.storage.kept_index import KeptIndex

T = TypeVar("T")


class Memory:
    """The memory of one project. It serves one run at a time."""

    def __init__(self) -> None:
        self.decoded = Decoded()
        """What the records of the index were decoded to."""
        self.runs = 0
        """How many runs there were, the one that is under way included."""
        self.index = KeptIndex(self.decoded)
        self._parts: dict[type, Any] = {}

    def part(self, kind: type[T]) -> T:
        """Return what a module keeps: the one object of a class of its own, made when it is first asked for."""
        if kind not in self._parts:
            self._parts[kind] = kind()
        found: T = self._parts[kind]
        return found

    def forget_parts(self) -> None:
        """Forget what modules keep: what it was made from has proved to be wrong."""
        self._parts = {}
