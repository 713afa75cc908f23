"""The index of a store: opened, or begun anew where it cannot be used, and set aside where it is damaged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cache.errors import DamagedIndexError, ForeignStoreError, ObjectError, StoreError
from cache.own_records import Prover
from cache.ownership import examine
from cache.store_index import StoreIndex
from rules.errors import FAILED, REPLACED, ForeignMemoError, UserError, UserErrors
from rules.files.project_paths import heir_of, root_key
from rules.storage.index_replacing import regain_index, replace_index
from rules.storage.own_key import own_key

if TYPE_CHECKING:
    from cache.objects import Objects
    from rules.storage.store import Say


class RootKeys(NamedTuple):
    """The key of a project root in a store's index, and of the root that takes over what knew no root."""

    root: str
    heir: str

    @classmethod
    def of(cls, root: Path, place: Path) -> RootKeys:
        """Return the keys for a store at `place`."""
        return cls(root_key(str(root), str(place)), heir_of(str(root), str(place)))


def open_index(objects: Objects, path: Path, keys: RootKeys, lock: Path, say: Say, *, locked: bool) -> StoreIndex:
    """Open the index, or begin a new one where there is none that can be used, and say so. Raises `StoreError`."""
    if (name := regain_index(objects, path, lock, locked=locked)) is not None:
        say(f"warning: the index is missing; a new one is begun with what is sound in {name}")
    try:
        index = _opened(path, keys)
    except DamagedIndexError as error:
        name = replace_index(objects, path, lock, error, locked=locked)
        if name is not None:
            say(f"warning: {error.message}; it was set aside as {name} and a new one begun")
        return _opened(path, keys)
    if index.created and objects.any():
        say("warning: the index is missing; a new one is begun, and what it does not know is built again")
    return index


def read_index(place: Path, keys: RootKeys, say: Say, *, asked: bool) -> StoreIndex:
    """Open the index of a store that cannot be written; an empty one, in memory, where it cannot be read, and say so.

    asked: it is an error then. Raises `StoreError`.
    """
    path = place / "index.sqlite"
    try:
        examine(place)
        return _opened(path, keys, in_memory=True)
    except ForeignStoreError:
        raise
    except (OSError, StoreError) as error:
        reason = (
            error.message if isinstance(error, StoreError) else f"the store {place} cannot be read: {error.strerror}"
        )
        if asked:
            raise StoreError(reason) from error
        say(f"warning: {reason}; the store is left alone, and what it knows is not used")
        return StoreIndex(None, root=keys.root)


def _opened(path: Path, keys: RootKeys, *, in_memory: bool = False) -> StoreIndex:
    index = StoreIndex(path, root=keys.root, heir=keys.heir, in_memory=in_memory)
    index.prover = Prover(own_key())
    return index


@contextlib.contextmanager
def suspecting(path: Path) -> Iterator[None]:
    """Look whether an error that nobody foresaw comes from a damaged index. Raises `DamagedIndexError` then.

    SQLite does not know what the records in it ought to be, nor what bits of them have flipped.
    """
    try:
        yield
    except (UserError, UserErrors, StoreError, ObjectError, ForeignMemoError, BrokenPipeError):
        raise
    except Exception as error:
        from cache.salvage import faults  # with pyarrow

        fault = faults(path)
        if fault is None:
            raise
        raise DamagedIndexError(f"the index is damaged: {fault}") from error


def replaced(objects: Objects, path: Path, lock: Path, error: DamagedIndexError, *, locked: bool) -> UserError:
    """Set aside an index that was found to be damaged while it was used, and begin a new one. Raises `StoreError`."""
    name = replace_index(objects, path, lock, error, locked=locked)
    message = f"{error.message}; it was set aside as {name} and a new one begun"
    if name is None:
        message = "a part of the index could not be read for a moment; looked at again, it is sound"
    return UserError(message, code=REPLACED, hint="run this again", exit_code=FAILED)
