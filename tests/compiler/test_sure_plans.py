"""Queries of which the compiler takes for granted that the engine has a physical plan."""

from __future__ import annotations

from collections import Counter

import pytest

from compiler.engine_sql.sure_plans import is_sure
from compiler.errors import SqlError
from compiler.schema import Schema
from compiler.sql.dialect import parse
from properties.sure_queries import TABLES, SureQueries
from rules.config.profiles import PROFILES
from rules.engine.planner import EnginePlanner
from rules.storage.types import to_schema
from support.compiling import TestCompiler


def check(seeds: range) -> Counter[str]:
    """Assert that each query that is taken for sure can be planned to the end; return how many there were."""
    compiler = TestCompiler(TABLES)
    planner = EnginePlanner(PROFILES["prod_fast"], lambda _key, _schema: None)
    inputs: dict[str, tuple[Schema, frozenset[str]]] = {
        name: (to_schema(schema), frozenset(schema.names)) for name, schema in TABLES.items()
    }
    found: Counter[str] = Counter()
    for seed in seeds:
        query = SureQueries(seed).query()
        try:
            compiled = compiler.compile(query)
        except SqlError:
            found["refused"] += 1
            continue
        sure = is_sure(parse(compiled.sql))
        found["sure" if sure else "not sure"] += 1
        assert not sure or planner.problem(compiled.sql, inputs) is None, f"seed {seed}: {query}"
    return found


def test_what_is_sure_has_a_physical_plan() -> None:
    found = check(range(60))
    assert min(found["sure"], found["not sure"]) >= 10


@pytest.mark.slow
def test_of_many_queries() -> None:
    check(range(60, 1_000))


@pytest.mark.soak
def test_of_very_many_queries() -> None:
    check(range(1_000, 30_000))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT t.a AS a FROM t WHERE t.a > (SELECT MAX(u.a) AS m FROM u)",
        "SELECT t.a AS a FROM t WHERE t.a IN (SELECT u.a FROM u)",
        "SELECT CAST(t.a AS DATE) AS a FROM t",
        "SELECT upper(t.a) AS a FROM t",
        "SELECT COUNT(CASE WHEN t.a > 1 THEN t.b END) AS n FROM t",
        "SELECT DISTINCT COALESCE(t.a, 1) AS a FROM t",
        "SELECT SUM(t.a) OVER (ORDER BY t.b ROWS 1 PRECEDING) AS s FROM t",
        "SELECT lag(t.a) OVER (ORDER BY t.b) AS s FROM t",
        "SELECT t.a AS a FROM t UNION ALL SELECT u.a AS a FROM u",
        "SELECT t.a AS a, COUNT(*) AS n FROM t GROUP BY ROLLUP (t.a)",
        "SELECT COUNT(DISTINCT t.a, t.b) AS n FROM t",
        "SELECT unnest(t.a) AS a FROM t",
        "SELECT t.a AS a FROM t WHERE SUM(t.a) > 1",
        "SELECT t.a AS a FROM t WHERE RANK() OVER (ORDER BY t.a) = 1",
        "SELECT t.a AS a FROM t JOIN u ON SUM(t.a) = u.a",
        "SELECT COUNT(*) AS n FROM t GROUP BY SUM(t.a)",
        "SELECT SUM(SUM(t.a)) AS n FROM t",
        "SELECT SUM(RANK() OVER (ORDER BY t.a)) AS n FROM t",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT r.n + 1 AS n FROM r) SELECT r.n AS n FROM r",
    ],
)
def test_what_the_engine_may_refuse_late_is_not_sure(sql: str) -> None:
    assert not is_sure(parse(sql))
