"""The tables that builds have left, as they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rules.storage.store import Store


def committed(store: Store, name: str) -> tuple[Path, int]:
    """Return the file and the number of rows of a product or check that was built. Raises `UserError`."""
    artifact = store.stored(name, store.states[name].artifact)
    return store.objects.path(artifact.artifact), artifact.rows
