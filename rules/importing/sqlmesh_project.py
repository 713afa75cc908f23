"""SQLMesh: a project, as SQLMesh itself renders it → an `Origin`.

SQLMesh asks for another SQLGlot than ours, so it is run by the Python of the user's own environment: see
`rules.importing.sqlmesh_export`.
"""

from __future__ import annotations

import datetime
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from cache.untrusted import decode
from rules.errors import UserError
from rules.importing.origin import GivenRows, Model, Origin, Outside, Relation, Seed, Test, UnitTest

_DIALECTS = {"postgres": "postgres", "duckdb": "duckdb", "snowflake": "snowflake", "bigquery": "bigquery",
             "redshift": "redshift", "spark": "spark", "databricks": "spark"}  # fmt: skip
_OWN = {"not_null": "not_null", "unique_values": "unique", "accepted_values": "accepted_values"}
_WIDE = "its interval is that of all times from 1900 to 2099: the full query, which runs on all of what it reads"

_CAST = "SQLMesh makes its table with the types that it infers, and casts what it stores to them"


class _Audit(msgspec.Struct):
    name: str
    sql: str
    blocking: bool = True
    columns: list[str] = []
    values: list[Any] = []
    narrowed: bool = False


class _Model(msgspec.Struct):
    parts: list[str]
    id: str
    kind: str
    sql: str | None
    python: str
    description: str
    columns: dict[str, str]
    types: dict[str, str]
    tags: list[str]
    path: str
    seed: str | None
    frozen: list[str]
    audits: list[_Audit]
    delimiter: str = ","
    text: str | None = None
    null: str = ""

    @property
    def relation(self) -> Relation:
        return Relation(*("", "", *self.parts)[-3:])


class _Rows(msgspec.Struct):
    rows: list[dict[str, Any]] = []
    sql: str = ""

    @property
    def given(self) -> GivenRows:
        return GivenRows(values=tuple(self.rows), sql=self.sql)


class _UnitTest(msgspec.Struct):
    name: str
    path: str
    model: str
    description: str = ""
    ctes: list[str] = []
    vars: list[str] = []
    moment: str = ""
    given: dict[str, _Rows] = {}
    expect: _Rows | None = None
    other_text: bool = False
    unreadable: str = ""


class _Project(msgspec.Struct):
    dialect: str
    moment: str
    models: list[_Model]
    audits: list[_Audit]
    tests: list[_UnitTest]
    metrics: list[str]


def read_sqlmesh(root: Path, python: str | None) -> Origin:
    """Read a project through the Python that has SQLMesh. Raises `UserError`."""
    project = _exported(root, str(Path(python).absolute()) if python else _python())
    if project.dialect not in _DIALECTS:
        known = ", ".join(_DIALECTS)
        raise UserError(f"SQL of '{project.dialect}' is not known", code="import", hint=f"known: {known}")
    computed = [one for one in project.models if one.kind not in ("SEED", "EXTERNAL") and "SCD_TYPE_2" not in one.kind]
    left_out = {"metrics": tuple(project.metrics)}
    return Origin(
        tool="SQLMesh",
        name=root.resolve().name,
        root=root,
        dialect=_DIALECTS[project.dialect],
        moment=datetime.datetime.fromisoformat(project.moment),
        models=tuple(_model(one) for one in computed),
        seeds=tuple(_seed(one, root) for one in project.models if one.kind == "SEED"),
        outside=tuple(_outside(one) for one in project.models if one.kind == "EXTERNAL" or "SCD_TYPE_2" in one.kind),
        tests=(
            *(test for one in project.models for test in _tests(one)),
            *(_test(f"audit {one.name}", one, "", "") for one in project.audits),
        ),
        unit_tests=tuple(_unit_tests(project.tests)),
        left_out={kind: names for kind, names in left_out.items() if names},
    )


def _python() -> str:
    """Return the Python beside the program sqlmesh that the user would run. Raises `UserError`."""
    program = shutil.which("sqlmesh")
    found = Path(program).resolve().with_name("python") if program is not None else None
    if found is None or not found.exists():
        message = "there is no program sqlmesh on the PATH, whose Python renders the project"
        raise UserError(message, code="import", hint="name it: --python /path/to/environment/bin/python")
    return str(found)


