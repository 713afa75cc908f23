"""The tables that builds have left, as they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.inspect.history import after_build, past_of, require_stored

if TYPE_CHECKING:
    from pathlib import Path

    from rules.storage.store import Store


def committed(store: Store, name: str) -> tuple[Path, int]:
    """Return the file and the number of rows of a product or check that was built. Raises `UserError`."""
    artifact = store.stored(name, store.states[name].artifact)
    return store.objects.path(artifact.artifact), artifact.rows


def committed_by(store: Store, text: str) -> tuple[str, str, tuple[Path, int]]:
    """Return product and build of NAME@BUILD, and the file and the number of rows that it had. Raises `UserError`."""
    past = past_of(store.index, text)
    assert past is not None
    artifact = store.stored(past.name, require_stored(store, past.name, after_build(store.index, *past)))
    return *past, (store.objects.path(artifact.artifact), artifact.rows)
