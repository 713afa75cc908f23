"""The order in which products are settled: inputs first, then the product with the longest way to the end below it."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Schedule:
    """The products of a run that are not settled yet.

    Of those whose inputs are settled, the next has the longest chain of readers below it, in seconds, itself included,
    so that a long chain is not left for the end, when nothing else could run beside it. Each step costs as much as it
    has direct readers.
    """

    def __init__(
        self,
        order: Iterable[str],
        dependencies: Mapping[str, Iterable[str]],
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        """Take products, inputs first; dependencies that are not products of the run count as settled.

        seconds: that each is expected to take, 1 where it is not there.
        """
        self._dependencies = dependencies
        position = {name: number for number, name in enumerate(order)}
        self._readers: dict[str, list[str]] = {name: [] for name in position}
        for name in position:
            for dependency in set(dependencies[name]) & position.keys():
                self._readers[dependency].append(name)
        known, height, left = seconds or {}, dict[str, int](), dict[str, float]()
        for name in reversed(position):
            height[name] = 1 + max((height[reader] for reader in self._readers[name]), default=0)
            left[name] = known.get(name, 1.0) + max((left[reader] for reader in self._readers[name]), default=0.0)
        self._rank = {name: (-left[name], -height[name], number, name) for name, number in position.items()}
        self._missing = dict.fromkeys(position, 0)
        for readers in self._readers.values():
            for reader in readers:
                self._missing[reader] += 1
        self._open = set(position)
        self._ready = [self._rank[name] for name, missing in self._missing.items() if not missing]
        heapq.heapify(self._ready)

    def take(self) -> str | None:
        """Return a product whose inputs are settled, or None if there is none at present."""
        while self._ready:
            name = heapq.heappop(self._ready)[-1]
            if name in self._open and not self._missing[name]:  # otherwise an input was reopened since
                self._open.remove(name)
                return name
        return None

    def settle(self, name: str) -> None:
        """Mark a product that was taken as done, one way or another."""
        for reader in self._readers[name]:
            self._missing[reader] -= 1
            if reader in self._open and not self._missing[reader]:
                heapq.heappush(self._ready, self._rank[reader])

    def put_back(self, name: str) -> None:
        """Let a product that was taken be taken again."""
        self._open.add(name)
        heapq.heappush(self._ready, self._rank[name])

    def reopen(self, name: str) -> None:
        """Mark a settled product as not settled after all: it can be taken, and its readers wait for it again.

        It may be one that was not a product of the run; then all that it depends on counts as settled.
        """
        if name not in self._readers:
            self._readers[name] = [reader for reader in self._missing if name in self._dependencies[reader]]
            self._missing[name] = 0
            self._rank[name] = (-math.inf, 0, 0, name)
        for reader in self._readers[name]:
            self._missing[reader] += 1
        self.put_back(name)
