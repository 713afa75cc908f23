"""A check and its planning qualify a rule once: what the engine is asked is what it would be asked otherwise."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any

import pytest
from sqlglot import exp

from compiler.compile import Compiler
from compiler.compiled import Options
from compiler.errors import SqlError
from compiler.lint.check import World, check_rule
from compiler.names import qualify
from compiler.names.qualify import InputSchemas
from compiler.schema import Schema
from compiler.variables import Value
from rules.config.profiles import PROFILES
from rules.engine.identity import identity
from rules.engine.planner import EnginePlanner
from rules.storage.types import to_schema
from support.databases import TABLES
from support.pairs import load_pairs

NAMES = {name: name for name in TABLES}
SOME = [pair.first for kind in ("equal", "unequal") for pair in load_pairs(kind)][::3]


class Asked:
    """A compiler that is stopped when it asks for a schema, by its key: a digest of the SQL and of what that reads."""

    def __init__(self, variables: dict[str, Value] | None = None) -> None:
        schemas = InputSchemas()
        for name, table in TABLES.items():
            schemas.add(name, to_schema(table))
        self._world = World(schemas, NAMES.get, tuple(NAMES), variables or {})
        profile = PROFILES["prod_fast"]
        planner = EnginePlanner(profile, lambda _key, _schema: None)
        self._compiler = Compiler(schemas, variables or {}, identity(profile), planner, _stop)

    def outcome(self, sql: str, *, shared: bool) -> object:
        """Return the key by which a rule is planned, or what is wrong with it before."""
        ready = check_rule(sql, self._world, volatile=True).ready if shared else None
        try:
            return self._compiler.foresee(sql, Options(volatile=True), NAMES.get, ready)
        except SqlError as error:
            return str(error), error.line, error.column, error.hint


def _stop(key: str) -> Schema | None:
    raise SqlError(f"planned by {key}")


@cache
def asked() -> Asked:
    return Asked()


@pytest.mark.slow
def test_what_is_planned_is_the_same() -> None:
    found = {sql: (asked().outcome(sql, shared=True), asked().outcome(sql, shared=False)) for sql in SOME}
    assert [sql for sql, (one, other) in found.items() if one != other] == []
    assert sum("planned by" in str(one) for one, _ in found.values()) > len(SOME) * 3 // 4


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT TIMESTAMP '9999-12-31' AS at",
        "SELECT t.a AS a FROM t WHERE CAST('9999-12-31' AS TIMESTAMP) > CAST('2020-01-01' AS TIMESTAMP)",
        "SELECT substr(start_pos => 2, str => 'abc') AS s",
        "SELECT CAST($late AS TIMESTAMP) AS at",
        "SELECT $day AS day",
        "((SELECT 1 AS a ORDER BY a)) LIMIT 1",
        "SELECT q.a AS a FROM ((SELECT 1 AS a ORDER BY a LIMIT 2) LIMIT 1) AS q",
    ],
)
def test_what_binding_writes_otherwise_is_not_shared(sql: str) -> None:
    one = Asked({"late": "9999-12-31", "day": date(9999, 12, 31)})
    assert one.outcome(sql, shared=True) == one.outcome(sql, shared=False)


def test_a_rule_is_qualified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[object] = []
    inner = qualify.qualify

    def noted(query: exp.Expr, **named: Any) -> exp.Expr:
        runs.append(query)
        return inner(query, **named)

    monkeypatch.setattr(qualify, "qualify", noted)
    first = next(iter(TABLES))
    column = TABLES[first].names[0]
    asked().outcome(f"SELECT x.{column} AS y FROM {first} AS x", shared=True)
    assert len(runs) == 1
