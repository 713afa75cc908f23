"""Subqueries that the engine answers rightly stay as they are; others become joins, or an error that says where."""

from __future__ import annotations

import pyarrow as pa
import pytest

from compiler.canonical.facts import Facts
from compiler.compiled import Compiled
from compiler.engine_sql.workarounds.subqueries.unnesting import unnest_subqueries
from compiler.errors import SqlError
from compiler.sql.dialect import parse, render
from rules.storage.types import to_schema
from support.compiling import TestCompiler
from support.forms import StoredDatabase

INT, TEXT = pa.int64(), pa.string()
SCHEMAS = {
    "t": pa.schema({"k": INT, "a": INT, "s": TEXT, "x": pa.float64()}),
    "u": pa.schema({"k": INT, "b": INT, "s": TEXT}),
    "w": pa.schema({"k": INT, "c": INT}),
    "odd": pa.schema({"~1": INT, "~2": INT}),
}
ROWS: dict[str, list[tuple[object, ...]]] = {
    "t": [(1, 10, "a", 0.0), (1, 10, "a", -0.0), (2, None, "b", 1.5), (None, 30, "a", None), (3, 7, "c", float("nan"))],
    "u": [(1, 10, "a"), (1, None, "b"), (3, 30, "c"), (None, 7, "c")],
    "w": [(1, 10), (2, 20), (3, 10)],
    "odd": [(1, 2), (2, None)],
}

AS_WRITTEN = [
    "SELECT t.k FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k)",
    "SELECT t.k FROM t WHERE NOT EXISTS (SELECT 1 FROM u JOIN w ON u.k = w.k WHERE u.k = t.k AND w.c < t.a)",
    "SELECT t.k FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k) OR t.a = 1",
    "SELECT t.k FROM t WHERE t.a IN (SELECT u.b FROM u)",
    "SELECT t.k FROM t WHERE t.a IN (SELECT u.b FROM u WHERE u.k = t.k)",
    "SELECT t.k FROM t WHERE t.a NOT IN (SELECT u.b FROM u) AND t.k > 0",
    "SELECT t.k FROM t WHERE t.a = (SELECT MAX(u.b) FROM u WHERE u.k = t.k AND u.s = t.s)",
    "SELECT t.k, (SELECT COUNT(*) FROM u WHERE u.k = t.k) AS n FROM t",
    "SELECT t.k FROM t WHERE t.a > (SELECT AVG(u.b) FROM u)",
    "SELECT t.s, COUNT(*) AS n FROM t GROUP BY t.s HAVING COUNT(*) > (SELECT MIN(u.b) FROM u)",
    "SELECT t.k, l.b FROM t CROSS JOIN LATERAL (SELECT u.b FROM u WHERE u.k = t.k) AS l",
]

REFUSED = {
    "a value that differs from call to call": "SELECT t.k FROM t WHERE (t.x IN (SELECT random() FROM u)) IS NULL",
    "grouping sets": "SELECT t.k FROM t WHERE EXISTS (SELECT u.s FROM u WHERE u.b > t.a GROUP BY ROLLUP (u.s))",
    "a FULL JOIN": (
        "SELECT t.k, (SELECT COUNT(*) FROM (SELECT u.k FROM u WHERE u.b > t.a) AS q FULL JOIN w ON q.k = w.k) AS n"
        " FROM t"
    ),
    "rows in no order": (
        "SELECT q.k FROM (SELECT t.k, t.a FROM t LIMIT 2) AS q"
        " WHERE (q.a IN (SELECT u.b FROM u WHERE u.k > q.k)) IS NULL"
    ),
    "columns of another number": "SELECT t.k FROM t WHERE (t.k, t.a) IN (SELECT u.k FROM u)",
    "an aggregate of the query around it": (
        "SELECT t.s FROM t GROUP BY t.s HAVING (1 IN (SELECT u.b FROM u WHERE u.k = SUM(t.k))) IS NULL"
    ),
}


@pytest.fixture(scope="module")
def compiler() -> TestCompiler:
    return TestCompiler(SCHEMAS)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> StoredDatabase:
    tables = {
        name: pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in ROWS[name]], schema)
        for name, schema in SCHEMAS.items()
    }
    return StoredDatabase(tables, tmp_path_factory.mktemp("subqueries") / "database")


def rows(database: StoredDatabase, compiled: Compiled) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in database.executed(compiled).to_pylist()]


@pytest.mark.parametrize("sql", AS_WRITTEN)
def test_what_the_engine_answers_rightly_is_executed_as_written(compiler: TestCompiler, sql: str) -> None:
    executed = parse(compiler.compile(sql).meaning)
    before = render(executed)
    assert render(unnest_subqueries(executed, Facts({name: to_schema(one) for name, one in SCHEMAS.items()}))) == before


