"""A damaged index gives way to a new one with all that is sound in it, in an order in which nothing can be lost.

The new index is made, and filled, in `tmp/` before the damaged one is renamed. One that only could not be read, as the
disk or a limit of the system refused it, is not damaged: it stays where it is.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from cache.durability import synchronise
from cache.errors import DamagedIndexError, StoreError
from cache.index import set_aside
from cache.locks import exclusive
from cache.removal import rename
from cache.store_index import StoreIndex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cache.objects import Objects

_BLOCK = 1 << 20


def replace_index(objects: Objects, path: Path, lock: Path, error: DamagedIndexError, *, locked: bool) -> str | None:
    """Begin a new index with what is sound in a damaged one, which is set aside; return its name there.

    None, and nothing is done, if a second look finds no damage. What only looks must not take the index away from a
    build that uses it. locked: the store's lock is held. Raises `StoreError`.
    """
    with _alone(lock, error, locked=locked):
        require_readable(path)
        if error.of_pages and _is_whole(path):
            return None
        try:
            fresh = _salvaged(objects, path)
            aside = set_aside(path)
            _take_over(fresh, path)
        except OSError as failure:
            raise StoreError(f"{error.message}, and cannot be set aside: {failure.strerror}") from error
    return aside


def regain_index(objects: Objects, path: Path, lock: Path, *, locked: bool) -> str | None:
    """Begin a new index with what is sound in the last one that was set aside, if there is none; return its name.

    A process that was killed while it replaced an index leaves none. Raises `StoreError`.
    """
    if path.exists() or _last_aside(path) is None:
        return None
    with _alone(lock, StoreError("the index is missing"), locked=locked):
        aside = _last_aside(path)
        if path.exists() or aside is None or not objects.any():
            return None
        try:
            _take_over(_salvaged(objects, aside), path)
        except OSError as failure:
            raise StoreError(f"the index is missing, and none can be made: {failure.strerror}") from failure
    return aside.name


def require_readable(path: Path) -> None:
    """Read an index as the plain file that it is. Raises `StoreError` if the system refuses it.

    SQLite calls a database malformed of which the disk could not read a page.
    """
    for part in (path, path.with_name(f"{path.name}-wal")):
        try:
            with part.open("rb", buffering=0) as file:
                while file.read(_BLOCK):
                    pass
        except (FileNotFoundError, IsADirectoryError):
            continue
        except OSError as error:
            hint = "it was left as it is; if it can never be read again, remove it: products are then built anew"
            raise StoreError(f"the index {part} cannot be read: {error.strerror}", hint=hint) from error


@contextlib.contextmanager
def _alone(lock: Path, error: StoreError, *, locked: bool) -> Iterator[None]:
    """Hold the store's lock. Raises `StoreError` if another process does."""
    try:
        with contextlib.nullcontext() if locked else exclusive(lock, wait=False):
            yield
    except BlockingIOError:
        message = f"{error.message}, and another build is using it"
        raise StoreError(message, hint="try again when that has finished") from error


def _is_whole(path: Path) -> bool:
    """Whether all of an index can be read, and is what SQLite wrote."""
    from cache.salvage import broken_pages  # with pyarrow

    return broken_pages(path) is None


def _salvaged(objects: Objects, damaged: Path) -> Path:
    """Make a new index of what is sound in a damaged one; return its path, in `tmp/`."""
    from cache.salvage import salvage  # with pyarrow

    fresh = objects.temporary().with_suffix(".sqlite")
    with StoreIndex(fresh) as index:
        if objects.any():
            salvage(damaged, index)
    return fresh


def _take_over(fresh: Path, path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if fresh.with_name(f"{fresh.name}-wal").stat().st_size:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(fresh))  # SQLite keeps quiet about that when it closes
    synchronise(fresh)
    rename(fresh, path)
    synchronise(path.parent)


def _last_aside(path: Path) -> Path | None:
    return max(path.parent.glob(f"{path.name}.*.aside"), default=None)