def _exported(root: Path, python: str) -> _Project:
    script = Path(__file__).with_name("sqlmesh_export.py").read_text(encoding="utf-8")
    try:
        done = subprocess.run(  # noqa: S603 — the Python that the user names
            [python, "-c", script, "."], cwd=root, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise UserError(f"cannot run {python}: {error.strerror}", code="import") from error
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = said[-1] if said else "it printed nothing"
        hint = f"{python} must have SQLMesh; run sqlmesh info in {root} to see what it says"
        raise UserError(f"SQLMesh cannot render the project: {reason}", code="import", hint=hint)
    try:
        return decode(msgspec.json.Decoder(_Project), lines[-1])
    except ValueError as error:
        raise UserError(f"what SQLMesh rendered cannot be read: {error}", code="import") from error


def _described(model: _Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "relation": model.relation,
        "path": model.path,
        "description": model.description.strip(),
        "columns": model.columns,
    }


def _model(model: _Model) -> Model:
    folder = Path(model.path).parent.parts[1:] if model.path else ()
    incremental = model.kind.startswith("INCREMENTAL")
    return Model(
        **_described(model),
        sql=model.sql,
        why="a model in Python" if model.python else "SQLMesh cannot render it" if model.sql is None else "",
        kind="incremental" if incremental else model.kind.lower(),
        folder=tuple(folder),
        tags=tuple(model.tags),
        frozen=tuple(model.frozen),
        has_table=model.kind != "EMBEDDED",
        code=model.python,
        risks=(_CAST,) if incremental else (),
        notes=(_WIDE,) if model.kind == "INCREMENTAL_BY_TIME_RANGE" else (),
    )


def _seed(model: _Model, root: Path) -> Seed:
    file = root / (model.seed or "")
    if not file.is_file():
        raise UserError(f"the seed {model.relation} has no file {model.seed}", code="import")
    return Seed(
        **_described(model),
        file=file,
        delimiter=model.delimiter,
        types=model.types,
        text=model.text,
        null=model.null,
    )


def _outside(model: _Model) -> Outside:
    kept = "" if model.kind == "EXTERNAL" else "its history is in its table alone, and cannot be computed again"
    return Outside(**_described(model), kept=kept)


def _tests(model: _Model) -> Iterator[Test]:
    """Yield the audits of a model; those of several columns one by one, where each is a promise."""
    for number, audit in enumerate(model.audits):
        key = f"{model.id} {audit.name} {number}"
        kind = _OWN.get(audit.name)
        if kind is None or audit.narrowed or not audit.columns:
            yield _test(key, audit, model.id, "")
            continue
        for column in audit.columns:
            yield _test(f"{key} {column}", audit, model.id, column, kind)


def _unit_tests(tests: list[_UnitTest]) -> Iterator[UnitTest]:
    """Yield the tests of models; what one says of CTEs of the query apart, as that is not carried over."""
    taken: dict[tuple[str, str], int] = {}
    for one in tests:
        key = (one.model, one.name)
        taken[key] = taken.get(key, 0) + 1
        name = one.name if taken[key] == 1 else f"{one.name} ({Path(one.path).stem})"
        id_ = f"{one.path}::{one.name}"
        described: dict[str, Any] = {"table": one.model, "path": one.path, "description": one.description.strip()}
        if one.ctes and not one.unreadable:
            why = f"it tests {', '.join(one.ctes)} inside of the query, and only what a rule yields can be tested"
            yield UnitTest(id=f"{id_} ctes", name=f"{name} (CTEs)", why=why, **described)
            if one.expect is None:
                continue
        yield UnitTest(
            id=id_,
            name=name,
            given={id_: rows.given for id_, rows in one.given.items()},
            expect=(one.expect or _Rows()).given,
            moment=one.moment,
            why=_why_not(one),
            doubt=_OTHER_TEXT.format(", ".join(one.vars)) if one.other_text else "",
            **described,
        )


_OTHER_TEXT = "it fails here, where its variables ({}) change nothing: their values are in the text of the rule"


def _why_not(test: _UnitTest) -> str:
    if not test.model:
        return "its model is not in the project"
    if test.unreadable:
        return f"SQLMesh cannot read it: {test.unreadable}"
    return "" if test.expect is not None else "it expects no rows"


def _test(key: str, audit: _Audit, table: str, column: str, kind: str = "") -> Test:
    return Test(
        id=key,
        kind=kind or audit.name,
        name=f"{audit.name}_{column}" if column else audit.name,
        sql=audit.sql,
        table=table,
        column=column,
        arguments={"values": audit.values, "quote": True},
        severity="error" if audit.blocking else "warn",
        bare=bool(kind),
    )
