"""Keep the index small: history rows that repeat, and memos that nothing asks for, go.

What `rules log NAME` shows stays: every state that a product had. What results that go have come to, hits, misses,
seconds and bytes, is added up by month.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

from cache.reachable import REMOVED
from cache.usage import Savings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from cache.store_index import StoreIndex
    from cache.usage import Outcome

WHOLE = 10
"""Of each project root the newest so many builds are left as they are."""
_STATUSES_OF_HITS = ("clean", "restored")


def compact(index: StoreIndex, keep: Collection[str], *, room: int | None, until: float) -> bool:
    """Compact history and memos until `until`, by `time.monotonic`; return whether all of it was looked at.

    keep: builds of which every new state stays. room: the bytes that history may take up, beyond which the oldest
    states go; None for any. Every step is a transaction of its own.
    """
    return all(time.monotonic() < until for _ in _steps(index, keep, room))


def _steps(index: StoreIndex, keep: Collection[str], room: int | None) -> Iterator[None]:
    index.forget_memos()
    yield
    by_root: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for root, build, started in index.every_build():
        by_root[root].append((build, started))
    pinned = {pin.build for pin in index.pins()}
    for root, builds in by_root.items():
        old = {build for build, _ in builds[:-WHOLE]} - pinned
        yield from _fold(index, root, builds, old)
        if room is not None:
            yield from _expire(index, root, builds, old.difference(keep), room // len(by_root))


def _fold(index: StoreIndex, root: str, builds: list[tuple[str, str]], old: Collection[str]) -> Iterator[None]:
    """Remove the rows of old builds that tell of no new state."""
    states: dict[str, tuple[str | None, str]] = {}
    last = max((number for number, (build, _) in enumerate(builds) if build in old), default=-1)
    for build, started in builds[: last + 1]:
        if build not in old:  # what comes before a build that stays whole is compared with it, too
            states.update(_states(index.outcomes(build)))
            continue
        outcomes = index.outcomes(build)
        repeated = [one for one in outcomes if _repeats(one, states)]
        states.update(_states(outcomes))
        if repeated:
            index.drop_results(build, [one.product for one in repeated], savings(root, started, repeated))
            yield


def _repeats(one: Outcome, states: Mapping[str, tuple[str | None, str]]) -> bool:
    if one.product not in states or one.status == REMOVED:
        return False
    artifact, reason = states[one.product]
    return one.artifact == artifact if one.artifact is not None else one.reason == reason or one.status == "skipped"


def _states(outcomes: list[Outcome]) -> dict[str, tuple[str | None, str]]:
    return {one.product: (one.artifact, one.reason) for one in outcomes if one.status != "skipped"}


def _expire(
    index: StoreIndex, root: str, builds: list[tuple[str, str]], old: Collection[str], room: int
) -> Iterator[None]:
    """Remove the oldest states while history takes up too much room.

    A state that lasted until a build that stays is kept for that: what each product was then remains known.
    """
    weights = index.weights(root)
    total = sum(weights.values())
    doomed: set[str] = set()
    for build, _ in builds:
        if total <= room:
            break
        if build in old:
            doomed.add(build)
            total -= weights.get(build, 0)
    lasting: dict[str, str] = {}
    kept: set[tuple[str, str]] = set()
    for build, _ in builds:
        if build in doomed:
            lasting |= {one.product: build for one in index.outcomes(build) if one.artifact or one.status == REMOVED}
        else:
            kept |= {(where, product) for product, where in lasting.items()}
            lasting = {}
    kept |= {(where, product) for product, where in lasting.items()}
    for build, started in builds:
        if build not in doomed:
            continue
        outcomes = index.outcomes(build)
        gone = [one for one in outcomes if (build, one.product) not in kept]
        if len(gone) == len(outcomes):
            index.drop_build(build, savings(root, started, gone))
        elif gone:
            index.drop_results(build, [one.product for one in gone], savings(root, started, gone))
        yield


def savings(root: str, started: str, outcomes: Collection[Outcome]) -> list[Savings]:
    """Return what results have come to."""
    month = started[:7]
    return [
        Savings(root, one.product, month, 1, 0, one.seconds, one.bytes, 0.0)
        if one.status in _STATUSES_OF_HITS
        else Savings(root, one.product, month, 0, 1, 0.0, 0, one.seconds)
        for one in outcomes
        if one.status in {*_STATUSES_OF_HITS, "executed"}
    ]
