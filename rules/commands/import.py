"""`rules import`: write a project that builds from one of another tool, and compare the tables of both."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rules.errors import FAILED, UserError
from rules.report.imports import comparison_lines, import_document, import_report, summary_lines
from rules.terminal import progress

if TYPE_CHECKING:
    import argparse

    from rules.importing.origin import Origin
    from rules.importing.warehouse import Warehouse
    from rules.terminal.output import Output

_TOOLS = ("dbt", "sqlmesh")
_EPILOG = """dbt: PATH is the folder of dbt_project.yml, whose target/manifest.json is read; make it with
dbt compile --full-refresh. No Jinja is rendered, and dbt need not be installed.

sqlmesh: PATH is the folder of its configuration. SQLMesh renders its models itself, in the Python
beside the program sqlmesh on the PATH, or that of --python.

DB is a DuckDB file (which needs the Python package duckdb), or a folder of Parquet files called
NAME.parquet or SCHEMA_NAME.parquet, as EXPORT DATABASE writes it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.usage = "rules import TOOL PATH [OPTIONS]"
    parser.epilog = _EPILOG
    parser.add_argument("tool", metavar="TOOL", choices=_TOOLS, help=f"whose project it is: {' or '.join(_TOOLS)}")
    parser.add_argument("path", metavar="PATH", help="the folder of the project")
    parser.add_argument("--into", metavar="DIR", help="where to write it (default: NAME-rules, after the project)")
    parser.add_argument("--python", metavar="PROGRAM", help="the Python that has SQLMesh (default: that of sqlmesh)")
    parser.add_argument("--data", metavar="DB", help="where rows come from that are no files: tables, snapshots")
    parser.add_argument(
        "--verify", metavar="DB", help="build, and compare each product with its table in DB; also says --data DB"
    )


def _read(options: argparse.Namespace, root: Path) -> Origin:
    if options.tool == "sqlmesh":
        from rules.importing.sqlmesh_project import read_sqlmesh

        return read_sqlmesh(root, options.python)
    if options.python is not None:
        raise UserError("--python is for sqlmesh: dbt is not run", code="usage")
    from rules.importing.dbt_manifest import read_dbt

    return read_dbt(root)


def run(options: argparse.Namespace, output: Output) -> int:
    """Import; 1 when a product differs for no reason that the import knows."""
    from rules.importing.import_project import REPORT, import_project
    from rules.importing.verifying import compare_all
    from rules.importing.warehouse import open_warehouse

    root = Path(options.project, options.path)
    if not root.is_dir():
        raise UserError(f"there is no folder {options.path}", code="usage")
    origin = _read(options, root)
    into = Path(options.project, options.into or f"{origin.name}-rules")
    opened: list[Warehouse] = []
    try:
        data = options.data or options.verify
        rows = open_warehouse(data, root) if data else None
        opened += [rows] if rows is not None else []
        found = import_project(origin, into.absolute(), rows, import_report)
        if not output.as_json and output.verbosity >= 0:
            output.result([f"wrote {into}", *summary_lines(found)])
            output.message(f"what was changed, and what could change a meaning: {into / REPORT}")
        compared = None
        if options.verify:
            tables = rows if rows is not None and options.verify == data else open_warehouse(options.verify, root)
            opened += [tables] if tables is not rows else []
            compared = compare_all(found, tables, progress.observer(output))
    finally:
        for one in opened:
            one.close()
    if output.as_json:
        output.document(import_document(found, compared))
    elif compared is not None:
        output.result(comparison_lines(compared, verbose=output.verbosity > 0))
    elif output.verbosity >= 0:
        output.message(f"next: rules build -C {shlex.quote(str(into))}")
    return FAILED if compared is not None and compared.unexplained else 0
