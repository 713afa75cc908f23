"""Arrow rows as plain data: what JSON, messages and comparisons show of a stored table or of a query's result.

Text says what SQL would print: 2026-01-31 09:00:00.5, 12.50, true. What JSON has no number for (NaN, infinities) and
what a number would round (decimals) is a string there.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cache.table_files import read_batches, schema_of

_BATCH = 8192


@dataclass
class Rows:
    """Rows to print, read once. `more`: whether there were others behind a limit, known once all are read."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    more: bool = False


@contextmanager
def stored_rows(path: Path, limit: int | None) -> Iterator[Rows]:
    """Give the first `limit` rows of a stored product, or all of them."""
    size = _BATCH if limit is None else max(1, min(_BATCH, limit))
    with contextlib.closing(read_batches(path, batch_size=size)) as batches:
        yield limited(schema_of(path), batches, limit)


def limited(schema: pa.Schema, batches: Iterable[pa.RecordBatch], limit: int | None) -> Rows:
    """Return the first `limit` rows, or all; no more batches are asked for than tell whether there are others."""
    rows = Rows(schema, iter(()))
    rows.batches = _limited(rows, iter(batches), limit)
    return rows


def _limited(rows: Rows, batches: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    if limit is None:
        yield from batches
        return
    left = limit
    for batch in batches:
        if batch.num_rows > left:
            rows.more = True
            if left:
                yield batch.slice(0, left)
            return
        left -= batch.num_rows
        if batch.num_rows:
            yield batch


def records(rows: Rows) -> Iterator[dict[str, Any]]:
    """Return rows as what JSON can hold."""
    for batch in rows.batches:
        yield from batch_records(batch)


def batch_records(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Return the rows of a batch as what JSON can hold."""
    columns = [plain(column) for column in batch.columns]
    for row in zip(*columns, strict=True):
        yield dict(zip(batch.schema.names, row, strict=True))


def plain(array: pa.Array) -> list[Any]:
    """Return an array's values as what JSON can hold: None, booleans, numbers, strings, lists, dictionaries."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return plain(array.dictionary_decode())
    if pa.types.is_struct(kind):
        return _structs(array)
    if pa.types.is_map(kind):
        return _maps(array)
    if pa.types.is_nested(kind):
        return _lists(array)
    if pa.types.is_floating(kind):
        # As strings and back: the shortest text of a 32-bit float is not that of the same 64-bit one.
        return [None if value is None else _float(value) for value in array.cast(pa.string()).to_pylist()]
    if pa.types.is_timestamp(kind):
        zone = "Z" if kind.tz else ""
        return [None if text is None else text + zone for text in _moments(array, kind.unit)]
    if pa.types.is_date(kind):
        return _moments(array, "D" if pa.types.is_date32(kind) else "ms", dates=True)
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return [None if ticks is None else _clock(ticks, kind.unit) for ticks in _ticks(array)]
    values: list[Any] = array.to_pylist()
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return values
    if pa.types.is_decimal(kind):
        return [None if value is None else format(value, "f") for value in values]
    return [None if value is None else value.hex() if isinstance(value, bytes) else str(value) for value in values]


def _structs(array: pa.Array) -> list[Any]:
    names = [field.name for field in array.type]
    columns = [plain(child) for child in array.flatten()]
    valid = array.is_valid().to_pylist()
    return [{name: column[row] for name, column in zip(names, columns, strict=True)} if is_valid else None
            for row, is_valid in enumerate(valid)]  # fmt: skip


def _lists(array: pa.Array) -> list[Any]:
    values = iter(plain(array.flatten()))
    lengths = pc.list_value_length(array).to_pylist()
    valid = array.is_valid().to_pylist()
    return [
        [next(values) for _ in range(length)] if there else None for length, there in zip(lengths, valid, strict=True)
    ]


def _maps(array: pa.Array) -> list[Any]:
    """A map becomes an object, by the text of its keys."""
    keys, items, offsets = plain(array.keys), plain(array.items), array.offsets.to_pylist()
    return [
        {str(keys[entry]): items[entry] for entry in range(offsets[row], offsets[row + 1])} if there else None
        for row, there in enumerate(array.is_valid().to_pylist())
    ]


def _float(text: str) -> float | str:
    value = float(text)
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _ticks(array: pa.Array) -> list[int | None]:
    width = pa.int32() if array.type.bit_width == 32 else pa.int64()  # noqa: PLR2004
    ticks: list[int | None] = array.view(width).to_pylist()
    return ticks


def _moments(array: pa.Array, unit: str, *, dates: bool = False) -> list[str | None]:
    """Format dates and timestamps of any year; Python's own end with the year 9999 and with microseconds."""
    ticks = _ticks(array)
    stamps = np.array([0 if tick is None else tick for tick in ticks], dtype="int64").astype(f"datetime64[{unit}]")
    texts = np.datetime_as_string(stamps.astype("datetime64[D]") if dates else stamps)
    return [
        None if tick is None else _trimmed(str(text).replace("T", " ")) for tick, text in zip(ticks, texts, strict=True)
    ]


def _clock(ticks: int, unit: str) -> str:
    """Format a time of day, or a duration as hours, minutes and seconds."""
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    seconds, fraction = divmod(abs(ticks), per_second)
    digits = f".{fraction:0{len(str(per_second)) - 1}d}" if per_second > 1 else ""
    sign = "-" if ticks < 0 else ""
    return _trimmed(f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{digits}")


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
