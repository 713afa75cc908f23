"""Rules that mean the same share a canonical form where the compiler knows it; rules that differ never do."""

# ruff: noqa: E501, ISC004 — queries stand in pairs

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
from sqlglot import exp

from compiler.compiled import Compiled
from compiler.errors import SqlError
from compiler.sql.encode import decode
from support.compiling import TestCompiler
from support.databases import TABLES
from support.pairs import Pair, load_pairs

EQUAL, UNEQUAL = load_pairs("equal"), load_pairs("unequal")
MISSES: dict[str, str] = json.loads(Path(__file__).with_name("known_misses.json").read_text())
"""Equal pairs, "theme/name", that do not have one fingerprint yet, and why: each is a needless run. Take from it."""
REFUSED = {"string_normal_form"}
"""Unequal pairs whose second side is syntax that the dialect refuses."""


@cache
def compiled(sql: str) -> Compiled:
    return TestCompiler(TABLES).compile(sql)


def identity(sql: str) -> tuple[object, ...]:
    """What decides whether two rules share an action: nothing else of a rule is in its action key."""
    result = compiled(sql)
    return result.fingerprint, result.inputs, result.reads


@pytest.mark.parametrize("pair", UNEQUAL, ids=lambda pair: f"{pair.theme}-{pair.name}")
def test_unequal_pair_is_told_apart(pair: Pair) -> None:
    if pair.name in REFUSED:
        with pytest.raises(SqlError):
            identity(pair.second)
        return
    assert identity(pair.first) != identity(pair.second), pair.why


@pytest.mark.parametrize(
    "pair",
    [pair for pair in EQUAL if f"{pair.theme}/{pair.name}" not in MISSES],
    ids=lambda pair: f"{pair.theme}-{pair.name}",
)
def test_equal_pair_unifies(pair: Pair) -> None:
    first, second = compiled(pair.first), compiled(pair.second)
    assert identity(pair.first) == identity(pair.second)
    assert first.canonical == second.canonical
    assert first.schema == second.schema
    assert first.shape == second.shape


def test_at_most_one_in_twenty_is_missed() -> None:
    assert set(MISSES) <= {f"{pair.theme}/{pair.name}" for pair in EQUAL}
    assert all(MISSES.values()), "each says why"
    assert len(MISSES) <= len(EQUAL) / 20


# Look-alikes that one canonical form once stood for, or could: what differs is a name in the wrong place.
APART = {
    "recursive_cte_columns": (
        "WITH RECURSIVE r(a, b) AS (SELECT order_id, quantity FROM orders UNION ALL SELECT 1, 2 FROM r WHERE FALSE) "
        "SELECT a AS v FROM r",
        "WITH RECURSIVE r(a, b) AS (SELECT order_id, quantity FROM orders UNION ALL SELECT 1, 2 FROM r WHERE FALSE) "
        "SELECT b AS v FROM r",
    ),
    "cte_reference_columns": (
        "WITH c AS (SELECT item_id, quantity FROM orders) SELECT q.a AS v FROM c AS q(a, b)",
        "WITH c AS (SELECT item_id, quantity FROM orders) SELECT q.b AS v FROM c AS q(a, b)",
    ),
    "comma_and_cross_join_before_a_right_join": (
        "SELECT e.name AS a, i.item_id AS c FROM employees AS e, orders AS o RIGHT JOIN items AS i ON o.paid = i.in_stock",
        "SELECT e.name AS a, i.item_id AS c FROM employees AS e CROSS JOIN orders AS o "
        "RIGHT JOIN items AS i ON o.paid = i.in_stock",
    ),
    "correlated_column_named_like_a_cte": (
        "WITH o AS (SELECT status FROM orders), u AS (SELECT status FROM o UNION ALL SELECT status FROM o) "
        "SELECT o.status, o.item_id, o.quantity FROM orders AS o WHERE EXISTS "
        "(SELECT 1 FROM u WHERE o.item_id = 1)",
        "WITH o AS (SELECT status FROM orders), u AS (SELECT status FROM o UNION ALL SELECT status FROM o) "
        "SELECT o.status, o.item_id, o.quantity FROM orders AS o WHERE EXISTS "
        "(SELECT 1 FROM u WHERE o.quantity = 1)",
    ),
    "union_and_union_all": (
        "SELECT status FROM orders UNION SELECT status FROM orders",
        "SELECT status FROM orders UNION ALL SELECT status FROM orders",
    ),
    "true_and_false": ("SELECT TRUE AS v FROM orders", "SELECT FALSE AS v FROM orders"),
    "number_and_text": ("SELECT 1 AS v FROM orders", "SELECT '1' AS v FROM orders"),
    "quoted_case": ("SELECT name AS v FROM items", 'SELECT "Name" AS v FROM items'),
    "case_sensitive_comment": (
        "SELECT Name /* sqlglot.meta case_sensitive */ AS v FROM items",
        "SELECT Name /* case_sensitive */ AS v FROM items",
    ),
    "literal_case": ("SELECT 'a' AS v FROM orders", "SELECT 'A' AS v FROM orders"),
    "field_case": (
        "SELECT named_struct('a', 1)['a'] AS v FROM orders",
        "SELECT named_struct('A', 1)['A'] AS v FROM orders",
    ),
    "self_join_sides": (
        "SELECT a.name FROM employees AS a JOIN employees AS b ON a.employee_id = b.manager_id WHERE a.salary > 1",
        "SELECT a.name FROM employees AS a JOIN employees AS b ON a.employee_id = b.manager_id WHERE b.salary > 1",
    ),
    "two_inputs_swapped_in_a_predicate": (
        "SELECT 1 AS v FROM items AS a JOIN customers AS b ON a.name = b.name WHERE a.name > 'b' AND b.name < 'd'",
        "SELECT 1 AS v FROM items AS a JOIN customers AS b ON a.name = b.name WHERE b.name > 'b' AND a.name < 'd'",
    ),
}


