"""Tier 2 on data: whether a product's declared order is total, read from the sorted table itself.

Rows that are alike in every column are no tie: whichever comes first, the table is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cache.bags import row_hashes
from rules.config.front_matter import option_where
from rules.engine.protocol import EngineError
from rules.errors import FAILED, UserError, Where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.compiling.compiled_rule import CompiledRule
    from rules.config.project import Project

_ROWS = 1 << 16


class NoTotalOrderError(EngineError):
    """Rows are tied in everything that a product is ordered by. column: one that would tell them apart."""

    def __init__(self, order: Sequence[str], column: str, row: int) -> None:
        self.order, self.column, self.row = tuple(order), column, row
        listed = ", ".join(order)
        super().__init__(f"rows {row:,} and {row + 1:,} are tied in {listed}, and differ in {column}")


def require_total_order(path: Path, rule: CompiledRule) -> None:
    """Raise `NoTotalOrderError` if two neighbours in a sorted table are equal where it is ordered, not elsewhere.

    Only the columns of the order are decoded, and the others where there are ties. Memory: O(65,536 rows).
    """
    options = rule.rule.options
    order = list(dict.fromkeys((*options.key, *options.order_by)))
    with pq.ParquetFile(path) as file:
        others = [name for name in file.schema_arrow.names if name not in order]
        if not others:
            return
        done, last = 0, None
        for batch in file.iter_batches(_ROWS, columns=order, use_threads=False):
            hashes = row_hashes([batch.column(name) for name in order])
            if last is not None:
                hashes = np.concatenate([last, hashes], axis=1)
            tied = np.flatnonzero((hashes[:, 1:] == hashes[:, :-1]).all(axis=0)) + (done - (last is not None))
            if len(tied):
                _require_alike(file, order, others, tied)
            last = hashes[:, -1:]
            done += batch.num_rows


def no_total_order(project: Project, rule: CompiledRule, error: NoTotalOrderError, kept: str) -> UserError:
    """Return the error of a rule whose order is not total. kept: the place of its SQL."""
    one = rule.rule
    where = Where(one.path, one.line)
    if not one.in_python:
        where = option_where(one.text(project), one.path, "order_by")
    return UserError(
        f"tier 2 cannot be kept: {error}",
        code="tier",
        where=where,
        facts={"executed SQL": kept},
        hint=f"add {error.column} to order_by",
        exit_code=FAILED,
    )


def _require_alike(file: pq.ParquetFile, order: list[str], others: list[str], tied: np.ndarray) -> None:
    """Raise `NoTotalOrderError` for the first of some rows that differs from the next one. tied: 0-based."""
    first, last = int(tied[0]), int(tied[-1]) + 1
    found: dict[str, int] = {}
    for name in others:
        hashes = row_hashes([_rows(file, name, first, last + 1)])
        differs = (hashes[:, tied - first] != hashes[:, tied - first + 1]).any(axis=0)
        if differs.any():
            found[name] = int(tied[np.argmax(differs)])
    if found:
        column = min(found, key=lambda name: (found[name], others.index(name)))
        raise NoTotalOrderError(order, column, found[column] + 1)


def _rows(file: pq.ParquetFile, name: str, start: int, end: int) -> pa.Array:
    """Return the rows from `start` to `end` of a column."""
    parts, before = [], 0
    for number in range(file.num_row_groups):
        count = file.metadata.row_group(number).num_rows
        if before < end and start < before + count:
            column = file.read_row_group(number, columns=[name], use_threads=False).column(0)
            parts.append(column.slice(max(0, start - before), min(end, before + count) - max(start, before)))
        before += count
    return pa.concat_arrays([chunk for part in parts for chunk in part.chunks])
