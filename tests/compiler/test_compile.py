"""Compiling one rule: names mean what the engine takes them for, and what cannot be told apart is refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from compiler.compiled import Options
from compiler.errors import SqlError
from support.compiling import TestCompiler
from support.forms import StoredDatabase, canonical_sql, difference
from support.pairs import is_ordered

TABLES = {
    "t": pa.table({"id": [1, 2, 3, 4, 4], "k": ["a", "b", "a", "b", "b"], "x": [1, 2, 2, 5, 4]}),
    "u": pa.table({"id": [3, 4, 5, None], "k": ["a", "c", "b", "b"], "v": [10, 20, 30, 40]}),
}
SCHEMAS = {name: table.schema for name, table in TABLES.items()}

# An alias that hides a column, clause by clause: sometimes the column is meant, sometimes the output.
NAMES = """
SELECT -id AS id FROM t WHERE id > 2
SELECT -id AS id FROM t WHERE t.id > 2
SELECT id AS x, x AS id FROM t WHERE x > 2 AND id < 5
SELECT -id AS id, COUNT(*) AS n FROM t GROUP BY id
SELECT id % 2 AS id, COUNT(*) AS n FROM t GROUP BY id
SELECT id % 2 AS g, COUNT(*) AS n FROM t GROUP BY g
SELECT id % 2 AS g, COUNT(*) AS n FROM t GROUP BY g HAVING g = 1
SELECT -id AS id, COUNT(*) AS n FROM t GROUP BY id HAVING id > 2
SELECT -id AS id, COUNT(*) AS n FROM t GROUP BY id HAVING t.id > 2
SELECT k, SUM(id) AS id FROM t GROUP BY k HAVING MAX(id) > 3
SELECT k, SUM(id) AS x FROM t GROUP BY k HAVING MAX(x) > 3
SELECT upper(k) AS k, COUNT(*) AS n FROM t GROUP BY k HAVING k = 'a'
SELECT upper(k) AS k, COUNT(*) AS n FROM t GROUP BY upper(k) ORDER BY upper(k) DESC
SELECT k AS id, COUNT(*) AS n FROM t GROUP BY 1 ORDER BY 1
SELECT 2 AS z, k FROM t GROUP BY z, k
SELECT 1 AS id, k FROM t GROUP BY id, k
SELECT 1 AS z, k, COUNT(*) AS n FROM t GROUP BY ALL
SELECT id AS k, k AS id, COUNT(*) AS n FROM t GROUP BY id, k ORDER BY id, k
SELECT -id AS id FROM t ORDER BY id
SELECT -id AS id FROM t ORDER BY -id
SELECT -id AS id FROM t ORDER BY id + 0
SELECT -id AS id, x FROM t ORDER BY abs(id - 2), x, id
SELECT -id AS id FROM t ORDER BY CASE WHEN id > -2 THEN 1 ELSE 0 END, id
SELECT k, SUM(id) AS id FROM t GROUP BY k ORDER BY id
SELECT DISTINCT -id AS id FROM t ORDER BY id
SELECT DISTINCT ON (k) -id AS id, k FROM t ORDER BY k, id
SELECT DISTINCT ON (k) upper(k) AS k, id FROM t ORDER BY k, id DESC
SELECT k, id FROM t UNION ALL SELECT k, -id FROM t ORDER BY id, k
SELECT -id AS id, RANK() OVER (ORDER BY id) AS r FROM t
SELECT -id AS id FROM t QUALIFY RANK() OVER (ORDER BY id) = 1
SELECT -id AS id FROM t QUALIFY COUNT(*) OVER (ORDER BY t.id DESC) < 3
SELECT RANK() OVER (ORDER BY id DESC) AS id FROM t QUALIFY COUNT(*) OVER (ORDER BY t.id) < 3
SELECT k, id AS z FROM t QUALIFY RANK() OVER (PARTITION BY k ORDER BY z) = 1
SELECT k, SUM(id) AS s FROM t GROUP BY k QUALIFY RANK() OVER (ORDER BY s) = 1
SELECT -id AS id, id + 1 AS b FROM t
""".strip().splitlines()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> StoredDatabase:
    return StoredDatabase(TABLES, tmp_path_factory.mktemp("compile") / "database")


@pytest.mark.parametrize("sql", NAMES)
def test_a_name_means_what_the_engine_takes_it_for(database: StoredDatabase, sql: str) -> None:
    compiled = TestCompiler(SCHEMAS).compile(sql)
    authored = database.authored(sql)
    assert authored.num_rows
    for form in (database.executed(compiled), database.canonical(compiled)):
        assert difference(authored, form, ordered=is_ordered(sql)) is None, (compiled.sql, canonical_sql(compiled))


# The standard says that a joined column of USING is the COALESCE of both sides. The engine gives the left one, so a row
# that only the right table has loses its key. We follow the standard: the executed form says COALESCE.
USING = {
    "SELECT id, v FROM t FULL JOIN u USING (id)": [1, 2, 3, 4, 4, 5, None],
    "SELECT id, v FROM t RIGHT JOIN u USING (id)": [3, 4, 4, 5, None],
    "SELECT id, v FROM t LEFT JOIN u USING (id)": [1, 2, 3, 4, 4],
    "SELECT id, v FROM t JOIN u USING (id)": [3, 4, 4],
}


@pytest.mark.parametrize("sql", USING)
def test_a_column_of_using_is_that_of_the_side_that_has_it(database: StoredDatabase, sql: str) -> None:
    compiled = TestCompiler(SCHEMAS).compile(sql)
    for table in (database.executed(compiled), database.canonical(compiled)):
        assert sorted(table["id"].to_pylist(), key=lambda value: (value is None, value)) == USING[sql]
        assert table.schema.names == ["id", "v"]


def test_the_engine_still_returns_the_left_column_of_using(database: StoredDatabase) -> None:
    raw = database.authored("SELECT id, v FROM t FULL JOIN u USING (id)")
    assert raw["id"].to_pylist().count(None) == 2, (
        "the engine has changed: the executed form may say what the author does"
    )


# What the engine refuses as it is written, and a text that says the same: the executed form runs.
UNDERSTOOD = {
    "WITH o AS (SELECT x FROM t), p AS (WITH o AS (SELECT v FROM u) SELECT v FROM o) SELECT o.x, p.v FROM o, p": (
        "WITH o AS (SELECT x FROM t), p AS (SELECT v FROM u) SELECT o.x, p.v FROM o CROSS JOIN p"
    ),
    "SELECT id + 1 AS z FROM t WHERE z > 3": "SELECT id + 1 AS z FROM t WHERE id + 1 > 3",
    "SELECT k, SUM(id) AS id FROM t GROUP BY k ORDER BY SUM(id) DESC": (
        "SELECT k, SUM(id) AS id FROM t GROUP BY k ORDER BY id DESC"
    ),
}


@pytest.mark.parametrize("sql", UNDERSTOOD)
def test_some_texts_run_that_the_engine_refuses(database: StoredDatabase, sql: str) -> None:
    with pytest.raises(Exception, match=r"\w"):  # the engine's own words
        database.authored(sql)
    compiled = TestCompiler(SCHEMAS).compile(sql)
    assert difference(database.authored(UNDERSTOOD[sql]), database.executed(compiled), ordered=is_ordered(sql)) is None


REFUSED = {
    "SELECT t.x FROM t, u JOIN u AS w ON w.id = t.id": ("unknown-table", 1, 44),
    "SELECT a.id FROM t AS a JOIN u AS a ON a.k = a.k": ("duplicate-alias", 1, 30),
    "SELECT t.id FROM t LEFT SEMI JOIN u AS r ON t.id = r.id LEFT ANTI JOIN u AS r ON t.k = r.k": (
        "duplicate-alias",
        1,
        72,
    ),
    "SELECT id FROM t, t": ("duplicate-alias", 1, 19),
    "SELECT t.nope FROM t": ("unknown-column", 1, 10),
    "SELECT k FROM t JOIN u ON t.id = u.id": ("ambiguous-column", 1, 8),
}


@pytest.mark.parametrize("sql", REFUSED)
def test_what_cannot_be_told_apart_is_refused(sql: str) -> None:
    with pytest.raises(SqlError) as raised:
        TestCompiler(SCHEMAS).compile(sql)
    assert (raised.value.code, raised.value.line, raised.value.column) == REFUSED[sql]


def test_messages_show_names_as_they_were_written() -> None:
    sql = "WITH n AS (SELECT id FROM t) SELECT q.nope AS v FROM n AS q LEFT SEMI JOIN u AS id ON id.v = q.id ORDER BY n"
    with pytest.raises(SqlError) as raised:
        TestCompiler(SCHEMAS).compile(sql)
    assert "~" not in f"{raised.value} {raised.value.hint}"


@pytest.mark.parametrize("tier", [0, 1, 2])
def test_the_tier_orders_what_is_executed_and_not_what_is_compared(database: StoredDatabase, tier: int) -> None:
    compiled = TestCompiler(SCHEMAS).compile("SELECT x, k FROM t", Options(tier=tier, key=("k",)))
    rows = database.executed(compiled).to_pylist()
    assert (rows == sorted(rows, key=lambda row: (row["k"], row["x"]))) is (tier == 2)
    assert canonical_sql(compiled) == 'SELECT "_t0"."x" AS "x", "_t0"."k" AS "k" FROM "input"."0" AS "_t0"'


def test_union_all_of_constants_is_cut_off_in_order(tmp_path: Path) -> None:
    """With the engine's defaults the first rows are now and then those of a single branch."""
    tables = {name: pa.table({"x": [1, 2, 3] * 5}) for name in ("p", "q")}
    database = StoredDatabase(tables, tmp_path / "database")
    sql = "SELECT 2 AS a, x AS b FROM p UNION ALL SELECT 1 AS a, x AS b FROM q ORDER BY a, b LIMIT 3"
    compiled = TestCompiler({name: table.schema for name, table in tables.items()}).compile(sql)
    for _ in range(20):
        assert database.executed(compiled).to_pylist() == [{"a": 1, "b": 1}] * 3
