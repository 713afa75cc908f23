"""Print rows in the format that a command was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.formats.cells import Rows, records
from rules.printable import ExactRows
from rules.report import formats, rows
from rules.report.runs import document

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any, BinaryIO

    from rules.terminal.output import Output

TABLE_ROWS = 20
"""Rows of a table where no --limit says otherwise."""


def row_limit(options: argparse.Namespace, output: Output) -> int | None:
    """Return how many rows are to be printed; None for all."""
    limit: int | None = options.limit
    return TABLE_ROWS if limit is None and not output.as_json and _writer(options) is None else limit


def print_rows(
    found: Rows,
    options: argparse.Namespace,
    output: Output,
    remark: Callable[[int], str],
    fields: Callable[[int], dict[str, Any]],
) -> None:
    """Print rows. Both are made of the number of rows printed: the remark below a table, and what the document says."""
    if output.as_json:
        data = ExactRows(records(found))
        output.document(document(options.command, status="ok", **fields(len(data)), data=data))
        return
    writer = _writer(options)
    if writer is None:
        lines, footer = rows.table(found, remark, output.width())
        output.rows(lines if output.verbosity < 0 else [*lines, footer])
        return
    with output.bytes() as out:
        writer.write(found, out)
        out.flush()


def _writer(options: argparse.Namespace) -> formats.OutputFormat[Callable[[Rows, BinaryIO], None]] | None:
    """Return the format that was asked for; None for a table."""
    return None if options.format is None else formats.ROWS[options.format]
