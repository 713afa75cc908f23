"""The tables that builds have left, as they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.errors import FAILED, UserError

if TYPE_CHECKING:
    from pathlib import Path

    from rules.store import Store


def committed(store: Store, name: str) -> tuple[Path, int]:
    """Return the file and the number of rows of a product or check that was built. Raises `UserError`."""
    artifact = store.artifact(store.states[name].artifact)
    if artifact is None or not store.present(artifact.artifact):
        message = f"the artifact of {name} is missing from the store"
        raise UserError(message, code="missing-object", hint="rules build makes it again", exit_code=FAILED)
    return store.objects.path(artifact.artifact), artifact.rows
