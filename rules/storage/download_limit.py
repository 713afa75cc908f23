"""Keeps the copies of objects from elsewhere within their limit, after a build; it waits for nobody."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cache.errors import StoreError

if TYPE_CHECKING:
    from rules.storage.store import Store


def trim_downloads(store: Store, most: int) -> None:
    """Remove copies until they have `most` bytes together. If somebody is at work, the next build does."""
    from cache.downloads import FOLDER, Downloads

    if not (store.objects.root / FOLDER).is_dir():
        return
    downloads = Downloads(store.objects.root)
    if downloads.bytes() <= most:
        return
    from rules.storage.collecting import both_locks

    with contextlib.suppress(OSError, StoreError), both_locks(store, 0):
        downloads.trim(most)
