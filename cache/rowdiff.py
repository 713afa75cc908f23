"""Which rows of two stored tables differ: matched by key columns, or compared as bags of whole rows.

Rows are compared by hashes of 128 bits of their values in normal form, so every type can be compared, NULL equals NULL,
and -0.0 is not 0.0; every NaN equals every other. A column is read at a time, and 16 bytes of each row of it are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cache.bags import Words, row_hashes
from cache.table_files import opened, read_batches, rows_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

Rows: TypeAlias = npt.NDArray[np.int64]
_READ_ROWS = 1 << 16


@dataclass(frozen=True)
class RowDiff:
    """Row numbers, from 0: of removed rows in the table before, of added ones in the table after.

    changed: rows that have the same key in both, as pairs. columns: of the pairs, which differ in a column (positions
    in `changed`), for each column where some do. duplicated: how many keys several rows have, in one table or both;
    such rows are compared whole, so they are added or removed, never changed.
    """

    removed: Rows
    added: Rows
    changed: tuple[Rows, Rows]
    columns: dict[str, Rows] = field(default_factory=dict)
    duplicated: int = 0


def diff_bags(before: Path, after: Path, columns: Sequence[str]) -> RowDiff:
    """Compare two Parquet files as bags of rows, restricted to columns that both have with the same type."""
    old, new = (_hashes(path, columns) for path in (before, after))
    removed, added = _surplus(*_groups(old, new))
    return RowDiff(removed, added, (_NONE, _NONE))


def diff_keyed(
    before: Path, after: Path, key: Sequence[str], columns: Sequence[str], same: Collection[str] = ()
) -> RowDiff:
    """Compare two Parquet files, whose rows are matched by the columns `key`.

    columns: those to compare besides, which both have with the same type. same: those known to hold the same values in
    the same order.
    """
    old_ids, new_ids = _groups(*(_hashes(path, key) for path in (before, after)))
    total = int(max(old_ids.max(initial=-1), new_ids.max(initial=-1))) + 1
    old_count, new_count = (np.bincount(ids, minlength=total) for ids in (old_ids, new_ids))
    single = (old_count == 1) & (new_count == 1)
    several = (old_count > 1) | (new_count > 1)
    pairs = _rows_by_id(old_ids, single, total), _rows_by_id(new_ids, single, total)
    as_now = np.argsort(pairs[1])
    pairs = pairs[0][as_now], pairs[1][as_now]
    rest = (
        np.flatnonzero((several & (old_count > 0) & (new_count > 0))[old_ids]),
        np.flatnonzero((several & (old_count > 0) & (new_count > 0))[new_ids]),
    )
    removed = [np.flatnonzero((new_count == 0)[old_ids])]
    added = [np.flatnonzero((old_count == 0)[new_ids])]
    if len(rest[0]):
        whole = [_hashes(path, [*key, *columns])[:, rows] for path, rows in zip((before, after), rest, strict=True)]
        gone, come = _surplus(*_groups(*whole))
        removed.append(rest[0][gone])
        added.append(rest[1][come])
    in_place = len(pairs[0]) == len(old_ids) == len(new_ids) and bool((pairs[0] == pairs[1]).all())
    differing: dict[str, npt.NDArray[np.bool_]] = {}
    for column in columns:
        if not (in_place and column in same):
            old, new = (_hashes(path, [column])[:, rows] for path, rows in zip((before, after), pairs, strict=True))
            differing[column] = (old != new).any(axis=0)
    any_column = np.logical_or.reduce([*differing.values(), np.zeros(len(pairs[0]), np.bool_)])
    positions = np.cumsum(any_column) - 1
    return RowDiff(
        np.sort(np.concatenate(removed)),
        np.sort(np.concatenate(added)),
        (pairs[0][any_column], pairs[1][any_column]),
        {column: positions[mask] for column, mask in differing.items() if mask.any()},
        int(several.sum()),
    )


def take(path: Path, columns: Sequence[str], rows: Rows) -> pa.Table:
    """Read a few rows of some columns, in the order in which they are asked for."""
    wanted = np.unique(rows)
    found: dict[int, pa.RecordBatch] = {}
    with opened(path) as files:
        schema = pa.schema([files[0].schema_arrow.field(name) for name in columns])
        first = 0
        for file, group in ((one, group) for one in files for group in range(one.metadata.num_row_groups)):
            size = file.metadata.row_group(group).num_rows
            if columns and len(_between(wanted, first, first + size)):
                start = first
                for batch in file.iter_batches(_READ_ROWS, row_groups=[group], columns=list(columns)):
                    for row in _between(wanted, start, start + batch.num_rows):
                        # By slices, for Arrow cannot take from string views.
                        found[int(row)] = batch.select(list(columns)).slice(int(row) - start, 1)
                    start += batch.num_rows
            first += size
    return pa.Table.from_batches([found[int(row)] for row in rows] if columns else [], schema)


def _between(rows: Rows, start: int, end: int) -> Rows:
    """Return those of some sorted rows that are in [start, end)."""
    return rows[rows.searchsorted(start) : rows.searchsorted(end)]


_NONE: Rows = np.zeros(0, np.int64)


def _hashes(path: Path, columns: Sequence[str]) -> Words:
    """Hash each row of a file in these columns, in this order: shape (2, rows)."""
    found: Words = np.zeros((2, rows_of(path)), np.uint64)
    start = 0
    for batch in read_batches(path, columns) if columns else ():
        arrays = [_one_nan(batch.column(name)) for name in columns]
        found[:, start : start + batch.num_rows] = row_hashes(arrays)
        start += batch.num_rows
    return found


def _one_nan(array: pa.Array) -> pa.Array:
    """Give every NaN the same bits: what no query can distinguish is no difference."""
    if not pa.types.is_floating(array.type) or pa.types.is_float16(array.type):
        return array
    return pc.if_else(pc.is_nan(array), pa.scalar(float("nan"), array.type), array)


def _groups(old: Words, new: Words) -> tuple[Rows, Rows]:
    """Number the distinct hashes of two tables from 0: each row's number."""
    both = np.concatenate([old, new], axis=1)
    order = np.argsort(both[0])
    differs = both[0, order[1:]] != both[0, order[:-1]]
    if (~differs & (both[1, order[1:]] != both[1, order[:-1]])).any():  # one lane says equal, the other does not
        order = np.lexsort(both)
        differs = (both[:, order[1:]] != both[:, order[:-1]]).any(axis=0)
    ids = np.empty(both.shape[1], np.int64)
    ids[order] = np.concatenate([[0], np.cumsum(differs)])[: len(order)]
    return ids[: old.shape[1]], ids[old.shape[1] :]


def _rows_by_id(ids: Rows, wanted: npt.NDArray[np.bool_], total: int) -> Rows:
    """Return the row of each wanted id, by id; each has one."""
    rows = np.zeros(total, np.int64)
    rows[ids] = np.arange(len(ids))
    return rows[wanted]


def _surplus(old: Rows, new: Rows) -> tuple[Rows, Rows]:
    """Return the rows of each table that are left when equal rows cancel out one by one."""
    total = int(max(old.max(initial=-1), new.max(initial=-1))) + 1
    return (
        np.flatnonzero(_rank(old, total) >= np.bincount(new, minlength=total)[old]),
        np.flatnonzero(_rank(new, total) >= np.bincount(old, minlength=total)[new]),
    )


def _rank(ids: Rows, total: int) -> Rows:
    """Return how many rows before each row have the same id."""
    order = np.argsort(ids, kind="stable")
    counts = np.bincount(ids, minlength=total)
    ranks = np.empty(len(ids), np.int64)
    ranks[order] = np.arange(len(ids)) - (np.cumsum(counts) - counts)[ids[order]]
    return ranks
