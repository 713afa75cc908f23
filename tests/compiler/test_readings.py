"""How a rule reads its inputs is proved: part by part, merged, by keys, or whole; and no look-alike is taken for it."""

from __future__ import annotations

from functools import cache

import pytest

from compiler.compiled import Options
from compiler.errors import SqlError
from compiler.parts.beside import read_beside
from compiler.parts.reading import PARTIALS, Kind
from compiler.parts.readings import readings
from support.compiling import TestCompiler
from support.databases import TABLES
from support.readings import ReadingCase, described, lines_of, listed, lists, read, reading_cases


@cache
def compiler() -> TestCompiler:
    return TestCompiler(TABLES)


@pytest.mark.parametrize("case", list(reading_cases()), ids=lambda case: case.name)
def test_cases(case: ReadingCase) -> None:
    _, found = read(compiler(), case.sql, Options(volatile="random()" in case.sql))
    assert {name: described(reading) for name, reading in found.items()} == case.expected


def check_list(name: str, every: int) -> None:
    tables, queries = lists()[name]
    known, expected = TestCompiler(tables), listed(name)
    for query, sql in list(queries.items())[::every]:
        try:
            lines = lines_of(known, sql)
        except SqlError:
            assert query not in expected
            continue
        assert lines == expected[query], query


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tpch", "tpcds", "pairs"])
def test_some_of_the_reviewed_lists(name: str) -> None:
    check_list(name, {"tpch": 4, "tpcds": 20, "pairs": 60}[name])


@pytest.mark.soak
@pytest.mark.parametrize("name", ["tpch", "tpcds", "pairs"])
def test_the_reviewed_lists(name: str) -> None:
    check_list(name, 1)


def test_what_is_asked_for_alone_is_proved() -> None:
    options = Options()
    compiled = compiler().compile(
        "SELECT o.order_id FROM orders AS o JOIN items AS i ON i.item_id = o.item_id", options
    )

    assert list(readings(compiled, compiler().compiler, options, ["items"])) == ["items"]


@pytest.mark.parametrize(
    ("sql", "beside"),
    [
        ("SELECT o.status AS s FROM orders AS o JOIN items AS i ON i.item_id = o.item_id", {"items"}),
        ("SELECT o.status AS s FROM items AS i CROSS JOIN events AS e JOIN orders AS o ON TRUE", {"items", "events"}),
        ("SELECT o.status AS s FROM orders AS o UNION ALL SELECT i.name AS s FROM items AS i", set()),
        (
            (
                "WITH n AS (SELECT o.item_id, COUNT(*) AS n FROM orders AS o GROUP BY o.item_id) "
                "SELECT i.name, n.n FROM n JOIN items AS i ON i.item_id = n.item_id"
            ),
            set(),
        ),
        (
            (
                "SELECT o.status AS s FROM orders AS o JOIN items AS i ON i.item_id = o.item_id "
                "UNION ALL SELECT p.status AS s FROM orders AS p"
            ),
            set(),
        ),
    ],
)
def test_what_is_read_beside_an_input(sql: str, beside: set[str]) -> None:
    compiled, _ = read(compiler(), sql, Options())
    assert read_beside(compiled.meaning, "orders") == beside


def test_the_queries_of_parts_say_what_they_read() -> None:
    _, found = read(compiler(), "SELECT o.status, COUNT(*) AS n FROM orders AS o GROUP BY o.status", Options())
    keyed, merged = found["orders"].ways
    assert (keyed.unshared, keyed.merge, keyed.finish) == (("status",), None, None)
    assert merged.unshared is None
    assert merged.merge is not None
    assert merged.finish is not None
    assert merged.each.scans == {"orders": ("status",)}
    assert set(merged.merge.scans) == set(merged.finish.scans) == {PARTIALS}
    assert merged.merge.schema == merged.each.schema
    assert merged.finish.schema.names == ("status", "n")


def test_rows_of_other_inputs_are_made_once() -> None:
    other = "SELECT i.name FROM items AS i JOIN events AS e ON e.kind = i.name"
    sql = f"SELECT o.status AS s FROM orders AS o UNION ALL {other}"
    _, found = read(compiler(), sql, Options())
    (way,) = found["orders"].ways
    assert way.rest is not None
    assert set(way.each.scans) == {"orders"}
    assert set(way.rest.scans) == {"items", "events"}


def test_an_ordered_product_is_sorted_at_the_end() -> None:
    options = Options(tier=2, key=("order_id",))
    _, found = read(compiler(), "SELECT o.order_id, o.amount FROM orders AS o", options)
    reading = found["orders"]
    assert reading.kind == Kind.MERGEABLE
    (way,) = reading.ways
    assert way.finish is not None
    assert way.merge is None
    assert way.finish.sorted
    assert 'ORDER BY "product"."order_id" ASC' in way.finish.sql
    assert "ORDER BY" not in way.each.sql


def test_names_of_partial_results_do_not_clash() -> None:
    inner = "SELECT o.status AS k0 FROM orders AS o"
    sql = f"SELECT partials.k0 AS s0, COUNT(*) AS k0 FROM ({inner}) AS partials GROUP BY 1"
    _, found = read(compiler(), sql, Options())
    assert found["orders"].kind == Kind.MERGEABLE
