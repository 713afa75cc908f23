"""Let products be again what they were after a build: pointers and links move, nothing is executed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from cache.errors import ObjectError, UnreadableObjectError
from cache.reachable import REMOVED, after_builds
from rules.errors import FAILED, UserError
from rules.running.build_records import new_build_id, recorded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.records import Product
    from rules.storage.store import Store


@dataclass(frozen=True)
class Restored:
    """What `restore` did. build: the name under which it is in the log. products: by name, what became of each.

    The last is "restored", "clean" for one that was that table already, or "removed" for one that came later.
    """

    build: str
    of: str
    products: Mapping[str, str]


def restore(store: Store, build: str) -> Restored:
    """Point all products at the tables that they were after a build. The store is locked, as in a build.

    All tables are verified before the first pointer moves, and all pointers move in one transaction; a link that is
    missing then, after a `kill -9`, is mended by the next build. Raises `UserError` where a table is gone or damaged.
    """
    started = time.perf_counter()
    states = after_builds(store.index, [build]).get(build, {})
    if not states:
        message = f"{build} left no table, and there was none before it"
        raise UserError(message, code="not-built", hint="rules log lists the builds", exit_code=FAILED)
    for name, artifact in states.items():
        _require_sound(store, name, build, artifact)
    current = store.products
    moved = {name: artifact for name, artifact in states.items() if _differs(current.get(name), artifact)}
    fresh = new_build_id()
    pointers = [_state(store, name, artifact, fresh) for name, artifact in moved.items()]
    gone = sorted(current.keys() - states.keys())
    outcome = {**dict.fromkeys(states, "clean"), **dict.fromkeys(moved, "restored"), **dict.fromkeys(gone, REMOVED)}
    with recorded(store.index, fresh, started) as begin:
        begin()
        with store.index.durable(), store.index.transaction():
            for pointer in pointers:
                store.index.set_product(pointer)
            checks = [name for name in store.states if name not in current and name.partition(".")[0] in gone]
            store.index.drop_products([*gone, *checks])
            reason = f"rules restore {build}"
            rows = [
                (name, status, status == "restored", reason, None, states.get(name)) for name, status in outcome.items()
            ]
            store.index.add_results(fresh, rows)
            counts = {status: list(outcome.values()).count(status) for status in ("clean", "restored")}
            seconds = time.perf_counter() - started
            store.index.finish_build(fresh, seconds, "ok", counts)
            store.index.forget_built()
        _link(store, states)
    return Restored(fresh, build, dict(sorted(outcome.items())))


def _require_sound(store: Store, name: str, build: str, artifact: str) -> None:
    """Raise `UserError` unless the object of an artifact is there and is what was written."""
    known = store.artifact(artifact)
    if known is None or not store.bring(artifact) or not store.objects.exists(artifact):
        raise UserError(
            f"the table that {name} was after {build} is no longer in the store, so nothing was restored",
            code="missing-object",
            hint="git checkout the rules as they were: rules build makes it again, and restores the rest",
            exit_code=FAILED,
        )
    try:
        store.verify(known)
    except UnreadableObjectError as error:
        message = f"the table that {name} was after {build} cannot be read, so nothing was restored: {error}"
        raise UserError(message, code="unreadable-object", exit_code=FAILED) from error
    except ObjectError as error:
        message = f"the table that {name} was after {build} is damaged, so nothing was restored"
        raise UserError(message, code="corrupt-object", hint="it was removed", exit_code=FAILED) from error


def _differs(last: Product | None, artifact: str) -> bool:
    return last is None or last.artifact != artifact


def _state(store: Store, name: str, artifact: str, build: str) -> Product:
    """Return how a product came to be an artifact. Raises `UserError` where nobody recorded it."""
    known = store.index.state(artifact, name)
    if known is None:
        raise UserError(
            f"what {name} was made from then is not recorded, so nothing was restored",
            code="not-recorded",
            hint="a former version of rules built it; git checkout the rules as they were, and rules build restores it",
            exit_code=FAILED,
        )
    return msgspec.structs.replace(known, build=build)


def _link(store: Store, states: Mapping[str, str]) -> None:
    if store.links is None:
        return
    try:
        store.links.unpublish(set(states))
        for name, artifact in states.items():
            store.links.publish(name, artifact)
        store.links.settle()
    except OSError as error:
        message = f"products cannot be linked: {error.strerror or error}; the next build does"
        raise UserError(message, code="store", exit_code=FAILED) from error
