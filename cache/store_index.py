"""The index with all that a store asks of it. Who only wants to know whether anything changed opens `cache.index`."""

from __future__ import annotations

from cache.housekeeping import Housekeeping
from cache.index import Index
from cache.usage import Usage


class StoreIndex(Index, Housekeeping, Usage):
    """An open index, as `Index` is, with pins, limits, past states and usage."""
