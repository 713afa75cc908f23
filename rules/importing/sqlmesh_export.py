"""Run by the Python that has SQLMesh, never imported by ours: prints what a project consists of as one JSON document.

SQLMesh renders its models and audits itself. Intervals are given as wide as can be, so incremental models are the full
queries that they are made of.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any

START, END = "1900-01-01", "2099-12-31"


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
        "tests": sorted({one.test_name for one in getattr(context, "_model_test_metadata", ())}),
        "metrics": sorted(context.metrics),
    }
    sys.stdout.write(json.dumps(document))


def _model(model: Any, times: dict[str, Any], dialect: str, root: Path) -> dict[str, Any]:
    kind = model.kind
    query = None if model.is_python or kind.is_seed or kind.is_external else model.render_query(**times)
    types = model.columns_to_types or {}
    seed = model.seed_path if kind.is_seed else None
    settings = kind.csv_settings if kind.is_seed else None
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
        "delimiter": (settings.delimiter if settings is not None else None) or ",",
        "frozen": sorted({word for word in ("@execution_", "@run_", "@gateway", "@this_env") if word in text}),
        "audits": [
            _audit(audit.name, audit, model.render_audit_query(audit, **{**times, **arguments}), dialect, arguments)
            for audit, arguments in model.audits_with_args
        ],
    }


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
