"""A rule that an earlier version could have computed wrongly has another fingerprint now; no other has."""

from __future__ import annotations

import pyarrow as pa
import pytest

from compiler.fingerprint import EXECUTION
from support.compiling import TestCompiler

TABLES = {
    "t": pa.schema({"i": pa.int64(), "s": pa.string(), "x": pa.float64()}),
    "u": pa.schema({"i": pa.int64(), "s": pa.string(), "y": pa.float64()}),
}

CORRECTED: dict[str, tuple[str, ...]] = {
    "distinct-counts-of-null": (
        "SELECT COUNT(*) AS n, COUNT(DISTINCT m.x) AS d FROM (SELECT NULL AS x FROM t) AS m",
        "SELECT COUNT(*) AS n, COUNT(DISTINCT u.i) AS d FROM t LEFT JOIN u ON t.i = u.i",
    ),
    "filters-above-totals": (
        "SELECT m.n FROM (SELECT 3 AS k, COUNT(*) AS n FROM t) AS m WHERE m.k <= 1",
        "SELECT m.n FROM (SELECT MAX(t.i) AS n FROM t) AS m WHERE (SELECT COUNT(*) FROM u) > 5",
        "SELECT COUNT(*) AS n FROM t HAVING (SELECT COUNT(*) FROM u) > 5",
        "SELECT m.n FROM (SELECT 1 AS c, t.i, COUNT(*) AS n FROM t GROUP BY ROLLUP (t.i)) AS m WHERE m.c > 1",
    ),
}
UNMOVED = (
    "SELECT t.i FROM t WHERE t.i > 1",
    "SELECT COUNT(*) AS n FROM t",
    "SELECT COUNT(*) AS n FROM t HAVING COUNT(*) > 1",
    "SELECT m.n FROM (SELECT COUNT(*) AS n FROM t) AS m WHERE m.n > 1",
    "SELECT t.i FROM t CROSS JOIN (SELECT MAX(u.i) AS m FROM u) AS q WHERE t.i = q.m AND t.s = 'a'",
    "SELECT COUNT(*) AS n, COUNT(DISTINCT t.s) AS d FROM t JOIN u ON t.i = u.i",
    "SELECT t.s, COUNT(*) AS n, COUNT(DISTINCT u.s) AS d FROM t LEFT JOIN u ON t.i = u.i GROUP BY t.s",
    "SELECT t.s, COUNT(*) AS n FROM t GROUP BY t.s HAVING COUNT(*) > 1",
    "SELECT t.i FROM t JOIN u ON t.i = u.i WHERE u.s IS NULL",
)


def execution(sql: str) -> object:
    return TestCompiler(TABLES).compile(sql).parts["execution"]


@pytest.mark.parametrize(("name", "sql"), [(name, sql) for name, queries in CORRECTED.items() for sql in queries])
def test_a_rule_that_could_be_wrong_runs_again(name: str, sql: str) -> None:
    found = execution(sql)
    assert isinstance(found, list)
    assert name in found


@pytest.mark.parametrize("sql", UNMOVED)
def test_a_rule_that_could_not_keeps_its_fingerprint(sql: str) -> None:
    assert execution(sql) == EXECUTION