@pytest.mark.parametrize("name", APART)
def test_look_alikes_are_told_apart(name: str) -> None:
    first, second = APART[name]
    assert identity(first) != identity(second)


ONE = {
    "case_sensitive_comment": (
        "SELECT Name /* sqlglot.meta case_sensitive */ AS v FROM items",
        'SELECT "Name" AS v FROM items',
    ),
    "table_alias": ("SELECT o.status FROM orders AS o", "SELECT _t1.status FROM orders AS _t1"),
    "internal_looking_names": (
        "WITH _t0 AS (SELECT status AS _c0 FROM orders) SELECT _t0._c0 AS s FROM _t0",
        "WITH q AS (SELECT status AS x FROM orders) SELECT y.x AS s FROM q AS y",
    ),
    "column_list_or_aliases": (
        "SELECT q.a AS v FROM (SELECT status, item_id FROM orders) AS q(a, b)",
        "SELECT q.a AS v FROM (SELECT status AS a, item_id AS b FROM orders) AS q",
    ),
    "field_spelling": (
        "SELECT q.s.a AS v FROM (SELECT named_struct('a', quantity) AS s FROM orders) AS q",
        "SELECT q.s['a'] AS v FROM (SELECT named_struct('a', quantity) AS s FROM orders) AS q",
    ),
    "comma_and_cross_join": (
        "SELECT o.status FROM orders AS o, items AS i LEFT JOIN events AS e ON e.step = i.item_id",
        "SELECT o.status FROM orders AS o CROSS JOIN items AS i LEFT JOIN events AS e ON e.step = i.item_id",
    ),
    "nested_connectors": (
        "SELECT status FROM orders WHERE (paid AND (quantity > 2 OR item_id = 1)) OR (status = 'open' AND (paid OR amount > 1))",
        "SELECT status FROM orders WHERE ((amount > 1 OR paid) AND status = 'open') OR ((1 = item_id OR 2 < quantity) AND paid)",
    ),
    "not_three_times": (
        "SELECT status FROM orders WHERE NOT NOT NOT quantity > item_id",
        "SELECT status FROM orders WHERE NOT quantity > item_id",
    ),
    "shadowing_ctes": (
        "WITH o AS (SELECT status FROM orders), p AS (WITH o AS (SELECT name FROM customers) SELECT o.name FROM o) "
        "SELECT o.status, p.name FROM o CROSS JOIN p",
        "SELECT o.status, p.name FROM (SELECT status FROM orders) AS o CROSS JOIN "
        "(SELECT x.name FROM (SELECT name FROM customers) AS x) AS p",
    ),
}


@pytest.mark.parametrize("name", ONE)
def test_spellings_are_one(name: str) -> None:
    first, second = ONE[name]
    assert identity(first) == identity(second)


def test_a_constant_that_its_column_cannot_hold_takes_no_place() -> None:
    outputs = (
        decode(compiled(f"SELECT quantity AS v FROM orders WHERE quantity = {number}").canonical).expressions[0].this
        for number in ("2147483647", "2147483648")
    )
    assert [type(output) for output in outputs] == [exp.Cast, exp.Column]


def test_an_input_may_be_renamed() -> None:
    sql = "SELECT o.status, c.name FROM {} AS o JOIN customers AS c ON c.customer_id = o.customer_id"
    other = TestCompiler({"purchases": TABLES["orders"], "customers": TABLES["customers"]}).compile(
        sql.format("purchases")
    )
    first = compiled(sql.format("orders"))
    assert (other.fingerprint, other.reads) == (first.fingerprint, first.reads)
    assert other.inputs == ("purchases", "customers")


def test_an_input_used_twice_has_one_position() -> None:
    result = compiled(
        "SELECT a.name, c.region FROM customers AS c, employees AS a JOIN employees AS b ON a.name = b.dept"
    )
    assert dict(zip(result.inputs, result.reads, strict=True)) == {
        "customers": ("region",),
        "employees": ("dept", "name"),
    }


def test_columns_and_inputs_that_look_internal_stay_apart() -> None:
    tables = {
        "_t0": pa.schema({"_c0": pa.int64(), "_c1": pa.int64(), "_t1": pa.int64()}),
        "_t1": pa.schema({"_c0": pa.int64(), "_t0": pa.int64()}),
        "0": pa.schema({"_c0": pa.int64(), "_c1": pa.int64()}),
    }
    compiler = TestCompiler(tables)
    texts = [
        "SELECT a._c0 AS v FROM _t0 AS a JOIN _t1 AS b ON a._c1 = b._c0",
        "SELECT a._c1 AS v FROM _t0 AS a JOIN _t1 AS b ON a._c0 = b._c0",
        "SELECT b._c0 AS v FROM _t0 AS a JOIN _t1 AS b ON a._c1 = b._c0",
        "SELECT b._t0 AS v FROM _t0 AS a JOIN _t1 AS b ON a._c1 = b._c0",
        "SELECT _t1._t0 AS v FROM _t0 JOIN _t1 ON _t0._t1 = _t1._c0",
        "SELECT _t0._t1 AS v FROM _t0 JOIN _t1 ON _t0._t1 = _t1._c0",
        'SELECT a._c0 AS v FROM "0" AS a JOIN _t1 AS b ON a._c1 = b._c0',
    ]
    seen = [(result.fingerprint, result.inputs) for result in map(compiler.compile, texts)]
    assert len(set(seen)) == len(texts)
