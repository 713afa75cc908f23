"""Run by the Python that has SQLMesh, never imported by ours: prints what a project consists of as one JSON document.

SQLMesh renders its models and audits itself. Intervals are given as wide as can be, so incremental models are the full
queries that they are made of.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

START, END = "1900-01-01", "2099-12-31"
_EXACT = 2**53
"""Whole numbers below this are themselves as floats, which pandas makes of those beside a NULL."""


def main(path: str) -> None:
    """Print the project at `path`."""
    from sqlmesh import Context

    context = Context(paths=[path])
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)  # noqa: UP017 — an older Python may run it
    times = {"start": START, "end": END, "execution_time": now.isoformat()}
    dialect = context.default_dialect or "duckdb"
    audits = [
        _audit(name, one, one.render_audit_query(**times), dialect) for name, one in context.standalone_audits.items()
    ]
    document = {
        "dialect": dialect,
        "moment": now.isoformat(),
        "models": [_model(one, times, dialect, Path(path).resolve()) for one in context.models.values()],
        "audits": audits,
        "tests": [_unit_test(one, context, times, dialect) for one in getattr(context, "_model_test_metadata", ())],
        "metrics": sorted(context.metrics),
    }
    sys.stdout.write(json.dumps(document, default=str))


def _model(model: Any, times: dict[str, Any], dialect: str, root: Path) -> dict[str, Any]:
    kind = model.kind
    query = None if model.is_python or kind.is_seed or kind.is_external else model.render_query(**times)
    types = model.columns_to_types or {}
    seed = model.seed_path if kind.is_seed else None
    path = Path(str(model._path)) if model._path else None  # noqa: SLF001 — it has no other name
    text = path.read_text(encoding="utf-8") if path is not None and path.is_file() else ""
    return {
        "parts": [one.name for one in model.fully_qualified_table.parts],
        "id": model.fqn,
        "kind": kind.name.value if hasattr(kind.name, "value") else str(kind.name),
        "sql": query.sql(dialect=dialect, pretty=True) if query is not None else None,
        "python": text if model.is_python else "",
        "description": model.description or "",
        "columns": dict(model.column_descriptions or {}),
        "types": {name: one.sql(dialect=dialect) for name, one in types.items()},
        "tags": list(model.tags),
        "path": str(path.resolve().relative_to(root))
        if path is not None and path.resolve().is_relative_to(root)
        else "",
        "seed": os.path.relpath(str(seed), root) if seed is not None else None,
        **(_seed(model, types) if kind.is_seed else {}),
        "frozen": sorted({word for word in ("@execution_", "@run_", "@gateway", "@this_env") if word in text}),
        "audits": [
            _audit(audit.name, audit, model.render_audit_query(audit, **{**times, **arguments}), dialect, arguments)
            for audit, arguments in model.audits_with_args
        ],
    }


def _seed(model: Any, types: dict[str, Any]) -> dict[str, Any]:
    """Return how a seed is read: {"delimiter"}, with "text" and "null" where the file itself says something else.

    SQLMesh reads it by pandas, by which NA is no value and 007 a number, and as its settings say.
    """
    from sqlmesh.core.model.seed import CsvSettings

    delimiter = (getattr(model.kind, "csv_settings", None) or CsvSettings()).delimiter or ","
    names = list(types)
    texts = {name for name, kind in types.items() if type(kind).is_type(kind, "text", "varchar", "char", "nvarchar")}
    rows = [
        [_cell(value) for value in row]
        for frame in model.render_seed()
        for row in frame[names].itertuples(index=False, name=None)
    ]
    if _says_the_same(model.seed.content, delimiter, [names, *rows], texts):
        return {"delimiter": delimiter}
    values = {one for row in rows for one in row}
    null = next(one for one in ("", "NULL", "\\N", *map(str, range(len(values) + 1))) if one not in values)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([names, *([null if one is None else one for one in row] for row in rows)])
    return {"delimiter": ",", "text": out.getvalue(), "null": null}


def _cell(value: Any) -> str | None:
    """Return a value as a text of CSV, None for NULL."""
    plain = _plain(value)
    if isinstance(plain, bool):
        return str(plain).lower()
    if isinstance(plain, float) and plain.is_integer() and abs(plain) < _EXACT:
        return str(int(plain))
    return None if plain is None else str(plain)


def _says_the_same(content: str, delimiter: str, rows: list[Any], texts: set[str]) -> bool:
    """Whether a file, read as plain CSV, has the names and values that SQLMesh reads. texts: columns of type text."""
    try:
        said = [row for row in csv.reader(io.StringIO(content, newline=""), delimiter=delimiter) if row]
    except csv.Error:
        return False
    if [len(row) for row in said] != [len(row) for row in rows]:
        return False
    header, *read = said
    names, *found = rows
    if [one.strip().lower() for one in header] != [one.lower() for one in names]:
        return False
    return all(
        _is_alike(text, value, is_text=name in texts)
        for row, values in zip(read, found)  # noqa: B905 — an older Python may run it
        for name, text, value in zip(names, row, values)  # noqa: B905
    )


def _is_alike(text: str, value: str | None, *, is_text: bool) -> bool:
    if not text or not value:
        return not text and value is None
    if text == value or is_text:
        return text == value
    return text.lower() == value or (_number(text) is not None and _number(text) == _number(value))


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _audit(name: str, audit: Any, query: Any, dialect: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
    given = arguments or {}
    blocking = given.get("blocking", audit.blocking)
    return {
        "name": name,
        "sql": query.sql(dialect=dialect, pretty=True),
        "blocking": str(getattr(blocking, "this", blocking)).lower() != "false",
        "columns": _names(given.get("columns", given.get("column"))),
        "values": [_value(one) for one in getattr(given.get("is_in"), "expressions", [])],
        "narrowed": any(key not in ("columns", "column", "is_in", "blocking") for key in given),
    }


def _unit_test(metadata: Any, context: Any, times: dict[str, Any], dialect: str) -> dict[str, Any]:
    """Return a test of a model as its YAML has it, with the rows of files and of CSV read as SQLMesh reads them."""
    from sqlmesh.core.dialect import normalize_model_name

    def key(name: str) -> str:
        found: str = normalize_model_name(name, default_catalog=context.default_catalog, dialect=dialect)
        return found

    body = metadata.body
    model = context.models.get(key(str(body.get("model", ""))))
    outputs, given = body.get("outputs") or {}, body.get("inputs") or {}
    found: dict[str, Any] = {
        "name": metadata.test_name,
        "path": os.path.relpath(str(metadata.path)),
        "model": model.fqn if model is not None else "",
        "description": str(body.get("description") or ""),
        "ctes": list(outputs.get("ctes") or {}),
        "vars": sorted(set(body.get("vars") or {}) - {"execution_time"}),
        "moment": str((body.get("vars") or {}).get("execution_time") or ""),
    }
    try:
        columns = {name: _columns(context.models.get(key(name))) for name in given}
        found["given"] = {key(name): _rows(rows, columns[name], context, dialect) for name, rows in given.items()}
        expected = outputs.get("query")
        if expected is not None and model is not None:
            is_partial = outputs.get("partial") or (isinstance(expected, dict) and expected.get("partial"))
            found["expect"] = _rows(expected, [] if is_partial else _columns(model), context, dialect)
            found["other_text"] = not model.is_python and _is_rendered_otherwise(model, body, times, dialect)
    except Exception as error:  # noqa: BLE001 — whatever SQLMesh or pandas says of one test; the others are carried over
        found["unreadable"] = str(error).strip().partition("\n")[0] or type(error).__name__
    return found


def _columns(model: Any) -> list[str]:
    return list((model.columns_to_types or {}) if model is not None else {})


def _is_rendered_otherwise(model: Any, body: Any, times: dict[str, Any], dialect: str) -> bool:
    """Whether the query that is tested is another one than the rule has, because of the variables of the test."""
    variables = dict(body.get("vars") or {})
    given = {name: variables.pop(name) for name in ("start", "end", "execution_time") if name in variables}
    tested = model.render_query(**{**times, **given}, variables=variables)
    return bool(tested.sql(dialect=dialect) != model.render_query(**times).sql(dialect=dialect))


def _rows(given: Any, columns: list[str], context: Any, dialect: str) -> dict[str, Any]:
    """Return rows as {"rows": […]} or {"sql": …}. columns: of the table; those that a row lacks are NULL in it."""
    values = given if isinstance(given, dict) else {"rows": given}
    if values.get("query") is not None:
        return {"sql": _query(str(values["query"]), columns, context, dialect)}
    rows, path = values.get("rows"), values.get("path")
    if values.get("format") == "csv":
        from io import StringIO

        import pandas as pd

        table = pd.read_csv(path or StringIO(rows), **(values.get("csv_settings") or {}))
        rows = table.astype(object).where(table.notna(), None).to_dict(orient="records")
    elif path:
        from sqlmesh.utils.yaml import load

        loaded = load(Path(path))
        rows = loaded.get("rows") if isinstance(loaded, dict) else loaded
    if rows is None:
        raise ValueError("its rows are not given")
    return {"rows": [_row(row, columns) for row in rows]}


def _row(row: Any, columns: list[str]) -> dict[str, Any]:
    named = {str(name): _plain(value) for name, value in row.items()}
    said = {name.lower().strip('"') for name in named}
    return {**named, **{name: None for name in columns if name.lower() not in said}}


def _plain(value: Any) -> Any:
    """Return a value of YAML or pandas as JSON has it; dates, times and decimals as text, NaN as NULL."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if value is None or value != value:  # noqa: PLR0124 — NaN
        return None
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "ScalarBoolean"):
        return bool(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if abs(value) != float("inf") else str(value)
    return value.item() if hasattr(value, "item") else str(value)


def _query(text: str, columns: list[str], context: Any, dialect: str) -> str:
    """Return a query of rows, which is in the dialect of the engine that runs tests, in the project's."""
    import sqlglot
    from sqlglot import exp

    spoken = getattr(context, "_test_connection_config", None)  # it has no other name
    query: Any = sqlglot.parse_one(text, dialect=getattr(spoken, "DIALECT", dialect))
    there = {name.lower() for name in query.named_selects}
    lacking = [name for name in columns if name.lower() not in there]
    if lacking and isinstance(query, exp.Query):
        query = query.select(*[exp.null().as_(name) for name in lacking])
    return str(query.sql(dialect=dialect))


def _names(given: Any) -> list[str]:
    """Return the columns of (a, b), (a) or a."""
    if given is None:
        return []
    if type(given).__name__ == "Column":
        return [given.name]
    return [one.name for one in given.expressions or [given.this]]


def _value(literal: Any) -> Any:
    return literal.this if getattr(literal, "is_string", False) else literal.sql()


if __name__ == "__main__":
    main(sys.argv[1])
