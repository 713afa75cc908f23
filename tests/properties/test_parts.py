"""A product that is made part by part is the product of the whole query, bit by bit, however its input is cut."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compiler.compiled import Options
from compiler.errors import SqlError
from compiler.parts.reading import Kind
from properties.part_queries import part_query
from properties.patterns import patterned_query
from properties.queries import random_query
from properties.shapes import shaped_query
from properties.targets import targeted_query
from support.compiling import TestCompiler
from support.databases import TABLES, random_database
from support.forms import StoredDatabase, difference
from support.pairs import is_ordered
from support.parts import PartRunner, cut
from support.readings import lists, read, reading_cases
from support.tpcds import make_tables as make_tpcds
from support.tpch import make_project as make_tpch

SUITE_QUERIES = 32
SOAK_QUERIES = 4000
WITH_NAN = (1, 2, 5, 7, 11, 13)
"""Databases of `random_database`, some of them with NaN and infinities, with integer extremes, with empty tables."""


@cache
def compiler() -> TestCompiler:
    return TestCompiler(TABLES)


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> list[StoredDatabase]:
    folder = tmp_path_factory.mktemp("databases")
    return [StoredDatabase(random_database(seed, 20), folder / str(seed)) for seed in WITH_NAN]


def check_parts(
    sql: str, known: TestCompiler, database: StoredDatabase, seed: int, *, total: bool = True
) -> Counter[str]:
    """Assert that every way of every reading gives the whole query's product; return how many of a kind were run.

    Where floats are added the last bits are left out of account: they are defined by the parts. total: whether an
    ORDER BY leaves no ties.
    """
    rng = random.Random(seed)
    compiled, found = read(known, sql, Options())
    if all(reading.kind == Kind.WHOLE for reading in found.values()):
        return Counter({"whole": len(found)})
    try:
        whole = database.executed(compiled)
    except Exception:  # noqa: BLE001 — a cast or a division that fails, in parts as in the whole
        return Counter({"failing": 1})
    ran: Counter[str] = Counter()
    for name, reading in found.items():
        for way in reading.ways:
            column = rng.choice(way.unshared) if way.unshared is not None else None
            parts = cut(database.tables[name], rng, column)
            runner = PartRunner(database.tables, database.folder / "parts")
            made = runner.product(way, name, parts, rng)
            tolerance = 0.0 if way.exact else 1e-9
            told = difference(whole, made, ordered=total and is_ordered(sql), float_tolerance=tolerance)
            assert told is None, f"{name}, {reading.kind} {way.unshared}, seed {seed}: {told}\n{sql}\n{way}"
            pairs = runner.together(way, name, parts) or []
            assert all(one == other for one, other in pairs), f"{name}, together, seed {seed}: {pairs}\n{sql}\n{way}"
            ran["together"] += len(pairs)
        ran[reading.kind] += 1
    return ran


def check_random(query: Callable[[int], str], seeds: range, databases: list[StoredDatabase]) -> Counter[str]:
    ran: Counter[str] = Counter()
    for seed in seeds:
        sql = query(seed)
        try:
            ran += check_parts(sql, compiler(), databases[seed % len(databases)], seed)
        except SqlError:  # what the compiler refuses is no query
            ran["refused"] += 1
    return ran


@pytest.mark.slow
def test_random_queries(databases: list[StoredDatabase]) -> None:
    ran = check_random(part_query, range(SUITE_QUERIES), databases)
    assert ran[Kind.MERGEABLE] > SUITE_QUERIES / 3
    assert ran[Kind.PART_WISE] > 1
    assert ran[Kind.KEYED] > 1
    assert ran["together"] > SUITE_QUERIES / 2
    assert ran["refused"] < SUITE_QUERIES / 10


@pytest.mark.slow
@pytest.mark.parametrize("query", [patterned_query, shaped_query, targeted_query])
def test_random_queries_of_other_generators(databases: list[StoredDatabase], query: Callable[[int], str]) -> None:
    ran = check_random(query, range(12), databases)
    assert ran[Kind.MERGEABLE] + ran[Kind.PART_WISE] > 3


def test_the_bits_of_a_merge_do_not_depend_on_the_cut(databases: list[StoredDatabase]) -> None:
    """The mean of integers whose sum is beyond 2^53 is that of the exact sum, whatever the parts are."""
    values = [2**62, 1, -(2**62), 2**53 + 1, 3, None, 7]
    table = pa.table({"x": pa.array(values, pa.int64())})
    known = TestCompiler({"t": table.schema})
    _, found = read(known, "SELECT AVG(t.x) AS mean, SUM(t.x) AS total FROM t", Options())
    (way,) = found["t"].ways
    assert way.exact
    folder = databases[0].folder / "means"
    for seed in range(6):
        rng = random.Random(seed)
        made = PartRunner({"t": table}, folder).product(way, "t", cut(table, rng), rng)
        assert made.to_pylist() == [{"mean": (2**53 + 12) / 6, "total": 2**53 + 12}]


def test_sums_that_overflow_wrap_as_they_do_in_one_query(databases: list[StoredDatabase]) -> None:
    table = pa.table({"x": pa.array([2**63 - 1, 1, 5, -(2**63)], pa.int64())})
    known = TestCompiler({"t": table.schema})
    compiled, found = read(known, "SELECT SUM(t.x) AS total FROM t", Options())
    whole = StoredDatabase({"t": table}, databases[0].folder / "overflow").executed(compiled)
    (way,) = found["t"].ways
    parts = [table.slice(place, 1) for place in range(4)]
    made = PartRunner({"t": table}, databases[0].folder / "wrapped").product(way, "t", parts, random.Random(1))
    assert made.equals(whole.cast(made.schema))


def test_no_parts_at_all_are_an_empty_table(databases: list[StoredDatabase]) -> None:
    sql = "SELECT COUNT(*) AS n, COUNT(DISTINCT o.status) AS d, SUM(o.price) AS s, AVG(o.price) AS a FROM orders AS o"
    _, found = read(compiler(), sql, Options())
    (way,) = found["orders"].ways
    runner = PartRunner(databases[0].tables, databases[0].folder / "none")
    assert runner.product(way, "orders", [], random.Random(1)).to_pylist() == [{"n": 0, "d": 0, "s": None, "a": None}]


DEFINED_BY_PARTS = {"ties at the end of LIMIT"}
"""Which rows come is for the engine to choose; in parts, all columns decide."""


def check_traps(seed: int, databases: list[StoredDatabase]) -> Counter[str]:
    ran: Counter[str] = Counter()
    for number, case in enumerate(reading_cases()):
        trap = case.name.removeprefix("traps: ")
        if trap != case.name and trap not in DEFINED_BY_PARTS and "random()" not in case.sql:
            place = (seed + number) % len(databases)
            ran += check_parts(case.sql, compiler(), databases[place], seed * 1000 + number)
    return ran


@pytest.mark.slow
def test_traps(databases: list[StoredDatabase]) -> None:
    ran = check_traps(0, databases)
    assert ran[Kind.MERGEABLE] > 50
    assert ran[Kind.PART_WISE] > 20
    assert ran[Kind.KEYED] > 8
    assert ran["failing"] < 5


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(1, 31))
def test_traps_many_times(databases: list[StoredDatabase], seed: int) -> None:
    check_traps(seed, databases)


def _listed(tmp_path_factory: pytest.TempPathFactory, name: str) -> tuple[TestCompiler, StoredDatabase]:
    folder = tmp_path_factory.mktemp(name)
    if name == "pairs":
        tables: Mapping[str, pa.Table] = random_database(7, 20)
    elif name == "tpcds":
        tables = make_tpcds()
    else:
        files = (make_tpch(folder / "project", scale=0.001) / "data").glob("*.parquet")
        tables = {Path(path).stem: pq.read_table(path) for path in files}
    return TestCompiler({key: table.schema for key, table in tables.items()}), StoredDatabase(tables, folder / "stored")


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["tpch", "tpcds", "pairs"])
def test_the_queries_of_benchmarks_and_pairs(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    known, database = _listed(tmp_path_factory, name)
    ran: Counter[str] = Counter()
    for seed, sql in enumerate(lists()[name][1].values()):
        try:
            ran += check_parts(sql, known, database, seed, total=name != "pairs")
        except SqlError:
            ran["refused"] += 1
    assert ran[Kind.MERGEABLE] > 10


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("query", [part_query, patterned_query, shaped_query, targeted_query, random_query])
@pytest.mark.parametrize("start", range(10_000, 10_000 + SOAK_QUERIES, 500))
def test_many_random_queries(databases: list[StoredDatabase], start: int, query: Callable[[int], str]) -> None:
    check_random(query, range(start, start + 500), databases)
