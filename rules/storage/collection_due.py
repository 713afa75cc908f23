"""Whether a store has grown so much that a build collects garbage. Every build asks this, so it imports little."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cache.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.housekeeping import Limits
    from rules.storage.collecting import Collected
    from rules.storage.store import Store

DUE = 0.25
"""A build collects once what is not needed takes up this share of what is, the index included …"""
INDEX_DUE = 1.3
"""… or once the index has grown to so many times what it needs for what is needed …"""
BUDGET_SECONDS = 0.05
"""How long a build goes on for that."""
_GROWN = 1.02
"""… but not before the tables have grown by this since the last collection …"""
_INDEX_GROWN = 1.2
"""… or the index by this: one build of a thousand rules adds two hundredths, and to look takes a tenth of a second."""
_FEW = 100
_COLLECTED = {"inputs", "index", "used", "count", "total"}
"""What is remembered of a collection."""


def collect_when_due(store: Store, own: Limits, seconds: float = BUDGET_SECONDS) -> Collected | None:
    """Collect a little if the store has grown enough since that is worth it; never wait for anybody.

    own: what rules.toml of this project root says now. Returns what was done, None if nothing was due or somebody else
    is at work.
    """
    try:
        last = _due(store, own)
        if last is None:
            return None
        from rules.storage.collecting import collect_a_little

        return collect_a_little(store, own, last, seconds)
    except (OSError, StoreError):  # somebody is at work, or the index is damaged, which the next command says
        return None


def _due(store: Store, own: Limits) -> Mapping[str, int] | None:
    """Return what the last collection left, if so much has come since that it is worth collecting again."""
    index = store.index
    last = index.collected()
    (count, total), (used, _) = index.stored(), index.pages()
    if last is None or last.keys() < _COLLECTED:
        builds = len(index.every_build())
        last = {
            "inputs": max(0, total - index.pointed_at()),
            "index": used,
            "used": used,
            "count": count,
            "total": total,
        }
        if builds > 1:  # of a store of a former version, which nobody ever collected
            return last
        index.set_collected(last)
        return None
    needed = index.pointed_at() + last["inputs"]
    limit = most_bytes(store, own)
    most = limit if limit is not None else needed + int((needed + last["index"]) * DUE)
    fresh = evidence_builds(store) - last.get("evidence", 0)
    grown = total > last["total"] * _GROWN and total + fresh * last.get("evidence_bytes", 0) > most
    swollen = used > last["index"] * INDEX_DUE and used > last["used"] * _INDEX_GROWN
    return last if grown or swollen or count > 2 * last["count"] + _FEW else None


def limits_of_roots(store: Store, own: Limits) -> dict[str, Limits]:
    """Return what each project root asks of the store."""
    return {**store.index.limits(), store.index.root: own}


def most_bytes(store: Store, own: Limits) -> int | None:
    """Return how many bytes tables may take up, None for any: the most that a project root allows."""
    sizes = [one.max_bytes for one in limits_of_roots(store, own).values() if one.max_bytes is not None]
    return max(sizes, default=None)


def evidence_builds(store: Store) -> int:
    """Return of how many builds there is evidence."""
    try:
        with os.scandir(f"{store.objects.root}/evidence") as entries:
            return sum(1 for _ in entries)
    except OSError:
        return 0
