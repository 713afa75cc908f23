"""Digest a table as a bag of rows: equal for the same rows in any order, counted with their duplicates.

Every row is hashed into two independent 64-bit lanes, and each lane is summed over the rows modulo 2**64. A sum and not
an xor, because equal rows would cancel under xor. The rows are hashed from the normal form of `cache.digests`, so the
physical layout does not matter here either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cache.digests import check_types, column_types
from cache.keys import hash_json
from cache.levels import Bytes, Ints, Level, level_of
from cache.table_files import read_batches, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Words: TypeAlias = npt.NDArray[np.uint64]

# A part of every digest: raise it whenever the same bag would get another digest.
BAG_FORMAT = 1

# Rows hashed at a time: the two lanes and their scratch space then fit a core's cache.
_SLICE = 8192


def _lanes(first: int, second: int) -> Words:
    return np.array([[first], [second]], np.uint64)


# Lane 0 mixes as splitmix64 does (S. Vigna, prng.di.unimi.it/splitmix64.c, public domain; the constants are variant 13
# of D. Stafford, "Better Bit Mixing", 2011). Lane 1 mixes as fmix64 of MurmurHash3 does (A. Appleby, public domain).
_SHIFTS = (_lanes(30, 33), _lanes(27, 33), _lanes(31, 33))
_FACTORS = (_lanes(0xBF58476D1CE4E5B9, 0xFF51AFD7ED558CCD), _lanes(0x94D049BB133111EB, 0xC4CEB9FE1A85EC53))
# What starts a row, marks a null, and separates positions and lengths: fractional bits of the golden ratio (the
# increment of splitmix64) and, as in SHA-512's initial values, of the square roots of 2, 3, 5, 7, 11, 13 and 17; those
# that are multiplied are odd.
_SEED = _lanes(0x6A09E667F3BCC908, 0xBB67AE8584CAA73B)
_NULL = _lanes(0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1)
_POSITION = _lanes(0x9E3779B97F4A7C15, 0x510E527FADE682D1)
_LENGTH = _lanes(0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B)

_TAIL_MASKS: Words = np.array([(1 << (8 * size)) - 1 for size in range(9)], np.uint64)


def bag_digest(schema: pa.Schema, batches: Iterable[pa.RecordBatch], columns: Sequence[str]) -> str:
    """Digest the rows of `batches`, projected to `columns` in this order, as a bag: 32 hex digits.

    Names, normalised types and the row count are part of it; without columns it is a digest of the row count alone.
    Raises UnsupportedTypeError, KeyError for a column that the schema lacks, ValueError for a repeated name and for a
    batch of other types.
    """
    digester = BagDigester(schema, columns)
    for batch in batches:
        digester.update(batch)
    return digester.finish()


class BagDigester:
    """Digests a stream of record batches as a bag of rows; memory use does not grow with the stream."""

    def __init__(self, schema: pa.Schema, columns: Sequence[str]) -> None:
        """Digest these columns, in this order. Raises as `bag_digest` does."""
        self._types = column_types(schema, columns)
        self._schema = schema
        self._rows = 0
        self._sums: Words = np.zeros(2, np.uint64)

    def update(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch. It may differ from the schema in layout (views, dictionaries), else ValueError."""
        if not batch.schema.equals(self._schema):
            check_types(batch.schema, self._types)
            self._schema = batch.schema
        self._rows += batch.num_rows
        arrays = [batch.column(self._schema.get_field_index(name)) for name in self._types]
        for start in range(0, batch.num_rows if arrays else 0, _SLICE):
            hashes = _start(min(_SLICE, batch.num_rows - start))
            for array in arrays:
                _absorb(hashes, level_of(array.slice(start, _SLICE)))
            self._sums += hashes.sum(axis=1, dtype=np.uint64)

    def finish(self) -> str:
        """Return the digest of all rows so far: 32 hex digits."""
        return hash_json([BAG_FORMAT, self._rows, list(self._types.items()), [int(lane) for lane in self._sums]])


def bag_of_file(path: Path, columns: Sequence[str]) -> str:
    """Return the digest of some columns of a stored table."""
    return bag_of_files([path], columns)


def bag_of_files(paths: Sequence[Path], columns: Sequence[str]) -> str:
    """Return the digest of some columns of stored tables of one schema, taken together. There is at least one."""
    found = schema_of(paths[0])
    schema = pa.schema([found.field(name) for name in columns])
    batches = (batch for path in paths for batch in read_batches(path, columns)) if columns else ()
    return bag_digest(schema, batches, list(columns))


