"""The cores of one build, and who has them: a product, a part of one, or a product that is spread over several.

What runs takes one core, and waits until there is one; what is spread takes as well those that others do not need. So
products times partitions, and parts, are never more than may be at work at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self


class Cores:
    """The cores of one build. For use from several threads."""

    def __init__(self, most: int, cores: int) -> None:
        """most: that may be taken at a time, at least 1; cores: those among which a product may be spread."""
        self.most, self.cores = most, cores
        self.changed = threading.Condition()
        self.busy = 0
        self.waiting: set[Share] = set()
        self.deciding = False

    def share(self, seconds: float = 1.0) -> Share:
        """Return what one piece of work will have of the cores. Until that begins, it counts as waiting.

        seconds: that it is expected to take on one core.
        """
        return Share(self, seconds)

    @contextmanager
    def undecided(self) -> Iterator[None]:
        """Let nothing be spread meanwhile: it is being found out what else can begin."""
        with self.changed:
            self.deciding = True
        try:
            yield
        finally:
            with self.changed:
                self.deciding = False
                self.changed.notify_all()


class Share:
    """What one piece of work has of the cores: a context manager, in which it has one."""

    def __init__(self, cores: Cores, seconds: float) -> None:
        self._cores, self.seconds, self._has, self._is_left = cores, seconds, 0, False
        with cores.changed:
            cores.waiting.add(self)

    def __enter__(self) -> Self:
        """Wait for a core."""
        self._take()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._return(self._has)

    def beside(self) -> Share:
        """Return the share of another piece of work of the same build."""
        return Share(self._cores, self.seconds)

    @contextmanager
    def spread(self) -> Iterator[int]:
        """Take the cores, too, that are not needed by who waits. Yields the number of all, at least 1.

        As many as its seconds are among those of all that waits, so that everything ends at about the same time; who
        waits can begin when it does.
        """
        cores, more = self._cores, 0
        with cores.changed:
            while cores.deciding:
                cores.changed.wait()
            free = cores.cores - cores.busy
            if free > 0 and not self._is_left:
                total = self.seconds + sum(one.seconds for one in cores.waiting)
                share = self.seconds / total if total > 0 else 1 / (1 + len(cores.waiting))
                more = min(free, max(0, int((1 + free) * share + 0.5) - 1))
                cores.busy += more
                self._has += more
        try:
            yield 1 + more
        finally:
            self._return(more)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let others have the core, while this piece of work does nothing but wait for them."""
        self._return(1)
        try:
            yield
        finally:
            with self._cores.changed:
                self._cores.waiting.add(self)
            self._take()

    def leave(self) -> None:
        """Let others have what work has that does not end, for good."""
        with self._cores.changed:
            self._return(self._has)
            self._is_left = True

    def _take(self) -> None:
        cores = self._cores
        with cores.changed:
            while cores.busy >= cores.most and not self._is_left:
                cores.changed.wait()
            cores.waiting.discard(self)
            if not self._is_left:
                cores.busy += 1
                self._has += 1

    def _return(self, number: int) -> None:
        with self._cores.changed:
            if not self._is_left:
                self._has -= number
                self._cores.busy -= number
                self._cores.changed.notify_all()


def unlimited() -> Share:
    """Return the share of work whose threads are counted elsewhere, which is never spread."""
    return Cores(1 << 30, 1).share()
