"""Encodings of a product's columns in its file, and the columns that have statistics there.

Integers are stored as differences, or as a dictionary if few values repeat.

Parquet's writers try a dictionary first and fall back to plain values, which is right for strings. Integers, dates and
times that hardly repeat take half as long to write and to read as differences, and up to a third less space; of few
values far apart, such as days as timestamps in any order, a dictionary is several times smaller.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

_SAMPLE = 4096
"""The number of rows by which a column is judged."""
_DICTIONARY_BYTES = 1 << 16
_RECENT = 256
"""Schemas of which it is known: a rule that works by parts writes many files of one."""
_RUN = 32
"""The number of differences that are stored with the bits of the largest of them: a miniblock of Parquet."""


def writer_options(table: pa.Table) -> dict[str, Any]:
    """Return the options of `pyarrow.parquet.ParquetWriter` for a file whose first rows are these."""
    return {
        # zstd 3 takes a tenth longer to execute most rules, for files that are 6 % smaller at best.
        "compression": "zstd",
        "compression_level": 1,
        # By default a column of up to a million distinct bytes is stored as a dictionary, which takes twice the
        # time and space of plain values where few of them repeat.
        "dictionary_pagesize_limit": _DICTIONARY_BYTES,
        "write_statistics": statistics(table.schema),
        "write_page_checksum": True,
        **encodings(table),
    }


def encodings(table: pa.Table) -> dict[str, Any]:
    """Return the options of `pyarrow.parquet.ParquetWriter` for a file that begins with these rows."""
    differences = [field.name for field in table.schema if _is_integral(field.type) and _fits(table[field.name])]
    if not differences:
        return {}
    rest = [path for path in leaves(table.schema) if path not in differences]
    return {"column_encoding": dict.fromkeys(differences, "DELTA_BINARY_PACKED"), "use_dictionary": rest}


def _is_integral(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_integer(dtype) or pa.types.is_temporal(dtype))


def _fits(column: pa.ChunkedArray) -> bool:
    """Whether a dictionary of all values is too large, or takes at least as much space as their differences."""
    if len(column) <= _RUN:
        return False
    rows = column.combine_chunks()
    first = _whole(rows.slice(0, _SAMPLE))
    if len(first) <= _RUN:
        return False
    entries = 8 * _DICTIONARY_BYTES // column.type.bit_width
    spread = np.sort(_whole(rows, max(1, len(rows) // _SAMPLE)))
    distinct = min(len(spread), 1) + int(np.count_nonzero(np.diff(spread)))
    # The number of distinct values in the sample if each were one of as many values as a dictionary can hold.
    if distinct > entries * -math.expm1(-len(spread) / entries):
        return True
    steps = np.diff(first.astype(np.int64))
    runs = steps[: len(steps) // _RUN * _RUN].reshape(-1, _RUN)
    bits = np.log2(np.ptp(runs, axis=1).astype(np.uint64).astype(np.float64) + 1)  # wraps around, as differences do
    return float(np.ceil(bits).mean()) <= math.log2(max(distinct, 2))


def _whole(column: pa.Array, stride: int = 1) -> npt.NDArray[np.integer[Any]]:
    """Return what the buffer of a column of integers, dates or times has for each `stride`-th row, NULLs left out."""
    view = {32: pa.int32(), 64: pa.int64()}.get(column.type.bit_width, column.type)
    values = column.view(view)
    if not values.null_count:
        return values.to_numpy()[::stride]  # type: ignore[no-any-return]
    return values.take(pa.array(np.arange(0, len(values), stride))).drop_null().to_numpy()  # type: ignore[no-any-return]


def statistics(schema: pa.Schema) -> bool | list[str]:
    """Return the option `write_statistics` of `pyarrow.parquet.ParquetWriter`: for all columns except floats.

    The least and greatest value leave NaN out, and every reader that skips row groups by them loses rows.
    """
    bounded = _bounded(schema)
    return True if bounded is None else list(bounded)


@functools.lru_cache(_RECENT)
def _bounded(schema: pa.Schema) -> tuple[str, ...] | None:
    """Return the paths of columns that are not floats, None for all."""
    leaves = _columns(schema)
    whole = tuple(leaf.path for leaf in leaves if not _is_floating(leaf))
    return None if len(whole) == len(leaves) else whole


def _is_floating(leaf: pq.ColumnSchema) -> bool:
    return leaf.physical_type in {"FLOAT", "DOUBLE"} or leaf.logical_type.type == "FLOAT16"


def leaves(schema: pa.Schema) -> list[str]:
    """Return the paths by which Parquet knows the columns, including those within lists and structs."""
    if not any(pa.types.is_nested(field.type) for field in schema):
        return list(schema.names)
    return [leaf.path for leaf in _columns(schema)]


def _columns(schema: pa.Schema) -> list[pq.ColumnSchema]:
    sink = pa.BufferOutputStream()
    pq.write_metadata(schema, sink)
    columns = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    return [columns.column(number) for number in range(len(columns))]
