"""Queries that can be stopped: by a limit of time, or by who interrupts a program."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator


class StoppedError(Exception):
    """A query ended because it was asked to."""


class Stop:
    """Asks one piece of work to end. Threads share it: who does the work looks at it, or says how to end it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._ends: list[Callable[[], None]] = []
        self.began: float | None = None
        """When the work began, by `time.perf_counter`; None before that."""

    def begin(self) -> None:
        """Note that the work begins. Raises `StoppedError` if it is not to begin."""
        self.check()
        self.began = time.perf_counter()

    def wait(self) -> None:
        """Note that the work waits for something that is no part of it, until it begins again."""
        self.began = None

    @property
    def asked(self) -> bool:
        """Whether the work is to end."""
        return self._asked

    def ask(self) -> None:
        """Ask the work to end, once and for all."""
        with self._lock:
            ends, self._ends, self._asked = self._ends, [], True
        for end in ends:
            end()

    def check(self) -> None:
        """Raise `StoppedError` if the work is to end."""
        if self._asked:
            raise StoppedError

    @contextlib.contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """Have `end` called, by another thread, if the work is asked to end in here. Raises `StoppedError` at once."""
        with self._lock:
            self.check()
            self._ends.append(end)
        try:
            yield
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._ends.remove(end)


NEVER = Stop()
"""That of work which nobody asks to end."""
