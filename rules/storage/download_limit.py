"""Keeps the copies of objects from elsewhere within their limit."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cache.errors import StoreError

if TYPE_CHECKING:
    from rules.storage.store import Store


def trim_downloads(store: Store, most: int, patience: float = 0) -> int:
    """Remove copies until they have `most` bytes together; return how many bytes went.

    patience: seconds for which others may be at work in the store. If they still are, the next build removes them.
    """
    from cache.downloads import FOLDER, Downloads

    if not (store.objects.root / FOLDER).is_dir():
        return 0
    downloads = Downloads(store.objects.root)
    with contextlib.suppress(OSError, StoreError):
        before = downloads.bytes()
        if before > most:
            from rules.storage.collecting import both_locks

            with both_locks(store, patience):
                downloads.trim(most)
            return before - downloads.bytes()
    return 0
