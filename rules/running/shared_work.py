"""Step 6 of 7, execute, with a shared cache: the products that wait for an answer, a file, or another builder.

Nothing here blocks: a product that has to wait is put back later, and others are taken meanwhile.
"""

from __future__ import annotations

import heapq
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from rules.planning.shared_results import columns_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from graph.plan import Judgement, Plan
    from rules.compiling.compiled_rule import CompiledRule
    from rules.storage.shared_cache import Answer, SharedCache
    from rules.storage.store import Store

_AHEAD = 4
"""Products that are asked for while all workers are busy, so that no worker waits for an answer."""
_PAUSE, _LONGEST_PAUSE = 0.05, 0.5
"""Seconds between two questions for a product that another builder is at."""
_MOST_UNSURE = 5
"""So often a bucket that does answer others is asked again for a product before that runs."""
_MOST_LEASES = 20
"""For so many lease times a builder waits for another one that says it is at work."""


class SharedWork:
    """The products of one build that wait for the shared cache."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._shared: SharedCache | None = store.shared
        self._asking: dict[Future[Answer], tuple[str, str]] = {}
        self._fetching: dict[Future[bool], set[str]] = {}
        self._waiting: dict[str, int] = {}
        """For how many files a product waits."""
        self._later: list[tuple[float, str]] = []
        self._polls: dict[str, int] = {}
        self._unsure: dict[str, int] = {}
        """How often the shared cache has not said whether another builder is at a product."""
        self._began: dict[str, float] = {}
        """When a product began to wait for another builder."""
        self._answered: dict[str, str] = {}
        """The key under which a product may run, by name."""

    def __bool__(self) -> bool:
        return bool(self._asking or self._fetching or self._later)

    @property
    def futures(self) -> list[Future[Any]]:
        """What is under way."""
        return [*self._asking, *self._fetching]

    @property
    def ahead(self) -> int:
        """How many more products may be asked for than there are workers."""
        return _AHEAD - len(self._asking) if self._shared is not None else 0

    @property
    def patience(self) -> float | None:
        """The seconds until another builder's product has to be asked for again; None if none has to be."""
        return max(self._later[0][0] - time.monotonic(), 0.0) if self._later else None

    def begin(self, plan: Plan) -> None:
        """Begin to fetch what the plan takes from the shared cache."""
        self._store.begin_fetching(dict.fromkeys([*plan.skipped.values(), *plan.skipped_checks.values()]))

    def holds(self, name: str, judgement: Judgement, rule: CompiledRule, inputs: Iterable[str], *, asked: bool) -> bool:
        """Whether a product has to wait before it is settled or run; `done` returns it later.

        inputs: the artifacts that it would read; asked: whether it runs whatever is known.
        """
        if self._shared is None:
            return False
        if judgement.verdict in {"clean", "restore"}:
            assert judgement.artifact is not None
            return not self._store.lazy and self._fetch(name, [judgement.artifact])
        key = judgement.key
        if key is not None and not asked and self._answered.get(name) != key and not self._is_known(key):
            self._asking[self._shared.claim(key, columns_of(rule))] = (name, key)
            return True
        return self._fetch(name, inputs)

    def done(self, ended: Collection[Future[Any]]) -> list[str]:
        """Return the products that need not wait any more. Raises `UserError`."""
        found = []
        for future in ended:
            if future in self._asking:
                name, key = self._asking.pop(future)
                answer = future.result()
                unsure = self._unsure[name] = self._unsure.get(name, 0) + (answer == "unsure")
                is_open = answer == "busy" or (answer == "unsure" and unsure < _MOST_UNSURE)
                if is_open and not self._has_waited_long(name):
                    polls = self._polls[name] = self._polls.get(name, 0) + 1
                    pause = min(_PAUSE * 1.5**polls, _LONGEST_PAUSE)
                    heapq.heappush(self._later, (time.monotonic() + pause, name))
                    continue
                self._answered[name] = key
                found.append(name)
            for name in self._fetching.pop(future, ()):
                self._waiting[name] -= 1
                if not self._waiting[name]:
                    found.append(name)
        while self._later and self._later[0][0] <= time.monotonic():
            found.append(heapq.heappop(self._later)[1])
        return found

    def settled(self, name: str) -> None:
        """Let other builders have a product that was claimed, unless its result is on its way to them."""
        key = self._answered.pop(name, None)
        if key is not None and self._shared is not None:
            self._shared.release(key)

    def _has_waited_long(self, name: str) -> bool:
        """Whether a product has waited for another builder for so long that it runs here, whatever that one says."""
        shared = self._shared
        assert shared is not None
        began = self._began.setdefault(name, time.monotonic())
        return time.monotonic() - began > _MOST_LEASES * (shared.settings.lease or 0.0)

    def _is_known(self, key: str) -> bool:
        """Whether the shared cache need not be asked for an action: it has been, and nobody waits for this builder."""
        shared = self._shared
        assert shared is not None
        return bool(shared.report.off) or (not shared.spreads_work and shared.was_asked(key))

    def _fetch(self, name: str, artifacts: Iterable[str]) -> bool:
        assert self._shared is not None
        futures = {self._shared.fetch(one) for one in artifacts if self._store.is_elsewhere(one)}
        waiting = 0
        for future in futures:
            names = self._fetching.setdefault(future, set())
            if name not in names:
                names.add(name)
                waiting += 1
        if waiting:
            self._waiting[name] = waiting
        return bool(futures)
