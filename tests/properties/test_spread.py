"""What is proved to be the same on any number of partitions is: the table to the last bit, and the bag of the rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest

from compiler.compiled import Options
from compiler.errors import SqlError
from properties.part_queries import part_query
from properties.patterns import patterned_query
from properties.queries import random_query
from properties.shapes import shaped_query
from properties.targets import targeted_query
from rules.engine.protocol import EngineError
from support.compiling import TestCompiler
from support.databases import TABLES, random_database
from support.spread import SpreadRunner, proved

QUERIES = (part_query, patterned_query, shaped_query, targeted_query, random_query)
SUITE, SOAK = 24, 3000
WITH_NAN = (1, 2, 5, 7, 11, 13)
"""Databases of `random_database`, some of them with NaN and infinities, with integer extremes, with empty tables."""


@cache
def compiler() -> TestCompiler:
    return TestCompiler(TABLES)


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> list[SpreadRunner]:
    folder = tmp_path_factory.mktemp("databases")
    return [SpreadRunner(random_database(seed, 40), folder / str(seed)) for seed in WITH_NAN]


def check(sql: str, database: SpreadRunner) -> str:
    """Assert that a query that may be spread gives one table; return what became of it."""
    try:
        compiled = compiler().compile(sql, Options())
    except SqlError:
        return "refused by the compiler"
    found = proved(compiler(), compiled)
    if found.sql is None:
        return "refused"
    try:
        bag = database.plain(compiled)
    except EngineError:
        return "failing"
    table, same = database.run(found, compiled, 1)
    assert same == bag, f"{sql}\n{found}"
    for partitions in (2, 4):
        assert database.run(found, compiled, partitions) == (table, bag), f"{partitions} partitions\n{sql}\n{found}"
    return "spread"


def check_random(query: Callable[[int], str], seeds: range, databases: list[SpreadRunner]) -> Counter[str]:
    return Counter(check(query(seed), databases[seed % len(databases)]) for seed in seeds)


@pytest.mark.slow
@pytest.mark.parametrize("query", QUERIES)
def test_random_queries(databases: list[SpreadRunner], query: Callable[[int], str]) -> None:
    ran = check_random(query, range(SUITE), databases)
    assert ran["spread"]


@pytest.mark.soak
@pytest.mark.parametrize("query", QUERIES)
def test_many_random_queries(databases: list[SpreadRunner], query: Callable[[int], str]) -> None:
    ran = check_random(query, range(SUITE, SOAK), databases)
    assert ran["spread"] > SOAK / 100