def row_hashes(arrays: Sequence[pa.Array]) -> Words:
    """Hash the rows of some columns of equal length into two lanes: shape (2, rows). Raises UnsupportedTypeError."""
    rows = len(arrays[0]) if arrays else 0
    hashes = _start(rows)
    for start in range(0, rows, _SLICE):
        for array in arrays:
            part = hashes[:, start : start + _SLICE].copy()
            _absorb(part, level_of(array.slice(start, _SLICE)))
            hashes[:, start : start + _SLICE] = part
    return hashes


def _start(rows: int) -> Words:
    """Return fresh hashes of rows that nothing was absorbed into: shape (2 lanes, rows)."""
    return np.repeat(_SEED, rows, axis=1)


def _mix(hashes: Words) -> None:
    """Scramble hashes of shape (2, n) in place; one bijection a lane."""
    scratch = np.empty_like(hashes)
    for shift, factor in zip(_SHIFTS, _FACTORS, strict=False):
        np.right_shift(hashes, shift, out=scratch)
        np.bitwise_xor(hashes, scratch, out=hashes)
        np.multiply(hashes, factor, out=hashes)
    np.right_shift(hashes, _SHIFTS[-1], out=scratch)
    np.bitwise_xor(hashes, scratch, out=hashes)


def _absorb(hashes: Words, level: Level) -> None:
    """Mix one column, or one field, into the hashes of its rows (shape (2, rows)), in place.

    Every value is added to the hash of what came before and then mixed, so positions matter.
    """
    if level.lengths is not None:
        lengths = level.lengths
        counts = lengths if level.children else (lengths + 7) >> 3
        positions = _positions(counts)
        items = (
            _list_items(level.children[0])
            if level.children
            else _string_words(level.values, lengths, counts, positions)
        )
        hashes += _sum_items(items, counts, positions)
        hashes += lengths.view(np.uint64) * _LENGTH
    elif level.width:
        words = _fixed_words(level)
        for word in words[:-1]:
            hashes += word
            _mix(hashes)
        hashes += words[-1]
    if level.nulls is not None:
        hashes[:, level.nulls] += _NULL
    _mix(hashes)
    if level.lengths is None:
        for child in level.children:
            _absorb(hashes, child)


def _fixed_words(level: Level) -> list[Words]:
    """Return the fixed-width values as words: one array a word position, the last one zero-padded."""
    if level.width in {1, 2, 4, 8}:
        return [level.values.view(f"<u{level.width}").astype(np.uint64, copy=False)]
    count = (level.width + 7) // 8
    padded = np.zeros((level.rows, count * 8), np.uint8)
    padded[:, : level.width] = level.values.reshape(level.rows, level.width)
    return list(np.ascontiguousarray(padded.view("<u8").T))


def _positions(counts: Ints) -> Ints:
    """Return the position within its row of every item: 0, 1, ... for each row in turn."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1], dtype=np.int64) - np.repeat(ends - counts, counts)


def _list_items(child: Level) -> Words:
    """Hash every item of a list, without its position: shape (2, items)."""
    items = _start(child.rows)
    if child.rows:
        _absorb(items, child)
    return items


def _string_words(values: Bytes, lengths: Ints, counts: Ints, positions: Ints) -> Words:
    """Cut every string into words of 8 bytes, the last one zero-padded: shape (words,), the same for both lanes."""
    offsets = np.repeat(np.cumsum(lengths) - lengths, counts) + 8 * positions
    padded = np.zeros(len(values) + 8, np.uint8)
    padded[: len(values)] = values
    # One word starts at every byte: overlapping unaligned words, so that one gather fetches them all.
    words: Words = np.ndarray((len(values) + 1,), "<u8", padded, strides=(1,))[offsets]
    filled = counts > 0
    words[np.cumsum(counts)[filled] - 1] &= _TAIL_MASKS[(lengths[filled] - 1) % 8 + 1]
    return words


def _sum_items(items: Words, counts: Ints, positions: Ints) -> Words:
    """Sum each row's items, (2, items) or (items,), after mixing each with its position: shape (2, rows)."""
    mixed = (positions + 1).view(np.uint64) * _POSITION
    mixed += items
    _mix(mixed)
    # Differences of running sums are right under overflow, and, other than reduceat, for empty rows.
    sums = np.zeros((2, mixed.shape[1] + 1), np.uint64)
    np.cumsum(mixed, axis=1, out=sums[:, 1:])
    ends = np.cumsum(counts)
    return sums[:, ends] - sums[:, ends - counts]
