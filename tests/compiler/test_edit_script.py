"""Where `sqlglot.diff` says that a rule was edited, and how that and the digests make a class."""

# ruff: noqa: E501 — queries stand on one line

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from sqlglot import exp

from compiler.canonical.form import named_tree
from compiler.compiled import Compiled
from compiler.diff.edit_script import EditScript, edit_script
from compiler.diff.substitution import substituted
from graph.impact import classify
from support.compiling import TestCompiler, edit_between, script_between
from support.databases import TABLES

JOIN = "SELECT o.order_id, c.name FROM orders AS o JOIN customers AS c ON c.customer_id = o.customer_id WHERE o.paid"
CTE = "WITH a AS (SELECT o.status, COUNT(*) AS n, SUM(o.quantity) AS q FROM orders AS o WHERE o.paid GROUP BY o.status) SELECT a.status, a.n, a.q FROM a WHERE a.n > 1"
TOP = "SELECT q.name FROM (SELECT i.name, i.item_id FROM items AS i ORDER BY i.item_id LIMIT 3) AS q"
LONG = " ".join(f"WHEN o.quantity = {number} AND o.paid THEN {number} " for number in range(150))
OR = " OR ".join(f"o.quantity + {number} <> o.item_id" for number in range(200))
LIST = ", ".join(str(3 * number) for number in range(500))
SCALAR = "SELECT o.order_id, (SELECT MAX(c.tier) FROM customers AS c WHERE c.region = 'x') AS t FROM orders AS o"

PLACES: dict[str, tuple[str, str, str, str]] = {
    "predicate": (JOIN, "o.paid", "NOT o.paid", "WHERE"),
    "output": (JOIN, "c.name", "UPPER(c.name) AS name", "SELECT ~name"),
    "output_added": (JOIN, "c.name", "c.name, c.tier", "SELECT +tier"),
    "output_added_that_is_like_a_predicate": (JOIN, "c.name", "c.name, o.paid", "SELECT +paid"),
    "output_added_and_predicate": (JOIN, "c.name FROM", "c.name, o.paid FROM", "SELECT +paid"),
    "output_renamed": (JOIN, "c.name", "c.name AS who", "SELECT +who -name"),
    "outputs_swapped": (JOIN, "o.order_id, c.name", "c.name, o.order_id", "SELECT"),
    "names_swapped": (JOIN, "o.order_id, c.name", "c.name AS order_id, o.order_id AS name", "SELECT ~name ~order_id"),
    "join": (JOIN, " JOIN customers", " LEFT JOIN customers", "FROM WHERE"),
    "grouping_in_a_cte": (CTE, "GROUP BY o.status", "GROUP BY o.status, o.item_id", "GROUP BY"),
    "predicate_in_a_cte": (CTE, "WHERE o.paid", "WHERE NOT o.paid", "WHERE"),
    "output_of_a_cte": (CTE, "SUM(o.quantity)", "MIN(o.quantity)", "SELECT ~q"),
    "output_of_a_cte_that_filters": (CTE, "COUNT(*)", "COUNT(o.quantity)", "SELECT HAVING ~n"),
    "limit_of_a_derived_table": (TOP, "LIMIT 3", "LIMIT 4", "LIMIT"),
    "order_of_a_derived_table": (TOP, "ORDER BY i.item_id", "ORDER BY i.item_id DESC", "ORDER BY"),
    "output_that_a_derived_table_is_ordered_by": (TOP, "ORDER BY i.item_id", "ORDER BY i.name", "ORDER BY"),
    "predicate_of_a_scalar_subquery": (SCALAR, "'x'", "'y'", "WHERE ~t"),
    "distinct": (JOIN, "SELECT", "SELECT DISTINCT", "DISTINCT"),
    "set_operation": ("SELECT i.name FROM items AS i UNION SELECT c.name FROM customers AS c", "UNION", "EXCEPT", "SET OPERATION"),
    "branch": ("SELECT i.name FROM items AS i UNION SELECT c.name FROM customers AS c", "c.name", "c.region", "SELECT"),
    "limit": (f"{JOIN} LIMIT 3", "3", "4", "LIMIT"),
    "direction": (f"{JOIN} ORDER BY o.order_id NULLS LAST", "order_id NULLS LAST", "order_id DESC NULLS LAST", "ORDER BY"),
    "nulls": (f"{JOIN} ORDER BY o.order_id NULLS LAST", "LAST", "FIRST", "ORDER BY"),
    "branch_of_a_long_case": (f"SELECT CASE {LONG} END AS c FROM orders AS o", "THEN 7 ", "THEN 8 ", "SELECT ~c"),
    "term_of_a_long_or": (f"SELECT o.order_id FROM orders AS o WHERE {OR}", "+ 7 ", "+ 700 ", "WHERE"),
    "value_of_a_long_list": (f"SELECT o.order_id FROM orders AS o WHERE o.quantity IN ({LIST})", " 21,", " 22,", "WHERE"),
    "field": ("SELECT struct(o.paid AS a, o.quantity AS b)['a'] AS f FROM orders AS o", "['a']", "['b']", "SELECT ~f"),
}  # fmt: skip


