"""Timestamps that Spark and Impala wrote as INT96: in nanoseconds, unless one of them is beyond what these hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rules.files.lazy_paths import having
from rules.formats.contract import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_READ_ROWS = 1 << 16
_LAST = (2**63 - 1) // 1000


def columns_of(file: pq.ParquetFile, owners: Sequence[str] | None) -> list[str]:
    """Return the columns of a file that hold an INT96; owners: the column of each physical one, None if not known."""
    types = [file.schema.column(number).physical_type for number in range(file.metadata.num_columns)]
    if "INT96" not in types:
        return []
    names = owners if owners is not None else [file.schema.column(n).path.split(".")[0] for n in range(len(types))]
    return list(dict.fromkeys(name for name, kind in zip(names, types, strict=True) if kind == "INT96"))


def are_beyond(paths: Sequence[Path], column: str) -> bool:
    """Whether nanoseconds cannot hold all INT96 of a column. Raises `IngestError` if microseconds cannot either."""
    beyond = finer = None
    for number, path in enumerate(paths):
        is_beyond, is_finer = _extent(having(path, (column,)), column)
        beyond = number if is_beyond and beyond is None else beyond
        finer = number if is_finer and finer is None else finer
    if beyond is not None and finer is not None:
        message = f"has column '{column}' (INT96) with both nanoseconds and dates beyond the years 1677 to 2262"
        hint = "write it as timestamps of microseconds, or of nanoseconds"
        raise IngestError(message, file=max(beyond, finer), hint=hint)
    return beyond is not None


def _extent(path: Path, column: str) -> tuple[bool, bool]:
    """Return whether a column holds what nanoseconds cannot, and whether it holds what microseconds cannot."""
    beyond = finer = False
    with pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as coarse, pq.ParquetFile(path) as fine:
        batches = (file.iter_batches(_READ_ROWS, columns=[column], use_threads=False) for file in (coarse, fine))
        for one, other in zip(*batches, strict=True):
            leaves = zip(_timestamps(one.column(0)), _timestamps(other.column(0)), strict=True)
            for micros, nanos in leaves:
                beyond = beyond or bool(((micros > _LAST) | (micros < -_LAST)).any())
                finer = finer or bool((nanos != micros * 1000).any())  # both wrap around alike
    return beyond, finer


def in_microseconds(dtype: pa.DataType) -> pa.DataType:
    """Return a type of INT96 in nanoseconds as one in microseconds."""
    if pa.types.is_timestamp(dtype):
        return pa.timestamp("us", dtype.tz)
    if pa.types.is_struct(dtype):
        return pa.struct([field.with_type(in_microseconds(field.type)) for field in dtype])
    if pa.types.is_list(dtype):
        return pa.list_(dtype.value_field.with_type(in_microseconds(dtype.value_type)))
    if pa.types.is_map(dtype):
        return pa.map_(in_microseconds(dtype.key_type), in_microseconds(dtype.item_type))
    return dtype


class Reader:
    """One Parquet file, opened once for all of its columns; those with INT96 in microseconds are read as such."""

    def __init__(self, path: Path, **options: object) -> None:
        """Open the file. options: of `pyarrow.parquet.ParquetFile`. Raises OSError and `pyarrow.ArrowException`."""
        self._path, self._options = path, options
        self._file = pq.ParquetFile(path, **options)
        self._schema = self._file.schema_arrow
        self._coarse: pq.ParquetFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._file, self._coarse):
            if file is not None:
                file.close()

    def opened(self, column: str, dtype: pa.DataType | None) -> tuple[pq.ParquetFile, pa.Field]:
        """Return the file to read a column from that has type `dtype` in its source, and the column's field there."""
        field = self._schema.field(column)
        if dtype is None or field.type == dtype or not columns_of(self._file, None):
            return self._file, field
        if self._coarse is None:
            self._coarse = pq.ParquetFile(self._path, coerce_int96_timestamp_unit="us", **self._options)
        return self._coarse, self._coarse.schema_arrow.field(column)


def _timestamps(array: pa.Array) -> Iterator[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    if pa.types.is_timestamp(array.type):
        yield array.drop_null().cast(pa.int64()).to_numpy(zero_copy_only=False)
    elif pa.types.is_struct(array.type):
        for child in array.flatten():
            yield from _timestamps(child)
    elif pa.types.is_map(array.type):
        yield from _timestamps(array.keys)
        yield from _timestamps(array.items)
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        yield from _timestamps(array.flatten())
