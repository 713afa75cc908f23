"""Collect garbage in a store: what `rules gc` does, and what a build does once it has reported, where that is due.

Locks are held for moments only: the work is cut into steps, and between two of them whoever waits for the store goes
first. See `cache.collection` for the order within a step.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cache.collection import Marked, Policy, Tally, clear_evidence, forget, mark, remove, size_of
from cache.compaction import compact
from cache.errors import StoreError
from cache.locks import BUILDERS, READERS, exclusive, exclusive_within
from cache.reachable import objects_of
from rules.storage.collection_due import evidence_builds, limits_of_roots, most_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from cache.housekeeping import Limits
    from cache.retention import Fate
    from rules.storage.store import Say, Store

_STEP_SECONDS = 0.01
"""How long locks are held at a stretch."""
_AT_ONCE = 64
"""Artifacts that are forgotten before the time is looked at."""
_LAST_PATIENCE = 0.5
"""Seconds for which a build that has reported tries to remove what it has forgotten; else that has no record."""
PATIENCE = 600.0
"""Seconds for which whoever removes objects waits for builds and readers that do not end."""
_ATTEMPTS = 5
"""How often the store is marked anew because something was committed, before the locks are held while it is marked."""
_FREE_SHARE = 4
"""The index is written anew if more than one page in so many is free."""

_RECORDS = 1500
"""About how many bytes the index has of an artifact."""
_EVIDENCE = 1
"""Of so many builds of each root a build leaves the evidence in any case."""
_LISTED_BY_BUILDS = 2000
"""A build looks for orphans in stores of at most so many artifacts."""
_LOST_SECONDS = 30 * 86_400
"""For so long the products of a project root that is gone stay: its disk may be away."""
_PAUSE = 0.001

SPARE = 0.15
"""A build leaves so much, as a share of what is needed, of tables that are not: they may be asked for again."""
ROOM = 0.1
"""The share of what is needed that the history may take up besides the newest builds."""


@dataclass
class Collected:
    """What a collection did, or would do. index: bytes of its file; finished: whether there was time for all of it."""

    marked: Marked
    removed: Tally = field(default_factory=Tally)
    index_before: int = 0
    index_after: int = 0
    finished: bool = True

    @property
    def kept(self) -> Tally:
        """What stays."""
        found = Tally()
        for artifact, fate in self.marked.choice.staying.items():
            found.add(fate, self.marked.sizes[artifact].bytes)
        return found


def foresee(store: Store, own: Limits, policy: Policy) -> Collected:
    """Say what `collect` would do. Raises `StoreError`."""
    index = store.index
    marked = mark(index, store.objects, _with_limits(store, own, policy))
    found = Collected(marked, index_before=index.pages()[1], index_after=index.pages()[1])
    for artifact, fate in marked.choice.going.items():
        found.removed.add(fate, marked.sizes[artifact].bytes)
    for size in marked.orphans.values():
        found.removed.add("unknown", size)
    found.removed.evidence = len(marked.evidence)
    return found


def collect(store: Store, own: Limits, policy: Policy) -> Collected:
    """Remove what is not needed, and wait for builds and readers where it must.

    own: what rules.toml of this project root says now. Raises `StoreError` and OSError.
    """
    index, policy = store.index, _with_limits(store, own, policy)
    before = index.pages()[1]
    with both_locks(store, PATIENCE):
        _forget_lost_roots(store)
    found = _sweep(store, policy, PATIENCE, seconds=None)
    with both_locks(store, PATIENCE):
        clear_evidence(store.objects.root, found.marked.evidence, found.removed)
        store.objects.clear_tmp()
    compact(index, found.marked.builds, room=None, until=float("inf"))
    used, size = index.pages()
    if size - used > size // _FREE_SHARE:
        index.shrink()
    _remember(store, found.marked)
    found.index_before, found.index_after = before, index.pages()[1]
    return found


def collect_a_little(store: Store, own: Limits, last: Mapping[str, int], seconds: float) -> Collected:
    """Collect without waiting for anybody. last: what the last collection left.

    What is not removed in `seconds`, or in as much time as it took to find out what there is to do, is left to the next
    build; so is what of the history is not compacted in as much time again. Raises `StoreError`, where somebody else is
    at work, too, and OSError.
    """
    index = store.index
    policy = _with_limits(store, own, Policy(spare=SPARE, evidence=_EVIDENCE, index_bytes=last["index"]))
    began = time.monotonic()
    found = _sweep(store, policy, 0.0, seconds=seconds)
    took = time.monotonic() - began
    with both_locks(store, 0.0):
        clear_evidence(store.objects.root, found.marked.evidence, found.removed)
    room = None
    if not any(one.keep_seconds or one.keep_builds for one in policy.limits.values()):
        room = int((found.marked.needed_bytes + last["index"]) * ROOM)
    # Of its own, since to find out what there is to do takes longer in a large store: else it would never be done.
    until = time.monotonic() + max(seconds, took)
    finished = compact(index, found.marked.builds, room=room, until=until)
    found.finished = found.finished and finished
    if found.finished:
        _remember(store, found.marked)
    return found


def _forget_lost_roots(store: Store) -> None:
    """Forget project roots whose folder is gone, if they have not been built for long. Call with the locks held."""
    index = store.index
    newest = {root: started for root, _, started in index.every_build()}
    before = dt.datetime.fromtimestamp(time.time() - _LOST_SECONDS, dt.UTC).isoformat(timespec="milliseconds")
    for root in {root for root, *_ in index.pointers()}:
        if root and not os.path.lexists(root) and newest.get(root, "") < before:
            index.forget_root(root)


def _remember(store: Store, marked: Marked) -> None:
    index = store.index
    count, total = index.stored()
    inputs = max(0, marked.needed_bytes - index.pointed_at())
    spare = sum(fate == "cache" for fate in marked.choice.staying.values())
    beside = sum(sum(index.weights(root).values()) for root in {root for root, *_ in index.every_build()})
    used = index.pages()[0]
    needed = max(used - beside - spare * _RECORDS, used // 2)
    record = {"inputs": inputs, "index": needed, "used": used, "count": count, "total": total}
    index.set_collected(record | _evidence(store))


def _evidence(store: Store) -> dict[str, int]:
    """Return of how many builds there is evidence, and how many bytes one has."""
    builds = evidence_builds(store)
    return {"evidence": builds, "evidence_bytes": size_of(f"{store.objects.root}/evidence") // max(builds, 1)}


def _with_limits(store: Store, own: Limits, policy: Policy) -> Policy:
    """Add to a policy what the project roots ask, unless it is a person's order."""
    if policy.ordered:
        return policy
    return replace(policy, limits=limits_of_roots(store, own), max_bytes=most_bytes(store, own))


