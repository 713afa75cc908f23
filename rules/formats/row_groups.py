"""Some row groups of a Parquet file as a file of their own, which any reader reads as it reads the whole one.

Nothing is decoded: the bytes of the wanted chunks are copied to the places that they have in the file, the rest is left
as holes, and the footer lists the wanted row groups alone; all else in it is copied as it is. The numbers of fields are
those of https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

import functools
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from cache.removal import remove_temporary
from rules.files.lazy_paths import having
from rules.formats.compact_thrift import (
    STRUCT,
    DamagedError,
    Span,
    as_integer,
    fields,
    integer,
    items,
    list_of,
    structs,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

_MAGIC = b"PAR1"
_TAIL = 8
"""The bytes behind a footer: its size, and the magic number."""
_PADDING = 128
"""Bytes behind a chunk that readers look at, too: old writers made its size too small by 100 (PARQUET-816)."""
_COPY = 1 << 20

_ROWS, _GROUPS, _ENCRYPTION = 3, 4, 8
"""Fields of a file."""
_CHUNKS, _GROUP_ROWS = 1, 3
"""Fields of a row group."""
_ELSEWHERE, _FACTS, _INDEXES = 1, 3, ((4, 5), (6, 7))
"""Fields of a chunk. Of each index, where it begins and its size."""
_PATH, _SIZE, _DATA, _DICTIONARY, _BLOOM, _BLOOM_SIZE = 3, 7, 9, 11, 14, 15
"""Fields of the facts of a chunk."""


_taking_apart = threading.Lock()
"""One thread takes a footer apart, which others would do at the same time, and take turns at it."""


class FileRows(NamedTuple):
    """The rows of a Parquet file, or of some of its row groups, in order."""

    path: Path
    groups: tuple[int, ...] | None = None


class RowGroup(NamedTuple):
    """A row group of a file. content: the digest of its bytes; mark: of those of the first column alone.

    Where a file is cut follows from the marks, so that one more column moves no cut.
    """

    content: str
    mark: str
    rows: int


class Layout(NamedTuple):
    """What is where in a Parquet file. footer: where it begins.

    indexes: of pages, which readers look at of all columns; columns: for each, its chunks and Bloom filters.
    """

    footer: int
    indexes: tuple[tuple[int, int], ...]
    columns: dict[str, list[tuple[int, int]]]


class UncutError(ValueError):
    """A file of which row groups cannot be taken by themselves, since they refer to what only a reader could find."""


def require_cuttable(path: Path) -> None:
    """Raise `UncutError` unless each row group of a file can be one of a file of its own. Raises OSError."""
    footer = _footer(having(path, ()))
    for group in range(len(footer.groups)):
        _ranges(footer, group, None)


def footer_start(path: Path) -> int:
    """Return where the footer of a file begins; the last bytes alone are read. Raises OSError and `UncutError`."""
    size = path.stat().st_size
    with path.open("rb") as file:
        return _start_of_footer(file, size)


def layout(path: Path) -> Layout:
    """Return where what is in a file, of which the footer is read. Raises OSError and `UncutError`."""
    footer = _footer(path)
    indexes, columns = list[tuple[int, int]](), dict[str, list[tuple[int, int]]]()
    for group in range(len(footer.groups)):
        with _taking_apart:
            chunks = _chunks(footer, group)
        for chunk in chunks:
            if chunk.unsized:
                raise UncutError("it does not say how large its Bloom filters are")
            indexes += chunk.indexes
            columns.setdefault(chunk.column, []).extend((at, min(end, footer.start)) for at, end in chunk.values)
    return Layout(footer.start, tuple(indexes), columns)


@contextmanager
def as_files(
    rows: Sequence[FileRows], columns: Collection[str], temporary: Callable[[], Path]
) -> Iterator[tuple[Path, ...]]:
    """Yield files that hold some rows, in order: those that there are, or temporary ones with only these columns.

    temporary: returns a path in the store's tmp/. Raises OSError and `UncutError`.
    """
    made: list[Path] = []
    try:
        files = []
        for one in rows:
            if one.groups is None:
                files.append(one.path)
            else:
                made.append(temporary())
                try:
                    cut_out(one.path, one.groups, columns, made[-1])
                except FileNotFoundError as error:
                    raise UncutError("it has vanished") from error
                files.append(made[-1])
        yield tuple(files)
    finally:
        for path in made:
            with suppress(OSError):
                remove_temporary(path)


def cut_out(path: Path, groups: Sequence[int], columns: Collection[str], target: Path) -> None:
    """Write some row groups of a file, in order, as a file `target` of which these columns can be read.

    Raises OSError and `UncutError`.
    """
    path = having(path, columns)
    footer = _footer(path)
    ranges = sorted(one for group in groups for one in _ranges(footer, group, columns))
    with path.open("rb", buffering=0) as source, target.open("xb") as copy:
        copy.write(_MAGIC)
        end = len(_MAGIC)
        for start, stop in ranges:
            _copy(source, copy, max(start, end), min(stop, footer.start))
            end = max(end, stop)
        copy.seek(footer.start)
        data = footer.of(groups)
        copy.write(data + len(data).to_bytes(4, "little") + _MAGIC)


def _copy(source: BinaryIO, copy: BinaryIO, start: int, stop: int) -> None:
    source.seek(start)
    copy.seek(start)
    while start < stop:
        data = source.read(min(stop - start, _COPY))
        if not data:
            raise UncutError("it ends inside a column")
        copy.write(data)
        start += len(data)


class _Chunk(NamedTuple):
    """A column of a row group. indexes, values: which bytes are its; unsized: whether a Bloom filter has no size."""

    column: str
    indexes: tuple[tuple[int, int], ...]
    values: tuple[tuple[int, int], ...]
    unsized: bool


@dataclass(frozen=True, eq=False)
class _Footer:
    """A footer. start: where it is in its file; rows, listed: of the fields that say how many rows and which groups."""

    data: bytes
    start: int
    rows: Span
    listed: Span
    groups: tuple[Span, ...]

    def of(self, groups: Sequence[int]) -> bytes:
        """Return the same footer of some of the groups alone."""
        spans = [self.groups[group] for group in groups]
        rows = sum(integer(self.data, fields(self.data, span.start)[_GROUP_ROWS]) for span in spans)
        chosen = list_of([self.data[span.start : span.end] for span in spans])
        replaced = sorted([(self.rows, as_integer(rows)), (self.listed, chosen)], key=lambda one: one[0].start)
        found, place = b"", 0
        for span, value in replaced:
            found += self.data[place : span.start] + value
            place = span.end
        return found + self.data[place:]


def _footer(path: Path) -> _Footer:
    status = path.stat()
    with _taking_apart:
        return _read_footer(path, status.st_size, status.st_mtime_ns, status.st_ino)


@functools.lru_cache(maxsize=4)
def _read_footer(path: Path, size: int, *_: int) -> _Footer:
    """Return the footer of a file, which is taken apart once. The other arguments say which version of the file."""
    with path.open("rb") as file:
        start = _start_of_footer(file, size)
        file.seek(start)
        data = file.read(size - _TAIL - start)
    try:
        found = fields(data, 0)
        groups = tuple(items(data, found[_GROUPS]))
        if _ENCRYPTION in found or any(group.kind != STRUCT for group in groups):
            raise UncutError("it is encrypted")
        return _Footer(data, start, found[_ROWS], found[_GROUPS], groups)
    except (DamagedError, KeyError) as error:
        raise UncutError("its footer is damaged") from error


def _start_of_footer(file: BinaryIO, size: int) -> int:
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    start = size - _TAIL - int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or start < len(_MAGIC):
        raise UncutError("it has no plain footer")
    return start


def _ranges(footer: _Footer, group: int, columns: Collection[str] | None) -> list[tuple[int, int]]:
    """Return which bytes of a file belong to a row group: the chunks of these columns (None: of all), and its indexes.

    A reader looks at the indexes of all columns.
    """
    with _taking_apart:
        chunks = _chunks(footer, group)
    found = list[tuple[int, int]]()
    for chunk in chunks:
        found += chunk.indexes
        if columns is None or chunk.column in columns:
            if chunk.unsized:
                raise UncutError("it does not say how large its Bloom filters are")
            found += chunk.values
    return found


@functools.lru_cache(maxsize=1024)
def _chunks(footer: _Footer, group: int) -> tuple[_Chunk, ...]:
    """Return the chunks of a row group, which is taken apart once for the rules that read it. Raises `UncutError`."""
    data, found = footer.data, list[_Chunk]()
    try:
        for about in structs(data, fields(data, footer.groups[group].start)[_CHUNKS]):
            if _ELSEWHERE in about or _FACTS not in about:
                raise UncutError("its columns are in other files, or encrypted")
            facts = fields(data, about[_FACTS].start)
            indexes = tuple(_span(data, about, start, size) for start, size in _INDEXES if start in about)
            places = [integer(data, facts[number]) for number in (_DATA, _DICTIONARY) if number in facts]
            start = min(place for place in places if place > 0)
            values = [(start, start + integer(data, facts[_SIZE]) + _PADDING)]
            unsized = _BLOOM in facts and _BLOOM_SIZE not in facts
            if _BLOOM in facts and not unsized:
                values.append(_span(data, facts, _BLOOM, _BLOOM_SIZE))
            found.append(_Chunk(text(data, items(data, facts[_PATH])[0]), indexes, tuple(values), unsized))
    except (IndexError, KeyError, ValueError) as error:
        raise error if isinstance(error, UncutError) else UncutError("its footer is damaged") from error
    return tuple(found)


def _span(data: bytes, found: Mapping[int, Span], start: int, size: int) -> tuple[int, int]:
    """Return where something begins and ends, by the fields that say where it begins and how large it is."""
    first = integer(data, found[start])
    return first, first + integer(data, found[size])
