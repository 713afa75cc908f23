"""The index with all that a store asks of it. Who only wants to know whether anything changed opens `cache.index`."""

from __future__ import annotations

from cache.housekeeping import Housekeeping
from cache.shared_index import SharedIndex
from cache.usage import Usage


class StoreIndex(SharedIndex, Housekeeping, Usage):
    """An open index, as `Index` is, with pins, limits, past states, usage, and what came from a shared cache."""
