"""Print rows in the format that a command was asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rules.cells import Rows, records
from rules.errors import UserError
from rules.printable import ExactRows
from rules.report import rows
from rules.report.runs import document

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

    from rules.terminal.output import Output

TABLE_ROWS = 20
"""Rows of a table where no --limit says otherwise."""


def require_printable(options: argparse.Namespace, output: Output) -> None:
    """Refuse formats that cannot go where they would. Raises `UserError`."""
    if output.as_json and options.format not in {None, "json"}:
        hint = f"leave out --json to print the rows alone as {options.format}"
        raise UserError(f"--json cannot hold --format {options.format}", code="usage", hint=hint)
    if options.format == "arrow" and sys.stdout.isatty():
        raise UserError("arrow is binary, which is not for terminals", code="usage", hint="redirect it: > rows.arrow")


def row_limit(options: argparse.Namespace, output: Output) -> int | None:
    """Return how many rows are to be printed; None for all."""
    limit: int | None = options.limit
    is_table = not output.as_json and options.format in {None, "table"}
    return TABLE_ROWS if limit is None and is_table else limit


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
    elif options.format in {None, "table"}:
        lines, told = rows.table(found, remark, output.width(sys.stdout))
        output.rows(lines if output.verbosity < 0 else [*lines, told])
    else:
        write = {"csv": rows.write_csv, "json": rows.write_json, "arrow": rows.write_arrow}[options.format]
        with output.bytes() as out:
            write(found, out)
            out.flush()
