"""Paths of files that come to this machine when somebody first opens them, or looks at them: whole, or some columns."""

from __future__ import annotations

import os
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Bring: TypeAlias = Callable[[Collection[str] | None], object]
    """Brings of a table's file its footer and these columns at least; None: all of its bytes."""


class Origin(NamedTuple):
    """The object of which a file is the copy. tag: its ETag, which the server promises to change with the bytes."""

    url: str
    tag: str


class LazyPath(PosixPath):
    """The path of a file that may not be here yet. To compare it, or to write its name, does not bring it.

    Whoever hands the path to the system (`open`, `stat`, `os.fspath`) finds the file, or gets the error of bringing it.
    """

    _size: int | None = None
    _bring: Bring | None = None
    _columns: tuple[str, ...] | None = None
    _origin: Origin | None = None

    def __fspath__(self) -> str:
        """Return the path as the system wants it, of a file that is here. Raises what bringing it raises."""
        if self._bring is not None:
            self._bring(self._columns)
        return super().__fspath__()

    def __reduce__(self) -> Any:
        """Bring the file for another process, which can bring none. Raises what bringing it raises."""
        return PosixPath, (os.fspath(self),)


def lazy_path(place: Path, size: int, bring: Bring, origin: Origin | None = None) -> LazyPath:
    """Return the path of a file of so many bytes that `bring` brings, all of it; it is called at each use."""
    path = LazyPath(place)
    path._size, path._bring, path._origin = size, bring, origin  # noqa: SLF001 — a constructor takes their parts alone
    return path


def having(path: Path, columns: Collection[str]) -> Path:
    """Return the path of a Parquet file of which nothing is read but its footer, and of the values these columns.

    columns: names; those that the file lacks count for nothing.
    """
    if not isinstance(path, LazyPath) or path._bring is None:  # noqa: SLF001
        return path
    narrow = LazyPath(path)
    narrow._size, narrow._bring, narrow._columns = path._size, path._bring, tuple(columns)  # noqa: SLF001
    narrow._origin = path._origin  # noqa: SLF001
    return narrow


def whole(path: Path) -> Path:
    """Return the path of a file of which any bytes may be read."""
    if not isinstance(path, LazyPath) or path._bring is None:  # noqa: SLF001
        return path
    return lazy_path(Path(path), size_of(path), path._bring, path._origin)  # noqa: SLF001


def size_of(path: Path) -> int:
    """Return how many bytes a file has, without bringing it. Raises OSError."""
    if isinstance(path, LazyPath) and path._size is not None:  # noqa: SLF001
        return path._size  # noqa: SLF001
    return path.stat().st_size


def origin_of(path: Path) -> Origin | None:
    """Return the object of which a file is the copy; None for other files, and where no ETag tells objects apart."""
    return path._origin if isinstance(path, LazyPath) else None  # noqa: SLF001