@pytest.mark.parametrize("sql", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_mended_is_refused_at_its_place(compiler: TestCompiler, sql: str) -> None:
    with pytest.raises(SqlError) as raised:
        compiler.compile(sql)
    assert raised.value.line == 1
    assert (raised.value.column or 0) > len("SELECT ")
    assert raised.value.hint
    assert raised.value.code in {"unsupported", "columns"}


def test_an_alias_inside_any_and_all_changes_nothing(compiler: TestCompiler, database: StoredDatabase) -> None:
    for words in ("= ANY", "<> ALL", "<= ALL", "> ANY"):
        captured = compiler.compile(
            f"SELECT t.k FROM t WHERE t.k {words} (SELECT t.k FROM u AS t WHERE t.k IS NOT NULL)"
        )
        other = compiler.compile(f"SELECT t.k FROM t WHERE t.k {words} (SELECT r.k FROM u AS r WHERE r.k IS NOT NULL)")
        assert captured.fingerprint == other.fingerprint
        assert rows(database, captured) == rows(database, other)
    assert rows(database, compiler.compile("SELECT t.a FROM t WHERE t.k = ANY (SELECT t.k FROM u AS t)")) == [
        (10,),
        (10,),
        (7,),
    ]


def test_more_than_one_row_of_a_scalar_subquery_is_an_error(compiler: TestCompiler, database: StoredDatabase) -> None:
    one = compiler.compile("SELECT t.k, (SELECT u.b FROM u WHERE u.k > t.k) AS b FROM t ORDER BY t.k, b")
    assert rows(database, one) == [(1, 30), (1, 30), (2, 30), (3, None), (None, None)]
    two = compiler.compile("SELECT t.k, (SELECT u.b FROM u WHERE u.k >= t.k) AS b FROM t")
    with pytest.raises(Exception, match="more than one row"):
        database.executed(two)


def test_zeros_of_either_sign_and_nan_neither_add_nor_lose_rows(
    compiler: TestCompiler, database: StoredDatabase
) -> None:
    found = compiler.compile("SELECT t.x, (t.x IN (SELECT r.x FROM t AS r)) AS here FROM t ORDER BY t.k, t.a")
    values = rows(database, found)
    assert [repr(value) for value, _ in values] == ["0.0", "-0.0", "1.5", "nan", "None"]
    assert values[2] == (1.5, True)
    assert values[4] == (None, None)


def test_no_name_is_taken_twice(compiler: TestCompiler, database: StoredDatabase) -> None:
    sql = (
        'SELECT "odd"."~1", (SELECT COUNT(*) FROM odd AS "~3" WHERE "~3"."~1" <= "odd"."~1") AS "~4",'
        ' (odd."~2" IN (SELECT u.b FROM u)) IS NULL AS "~5" FROM odd ORDER BY 1'
    )
    assert rows(database, compiler.compile(sql)) == [(1, 1, True), (2, 2, True)]


def test_the_order_and_the_limit_of_the_query_around_it_stay(compiler: TestCompiler, database: StoredDatabase) -> None:
    sql = (
        "SELECT t.a, (SELECT COUNT(*) FROM u WHERE u.b >= t.a) AS n FROM t"
        " WHERE (t.k IN (SELECT u.k FROM u)) IS NOT NULL ORDER BY t.a DESC NULLS LAST LIMIT 3 OFFSET 1"
    )
    assert rows(database, compiler.compile(sql)) == [(10, 2), (7, 3)]


CORRECTED = [
    "SELECT t.k FROM t WHERE t.a >= ALL (SELECT u.b FROM u)",
    "SELECT t.k FROM t WHERE t.a NOT IN (SELECT u.b FROM u) OR t.k = 1",
    "SELECT t.k FROM t WHERE 2 NOT IN (SELECT u.b FROM u)",
    "SELECT t.k FROM t WHERE EXISTS (SELECT COUNT(*) FROM u WHERE u.k = t.a)",
    "SELECT t.k FROM t WHERE (SELECT COUNT(*) FROM u HAVING COUNT(*) > 9) IS NOT NULL",
    "SELECT t.k FROM t WHERE t.k IN (SELECT u.k FROM u)",
]
NOT_CORRECTED = [
    "SELECT t.k FROM t WHERE t.a NOT IN (SELECT u.b FROM u)",
    "SELECT t.k FROM t WHERE t.a IN (SELECT u.b FROM u)",
    "SELECT t.k FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.b = t.a)",
    "SELECT t.k, (SELECT COUNT(*) FROM u WHERE u.k = t.k) AS n FROM t",
    "SELECT t.k, EXISTS (SELECT 1 FROM u WHERE u.b = t.a) AS e FROM t",
    "SELECT t.k FROM t",
]


@pytest.mark.parametrize(
    ("sql", "corrected"), [(sql, True) for sql in CORRECTED] + [(sql, False) for sql in NOT_CORRECTED]
)
def test_what_may_have_been_answered_wrongly_is_computed_anew(
    compiler: TestCompiler, sql: str, *, corrected: bool
) -> None:
    execution = compiler.compile(sql).parts["execution"]
    assert ("subqueries" in execution if isinstance(execution, list) else False) == corrected
