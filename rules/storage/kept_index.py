"""The index that a process keeps open between its runs over one project: what nobody has written is not read again."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cache.errors import StoreError
from rules.errors import UserError, UserErrors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cache.decoding import Decoded
    from cache.store_index import StoreIndex
    from rules.storage.index_opening import RootKeys


class KeptIndex:
    """An index that stays open, while it is the same file and no other connection has committed a change to it."""

    def __init__(self, decoded: Decoded) -> None:
        """decoded: what is decoded of it, all of which is in doubt once the index is opened anew."""
        self._decoded = decoded
        self._index: StoreIndex | None = None
        self._of: tuple[Path, RootKeys, tuple[int, int] | None] | None = None

    @contextlib.contextmanager
    def opened(self, path: Path, keys: RootKeys, open_anew: Callable[[], StoreIndex]) -> Iterator[StoreIndex]:
        """Open the index for a run. It is closed only if the run ends with an error. Raises as `open_anew` does."""
        self._decoded.turn()
        index, of = self._take(path, keys), self._of
        if index is None:
            self._decoded.doubt_all()
            before = _file(path)
            index = open_anew()
            index.decoded = self._decoded
            index.watch()
            of = (path, keys, before) if before == _file(path) else None  # None: nobody knows which one was opened
        else:
            index.created = index.forgets = False
        try:
            yield index
        except (UserError, UserErrors):
            self._index, self._of = index, of
            raise
        except BaseException:
            index.close()
            raise
        self._index, self._of = index, of

    def close(self) -> None:
        """Close the index."""
        index, self._index = self._index, None
        if index is not None:
            index.close()

    def _take(self, path: Path, keys: RootKeys) -> StoreIndex | None:
        """Return the index if it still is what it was at the end of the last run; close it otherwise."""
        index, self._index = self._index, None
        if index is None:
            return None
        with contextlib.suppress(StoreError):
            if self._of is not None and self._of == (path, keys, _file(path)) and index.is_own():
                return index
        index.close()
        return None


def _file(path: Path) -> tuple[int, int] | None:
    """Return what identifies a file, None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
