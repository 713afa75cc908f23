"""`rules show NAME`: print a product's rows, as last committed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rules import progress
from rules.arguments import not_negative
from rules.errors import FAILED, UserError, UserErrors
from rules.printable import ExactRows
from rules.report.runs import document
from rules.roots import find_root
from rules.store import open_store

if TYPE_CHECKING:
    import argparse

    from rules.output import Output

_TABLE_ROWS = 20
_EPILOG = """In csv, NULL is an empty field and an empty string is quoted; json is one object a line; arrow is an
IPC stream. A table on a terminal is cut to its width, elsewhere nothing is ever cut."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.epilog = _EPILOG
    parser.add_argument("name", metavar="NAME", help="the product, or a check (orders.key) for its failing rows")
    parser.add_argument(
        "-n", "--limit", type=not_negative, metavar="N", help="rows to print (default: 20 in a table, else all)"
    )
    parser.add_argument(
        "--format",
        choices=("table", "csv", "json", "arrow"),
        metavar="FORMAT",
        help="table, csv, json or arrow (default: table)",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Print rows of the product."""
    _refuse_unprintable(options, output)
    root = find_root(options.project)
    with open_store(root, output.message, building=False) as store:
        products = store.states
        if options.name not in products:
            raise _unknown(root, options.name, set(products), output)
        artifact = store.artifact(products[options.name].artifact)
        if artifact is None or not store.present(artifact.artifact):
            message = f"the artifact of {options.name} is missing from the store"
            raise UserError(message, code="missing-object", hint="rules build makes it again", exit_code=FAILED)
        path = store.objects.path(artifact.artifact)
    from rules.report import rows

    if output.as_json:
        data = ExactRows(rows.records(path, options.limit))
        output.document(document("show", status="ok", product=options.name, rows=artifact.rows, data=data))
    elif options.format in {None, "table"}:
        limit = _TABLE_ROWS if options.limit is None else options.limit
        lines, remark = rows.table(path, limit, artifact.rows, output.width(sys.stdout))
        output.rows(lines if output.verbosity < 0 else [*lines, remark])
    else:
        write = {"csv": rows.write_csv, "json": rows.write_json, "arrow": rows.write_arrow}[options.format]
        with output.bytes() as out:
            write(path, options.limit, out)
    return 0


def _refuse_unprintable(options: argparse.Namespace, output: Output) -> None:
    if output.as_json and options.format not in {None, "json"}:
        hint = f"leave out --json to print the rows alone as {options.format}"
        raise UserError(f"--json cannot hold --format {options.format}", code="usage", hint=hint)
    if options.format == "arrow" and sys.stdout.isatty():
        raise UserError("arrow is binary, which is not for terminals", code="usage", hint="redirect it: > rows.arrow")


def _unknown(root: Path, name: str, built: set[str], output: Output) -> UserError:
    """Tell a product that was never built from one that does not exist."""
    import difflib

    from rules.build import survey
    from rules.prepared import Request
    from rules.project import load_project

    try:
        known = built | set(survey(load_project(root), Request(), progress.observer(output))[0])
    except (UserError, UserErrors):  # a rule that cannot be read is no matter of this command
        known = built
    if name in known:
        return UserError(
            f"the product '{name}' has not been built yet", code="not-built", hint=f"rules build -s +{name}"
        )
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'?" if close else "rules ls lists the products"
    return UserError(f"unknown product '{name}'", code="unknown-product", hint=hint)