@cache
def compiled(sql: str) -> Compiled:
    return TestCompiler(TABLES).compile(sql)


def tree(sql: str) -> exp.Query:
    return named_tree(compiled(sql).canonical, compiled(sql).inputs)


def places(script: EditScript) -> str:
    marks = (("+", script.added), ("~", script.changed), ("-", script.removed))
    return " ".join([*script.clauses, *(f"{mark}{name}" for mark, names in marks for name in sorted(names))])


@pytest.mark.parametrize("name", PLACES)
def test_where_a_rule_was_edited(name: str) -> None:
    sql, old, new, told = PLACES[name]
    edited = sql.replace(old, new, 1)
    assert edited != sql
    assert places(script_between(compiled(sql), compiled(edited))) == told
    back = script_between(compiled(edited), compiled(sql))
    assert back.clauses == script_between(compiled(sql), compiled(edited)).clauses, "the way back is the same way"


def test_a_key_of_group_by_all_decides_about_rows() -> None:
    before = "SELECT o.status, o.quantity + 1 AS more, SUM(o.quantity) AS total FROM orders AS o GROUP BY ALL"
    for old, new in (("+ 1", "+ 2"), ("o.status,", "o.status, o.paid AND TRUE AS p,")):
        assert script_between(compiled(before), compiled(before.replace(old, new))).reaches == "row"
    assert script_between(compiled(before), compiled(before.replace("SUM", "MAX"))).reaches == "column"


def test_a_term_that_moves_to_another_clause_touches_both() -> None:
    before = "SELECT o.order_id, o.paid AND o.quantity > 2 AS p FROM orders AS o WHERE o.quantity > 1"
    after = "SELECT o.order_id, o.paid AND o.quantity > 1 AS p FROM orders AS o WHERE o.quantity > 2"
    assert places(script_between(compiled(before), compiled(after))) == "SELECT WHERE ~p"


def test_the_wider_of_both_holds() -> None:
    before, after = compiled(JOIN), compiled(JOIN.replace("c.name", "c.name, c.tier"))
    script = script_between(before, after)
    assert classify(before.shape, after.shape, script).reaches == script.reaches == "additive"
    other = replace(script, changed=frozenset({"order_id"}))
    wider = classify(before.shape, after.shape, other)
    assert (wider.reaches, wider.columns, wider.proved) == ("column", {"tier", "order_id"}, "additive")
    rows = classify(before.shape, after.shape, replace(script, rows=True))
    assert (rows.reaches, rows.columns) == ("row", {"order_id", "name", "tier"})
    digests = replace(after.shape, columns={**after.shape.columns, "name": "another"})
    proved = classify(before.shape, digests, script)
    assert (proved.reaches, proved.columns, proved.proved) == ("column", {"tier", "name"}, "column")
    assert classify(before.shape, replace(after.shape, rows="others"), script).reaches == "row"
    assert classify(before.shape, after.shape, script, ("tier",)).reaches == "row", "an option does who knows what"


@pytest.mark.slow
def test_what_is_too_large_is_not_known() -> None:
    """Where the script would be too dear, the wider class holds, whatever the digests prove."""
    old = ", ".join(f"NULLIF(o.quantity, {number})" for number in range(120))
    new = ", ".join(f"ABS(o.item_id - {number})" for number in range(121))
    sql = "SELECT COALESCE({}) AS c, o.paid FROM orders AS o"
    before, after = compiled(sql.format(old)), compiled(sql.format(new))
    edit = edit_between(before, after)
    assert edit.script is not None
    assert (edit.script.known, edit.proved, edit.reaches) == (False, "column", "row")
    assert edit.columns == {"c", "paid"}
    script = edit_script(tree(sql.format(old)), tree(sql.format(new)), most_pairs=1_000_000)
    assert (places(script), script.reaches) == ("SELECT ~c", "column")


