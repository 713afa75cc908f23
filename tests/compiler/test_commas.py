"""Two commas in a row, or one with nothing before it, are faults with a place; one at the end of a list is none."""

import pytest

from compiler.errors import SqlError
from compiler.sql.dialect import parse, render

DOUBLED = [
    "SELECT a,| b FROM t",
    "SELECT l.region,|, FROM t AS l",
    "SELECT a FROM t GROUP BY a,| b",
    "SELECT a FROM t GROUP BY a,| ROLLUP (b)",
    "SELECT a FROM t GROUP BY ROLLUP (a,| b)",
    "SELECT a FROM t GROUP BY GROUPING SETS ((a),| (b))",
    "SELECT a FROM t ORDER BY a,| b",
    "SELECT a FROM t WHERE a IN (1,| 2)",
    "SELECT coalesce(a,| b) AS x FROM t",
    "SELECT t.a FROM t,| u",
    "SELECT [1,| 2] AS x",
    "SELECT v.x FROM (VALUES (1),| (2)) AS v(x)",
    "SELECT v.x FROM (VALUES (1,| 2)) AS v(x, y)",
    "SELECT v.x FROM (SELECT 1, 2) AS v(x,| y)",
    "SELECT * EXCLUDE (a,| b) FROM t",
    "SELECT t.a FROM t JOIN u USING (a,| c)",
    "SELECT DISTINCT ON (a,| b) a FROM t",
    "SELECT CAST(a AS DECIMAL(10,| 2)) AS x FROM t",
    "SELECT row_number() OVER (PARTITION BY a,| b ORDER BY a) AS x FROM t",
    "SELECT row_number() OVER (PARTITION BY a ORDER BY a,| b) AS x FROM t",
    "WITH p AS (SELECT 1 AS x),| q AS (SELECT 1 AS x) SELECT p.x FROM p",
]
LEADING = [
    "SELECT |a FROM t",
    "SELECT DISTINCT |a FROM t",
    "SELECT a FROM |t",
    "SELECT a FROM t GROUP BY |a",
    "SELECT a FROM t ORDER BY |a",
    "SELECT a FROM t WHERE a IN (|1)",
    "SELECT coalesce(|a) AS x FROM t",
    "SELECT [|1] AS x",
]
TRAILING = [
    ("SELECT a, FROM t", "SELECT a FROM t"),
    ("SELECT a,", "SELECT a"),
    ("SELECT a FROM t GROUP BY a, ORDER BY a,", "SELECT a FROM t GROUP BY a ORDER BY a"),
    ("SELECT a FROM t WHERE a IN (1, 2,)", "SELECT a FROM t WHERE a IN (1, 2)"),
    ("SELECT COALESCE(a, b,) AS x FROM t", "SELECT COALESCE(a, b) AS x FROM t"),
    ("SELECT a FROM t, u,", "SELECT a FROM t, u"),
    ("SELECT a FROM t GROUP BY a, ROLLUP (b)", "SELECT a FROM t GROUP BY a, ROLLUP (b)"),
]


@pytest.mark.parametrize("marked", [text.replace("|", "|,") for text in DOUBLED + LEADING])
def test_a_comma_with_nothing_before_it(marked: str) -> None:
    before, _, after = marked.partition("|")
    with pytest.raises(SqlError, match=r"^nothing is between .* this comma|^nothing is between this comma") as raised:
        parse(f"-- a list\n{before}{after}")
    assert (raised.value.line, raised.value.column) == (2, len(before) + 1)


@pytest.mark.parametrize(("text", "meant"), TRAILING)
def test_a_comma_at_the_end_of_a_list(text: str, meant: str) -> None:
    assert render(parse(text)) == meant


@pytest.mark.parametrize("text", ["SELECT t.from, t.on, 1 AS x FROM t", "SELECT ',,' AS \",,\" FROM t -- ,,"])
def test_commas_in_names_and_behind_fields(text: str) -> None:
    parse(text)
