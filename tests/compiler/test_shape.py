"""What an edit reaches: the class of hand-made edits, and proof by execution that what is called unchanged is."""

# ruff: noqa: E501 — queries stand on one line

from __future__ import annotations

from functools import cache

import pyarrow as pa
import pytest

from compiler.compiled import Compiled, Options
from compiler.errors import SqlError
from graph.impact import classify
from support.compiling import TestCompiler, edit_between, script_between
from support.databases import TABLES, random_database, same_table
from support.forms import StoredDatabase
from support.pairs import Pair, load_pairs

JOIN = "SELECT o.order_id, c.name FROM orders AS o JOIN customers AS c ON c.customer_id = o.customer_id WHERE o.paid"
CTE = "WITH a AS (SELECT order_id, quantity * 2 AS q FROM orders WHERE paid ORDER BY order_id LIMIT 9) SELECT a.order_id FROM a"
GROUPED = "SELECT status, SUM(quantity) AS total, COUNT(*) AS n FROM orders GROUP BY status"
ALL = "SELECT status, quantity + 1 AS more, SUM(quantity) AS total FROM orders GROUP BY ALL"
SELF = "SELECT a.name AS x, b.name AS y FROM employees AS a JOIN employees AS b ON a.manager_id = b.employee_id"
LEFT = "SELECT o.order_id, i.name FROM orders AS o LEFT JOIN items AS i ON i.item_id = o.item_id"
UNION = "SELECT name FROM items UNION ALL SELECT name FROM customers"
WINDOW = "SELECT order_id, RANK() OVER (PARTITION BY status ORDER BY quantity) AS r FROM orders"


def after(sql: str, *edits: str) -> str:
    for old, new in zip(edits[::2], edits[1::2], strict=True):
        assert old in sql
        sql = sql.replace(old, new, 1)
    return sql


