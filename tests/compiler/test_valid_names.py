"""Names and joins as the engine reads them: each query of fixtures/sql/names.sql is run in three forms.

What is refused on purpose says where and what to write.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pyarrow as pa
import pytest

from compiler.errors import SqlError
from support.compiling import TestCompiler
from support.forms import StoredDatabase, again, difference
from support.pairs import is_ordered
from support.projects import FIXTURES

ROWS = {
    "t": {
        "id": [1, 2, 3, None, 2],
        "a": [1, 1, 2, 3, None],
        "b": ["x", "y", None, "x", "z"],
        "c": [1.5, 2.5, None, 0.5, 2.5],
    },
    "u": {"id": [2, 3, 5, None], "a": [1, 2, 2, 4], "d": ["p", "q", "q", None]},
    "v": {"id": [3, 5, 7, 2], "d": ["q", "p", "r", "q"], "e": [10, 20, 30, None]},
    "n": {
        "id": [1, 2],
        "st": [{"p": 1, "q": "a"}, {"p": 2, "q": None}],
        "l": [[1, 2], [3]],
        "ts": [datetime.datetime(2024, 1, 1), datetime.datetime(2024, 2, 3)],
    },
    "values": {"a": [1, 2], "values": [3, None]},
}  # fmt: skip
TABLES = {name: pa.table(columns) for name, columns in ROWS.items()}
SCHEMAS = {name: table.schema for name, table in TABLES.items()}


def _queries() -> dict[str, str]:
    parts = re.split(r"(?m)^-- (?=[a-z-]+-\d+$)", (FIXTURES / "sql" / "names.sql").read_text(encoding="utf-8"))[1:]
    return {name: sql.strip().rstrip(";") for name, sql in (part.split("\n", 1) for part in parts)}


QUERIES = _queries()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> StoredDatabase:
    return StoredDatabase(TABLES, tmp_path_factory.mktemp("names") / "db")


@pytest.fixture(scope="module")
def compiler() -> TestCompiler:
    return TestCompiler(SCHEMAS)


@pytest.mark.parametrize("name", QUERIES)
def test_what_is_executed_is_what_the_engine_makes_of_the_text(
    database: StoredDatabase, compiler: TestCompiler, name: str
) -> None:
    sql = QUERIES[name]
    compiled = compiler.compile(sql)
    authored = database.authored(sql)
    ordered = is_ordered(sql)
    for other in (database.executed(compiled), database.canonical(compiled)):
        assert difference(authored, other, ordered=ordered) is None
    assert again(compiled, SCHEMAS).canonical == compiled.canonical


REFUSED = {
    "SELECT `a` FROM t": (1, 8, "backticks do not quote names", '"a"'),
    "SELECT a\nFROM `my t`": (2, 6, "backticks do not quote names", '"my t"'),
    "SELECT a AS `x y` FROM t": (1, 13, "backticks do not quote names", '"x y"'),
    "SELECT a FROM [t]": (1, 15, "near [", '"t"'),
    "SELECT t.[a] FROM t": (1, 10, "near [", '"a"'),
    "SELECT a AS [x y] FROM t": (1, 13, "unexpected [", '"x y"'),
    "SELECT [order id] AS x FROM t": (1, 15, "expected ]", '"order id"'),
    "SELECT a AS select FROM t": (1, 13, "unexpected select", '"select"'),
    "SELECT t.a FROM t AS where WHERE where.a > 1": (1, 34, "", '"where"'),
    "SELECT * EXCEPT (true) FROM t": (1, 8, "takes column names", '"true"'),
    "SELECT * EXCEPT () FROM t": (1, 8, "takes column names", "EXCEPT (a, b)"),
    "SELECT * EXCEPT (nosuch) FROM t": (1, 18, "unknown column 'nosuch'", "known columns"),
    "SELECT t.* EXCEPT (d) FROM t JOIN u ON t.id = u.id": (1, 20, "unknown column 'd'", "did you mean 'id'?"),
    "SELECT t.* EXCEPT (id, a, b, c) FROM t": (1, 8, "selects no column", "leave one of them in"),
    "SELECT count(*) AS n FROM (SELECT * EXCEPT (id, d, e) FROM v) AS q": (1, 35, "selects no column", "besides *"),
    "SELECT id FROM v WHERE id IN (SELECT v.* EXCEPT (id, d, e) FROM v)": (1, 38, "selects no column", "besides *"),
    "SELECT t.a, u.* FROM t JOIN (u LEFT SEMI JOIN v ON u.d = v.d) ON t.id = u.id": (1, 13, "'u'", "list the columns"),
    "SELECT e FROM t LEFT SEMI JOIN (u JOIN v USING (d)) ON t.id = u.id": (1, 8, "unknown column 'e'", ""),
    "SELECT v.e FROM t LEFT SEMI JOIN (u JOIN v USING (d)) ON t.id = u.id": (1, 10, "'v' only filters", "in the ON"),
    "SELECT t.b FROM t LEFT ANTI JOIN u ON t.id = u.id WHERE u.a > 1": (1, 57, "'u' only filters", "in the ON"),
    "SELECT n.id, unnest(n.st) AS x FROM n": (1, 14, "unnest of a struct", "n.st['p'] AS p, n.st['q'] AS q"),
    "SELECT unnest(n.l) AS x, unnest(n.st) AS y FROM n": (1, 26, "unnest of a struct", "n.st['p'] AS p"),
    "SELECT * FROM (SELECT id, unnest(st) AS s FROM n) AS q": (1, 27, "unnest of a struct", "one by one"),
    "SELECT n.id, INTERVAL '1 day' AS x FROM n": (1, 23, "'x' holds an INTERVAL", "extract(epoch FROM …)"),
    "SELECT n.id, [INTERVAL '1 day'] AS x FROM n": (1, 24, "'x' holds an INTERVAL", "CAST(… AS VARCHAR)"),
    "SELECT a FROM t UNION BY NAME SELECT id FROM u ORDER BY 3": (1, 57, "unknown output column 3", "2 output columns"),
    "SELECT id, a FROM t ORDER BY a, 0": (1, 33, "unknown output column 0", "the first output column is 1"),
    "SELECT id, a FROM t GROUP BY 0, id, a": (1, 30, "unknown output column 0", "the first output column is 1"),
    "SELECT id FROM t UNION SELECT id FROM u ORDER BY 00": (1, 50, "unknown output column 00", "column is 1"),
    "SELECT DISTINCT ON (id, 0) id, a FROM t ORDER BY id, a": (1, 25, "unknown output column 0", "column is 1"),
    "SELECT q.a FROM (SELECT a FROM t ORDER BY 0 LIMIT 1) AS q": (1, 43, "unknown output column 0", "column is 1"),
    "SELECT t.b, id FROM t, u JOIN v USING (id)": (1, 31, "column 'id' is ambiguous", "t.id or v.id"),
    "SELECT t.b FROM t CROSS JOIN u JOIN v USING (id)": (1, 37, "'id' is ambiguous", "ON instead of USING"),
    "SELECT t.b FROM (t CROSS JOIN u) NATURAL JOIN v": (1, 47, "'id' is ambiguous", "ON instead of NATURAL"),
    "SELECT d FROM t JOIN u ON t.id = u.id GROUP BY d HAVING MAX(id) > 1": (1, 61, "'id' is ambiguous", "t.id or u.id"),
}  # fmt: skip


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_refused_says_where_and_what_to_write(compiler: TestCompiler, sql: str) -> None:
    line, column, message, hint = REFUSED[sql]
    with pytest.raises(SqlError) as caught:
        compiler.compile(sql)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("sql", ["SELECT t.a FROM t WHERE t.b = '`x`'", "SELECT t.a FROM t /* `x` [y] */ -- `z`"])
def test_backticks_in_strings_and_comments_quote_nothing(compiler: TestCompiler, sql: str) -> None:
    assert compiler.compile(sql).schema.names == ("a",)


NAMES = (
    "values",
    "parentheses",
    "branch",
    "product",
    "unnest",
    "input",
    "select",
    "_t0",
    "_q_0",
    "Mixed",
    "a.b",
    "é",
)
PLACES = (
    "SELECT {0} FROM {0} WHERE {0} > 1",
    "SELECT {0}.{0}, x.b FROM {0} JOIN {0} AS x USING ({0}) ORDER BY 1, 2",
    "SELECT q.{0} FROM (SELECT {0} FROM {0} UNION ALL SELECT b FROM {0}) AS q",
    "SELECT {0} FROM (SELECT {0}.{0} FROM {0})",
    "SELECT {0}.b AS {0} FROM {0} AS x JOIN {0} ON x.{0} = {0}.{0} ORDER BY {0}",
    "WITH {0} AS (SELECT b AS {0} FROM {0}) SELECT {0}.{0} FROM {0}",
    "WITH RECURSIVE {0} AS (SELECT 1 AS {0} UNION ALL SELECT {0} + 1 FROM {0} WHERE {0} < 3) SELECT {0} FROM {0}",
    "SELECT {0}.{0} FROM (VALUES (1), (2)) AS {0}({0})",
    "SELECT max(b) AS m FROM {0} GROUP BY {0} HAVING count({0}) > 0",
    "SELECT * EXCEPT ({0}) FROM {0}",
)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_that_of_anything(tmp_path: Path, name: str) -> None:
    written = '"' + name.replace('"', '""') + '"'
    table = pa.table({name: [1, 2, 2, None], "b": [2, 3, None, 1]})
    database = StoredDatabase({name: table}, tmp_path / "db")
    compiler = TestCompiler({name: table.schema}, as_written=True)
    for place in PLACES:
        sql = place.format(written)
        compiled = compiler.compile(sql)
        assert difference(database.authored(sql), database.executed(compiled), ordered=is_ordered(sql)) is None, sql


def test_values_without_quotes_is_a_table(database: StoredDatabase, compiler: TestCompiler) -> None:
    sql = "SELECT a FROM values"
    compiled = compiler.compile(sql)
    assert difference(database.authored(sql), database.executed(compiled), ordered=False) is None
