"""Rules far larger than anybody writes by hand, but that tools do write; each takes its size as a factor."""

# ruff: noqa: E501 — a case is a line

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

import pyarrow as pa

from compiler.compile import Compiler
from compiler.compiled import Compiled, Options
from compiler.errors import SqlError
from compiler.names.qualify import InputSchemas
from compiler.schema import Column, Schema
from compiler.sql.dialect import parse
from compiler.tree.big_stack import with_deep_stack
from rules.config.profiles import PROFILES
from rules.engine.identity import identity
from rules.engine.planner import EnginePlanner
from rules.storage.types import to_schema

WIDE = 2000
TABLES = {
    "t": pa.schema([("id", pa.int64()), ("k", pa.string()), ("x", pa.float64()), ("d", pa.date32())]),
    "u": pa.schema([("id", pa.int64()), ("v", pa.int64())]),
    "wide": pa.schema([(f"c{number}", pa.int64()) for number in range(WIDE)]),
}


def columns(count: int) -> str:
    """Return an expression list of so many columns, no two alike."""
    return ", ".join(f"id + {number} AS c{number}" for number in range(count))


def same(count: int, alias: str) -> str:
    """Return an expression list that takes over so many columns."""
    return ", ".join(f"{alias}.c{number}" for number in range(count))


def ctes(count: int, width: int) -> str:
    """Return CTEs of which each reads the one before."""
    parts = [f"q0 AS (SELECT {columns(width)} FROM t)"]
    parts += [
        f"q{n} AS (SELECT {', '.join(f'c{i} + {n} AS c{i}' for i in range(width))} FROM q{n - 1})"
        for n in range(1, count)
    ]
    return f"WITH {', '.join(parts)} SELECT {same(width, f'q{count - 1}')} FROM q{count - 1}"


def shuffled(count: int, form: str = "{}") -> str:
    """Return so many values of a list, out of order, some of them twice."""
    random = Random(7)
    return ", ".join(form.format(random.randrange(count)) for _ in range(count))


def nested(depth: int) -> str:
    """Return so many queries in one another."""
    query = "SELECT id, x FROM t"
    for level in range(depth):
        query = f"SELECT q.id, q.x FROM ({query}) AS q WHERE q.id > {level}"
    return query


def cases(depth: int) -> str:
    """Return CASE in ELSE of CASE, so many times."""
    text = "0"
    for level in range(depth):
        text = f"CASE WHEN id = {level} THEN {level} ELSE {text} END"
    return text


def chained(count: int, word: str, form: str) -> str:
    """Return a query that filters by so many terms."""
    return "SELECT id FROM t WHERE " + f" {word} ".join(form.format(n=number) for number in range(count))


def joins(count: int, kind: str) -> str:
    """Return a query of so many joins."""
    items = " ".join(f"{kind} JOIN u AS u{number} ON u{number}.id = t.id" for number in range(count))
    return f"SELECT t.id, {', '.join(f'u{number}.v AS v{number}' for number in range(count))} FROM t {items}"


Case = Callable[[float], str]
"""Returns a rule; its size grows with the factor."""


def _times(size: int, make: Callable[[int], str]) -> Case:
    return lambda factor: make(int(size * factor))


