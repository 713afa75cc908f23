"""The index: what the store knows, in one SQLite file. Every method is one question or one atomic change.

History (`cache.history`) is what nothing else can tell; memos (`cache.memos`) can be worked out again;
`cache.housekeeping` forgets. What changes several at once is here.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from cache.history import History
from cache.housekeeping import Housekeeping
from cache.memos import Memos
from cache.usage import Usage

if TYPE_CHECKING:
    from pathlib import Path

    from cache.records import Product


class Index(History, Memos, Housekeeping, Usage):
    """An open index. Close it, or use it as a context manager. Every method raises `StoreError` when SQLite fails.

    Files, pointers, builds and snapshots are those of one project root; everything else is the store's.
    """

    def set_product(self, product: Product) -> None:
        """Move a product's, or a check's, pointer. What was known to be up to date no longer is."""
        with self.transaction():
            self._write_product(product)
            self.forget_built()

    def forget_artifact(self, artifact: str) -> None:
        """Forget an artifact whose object is gone, and that everything is up to date."""
        with self.transaction():
            for table in ("artifacts", "actions", "states", "bags"):
                self._many(f"DELETE FROM {table} WHERE artifact = ?", [(artifact,)])
            self._many("DELETE FROM snapshots WHERE kind = ?", [("built",)])


def set_aside(path: Path) -> str:
    """Rename an index that cannot be used; return its new name. Call with the store's lock held. Raises OSError."""
    aside = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}.aside")
    from cache.removal import rename

    for suffix in ("-wal", "-shm", ""):  # the log first: left alone it would be replayed into the new index
        with contextlib.suppress(FileNotFoundError):
            rename(path.with_name(path.name + suffix), aside.with_name(aside.name + suffix))
    return aside.name
