"""The tables that builds have left, as they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.errors import UserError, unknown_product
from rules.inspect.history import after_build, past_of, require_stored

if TYPE_CHECKING:
    from pathlib import Path

    from rules.config.project import Project
    from rules.storage.store import Store


def committed(store: Store, name: str) -> tuple[Path, int]:
    """Return the file and the number of rows of a product or check that was built. Raises `UserError`."""
    artifact = store.stored(name, store.states[name].artifact)
    return store.objects.path(artifact.artifact), artifact.rows


def unknown_table(project: Project, store: Store, name: str) -> UserError:
    """Tell a product that was never built from one that does not exist."""
    from rules.inspect.query import unbuilt

    ahead = unbuilt(project, store)
    known = [*store.states, *ahead, *project.sources]
    product, dot, _ = name.partition(".")
    if name in ahead:
        hint = f"rules build -s +{name}"
        return UserError(f"the product '{name}' has not been built yet", code="not-built", hint=hint)
    if dot and product in known:
        message = f"{product} has no check of that name, and only rules in SQL have CTEs"
        return UserError(message, code="unknown-product", hint=f"rules contract {product} shows its checks")
    return unknown_product(name, known)


def committed_by(store: Store, text: str) -> tuple[str, str, tuple[Path, int]]:
    """Return product and build of NAME@BUILD, and the file and the number of rows that it had. Raises `UserError`."""
    past = past_of(store.index, text)
    assert past is not None
    artifact = store.stored(past.name, require_stored(store, past.name, after_build(store.index, *past)))
    return *past, (store.objects.path(artifact.artifact), artifact.rows)