EDITS = {
    "item_at_the_end": (JOIN, after(JOIN, "c.name", "c.name, c.region"), "additive", {"region"}),
    "item_in_front": (JOIN, after(JOIN, "SELECT ", "SELECT o.quantity, "), "additive", {"quantity"}),
    "item_from_the_other_table_in_front": (JOIN, after(JOIN, "SELECT ", "SELECT c.tier, "), "additive", {"tier"}),
    "item_changed": (JOIN, after(JOIN, "c.name", "UPPER(c.name) AS name"), "column", {"name"}),
    "item_removed": (JOIN, after(JOIN, ", c.name", ""), "column", {"name"}),
    "item_renamed": (JOIN, after(JOIN, "c.name", "c.name AS who"), "column", {"name", "who"}),
    "items_swapped": (JOIN, after(JOIN, "o.order_id, c.name", "c.name, o.order_id"), "column", set()),
    "predicate": (JOIN, after(JOIN, "o.paid", "NOT o.paid"), "row", {"order_id", "name"}),
    "join_kind": (JOIN, after(JOIN, "JOIN", "LEFT JOIN"), "row", {"order_id", "name"}),
    "join_added": (JOIN, after(JOIN, "WHERE", "CROSS JOIN events AS e WHERE"), "row", {"order_id", "name"}),
    "through_a_limited_cte": (CTE, after(CTE, "a.order_id FROM", "a.order_id, a.q FROM"), "additive", {"q"}),
    "inside_a_limited_cte": (after(CTE, "a.order_id FROM", "a.order_id, a.q FROM"), after(CTE, "a.order_id FROM", "a.order_id, a.q FROM", "* 2", "* 3"), "column", {"q"}),
    "order_of_a_limited_cte": (CTE, after(CTE, "LIMIT 9", "LIMIT 8"), "row", {"order_id"}),
    "aggregate_added": (GROUPED, after(GROUPED, "COUNT(*) AS n", "COUNT(*) AS n, MAX(paid) AS any_paid"), "additive", {"any_paid"}),
    "aggregate_changed": (GROUPED, after(GROUPED, "SUM(quantity)", "SUM(quantity + 1)"), "column", {"total"}),
    "group_key_added": (GROUPED, after(GROUPED, "GROUP BY status", "GROUP BY status, paid"), "row", {"status", "total", "n"}),
    "key_of_all_changed": (ALL, after(ALL, "quantity + 1", "quantity % 2"), "row", {"status", "more", "total"}),
    "key_of_all_added": (ALL, after(ALL, "status,", "status, paid,"), "row", {"status", "paid", "more", "total"}),
    "aggregate_beside_keys_of_all": (ALL, after(ALL, "SUM", "MAX"), "column", {"total"}),
    "aggregate_added_to_keys_of_all": (ALL, after(ALL, "status,", "status, COUNT(*) AS n,"), "additive", {"n"}),
    "group_key_shown": (after(GROUPED, "status, SUM", "SUM"), GROUPED, "additive", {"status"}),
    "first_aggregate": ("SELECT 1 AS one FROM orders", "SELECT 1 AS one, COUNT(*) AS n FROM orders", "row", {"one", "n"}),
    "filtered_window_then_aggregate": (
        "SELECT SUM(1) FILTER (WHERE TRUE) OVER () AS a FROM orders",
        "SELECT SUM(1) FILTER (WHERE TRUE) OVER () AS a, COUNT(*) AS n FROM orders",
        "row",
        {"a", "n"},
    ),
    "self_join": (SELF, after(SELF, "b.name AS y", "b.name AS y, b.dept"), "additive", {"dept"}),
    "self_join_sides": (SELF, after(SELF, "b.name AS y", "a.name AS y"), "column", {"y"}),
    "left_join": (LEFT, after(LEFT, "i.name", "i.name, i.in_stock"), "additive", {"in_stock"}),
    "distinct": ("SELECT DISTINCT status FROM orders", "SELECT DISTINCT status, paid FROM orders", "row", {"status", "paid"}),
    "union": (UNION, after(UNION, "name FROM items", "name, item_id FROM items", "name FROM customers", "name, customer_id FROM customers"), "row", {"name", "item_id"}),
    "window_added": (WINDOW, after(WINDOW, "AS r", "AS r, COUNT(*) OVER () AS n"), "additive", {"n"}),
    "window_changed": (WINDOW, after(WINDOW, "status", "paid"), "column", {"r"}),
    "top_order": (JOIN, f"{JOIN} ORDER BY o.order_id", "row", {"order_id", "name"}),
    "exploded_item": ("SELECT order_id FROM orders", "SELECT order_id, UNNEST([1, 2]) AS u FROM orders", "row", {"order_id", "u"}),
    "scalar_subquery": ("SELECT order_id FROM orders", "SELECT order_id, (SELECT MAX(tier) FROM customers) AS t FROM orders", "additive", {"t"}),
    "cte_read_by_a_lateral_table_alone": (
        "WITH c AS (SELECT item_id, name FROM items WHERE in_stock ORDER BY item_id LIMIT 3) SELECT a.order_id FROM orders AS a CROSS JOIN LATERAL (SELECT c.name FROM c WHERE c.item_id = a.item_id) AS l",
        "WITH c AS (SELECT item_id, name FROM items WHERE in_stock ORDER BY item_id LIMIT 4) SELECT a.order_id FROM orders AS a CROSS JOIN LATERAL (SELECT c.name FROM c WHERE c.item_id = a.item_id) AS l",
        "row",
        {"order_id"},
    ),
    "cte_read_by_a_recursive_cte": (
        "WITH RECURSIVE s AS (SELECT item_id AS k FROM items WHERE in_stock), r AS (SELECT s.k FROM s UNION ALL SELECT r.k + 1 FROM r WHERE r.k < 5) SELECT r.k FROM r",
        "WITH RECURSIVE s AS (SELECT item_id AS k FROM items WHERE NOT in_stock), r AS (SELECT s.k FROM s UNION ALL SELECT r.k + 1 FROM r WHERE r.k < 5) SELECT r.k FROM r",
        "row",
        {"k"},
    ),
    "recursive_cte": (
        "WITH RECURSIVE r AS (SELECT 1 AS k UNION ALL SELECT r.k + 1 FROM r WHERE r.k < 5) SELECT r.k FROM r",
        "WITH RECURSIVE r AS (SELECT 1 AS k UNION ALL SELECT r.k + 1 FROM r WHERE r.k < 6) SELECT r.k FROM r",
        "row",
        {"k"},
    ),
    "columns_of_a_recursive_cte": (
        "WITH RECURSIVE r(a, b) AS (SELECT 1, 2 UNION ALL SELECT r.a + 1, r.b FROM r WHERE r.a < 5) SELECT r.a AS x FROM r",
        "WITH RECURSIVE r(b, a) AS (SELECT 1, 2 UNION ALL SELECT r.b + 1, r.a FROM r WHERE r.b < 5) SELECT r.a AS x FROM r",
        "column",
        {"x"},
    ),
    "lateral": (
        "SELECT a.order_id FROM orders AS a CROSS JOIN orders AS b CROSS JOIN LATERAL (SELECT i.name FROM items AS i WHERE i.item_id = a.item_id) AS l",
        "SELECT a.order_id FROM orders AS a CROSS JOIN orders AS b CROSS JOIN LATERAL (SELECT i.name FROM items AS i WHERE i.item_id = b.item_id) AS l",
        "row",
        {"order_id"},
    ),
}  # fmt: skip


