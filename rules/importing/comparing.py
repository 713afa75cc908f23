"""One product beside the table that the other tool made of it: equal rows, whatever their order and exact types.

Numbers are compared as numbers, floats to twelve digits; a timestamp as a moment; a text as a text. Rows are matched by
the key that the product promises, else compared as bags.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cache.rowdiff import RowDiff, diff_bags, diff_keyed, take
from rules.formats.cells import plain

DIGITS = 12
"""Of floats: the order in which they are added up differs between engines, and with it the last digits."""
_SHOWN = 3


@dataclass(frozen=True)
class Difference:
    """What differs, in a sentence; column: the first that does, if one does; rows: some of them, as text lines."""

    sentence: str
    column: str = ""
    rows: tuple[str, ...] = ()


def difference(theirs: pa.Table, ours: pa.Table, key: Sequence[str]) -> Difference | None:
    """Return what differs between two tables; None if nothing does."""
    theirs = theirs.rename_columns([name.lower() for name in theirs.column_names])
    named = {name.lower(): name for name in ours.column_names}
    ours = ours.rename_columns(list(named))
    lost = [name for name in theirs.column_names if name not in named]
    new = [name for name in named if name not in theirs.column_names]
    if lost or new:
        first = (lost or new)[0]
        said = [f"no column {', '.join(lost)} here"] if lost else []
        said += [f"no column {', '.join(new)} there"] if new else []
        return Difference("; ".join(said), first)
    columns = ours.column_names
    pairs = [_alike(theirs.column(name), ours.column(name)) for name in columns]
    odd = next((name for name, pair in zip(columns, pairs, strict=True) if pair is None), None)
    if odd is not None:
        kinds = f"{theirs.column(odd).type} there and {ours.column(odd).type} here"
        return Difference(f"{odd} is {kinds}", odd)
    found = [pair for pair in pairs if pair is not None]
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "theirs.parquet"), Path(folder, "ours.parquet")
        for number, path in enumerate(paths):
            pq.write_table(pa.table([pair[number] for pair in found], names=columns), path)
        known = [name.lower() for name in key]
        if known and all(name in columns for name in known):
            rest = [name for name in columns if name not in known]
            return _told(diff_keyed(*paths, known, rest), paths, columns, known)
        return _told(diff_bags(*paths, columns), paths, columns, [])


def _told(found: RowDiff, paths: tuple[Path, Path], columns: list[str], key: list[str]) -> Difference | None:
    lost, new, changed = len(found.removed), len(found.added), len(found.changed[0])
    if not (lost or new or changed):
        return None
    counts = [f"{number:,} {what}" for number, what in ((changed, "other"), (lost, "only there"), (new, "only here"))
              if number]  # fmt: skip
    column = next((name for name in columns if name in found.columns), "")
    lines: list[str] = []
    if column:
        there, here = (rows[found.columns[column][:_SHOWN]] for rows in found.changed)
        before = _rows(take(paths[0], [*key, column], there))
        after = _rows(take(paths[1], [column], here))
        lines += [f"{_text(old)} there, {column} = {new[column]} here" for old, new in zip(before, after, strict=True)]
    else:
        lines += [f"only there: {_text(row)}" for row in _rows(take(paths[0], columns, found.removed[:_SHOWN]))]
        lines += [f"only here:  {_text(row)}" for row in _rows(take(paths[1], columns, found.added[:_SHOWN]))]
    column = column or _first_column(found, paths, columns)
    at = f", first in {column}" if column else ""
    return Difference(f"rows: {', '.join(counts)}{at}", column, tuple(lines))


def _first_column(found: RowDiff, paths: tuple[Path, Path], columns: list[str]) -> str:
    """Return the first column in which the rows that have no counterpart differ, taken by itself."""
    sides = [
        take(path, columns, rows[:_COMPARED]) for path, rows in zip(paths, (found.removed, found.added), strict=True)
    ]
    if len(sides[0]) != len(sides[1]):
        return ""
    for name in columns:
        values = [sorted(json.dumps(one, default=str) for one in plain_values(side.column(name))) for side in sides]
        if values[0] != values[1]:
            return name
    return ""


_COMPARED = 10_000


def plain_values(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of a column as JSON can hold them."""
    return plain(pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type))


def _rows(table: pa.Table) -> list[dict[str, str]]:
    texts = [["NULL" if one is None else str(one) for one in plain_values(column)] for column in table.columns]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*texts, strict=True)]


def _text(row: dict[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in row.items())


def _alike(there: pa.ChunkedArray, here: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray] | None:
    """Return two columns in one type in which equal values are equal; None where there is no such type."""
    there, here = _unwrapped(there), _unwrapped(here)
    kinds = there.type, here.type
    try:
        if any(pa.types.is_null(one) for one in kinds):
            other = kinds[1] if pa.types.is_null(kinds[0]) else kinds[0]
            return there.cast(other), here.cast(other)
        if any(pa.types.is_floating(one) for one in kinds) and all(_is_number(one) for one in kinds):
            return _rounded(there), _rounded(here)
        if all(_is_number(one) for one in kinds):
            scale = max(one.scale if pa.types.is_decimal(one) else 0 for one in kinds)
            return there.cast(pa.decimal256(76, scale)), here.cast(pa.decimal256(76, scale))
        if all(pa.types.is_date(one) or pa.types.is_timestamp(one) for one in kinds):
            return _moments(there), _moments(here)
        if any(_is_text(one) for one in kinds):
            return there.cast(pa.large_string()), here.cast(pa.large_string())
        if all(pa.types.is_nested(one) or pa.types.is_interval(one) for one in kinds):
            return _as_text(there), _as_text(here)
        return there.cast(kinds[1]), here
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None


def _unwrapped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if isinstance(column.type, pa.ExtensionType):
        column = pa.chunked_array([one.storage for one in column.chunks], column.type.storage_type)
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _rounded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return numbers as floats of so many digits; NULL, NaN and infinities stay."""
    floats = column.cast(pa.float64())
    array = pa.concat_arrays(floats.chunks) if floats.num_chunks else pa.array([], pa.float64())
    values = array.fill_null(0.0).to_numpy(zero_copy_only=False).astype(np.float64)
    texts = np.array([float(f"{value:.{DIGITS - 1}e}") + 0.0 for value in values.tolist()], np.float64)
    rounded = pa.array(texts, pa.float64(), mask=np.asarray(array.is_null()))
    return pa.chunked_array([rounded])


def _moments(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return moments in microseconds, without a zone; a date is its midnight."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        column = column.cast(pa.timestamp(kind.unit, "UTC")).cast(pa.timestamp(kind.unit))
    return column.cast(pa.timestamp("us"), safe=False)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    texts = [None if one is None else json.dumps(one, default=str) for one in plain_values(column)]
    return pa.chunked_array([pa.array(texts, pa.large_string())])
