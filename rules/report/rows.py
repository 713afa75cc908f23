"""Rows as a table to read, and as what programs read: CSV, lines of JSON, an Arrow stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from rules.exporting.row_writers import CsvWriter, JsonWriter, RowWriter, cell_text
from rules.formats.cells import Rows, plain
from rules.printable import printable
from rules.wording import cell_width, cut, plural, table_lines

if TYPE_CHECKING:
    from collections.abc import Callable

_LEAST_COLUMN = 8
_GAP = 2


def write_json(rows: Rows, out: BinaryIO) -> None:
    """Write one JSON object a line."""
    _write(JsonWriter(out), rows)


def write_csv(rows: Rows, out: BinaryIO) -> None:
    """Write CSV with a header: NULL is an empty field, an empty string is quoted, nested values are JSON."""
    _write(CsvWriter(rows.schema, out), rows)


def write_arrow(rows: Rows, out: BinaryIO) -> None:
    """Write an Arrow IPC stream."""
    with pa.ipc.new_stream(out, rows.schema) as writer:
        for batch in rows.batches:
            writer.write_batch(batch)


def _write(writer: RowWriter, rows: Rows) -> None:
    for batch in rows.batches:
        writer.write(batch)
    writer.close()


def table(rows: Rows, remark: Callable[[int], str], width: int | None) -> tuple[list[str], str]:
    """Return lines of a table and a remark on how much they show.

    remark: says so of a number of rows that are shown. width: of a terminal: long text is cut, and columns that still
    do not fit are left out. Elsewhere nothing is.
    """
    columns: list[list[str]] = [[] for _ in rows.schema]
    shown = 0
    for batch in rows.batches:
        shown += batch.num_rows
        for cells, column in zip(columns, batch.columns, strict=True):
            cells += [_cell(value, column.type) for value in plain(column)]
    header = [printable(name) for name in rows.schema.names]
    widths = [max(map(cell_width, (name, *cells))) for name, cells in zip(header, columns, strict=True)]
    numeric = [_is_numeric(field.type) for field in rows.schema]
    if width is not None:
        widths = _fitted(widths, numeric, width)
    keep = len(widths)  # what fits
    lines = table_lines(
        [cut(name, size) for name, size in zip(header, widths, strict=False)],
        [[cut(cell, size) for cell, size in zip(row, widths, strict=False)] for row in zip(*columns, strict=True)],
        right=[column for column, is_number in enumerate(numeric[:keep]) if is_number],
    )
    remarks = [remark(shown)]
    if keep < len(header):
        remarks.append(f"without {plural(len(header) - keep, 'column')} that did not fit: {', '.join(header[keep:])}")
    return lines, f"({'; '.join(remarks)})"


def part_of(total: int) -> Callable[[int], str]:
    """Return the remark on rows of a table that has `total`."""
    return lambda shown: plural(total, "row") if shown == total else f"{shown:,} of {plural(total, 'row')}"


def _is_numeric(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _cell(value: Any, kind: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"{value:.10g}"
    text = cell_text(value) or ""
    return text if _is_numeric(kind) else printable(text)


def _fitted(widths: list[int], numeric: list[bool], width: int) -> list[int]:
    """Return the widths of the columns that fit: text is narrowed, the widest first; the last columns are left out."""
    least = [size if is_number else min(size, _LEAST_COLUMN) for size, is_number in zip(widths, numeric, strict=True)]
    keep = len(widths)
    while keep > 1 and sum(least[:keep]) + _GAP * (keep - 1) > width:
        keep -= 1
    fitted = widths[:keep]
    for _ in range(sum(fitted) + _GAP * (keep - 1) - width):
        widest = max(range(keep), key=lambda column: fitted[column] - least[column])
        if fitted[widest] == least[widest]:
            return [min(size, width) for size in fitted]
        fitted[widest] -= 1
    return fitted
