"""Large files of text, cut into blocks at ends of records: the same block wherever in a file its bytes are.

A cut is where a record ends, found by reading the file from its beginning: a line end inside of quotes is none.
Of the ends after a least number of records, the first is taken whose last bytes have a certain hash (content-defined
chunking, as in A. Muthitacharoen, B. Chen and D. Mazières, "A low-bandwidth network file system", SOSP 2001). So
rows that are appended change the last block, and a change in the middle changes the block that it is in, or two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import xxhash

from cache.keys import hash_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Places: TypeAlias = npt.NDArray[np.int64]
Bytes: TypeAlias = npt.NDArray[np.uint8]

BLOCKS_FORMAT = 1
"""A part of every block's digest: raise it whenever the same file would be cut in another way."""
_CHUNK = 16 << 20
_LEAST_BYTES, _MOST_BYTES = 32 << 20, 256 << 20
_MOST = 8
"""Of a block: the bytes after which it may end, however few records it has; and with which, or with so many times the
least number of records, it has to."""
_TAIL = 32
"""Bytes at the end of a record that are hashed."""
_LINE, _RETURN, _QUOTE, _BOM = 10, 13, 34, b"\xef\xbb\xbf"
_FACTORS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)


@dataclass(frozen=True)
class Block:
    """A block of a file, from `start` to `end`. head: the bytes that each block is read with, such as a header."""

    head: int
    start: int
    end: int
    digest: str


def blocks_of(path: Path, least: int, *, delimiter: str | None = None, header: bool = False) -> list[Block]:
    """Cut a file that is not compressed into blocks of at least `least` records. Raises OSError.

    delimiter: of CSV, whose fields may be quoted; None for records that are lines. header: whether the first record is
    one. A file that is not worth to be cut, or cannot be, is one block, or none.
    """
    with path.open("rb") as file:
        first = file.read(_CHUNK)
        head = _head(first, delimiter) if header and delimiter is not None else 0
        if head is None:
            return []
        cutter = _Cutter(_Records(delimiter), least, head, opened=delimiter is not None and not header)
        cutter.take(first[head:])
        while chunk := file.read(_CHUNK):
            cutter.take(chunk)
        cutter.finish()
    before = xxhash.xxh3_128_hexdigest(first[:head])
    return [Block(head, start, end, block_digest([before, digest])) for start, end, digest in cutter.found]


def block_digest(digests: Sequence[str]) -> str:
    """Return the digest of a block from those of its head and of its bytes."""
    return hash_json(["block", BLOCKS_FORMAT, *digests])


def _head(first: bytes, delimiter: str) -> int | None:
    """Return where the first record of a file ends, blank lines before it included; None if that is not certain."""
    start = len(_BOM) if first.startswith(_BOM) else 0
    while start < len(first) and first[start] in (_LINE, _RETURN):
        start += 1
    if start == len(first):
        return None
    ends = _Records(delimiter).ends(np.frombuffer(first, np.uint8, offset=start))
    if not len(ends):
        return None
    end = start + int(ends[0])
    # A carriage return alone ends a record, too: then the line has rows in it.
    return None if b"\r" in first[start:end].rstrip(b"\r\n") or first[end - 2 : end] == b"\n\n" else end


