"""The ranges of the values of columns in Parquet files: by the files' statistics, or by reading where these do not do.

Statistics are believed for types of which equal values have equal bits. They leave NULL out, cut long strings, and may
be missing; then the column is read.
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Context
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cache.value_ranges import Value, ValueRanges
from rules.files.lazy_paths import having
from rules.formats import int96
from rules.storage.types import stored_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rules.formats.row_groups import FileRows

_READ_ROWS = 1 << 16
_MOST_POINTS = 256
"""Distinct values that are listed one by one."""
_MOST_RANGES = 64
_MOST_NUMBERS = 1 << 23
"""Distinct numbers in which gaps are looked for."""
_CUT = 64
"""Bytes of a string from which on writers cut it in statistics."""
_EXACT = Context(prec=80)


def ranges_by_statistics(files: Sequence[FileRows], column: str, dtype: pa.DataType) -> ValueRanges | None:
    """Return the one range from the least to the greatest value of a column; None where statistics do not tell.

    dtype: of the column, in which equal values have equal bits. Raises OSError and `pyarrow.ArrowException`.
    """
    ranges: list[tuple[Value, Value]] = []
    nulls = False
    for path, groups in files:
        with pq.ParquetFile(having(path, ())) as file:
            place = _place(file, column, dtype)
            if place is None:
                return None
            for number in range(file.num_row_groups) if groups is None else groups:
                chunk = file.metadata.row_group(number).column(place)
                found = chunk.statistics
                if chunk.num_values == 0:
                    continue
                if found is None or not found.has_null_count:
                    return None
                nulls = nulls or found.null_count > 0
                if found.null_count == chunk.num_values:
                    continue
                if not found.has_min_max:
                    return None
                least, most = (_of_statistics(one, dtype) for one in (found.min_raw, found.max_raw))
                if least is None or most is None or least > most:  # type: ignore[operator]
                    return None
                ranges.append((least, most))
    return ValueRanges.of(ranges, nulls=nulls).hull


def ranges_by_values(files: Sequence[FileRows], column: str, dtype: pa.DataType) -> ValueRanges:
    """Return the ranges of a column in some files, from its values: up to 256 of them one by one, else a few ranges.

    Numbers and times are divided where the largest gaps between them are. Raises OSError and `pyarrow.ArrowException`.
    """
    return _ranges_of(batch for rows in files for batch in _batches(rows, column, dtype))


def ranges_of_constants(values: pa.Array) -> ValueRanges:
    """Return the ranges of a column that has one value in each file."""
    return _ranges_of([values])


def _place(file: pq.ParquetFile, column: str, dtype: pa.DataType) -> int | None:
    """Return which physical column a column is, if its statistics are of values of this type."""
    levels = file.schema_arrow
    if len(levels) != file.metadata.num_columns or stored_type(levels.field(column).type) != dtype:
        return None  # some are nested, or of another type than the table's
    place = int(levels.get_field_index(column))
    return None if file.schema.column(place).physical_type == "INT96" else place


def _of_statistics(raw: Any, dtype: pa.DataType) -> Value | None:
    """Return a least or greatest value as the writer has it in its statistics."""
    if isinstance(raw, bytes):
        if pa.types.is_decimal(dtype):
            return int.from_bytes(raw, "big", signed=True)
        return raw.hex() if len(raw) < _CUT else None
    if not isinstance(raw, int):
        return None
    if pa.types.is_unsigned_integer(dtype):
        return int(raw) % (1 << 64 if dtype.bit_width == 64 else 1 << 32)  # noqa: PLR2004
    return int(raw)


def _batches(rows: FileRows, column: str, dtype: pa.DataType) -> Iterator[pa.Array]:
    with int96.Reader(having(rows.path, (column,)), pre_buffer=False) as reader:
        file, _ = reader.opened(column, dtype)
        for batch in file.iter_batches(_READ_ROWS, rows.groups, [column], use_threads=False):
            yield batch.column(batch.schema.get_field_index(column))


def _ranges_of(arrays: Iterable[pa.Array]) -> ValueRanges:
    nulls, collected = False, _Numbers()
    points: set[Value] = set()
    are_few = True
    for array in arrays:
        plain = _plain(array)
        nulls = nulls or plain.null_count > 0
        present = plain.drop_null()
        distinct = pc.unique(present) if are_few else present
        numbers = _numbers(distinct)
        if numbers is not None:
            collected.add(numbers)
            continue
        points.update(map(_value, _shown(distinct)))
        are_few = are_few and len(distinct) <= _MOST_POINTS and len(points) <= _MOST_POINTS
        if not are_few and points:
            points = {min(points), max(points)}
    if collected.is_filled:
        return ValueRanges.of(collected.ranges(), nulls=nulls)
    listed = sorted(points)
    return ValueRanges.of(zip(listed, listed, strict=True) if are_few else [(listed[0], listed[-1])], nulls=nulls)


class _Numbers:
    """Distinct numbers as they come, at most so many; beyond that the least and the greatest."""

    def __init__(self) -> None:
        self._pieces: list[np.ndarray[Any, np.dtype[Any]]] = []
        self._are_all = True

    @property
    def is_filled(self) -> bool:
        return bool(self._pieces)

    def add(self, numbers: np.ndarray[Any, np.dtype[Any]]) -> None:
        if len(numbers):
            self._pieces.append(numbers)
        if sum(map(len, self._pieces)) > _MOST_NUMBERS:
            together = self._together()
            self._are_all = self._are_all and len(together) <= _MOST_NUMBERS // 2
            self._pieces = [together if self._are_all else together[[0, -1]]]

    def ranges(self) -> list[tuple[Value, Value]]:
        numbers = self._together()
        return _with_gaps(numbers) if self._are_all else [(int(numbers[0]), int(numbers[-1]))]

    def _together(self) -> np.ndarray[Any, np.dtype[Any]]:
        return np.unique(np.concatenate(self._pieces))


def _plain(array: pa.Array) -> pa.Array:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
        array = array.cast(pa.large_string() if pa.types.is_string_view(array.type) else pa.large_binary())
    return array


def _numbers(distinct: pa.Array) -> np.ndarray[Any, np.dtype[Any]] | None:
    """Return integers, dates and times as numbers in order; None for other types."""
    kind = distinct.type
    if pa.types.is_integer(kind):
        return np.unique(distinct.to_numpy())
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        view = pa.int32() if kind.bit_width == 32 else pa.int64()  # noqa: PLR2004
        return np.unique(distinct.view(view).to_numpy().astype(np.int64))
    return None


def _shown(values: pa.Array) -> list[pa.Scalar]:
    """Return all values if they are few, else the least and the greatest, which Arrow finds in order of their bytes."""
    if len(values) > _MOST_POINTS:
        with suppress(pa.ArrowNotImplementedError):
            return list(pc.min_max(values).values())
    return list(values)


def _value(scalar: pa.Scalar) -> Value:
    value = scalar.as_py()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        return value.encode().hex()
    if pa.types.is_decimal(scalar.type):
        return int(value.scaleb(scalar.type.scale, _EXACT))
    return int(value)


def _with_gaps(numbers: np.ndarray[Any, np.dtype[Any]]) -> list[tuple[Value, Value]]:
    """Return ranges of distinct numbers in order: single ones if they are few, else divided at the largest gaps."""
    if len(numbers) <= _MOST_POINTS:
        return [(int(one), int(one)) for one in numbers]
    gaps = numbers.astype(np.uint64)[1:] - numbers.astype(np.uint64)[:-1]  # right beyond 2^63, too
    widest = np.sort(np.argsort(gaps, kind="stable")[-(_MOST_RANGES - 1) :])
    starts, ends = np.append(0, widest + 1), np.append(widest, len(numbers) - 1)
    return [(int(numbers[one]), int(numbers[other])) for one, other in zip(starts, ends, strict=True)]
