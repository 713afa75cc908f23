"""Whether a rule may use several partitions is proved from what the engine runs; look-alikes are refused."""

from __future__ import annotations

from functools import cache

import pytest

from compiler.compiled import Options
from compiler.errors import SqlError
from support.compiling import TestCompiler
from support.databases import TABLES
from support.readings import lists
from support.spread import proved
from support.spread_cases import SpreadCase, cases, line_of, listed


@cache
def compiler() -> TestCompiler:
    return TestCompiler(TABLES)


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.name)
def test_cases(case: SpreadCase) -> None:
    assert line_of(compiler(), case.sql) == case.expected


def check_list(name: str, every: int) -> None:
    tables, queries = lists()[name]
    known, expected = TestCompiler(tables), listed(name)
    for query, sql in list(queries.items())[::every]:
        try:
            found = line_of(known, sql)
        except SqlError:
            assert query not in expected
            continue
        assert found == expected[query], query


def test_every_query_of_tpch_may_be_spread() -> None:
    assert all(line.startswith("any number: ") for line in listed("tpch").values())
    assert len(listed("tpch")) == 22


@pytest.mark.slow
@pytest.mark.parametrize(("name", "every"), [("tpch", 3), ("tpcds", 25)])
def test_some_of_the_reviewed_lists(name: str, every: int) -> None:
    check_list(name, every)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["tpch", "tpcds"])
def test_the_reviewed_lists(name: str) -> None:
    check_list(name, 1)


def query_of(sql: str, options: Options = Options()) -> str | None:  # noqa: B008 — immutable
    return proved(compiler(), compiler().compile(sql, options)).sql


def test_a_query_whose_order_is_total_is_run_as_it_is() -> None:
    sql = "SELECT o.status, COUNT(*) AS n FROM orders AS o GROUP BY o.status ORDER BY o.status"
    assert query_of(sql) == compiler().compile(sql, Options()).sql


def test_ties_are_broken_by_all_columns() -> None:
    found = query_of("SELECT o.status, COUNT(*) AS n FROM orders AS o GROUP BY o.status ORDER BY n DESC LIMIT 3") or ""
    assert found.endswith('ORDER BY "n" DESC, 1, 2 LIMIT 3') or "1 NULLS LAST" in found, found


def test_a_product_of_tier_2_is_in_order_already() -> None:
    options = Options(tier=2, key=("status",))
    sql = "SELECT o.status, COUNT(*) AS n FROM orders AS o GROUP BY o.status"
    assert query_of(sql, options) == compiler().compile(sql, options).sql
