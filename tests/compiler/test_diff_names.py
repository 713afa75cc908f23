"""Sentences about edits name what the author wrote: never a table or column of the canonical form's own."""

from __future__ import annotations

import re

import pytest

from compiler.canonical.form import named_tree
from compiler.diff.describe import describe
from compiler.errors import SqlError
from support.compiling import TestCompiler
from support.databases import TABLES
from support.pairs import Pair, load_pairs

INTERNAL = re.compile(r"\b_[a-z]+\d+\b|__\w+")
COMPILER = TestCompiler(TABLES)


def sentences(before: str, after: str) -> tuple[str, ...]:
    trees = [named_tree(one.canonical, one.inputs) for one in map(COMPILER.compile, (before, after))]
    return describe(trees[0], trees[1])


UNION = "SELECT u.v FROM (SELECT quantity AS v FROM orders UNION ALL SELECT order_id AS v FROM orders WHERE FALSE) AS u"
EXCEPT = (
    "SELECT u.c FROM (SELECT customer_id AS c FROM orders EXCEPT SELECT customer_id FROM customers) AS u WHERE u.c > 2"
)
LATERAL = (
    "SELECT o.order_id, l.name FROM orders AS o CROSS JOIN LATERAL "
    "(SELECT c.name FROM customers AS c WHERE c.customer_id = o.customer_id) AS l"
)
SERIES = "SELECT COUNT(*) AS n FROM orders AS o CROSS JOIN generate_series(1, 3) AS g(k)"
NAMES = "SELECT name AS who FROM customers UNION ALL SELECT name FROM employees"
CTE = "WITH u AS (SELECT uuid() AS v FROM customers) SELECT u.v = u.v AS same FROM u"
EDITS = {
    "column of a UNION": (UNION, "SELECT quantity AS v FROM orders", "column v: "),
    "predicate on EXCEPT": (EXCEPT, "SELECT order_id AS c FROM orders", "WHERE: orders.customer_id > 2 removed"),
    "column of a LATERAL": (
        LATERAL,
        LATERAL.replace("l.name", "UPPER(l.name) AS name"),
        "column name: customers.name → upper(customers.name)",
    ),
    "table function": (SERIES, "SELECT COUNT(*) AS n FROM orders AS o", "join generate_series 1: removed"),
    "branches": (NAMES, "SELECT name AS w FROM employees UNION ALL SELECT name FROM customers", "in the branch of"),
    "column of a CTE": (CTE, "SELECT uuid() = uuid() AS same FROM customers", "join subquery 1: removed"),
}  # fmt: skip


@pytest.mark.parametrize("case", EDITS)
def test_an_edit_is_told_in_names_that_somebody_wrote(case: str) -> None:
    before, after, expected = EDITS[case]
    told = sentences(before, after)
    assert any(one.startswith(expected) for one in told), told
    assert not INTERNAL.search(" ".join((*told, *sentences(after, before))))


@pytest.mark.parametrize("pair", load_pairs("unequal")[::12], ids=lambda pair: f"{pair.theme}-{pair.name}")
def test_edits_of_pairs(pair: Pair) -> None:
    try:
        told = sentences(pair.first, pair.second)
    except SqlError:
        pytest.skip("the dialect refuses one side")
    written = set(INTERNAL.findall(f"{pair.first} {pair.second}"))
    assert not set(INTERNAL.findall(" ".join(told))) - written
