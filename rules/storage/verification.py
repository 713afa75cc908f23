"""Verify the store: every object is read and compared with what was written; `rules cache verify` prints it.

Builds and readers go on meanwhile. What looks bad is looked at again with what the index says then, since a build may
just have made it again; with `repair` that happens with both locks of the store held (`cache.locks`), object by object,
so that nobody is about to read, restore or commit what is removed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from cache.errors import DamagedIndexError, ObjectError, UnreadableObjectError
from cache.locks import READERS, shared
from cache.reachable import references
from cache.retention import recomputable
from cache.salvage import faults
from cache.table_files import names_by_content
from rules.storage.collecting import PATIENCE, both_locks, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from cache.records import Artifact
    from rules.storage.store import Store

Problem = Literal["corrupt", "missing", "no file", "unreadable"]
"""Of what is unreadable nobody knows whether it is sound: it stays, whatever is to be repaired."""
Outcome = Literal["left", "restored", "removed", "lost"]
"""What became of a bad object: nothing, on request or because it cannot be removed; it was made of what else is stored;
it is out of the way, and a build makes its table again if it is needed; or no build can make this very table now."""
_SHELF = re.compile(r"[0-9a-f]{2}")
_FILE = re.compile(r"[0-9a-f]+\.parquet")


@dataclass(frozen=True)
class BadObject:
    """An object that is not what was written. products: those whose last table it is, in any project root.

    obstacle: why it cannot be removed.
    """

    artifact: str
    path: Path
    problem: Problem
    products: tuple[str, ...]
    outcome: Outcome = "left"
    obstacle: str = ""

    @property
    def repaired(self) -> bool:
        """Whether it is in order again, or out of the way."""
        return self.outcome != "left"


@dataclass(frozen=True)
class Verified:
    """What verifying a store came to. checked: how many objects were looked at."""

    checked: int
    bad: tuple[BadObject, ...]


def verify_store(store: Store, *, repair: bool) -> Verified:
    """Read every object, and every record of the index; with `repair`, restore or remove what is bad.

    An object that the index knows has the digest of its bytes there. The others, which a killed build or a lost index
    leaves, are named by the digest of their content. With `repair` no lock of the store may be held. Raises
    `StoreError`, `DamagedIndexError`, and OSError for a folder of objects.
    """
    fault = None if store.objects.read_only else faults(store.objects.root / "index.sqlite")
    if fault is not None:
        raise DamagedIndexError(f"the index is damaged: {fault}")
    with shared(store.objects.root / READERS):
        known = store.index.every_artifact()
        names = dict.fromkeys([*known, *_found(store.objects.root / "objects")])
        suspects = [name for name in names if _problem(store, name, known) is not None]
        bad = _bad(store, suspects)
    if repair and bad:
        waiting(store, store.say)
        with both_locks(store, PATIENCE):
            bad = _bad(store, suspects)
            bad = _repair(store, [*bad, *_tables_of(store, bad)])
    return Verified(len(names), tuple(bad))


def _bad(store: Store, suspects: Collection[str]) -> list[BadObject]:
    """Look again at objects that looked bad, with what the index says now."""
    known, needed = store.index.artifacts(suspects), references(store.index, ["pointer"])
    known |= store.index.artifacts({part for one in known.values() for part in one.parts})
    found = []
    for name in suspects:
        problem = _problem(store, name, known)
        if problem == "missing" and name not in known:
            continue  # forgotten meanwhile
        if problem is not None:
            products = tuple(sorted({one.owner for one in needed.get(name, ())}))
            found.append(BadObject(name, store.objects.path(name), problem, products))
    return found


def _tables_of(store: Store, bad: Collection[BadObject]) -> Iterator[BadObject]:
    """Yield the tables in parts, not bad by themselves, that have a bad part, and so go with it."""
    gone, needed = {one.artifact for one in bad}, references(store.index, ["pointer"])
    for name, artifact in store.index.every_artifact().items() if bad else ():
        if name not in gone and not gone.isdisjoint(artifact.parts):
            products = tuple(sorted({one.owner for one in needed.get(name, ())}))
            yield BadObject(name, store.objects.path(name), "corrupt", products)


def _found(folder: Path) -> Iterator[str]:
    """Yield the names of the artifacts whose objects, or what is in their place, are in a store."""
    for inside in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _SHELF.fullmatch(inside.name) and inside.is_dir() and not inside.is_symlink():
            for file in sorted(inside.iterdir()):
                if _FILE.fullmatch(file.name):
                    yield f"{inside.name}{file.name.removesuffix('.parquet')}"


def _problem(store: Store, name: str, known: dict[str, Artifact]) -> Problem | None:
    try:
        return _found_wrong(store, name, known)
    except (FileNotFoundError, NotADirectoryError):
        return None if store.is_elsewhere(name) else "missing"
    except (OSError, UnreadableObjectError):
        return "unreadable"


def _found_wrong(store: Store, name: str, known: dict[str, Artifact]) -> Problem | None:
    """Return what is wrong with an object, None if it is sound. Raises OSError, and `UnreadableObjectError`."""
    path, artifact = store.objects.path(name), known.get(name)
    mode = os.lstat(path).st_mode
    if artifact is not None and artifact.parts:
        return None if all(part in known for part in artifact.parts) and _is_linked(store, artifact) else "corrupt"
    if artifact is None and stat.S_ISDIR(mode) and all(one.is_symlink() for one in path.iterdir()):
        return None  # a table in parts, which a killed build has left
    if not stat.S_ISREG(mode):
        return "no file"
    if artifact is not None:
        return None if _holds(store, artifact) else "corrupt"
    return None if name in names_by_content(path) else "corrupt"


def _is_linked(store: Store, artifact: Artifact) -> bool:
    """Whether the links to the parts of a table are there. Raises `UnreadableObjectError`."""
    try:
        store.objects.require_parts(artifact.artifact, artifact.parts)
    except UnreadableObjectError:
        raise
    except ObjectError:
        return False
    return True


def _holds(store: Store, artifact: Artifact) -> bool:
    """Whether an object has the bytes that were written. Raises `UnreadableObjectError`."""
    try:
        store.objects.verify(artifact.artifact, artifact.bytes, artifact.file_digest)
    except UnreadableObjectError:
        raise
    except ObjectError:
        return False
    return True


def _repair(store: Store, bad: list[BadObject]) -> list[BadObject]:
    """Restore what can be, and remove the rest with what the index says of it."""
    gone = {one.artifact for one in bad if one.problem != "unreadable"}
    again = _made_again(store, gone)
    return [_repaired(store, one, gone, again) for one in bad]


def _made_again(store: Store, gone: Collection[str]) -> set[str]:
    """Return the artifacts that a build can make again: today's, those of which that is proved, and parts of these."""
    index = store.index
    live = index.every_artifact().keys() - gone
    records = [record for _, _, record in index.every_record()]
    inputs = [state for record in records for state in record.inputs]
    today = {*(state.artifact for state in inputs if state.artifact), *(table for _, _, table in index.pointers())}
    today.update(partial for record in records for partial in record.partials)
    sources = [state for state in inputs if state.artifact is None]
    again = {*recomputable(index.states(gone), live | today, sources), *today}
    return again.union(*(parts for table, parts in index.every_part() if table in again))


def _repaired(store: Store, one: BadObject, gone: set[str], again: set[str]) -> BadObject:
    if one.problem == "unreadable":
        return replace(one, obstacle="cannot be read: try again, or remove it by rules cache rm")
    known = store.index.artifacts([one.artifact]).get(one.artifact)
    parts = known.parts if known is not None else ()
    sound = parts and gone.isdisjoint(parts) and len(store.index.artifacts(parts)) == len(set(parts))
    try:
        if sound:
            store.objects.adopt_parts(one.artifact, parts)
            return replace(one, outcome="restored")
        if one.problem != "missing":
            store.objects.discard(one.artifact)
    except OSError as error:
        folder = one.path.is_dir() and not one.path.is_symlink()
        obstacle = "is a folder where a file belongs: remove it" if folder else f"cannot be removed: {error.strerror}"
        return replace(one, obstacle=obstacle)
    store.index.forget_artifact(one.artifact)
    return replace(one, outcome="removed" if known is None or one.artifact in again else "lost")