def test_an_empty_script_is_not_known() -> None:
    script = edit_script(tree(JOIN), tree(JOIN))
    assert (script.known, script.reaches) == (False, "row"), "that two rules are the same is not for it to say"
    assert classify(compiled(JOIN).shape, compiled(JOIN).shape, script).reaches == "row"


@pytest.mark.slow
def test_cost_follows_the_edit_and_not_the_rule() -> None:
    """One of 300 outputs, and one of 100 terms, are found where whole trees would be far beyond the cap."""
    outputs = ", ".join(f"o.quantity + {number} AS c{number}" for number in range(300))
    terms = " AND ".join(f"o.quantity + {number} <> o.item_id" for number in range(100))
    sql = f"SELECT {outputs} FROM orders AS o WHERE {terms}"
    column = script_between(compiled(sql), compiled(sql.replace("+ 7 AS", "* 7 AS")))
    assert places(column) == "SELECT ~c7"
    rows = script_between(compiled(sql), compiled(sql.replace("+ 7 <>", "+ 700 <>")))
    assert (places(rows), rows.reaches) == ("WHERE", "row")


def test_an_edit_of_every_output_is_still_known() -> None:
    outputs = [f"o.quantity + {number} AS c{number}" for number in range(60)]
    before = f"SELECT {', '.join(outputs)} FROM orders AS o"
    after = (
        f"SELECT {', '.join(one.replace('o.quantity', 'COALESCE(o.quantity, 0)') for one in outputs)} FROM orders AS o"
    )
    edit = edit_between(compiled(before), compiled(after))
    assert (edit.reaches, len(edit.columns)) == ("column", 60)


SUBSTITUTED = {
    "one": ("SELECT a.name FROM items AS a", "SELECT a.name FROM customers AS a", {0: "customers"}),
    "one_and_a_predicate": ("SELECT a.name FROM items AS a WHERE a.name > 'a'", "SELECT a.name FROM customers AS a WHERE a.name > 'b'", {0: "customers"}),
    "swapped": ("SELECT a.name FROM items AS a LEFT JOIN customers AS b ON a.name = b.name", "SELECT a.name FROM customers AS a LEFT JOIN items AS b ON a.name = b.name", {0: "customers", 1: "items"}),
    "one_of_a_self_join": ("SELECT a.name FROM items AS a LEFT JOIN items AS b ON a.name = b.name", "SELECT a.name FROM items AS a LEFT JOIN customers AS b ON a.name = b.name", {1: "customers"}),
    "one_of_a_self_join_and_a_predicate": ("SELECT a.name FROM items AS a LEFT JOIN items AS b ON a.name = b.name WHERE a.in_stock", "SELECT a.name FROM items AS a LEFT JOIN customers AS b ON a.name = b.name WHERE NOT a.in_stock", {1: "customers"}),
    "read_of_otherwise": ("SELECT a.name FROM items AS a", "SELECT a.order_id FROM orders AS a", {}),
    "no_other": ("SELECT a.name FROM items AS a", "SELECT a.name FROM items AS a WHERE a.in_stock", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", SUBSTITUTED)
def test_which_inputs_became_which(name: str) -> None:
    before, after, became = SUBSTITUTED[name]
    assert substituted(tree(before), tree(after)) == became


DISAGREEMENTS = {
    "digests_are_wider": ("SELECT DISTINCT o.status, o.paid FROM orders AS o", "SELECT DISTINCT o.paid, o.status FROM orders AS o", "column", "row"),
    "script_is_wider": ("SELECT 1 AS k, SUM(o.quantity) AS n FROM orders AS o GROUP BY 'x' LIMIT 3", "SELECT 1 AS k, SUM(o.quantity) AS m FROM orders AS o GROUP BY 'x' LIMIT 3", "row", "column"),
}  # fmt: skip


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_where_they_disagree_the_wider_holds(name: str) -> None:
    before, after, claimed, proved = DISAGREEMENTS[name]
    edit = edit_between(compiled(before), compiled(after))
    assert edit.script is not None
    assert (edit.script.reaches, edit.proved, edit.reaches) == (claimed, proved, "row")