@cache
def compiled(sql: str) -> Compiled:
    return TestCompiler(TABLES).compile(sql, Options())


@pytest.mark.parametrize("name", EDITS)
def test_the_class_of_an_edit(name: str) -> None:
    before, now, reaches, columns = EDITS[name]
    edit = edit_between(compiled(before), compiled(now))
    assert (edit.reaches, edit.columns) == (reaches, columns)
    assert (edit.proved, script_between(compiled(before), compiled(now)).reaches) == (reaches, reaches), "both say so"


def test_an_unknown_last_state_reaches_everything() -> None:
    edit = classify(None, compiled(JOIN).shape, None)
    assert (edit.reaches, edit.columns) == ("row", {"order_id", "name"})


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> list[StoredDatabase]:
    folder = tmp_path_factory.mktemp("databases")
    return [
        StoredDatabase(random_database(seed, size), folder / str(seed)) for seed, size in ((1, 20), (2, 6), (3, 40))
    ]


def unchanged_columns(before: Compiled, now: Compiled) -> list[str]:
    """What both versions show and a reader is told to be the same."""
    if before.shape.rows != now.shape.rows or before.shape.open_rows or now.shape.open_rows:
        return []
    edit = edit_between(before, now)
    kept = (name for name in before.shape.columns if name in now.shape.columns)
    return [name for name in kept if name not in edit.columns | before.shape.open | now.shape.open]


def check_unchanged(first: str, second: str, databases: list[StoredDatabase]) -> int:
    """Assert that unchanged columns hold the same rows of values; return how many were compared."""
    columns = unchanged_columns(compiled(first), compiled(second))
    if not columns:
        return 0
    for database in databases:
        try:
            before, now = database.executed(compiled(first)), database.executed(compiled(second))
        except Exception:  # noqa: BLE001, S112 — the engine raises plain Exception where a query divides by zero
            continue
        tables: list[pa.Table] = [table.select(columns) for table in (before, now)]
        assert same_table(*tables, ordered=False), (columns, first, second)
    return len(columns)


@pytest.mark.parametrize("name", EDITS)
def test_unchanged_columns_of_edits_are_unchanged(name: str, databases: list[StoredDatabase]) -> None:
    first, second, reaches, columns = EDITS[name]
    compared = check_unchanged(first, second, databases)
    shape = compiled(first).shape
    stays = set(shape.columns) - columns - shape.open
    assert compared == (0 if reaches == "row" or shape.open_rows else len(stays))


@pytest.mark.parametrize("pair", load_pairs("unequal")[::2], ids=lambda pair: f"{pair.theme}-{pair.name}")
def test_unchanged_columns_of_unequal_pairs_are_unchanged(pair: Pair, databases: list[StoredDatabase]) -> None:
    try:
        check_unchanged(pair.first, pair.second, databases[:1])
    except SqlError:
        pytest.skip("the dialect refuses one side")