def _sweep(store: Store, policy: Policy, patience: float, seconds: float | None) -> Collected:
    """Mark, then forget and remove in steps, marked anew whenever something was committed in between.

    seconds: after these, or twice the time that it took to mark, it ends unfinished, and when something was committed.
    """
    index, objects = store.index, store.objects
    began = time.monotonic()
    thorough = seconds is None or index.stored()[0] <= _LISTED_BY_BUILDS
    found = Collected(mark(index, objects, policy, thorough=thorough))
    until = None if seconds is None else max(began + seconds, 2 * time.monotonic() - began)
    queue, attempts = _queue(found.marked), 0
    forgotten: list[str] = []
    with index.without_checkpoints():
        index.settle()
        while queue:
            with both_locks(store, patience):
                stop = time.monotonic() + _STEP_SECONDS
                remove(index, objects, found.marked, forgotten, found.removed)
                forgotten = []
                stale = index.commits() != found.marked.commits
                if stale and attempts == _ATTEMPTS:  # nothing can be committed meanwhile that matters
                    found.marked, stale = mark(index, objects, policy), False
                    queue = _queue(found.marked)
                while queue and not stale:
                    now, queue = queue[:_AT_ONCE], queue[_AT_ONCE:]
                    forget(index, found.marked, now)
                    forgotten += now
                    if time.monotonic() >= stop and attempts < _ATTEMPTS:
                        break
            index.settle()  # without the locks: it can take as long as the disk likes
            if queue and until is not None and (stale or time.monotonic() >= until):
                found.finished = False
                break
            if stale:
                attempts += 1
                found.marked = mark(index, objects, policy, thorough=thorough)
                queue = _queue(found.marked)
                index.settle()
            time.sleep(_PAUSE)  # so that who waits goes first
        if forgotten:
            with both_locks(store, max(patience, _LAST_PATIENCE)):
                remove(index, objects, found.marked, forgotten, found.removed)
    return found


def _queue(marked: Marked) -> list[str]:
    """Return what goes, so that what lies in one folder is removed in one go, if all of it will be."""
    return sorted([*marked.choice.going, *marked.orphans])


@contextlib.contextmanager
def both_locks(store: Store, patience: float) -> Iterator[None]:
    """Hold the store alone. Raises `StoreError` if that takes longer than `patience`, in seconds."""
    root = store.objects.root
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(exclusive_within(root / BUILDERS, patience))
            held.enter_context(exclusive_within(root / READERS, patience))
        except BlockingIOError as error:
            message = "another command is using the store, and does not end"
            raise StoreError(message, hint="run this again when it has") from error
        yield


@dataclass(frozen=True)
class Stored:
    """An artifact in the store. why: the reason for which it stays, or "cache"; products: that it was."""

    artifact: str
    bytes: int
    build: str
    why: Fate
    products: tuple[str, ...]


def listed(store: Store, own: Limits) -> list[Stored]:
    """Return what is in the store, the largest first. Raises `StoreError`."""
    index = store.index
    marked = mark(index, store.objects, _with_limits(store, own, Policy()), thorough=False)
    why: dict[str, Fate] = {**dict.fromkeys(marked.sizes, "cache"), **marked.choice.staying}
    names = index.products_of()
    found = [
        Stored(artifact, size.bytes, size.build, why[artifact], tuple(names.get(artifact, ())))
        for artifact, size in marked.sizes.items()
    ]
    return sorted(found, key=lambda one: (-one.bytes, one.artifact))


def discard(store: Store, artifacts: Collection[str]) -> None:
    """Remove artifacts, needed or not: what needs one is not up to date then. Raises `StoreError` and OSError."""
    with both_locks(store, PATIENCE):
        with store.index.durable(), store.index.transaction():
            for artifact in artifacts:
                store.index.forget_artifact(artifact)
        store.objects.remove(objects_of(artifacts))


def waiting(store: Store, say: Say) -> None:
    """Say so if another command holds the store, for which whoever removes objects waits."""
    for name, what in ((BUILDERS, "another build on this store"), (READERS, "a command that reads the store")):
        try:
            with exclusive(store.objects.root / name, wait=False):
                continue
        except OSError:
            say(f"waiting for {what} to finish")