CASES: dict[str, Case] = {
    "500 columns": _times(500, lambda n: f"SELECT {columns(n)} FROM t"),
    "500 columns of two tables": _times(
        500, lambda n: f"SELECT {', '.join(f't.id + u.v * {i} AS c{i}' for i in range(n))} FROM t JOIN u ON t.id = u.id"
    ),
    "500 columns through 3 CTEs": _times(500, lambda n: ctes(3, n)),
    "500 columns of a group": _times(
        500, lambda n: f"SELECT k, {', '.join(f'SUM(id + {i}) AS c{i}' for i in range(n))} FROM t GROUP BY k"
    ),
    "500 group keys": _times(
        500, lambda n: f"SELECT {same(n, 'w')}, COUNT(*) AS n FROM wide AS w GROUP BY {same(n, 'w')}"
    ),
    "500 columns of a union": _times(
        500, lambda n: f"SELECT {same(n, 'w')} FROM wide AS w UNION ALL SELECT {same(n, 'w')} FROM wide AS w"
    ),
    "50 CTEs of 50 columns": _times(50, lambda n: ctes(n, 50)),
    "200 branches of UNION ALL": _times(
        200, lambda n: " UNION ALL ".join(f"SELECT id, k FROM t WHERE id = {i}" for i in range(n))
    ),
    "200 branches of UNION": _times(
        200, lambda n: " UNION ".join(f"SELECT id, k FROM t WHERE id = {i}" for i in range(n))
    ),
    "10,000 integers in IN": _times(10_000, lambda n: f"SELECT id FROM t WHERE id IN ({', '.join(map(str, range(n)))})"),
    "10,000 mixed integers in IN": _times(10_000, lambda n: f"SELECT id FROM t WHERE id IN ({shuffled(n)})"),
    "10,000 strings in IN": _times(10_000, lambda n: f"SELECT id FROM t WHERE k IN ({shuffled(n, chr(39) + 's{}' + chr(39))})"),
    "10,000 integers in NOT IN": _times(10_000, lambda n: f"SELECT id FROM t WHERE id NOT IN ({shuffled(n)})"),
    "10,000 floats in IN": _times(10_000, lambda n: f"SELECT id FROM t WHERE x IN ({shuffled(n, '{}.5')})"),
    "1,000 terms of OR, one column": _times(1000, lambda n: chained(n, "OR", "id = {n}")),
    "1,000 terms of OR, pairs": _times(1000, lambda n: chained(n, "OR", "(id = {n} AND k = 's{n}')")),
    "1,000 terms of OR, floats": _times(1000, lambda n: chained(n, "OR", "x = {n}.5")),
    "1,000 terms of AND": _times(1000, lambda n: chained(n, "AND", "id <> {n}")),
    "1,000 terms of AND, ranges": _times(1000, lambda n: chained(n, "AND", "id + {n} < {n} * id")),
    "1,000 terms of NOT over OR": _times(1000, lambda n: f"SELECT id FROM t WHERE NOT ({chained(n, 'OR', 'id > {n}')[23:]})"),
    "1,000 terms of +, integers": _times(
        1000, lambda n: f"SELECT {' + '.join(f'id * {i}' for i in range(n))} AS s FROM t"
    ),
    "1,000 terms of +, floats": _times(1000, lambda n: f"SELECT {' + '.join(['x'] * n)} AS s FROM t"),
    "1,000 terms of ||": _times(1000, lambda n: f"SELECT {' || '.join(['k'] * n)} AS s FROM t"),
    "200 parentheses": _times(200, lambda n: f"SELECT {'(' * n}id{')' * n} AS a FROM t"),
    "60 subqueries in one another": _times(60, nested),
    "60 aggregates in one another": _times(
        60, lambda n: "SELECT id, k FROM (" * n + "SELECT id, k FROM t" + ") AS q GROUP BY id, k" * n
    ),
    "200 CASE in one another": _times(200, lambda n: f"SELECT {cases(n)} AS c FROM t"),
    "300 inner joins": _times(300, lambda n: joins(n, "INNER")),
    "300 left joins": _times(300, lambda n: joins(n, "LEFT")),
    "1,000 branches of CASE": _times(
        1000, lambda n: f"SELECT CASE {' '.join(f'WHEN id = {i} THEN {i}' for i in range(n))} END AS c FROM t"
    ),
    "1,000 branches of CASE x": _times(
        1000, lambda n: f"SELECT CASE id {' '.join(f'WHEN {i} THEN {i}' for i in range(n))} END AS c FROM t"
    ),
    "2,000 columns by a star": _times(1, lambda _n: "SELECT * FROM wide"),
    "2,000 columns by stars of stars": _times(1, lambda _n: "SELECT * FROM (SELECT * FROM (SELECT * FROM wide))"),
    "500 columns of DISTINCT, ordered": _times(
        500, lambda n: f"SELECT DISTINCT {columns(n)} FROM t ORDER BY {', '.join(f'c{i}' for i in range(n))}"
    ),
    "300 windows": _times(
        300, lambda n: f"SELECT {', '.join(f'SUM(id) OVER (PARTITION BY k ORDER BY id + {i}) AS c{i}' for i in range(n))} FROM t"
    ),
    "300 scalar subqueries": _times(
        300, lambda n: f"SELECT {', '.join(f'(SELECT MAX(u.v) FROM u WHERE u.id = t.id + {i}) AS c{i}' for i in range(n))} FROM t"
    ),
    "300 terms of EXISTS": _times(
        300, lambda n: chained(n, "AND", "EXISTS (SELECT 1 FROM u WHERE u.id = t.id AND u.v = {n})")
    ),
}  # fmt: skip


class LargeCompiler:
    """A compiler of rules over `TABLES` that knows how long the engine planned, or does without it."""

    def __init__(self, *, planned: bool = True) -> None:
        """Plan with the engine, or else take it for granted that every output is an integer."""
        self.planning = 0.0
        schemas = InputSchemas()
        for name, schema in TABLES.items():
            schemas.add(name, to_schema(schema))
        profile = PROFILES["prod_fast"]
        self._planned = planned
        self._engine = EnginePlanner(profile, lambda _key, _schema: None)
        self._compiler = Compiler(schemas, {}, identity(profile), self, lambda _key: None)

    def compile(self, sql: str) -> Compiled:
        """Compile a query. Raises `SqlError`."""
        return self._compiler.compile_rule(sql, Options(), {name: name for name in TABLES}.get)

    def outcome(self, sql: str) -> str:
        """Compile a query and tell what was wrong with it, if anything."""
        try:
            self.compile(sql)
        except SqlError as error:
            return f"refused: {error}"
        return ""

    def plan_schema(
        self, sql: str, inputs: dict[str, tuple[Schema, frozenset[str]]], key: str, *, sure: bool = False
    ) -> Schema:
        """Plan with the engine, and add up the seconds that it takes."""
        if not self._planned:
            names = with_deep_stack(lambda: parse(sql)).named_selects
            return Schema(tuple(Column(name, "int64") for name in names), b"")
        start = time.process_time()
        try:
            return self._engine.plan_schema(sql, inputs, key, sure=sure)
        finally:
            self.planning += time.process_time() - start

    def problem(self, sql: str, inputs: dict[str, tuple[Schema, frozenset[str]]]) -> str | None:
        """Ask the engine."""
        return self._engine.problem(sql, inputs) if self._planned else None

    def trial(self, sql: str, inputs: dict[str, tuple[Schema, frozenset[str]]]) -> str | None:
        """Ask the engine."""
        return self._engine.trial(sql, inputs) if self._planned else None