class _Records:
    """Finds the ends of records in consecutive chunks of a file, as Arrow's reader of CSV does.

    A quote opens a field where one begins. Inside, two quotes are one that is meant; any other closes the field, and
    what follows up to the next delimiter is taken as it is, quotes too.
    """

    def __init__(self, delimiter: str | None) -> None:
        self._delimiter = None if delimiter is None else ord(delimiter)
        self._inside = False
        self._before = _LINE
        self._closed = False
        """Whether the last byte of the last chunk closed a field."""

    def ends(self, chunk: Bytes) -> Places:
        """Return where the records end that end in a chunk, behind their line ends."""
        lines = np.flatnonzero(chunk == _LINE)
        if self._delimiter is not None:
            quotes = np.flatnonzero(chunk == _QUOTE)
            marks = self._marks(chunk, quotes)
            if self._inside or len(marks):
                opened = np.searchsorted(marks, lines) + self._inside
                lines = lines[opened % 2 == 0]
            self._inside ^= bool(len(marks) % 2)
            self._closed = bool(len(marks) and marks[-1] == len(chunk) - 1 and not self._inside)
            self._before = int(chunk[-1])
        return lines + 1

    def _marks(self, chunk: Bytes, quotes: Places) -> Places:
        """Return the quotes that open or close a field; each of two quotes for one is such a mark, too."""
        if not len(quotes):
            return quotes
        before = np.where(quotes > 0, chunk[quotes - 1], np.uint8(self._before))
        begins = (before == self._delimiter) | (before == _LINE) | (before == _RETURN)
        follows = np.empty(len(quotes), bool)
        follows[1:] = np.diff(quotes) == 1
        follows[0] = self._closed and quotes[0] == 0
        opens = np.arange(len(quotes)) % 2 == int(self._inside)
        if bool((begins | follows)[opens].all()):
            return quotes
        marks, inside, last = [], self._inside, -1 if self._closed else -2
        for place, is_begin in zip(quotes.tolist(), begins.tolist(), strict=True):
            if inside or is_begin or last == place - 1:
                inside = not inside
                marks.append(place)
                last = -2 if inside else place
        return np.array(marks, np.int64)


@dataclass
class _Cutter:
    """Cuts consecutive chunks into blocks. opened: whether a block must not begin with a byte order mark."""

    records: _Records
    least: int
    start: int
    opened: bool
    found: list[tuple[int, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._position = self.start
        self._count = 0
        self._hasher = xxhash.xxh3_128()
        self._tail = bytes(_TAIL)

    def take(self, chunk: bytes) -> None:
        """Look at the next bytes of the file."""
        if not chunk:
            return
        ends = self.records.ends(np.frombuffer(chunk, np.uint8))
        cuts = list(self._cuts(chunk, ends))
        begin = 0
        for cut in cuts:
            self._hasher.update(chunk[begin:cut])
            self._end(self._position + cut)
            begin = cut
        self._hasher.update(chunk[begin:])
        self._tail = (self._tail + chunk[-_TAIL:])[-_TAIL:]
        self._position += len(chunk)

    def finish(self) -> None:
        """End the last block where the file ends."""
        if self._position > self.start:
            self._end(self._position)

    def _end(self, end: int) -> None:
        self.found.append((self.start, end, self._hasher.hexdigest()))
        self._hasher, self.start = xxhash.xxh3_128(), end

    def _cuts(self, chunk: bytes, ends: Places) -> Iterator[int]:
        """Yield the ends of records of a chunk that end a block."""
        marked: Places | None = None
        start, first = self.start - self._position, 0
        while True:
            left = ends[first:]
            may = min(self.least - self._count - 1, int(np.searchsorted(left, start + _LEAST_BYTES)))
            must = min(self.least * _MOST - self._count - 1, int(np.searchsorted(left, start + _MOST_BYTES)))
            may, must = first + max(may, 0), first + max(must, 0)
            if may >= len(ends):
                break
            if marked is None:
                marked = self._marked(chunk, ends)
            place = min(must, int(marked[at]) if (at := int(np.searchsorted(marked, may))) < len(marked) else must)
            while place < len(ends) and self._is_mark(chunk, int(ends[place])):
                place += 1
            if place >= len(ends):
                break
            start = int(ends[place])
            yield start
            first, self._count = place + 1, 0
        self._count += len(ends) - first

    def _marked(self, chunk: bytes, ends: Places) -> Places:
        """Return which of the ends of records have last bytes with the hash that ends a block."""
        data = self._tail + chunk
        words = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
        mixed = np.zeros(len(ends), np.uint64)
        for number, factor in enumerate(_FACTORS):
            mixed ^= words[ends + _TAIL - 8 * (number + 1)]
            mixed *= np.uint64(factor)
            mixed ^= mixed >> np.uint64(29)
        return np.flatnonzero((mixed >> np.uint64(32)) * np.uint64(self.least) < np.uint64(1 << 32))

    def _is_mark(self, chunk: bytes, end: int) -> bool:
        """Whether a byte order mark, which a reader drops, may follow."""
        return self.opened and (end == len(chunk) or chunk[end] == _BOM[0])
