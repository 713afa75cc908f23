"""The index of a store: opened, or begun anew where it cannot be used, and set aside where it is damaged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cache.errors import DamagedIndexError, ForeignStoreError, ObjectError, StoreError
from cache.index import set_aside
from cache.locks import exclusive
from cache.ownership import examine
from cache.store_index import StoreIndex
from rules.errors import FAILED, REPLACED, ForeignMemoError, UserError, UserErrors
from rules.files.project_paths import heir_of, root_key

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
    """Open the index, or begin a new one where there is none that can be used, and say so."""
    try:
        index = StoreIndex(path, root=keys.root, heir=keys.heir)
    except DamagedIndexError as error:
        name = _set_aside(path, lock, error, locked=locked)
        say(f"warning: {error.message}; it was set aside as {name} and a new one begun")
        return _begun(objects, path, keys, name)
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
        return StoreIndex(path, root=keys.root, heir=keys.heir, in_memory=True)
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


def replaced(
    objects: Objects, path: Path, keys: RootKeys, lock: Path, error: DamagedIndexError, *, locked: bool
) -> UserError:
    """Set aside an index that was found to be damaged while it was used, and begin a new one."""
    name = _set_aside(path, lock, error, locked=locked)
    _begun(objects, path, keys, name).close()
    return UserError(
        f"{error.message}; it was set aside as {name} and a new one begun",
        code=REPLACED,
        hint="run this again",
        exit_code=FAILED,
    )


def _begun(objects: Objects, path: Path, keys: RootKeys, aside: str) -> StoreIndex:
    """Begin a new index with what is sound in the one that was set aside."""
    index = StoreIndex(path, root=keys.root, heir=keys.heir)
    if objects.any():
        from cache.salvage import salvage  # with pyarrow

        salvage(path.with_name(aside), index)
    return index


def _set_aside(path: Path, lock: Path, error: DamagedIndexError, *, locked: bool) -> str:
    """Rename the index. What only looks must not take it away from a build that uses it."""
    try:
        with contextlib.nullcontext() if locked else exclusive(lock, wait=False):
            return set_aside(path)
    except BlockingIOError:
        message = f"{error.message}, and another build is using it"
        raise StoreError(message, hint="try again when that has finished") from error
    except OSError as failure:
        raise StoreError(f"{error.message}, and cannot be set aside: {failure.strerror}") from error
