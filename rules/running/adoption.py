"""Step 7 of 7, store: an executed table's files become the objects of its artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.records import PARTS, Artifact

if TYPE_CHECKING:
    from pathlib import Path

    from rules.engine.protocol import Executed
    from rules.storage.store import Store


def adopted(store: Store, executed: Executed, target: Path) -> Artifact:
    """Put an executed table's file in place as the object of its artifact. Raises `ObjectError` and OSError."""
    name = executed.digest.table
    if executed.tables:
        store.objects.adopt_parts(name, executed.tables)
        store.know(executed.tables)
        parts = [store.artifact(one) for one in set(executed.tables)]
        size = sum(one.bytes for one in parts if one is not None)
        named = PARTS + " ".join(executed.tables)
        return Artifact(name, executed.digest.rows, size, named, executed.columns)
    return Artifact(name, executed.digest.rows, *in_place(store, name, target), executed.columns)


def in_place(store: Store, name: str, target: Path) -> tuple[int, str]:
    """Put a file that was just made in place as the object of an artifact; return its size and digest. Raises OSError.

    What was remembered of an object that it replaces goes.
    """
    recorded = store.index.artifacts([name]).get(name)
    before = None if recorded is None else (recorded.bytes, recorded.file_digest)
    found = store.objects.adopt(target, name, before)
    if before not in {None, found}:
        store.index.forget_bags()
    return found
