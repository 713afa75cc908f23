"""Pins: builds whose tables stay in the store, of all products or of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.housekeeping import Pin
from cache.reachable import after_builds
from rules.errors import UserError
from rules.inspect.history import State, after_build, past_of, require_stored, resolve_build

if TYPE_CHECKING:
    from rules.storage.store import Store


def pin(store: Store, text: str) -> Pin:
    """Pin BUILD or NAME@BUILD, all of whose tables must be in the store. Raises `UserError`."""
    past = past_of(store.index, text)
    if past is not None:
        require_stored(store, past.name, after_build(store.index, *past))
        found = Pin(store.index.root, past.build, past.name)
    else:
        build = resolve_build(store.index, text)
        for name, artifact in after_builds(store.index, [build]).get(build, {}).items():
            require_stored(store, name, State(artifact, build))
        found = Pin(store.index.root, build, "")
    store.index.pin(found.build, found.product)
    return found


def unpin(store: Store, text: str) -> Pin:
    """Forget a pin. Raises `UserError` where there is none."""
    past = past_of(store.index, text)
    product, build = past if past is not None else ("", resolve_build(store.index, text))
    found = Pin(store.index.root, build, product)
    if not store.index.unpin(build, product):
        raise UserError(f"{pin_text(found)} is not pinned", code="not-pinned", hint="rules pin lists what is")
    return found


def pin_text(one: Pin) -> str:
    """Return a pin as people write it."""
    return f"{one.product}@{one.build}" if one.product else one.build
