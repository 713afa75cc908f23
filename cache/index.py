"""The index: what the store knows, in one SQLite file. Every method is one question or one atomic change.

History (`cache.history`) is what nothing else can tell; memos (`cache.memos`) can be worked out again;
what changes both at once is here. `cache.store_index` adds what a no-op does without.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from cache.history import History
from cache.memos import Memos
from cache.sealing import is_sealed, sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cache.records import Product


class CompiledRow(NamedTuple):
    """What the index keeps of a compiled rule. head, lineage: sealed JSON; body: JSON in zlib."""

    memo: str
    head: str
    body: bytes
    lineage: str


class Index(History, Memos):
    """An open index. Close it, or use it as a context manager. Every method raises `StoreError` when SQLite fails.

    Files, pointers, builds and snapshots are those of one project root; everything else is the store's.
    """

    def set_product(self, product: Product) -> None:
        """Move a product's, or a check's, pointer. What was known to be up to date no longer is."""
        with self.transaction():
            self._write_product(product)
            self.forget_built()

    def remember_compiled(self, records: Iterable[tuple[str, Mapping[str, Any], bytes, Any]]) -> None:
        """Record rules that this process has compiled: memo key, head, body, lineage.

        The body is history, the rest are memos.
        """
        rows = [CompiledRow(memo, sealed(head), body, sealed(lineage)) for memo, head, body, lineage in records]
        with self.transaction():
            self._write_compiled(rows)
            self.prove_compiled(rows)

    def prove_compiled(self, rows: Iterable[CompiledRow]) -> None:
        """Record that these rows, which are kept, are what this process compiles their rules to."""
        self._prove("compiled", {row.memo: (row.head, row.body, row.lineage) for row in rows})

    def own_compiled(self, memo: str) -> CompiledRow | None:
        """Return a compiled rule as it is kept, if there is a proof that a process of this user's has compiled it."""
        row = self.compiled_rows([memo]).get(memo) if self.prover.can_prove else None
        return row if row is not None and self._is_own("compiled", *row) else None

    def compiled_rows(self, memos: Iterable[str]) -> dict[str, CompiledRow]:
        """Return compiled rules as they are kept, by memo key; one that is damaged is not there."""
        found = self._select("compiled JOIN bodies USING (memo)", "memo", "head, body, lineage", memos)
        rows = (CompiledRow(*row) for row in found if list(map(type, row)) == [str, str, bytes, str])
        return {row.memo: row for row in rows if is_sealed(row.head) and is_sealed(row.lineage)}

    def take_compiled(self, texts: Mapping[str, str], rows: Iterable[CompiledRow]) -> None:
        """Record what another index has kept: sealed rows of `parsed` by memo key, and compiled rules."""
        taken = list(rows)
        with self.transaction():
            self._many("REPLACE INTO parsed VALUES (?,?)", list(texts.items()))
            self._write_compiled(taken)

    def _write_compiled(self, rows: list[CompiledRow]) -> None:
        self._many("REPLACE INTO bodies VALUES (?,?)", [(row.memo, row.body) for row in rows])
        self._many("REPLACE INTO compiled VALUES (?,?,?)", [(row.memo, row.head, row.lineage) for row in rows])

    def forget_compiled(self) -> None:
        """Forget all that is known of rules' texts, because it is of other texts: it is made again from them."""
        with self.transaction():
            for table in ("parsed", "compiled", "bodies", "schemas", "readings", "proofs", "snapshots"):
                self._many(f"DELETE FROM {table} WHERE ?", [(1,)])

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
