"""`rules contract NAME`: print what a product or source promises, as DDL, or write its inferred types down."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

from cache.removal import rewrite
from rules.config.contract import spelled
from rules.config.project import Project, load_project, read_text
from rules.errors import UserError
from rules.files.project_paths import FILE, find_root, writable_file
from rules.inspect.contract import inferred
from rules.report.runs import document
from rules.terminal import progress
from rules.wording import plural

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from compiler.schema import Schema
    from rules.loading.rule import Rule
    from rules.terminal.output import Output

_DIALECTS = ("datafusion", "duckdb", "postgres", "snowflake", "bigquery", "clickhouse", "trino", "mysql", "sqlite")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("name", metavar="NAME", help="the product or source")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write the inferred types into the rule's front matter instead, those of a source into rules.toml",
    )
    parser.add_argument(
        "--dialect",
        choices=_DIALECTS,
        default=_DIALECTS[0],
        metavar="DIALECT",
        help=f"of the DDL: {', '.join(_DIALECTS)} (default: datafusion)",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the contract, or write it."""
    project = load_project(find_root(options.project))
    rule, schema = inferred(project, options.name, progress.observer(output).say)
    from rules.inspect.ddl import ddl  # with Ibis, which is slow to import

    if options.write:
        count = _write(project, rule, schema)
        if output.as_json:
            output.document(document("contract", status="ok", product=rule.name, path=rule.path, written=count))
        elif output.verbosity >= 0:
            outcome = f"wrote the types of {plural(count, 'column')} into" if count else "every type is declared in"
            output.result([f"{outcome} {rule.path}"])
        return 0
    text = ddl(rule.name, schema, rule.options, options.dialect)
    if output.as_json:
        output.document(_document(rule, schema, text))
    else:
        output.data(f"{text};")
    return 0


def _document(rule: Rule, schema: Schema, text: str) -> dict[str, Any]:
    contract = rule.options
    columns = []
    for column in schema.columns:
        declared = contract.columns.get(column.name)
        columns.append(
            {
                "name": column.name,
                "type": spelled(column.type),
                "declared": declared.type or None if declared is not None else None,
                "not_null": column.name in contract.key or (declared is not None and declared.not_null),
                "accepted": list(declared.accepted) if declared is not None else [],
                "references": declared.references or None if declared is not None else None,
                "description": declared.description if declared is not None else "",
            }
        )
    checks = [{"name": one.rule.name, "severity": one.draft.severity, "sql": one.draft.sql} for one in rule.checks]
    facts = {"key": list(contract.key), "exact": contract.exact, "columns": columns, "checks": checks}
    return document("contract", status="ok", product=rule.name, path=rule.path, **facts, ddl=text)


def _write(project: Project, rule: Rule, schema: Schema) -> int:
    """Declare the types of columns that have none; return how many."""
    from rules.config.contract_writing import with_types, with_types_of_source

    if rule.is_of_source:
        types = {column.name: spelled(column.type) for column in schema.columns}
        declared = {name for name, column in rule.options.columns.items() if column.type}
        path = writable_file(project.root, FILE)
        before = read_text(path, FILE)
        _rewrite(path, before, with_types_of_source(before, rule.name, types, project.contracts))
        return len(types.keys() - declared)
    if not rule.path.endswith(".sql"):
        message = f"{rule.path} has no front matter"
        raise UserError(message, code="front-matter", hint=f"declare it in rules.toml: [contracts.{rule.name}]")
    elsewhere = project.contracts[rule.name].columns if rule.name in project.contracts else {}
    types = {column.name: spelled(column.type) for column in schema.columns if column.name not in elsewhere}
    undeclared = [name for name in types if name not in rule.options.columns or not rule.options.columns[name].type]
    path = writable_file(project.root, rule.path)
    before = read_text(path, rule.path)
    written = with_types(before, rule.path, types)
    _rewrite(path, before, written)
    return len(undeclared)


def _rewrite(path: Path, before: str, text: str) -> None:
    if text != before:
        mark = path.read_bytes().startswith(codecs.BOM_UTF8)
        try:
            rewrite(path, text.encode("utf-8-sig" if mark else "utf-8"))
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}", code="unwritable") from error
