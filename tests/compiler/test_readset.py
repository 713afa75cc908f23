"""The read set of a rule is what its result can depend on: worked out by hand for each construct."""

# ruff: noqa: E501, ISC004 — one case a line reads as a table

from __future__ import annotations

import pyarrow as pa
import pytest

from support.compiling import TestCompiler

STRUCT = pa.struct({"a": pa.int32(), "b": pa.string()})
TABLES = {
    "t": pa.schema({"id": pa.int64(), "k": pa.string(), "x": pa.int64(), "y": pa.int64(), "z": pa.int64()}),
    "u": pa.schema({"id": pa.int64(), "k": pa.string(), "v": pa.int64(), "w": pa.int64()}),
    "n": pa.schema({"id": pa.int64(), "s": STRUCT, "l": pa.list_(pa.int64())}),
}
T, U = "id k x y z", "id k v w"

# name → (query, columns read of t, of u, of n); None: the input is not read at all.
CASES: dict[str, tuple[str, str | None, str | None, str | None]] = {
    "column": ("SELECT x FROM t", "x", None, None),
    "star": ("SELECT * FROM t", T, None, None),
    "star_of_one_side": ("SELECT t.* FROM t JOIN u ON t.id = u.id", T, "id", None),
    "star_except": ("SELECT * EXCEPT (y, z) FROM t", "id k x", None, None),
    "star_replace": ("SELECT * REPLACE (y AS x) FROM (SELECT id, x, y FROM t) AS q", "id y", None, None),
    "count_star": ("SELECT COUNT(*) AS n FROM t", "", None, None),
    "constant": ("SELECT 1 AS one FROM t", "", None, None),
    "count_column": ("SELECT COUNT(x) AS n FROM t", "x", None, None),
    "count_star_grouped": ("SELECT COUNT(*) AS n FROM t GROUP BY k", "k", None, None),
    "where": ("SELECT x FROM t WHERE y > 1", "x y", None, None),
    "join_on": ("SELECT t.x FROM t LEFT JOIN u ON t.id = u.id", "id x", "id", None),
    "cross_join": ("SELECT t.x FROM t CROSS JOIN u", "x", "", None),
    "using": ("SELECT t.x, v FROM t JOIN u USING (id)", "id x", "id v", None),
    "using_column": ("SELECT id FROM t FULL JOIN u USING (id)", "id", "id", None),
    "natural": ("SELECT t.x, u.v FROM t NATURAL JOIN u", "id k x", "id k v", None),
    "semi_join": ("SELECT t.x FROM t LEFT SEMI JOIN u ON t.id = u.id AND u.v > 1", "id x", "id v", None),
    "anti_join": ("SELECT t.x FROM t LEFT ANTI JOIN u ON t.id = u.id", "id x", "id", None),
    "anti_join_alias_reused_outside": (
        "SELECT u.v FROM u WHERE EXISTS (SELECT 1 FROM t LEFT ANTI JOIN n AS u ON u.id = t.y WHERE t.x = u.w)",
        "x y", "v w", "id",
    ),
    "semi_join_alias_is_a_column": ("SELECT t.x FROM t LEFT SEMI JOIN u AS k ON t.id = k.v", "id x", "v", None),
    "self_join": ("SELECT a.x FROM t AS a JOIN t AS b ON a.id = b.y", "id x y", None, None),
    "union": ("SELECT x FROM t UNION SELECT v FROM u", "x", "v", None),
    "union_all": ("SELECT x FROM t UNION ALL SELECT v FROM u WHERE w = 1", "x", "v w", None),
    "union_all_pruned": ("SELECT q.a FROM (SELECT x AS a, y AS b FROM t UNION ALL SELECT v, w FROM u) AS q", "x", "v", None),
    "union_not_pruned": ("SELECT q.a FROM (SELECT x AS a, y AS b FROM t UNION SELECT v, w FROM u) AS q", "x y", "v w", None),
    "except_not_pruned": ("SELECT q.a FROM (SELECT x AS a, y AS b FROM t EXCEPT SELECT v, w FROM u) AS q", "x y", "v w", None),
    "intersect_not_pruned": (
        "SELECT q.a FROM (SELECT x AS a, y AS b FROM t INTERSECT SELECT v, w FROM u) AS q", "x y", "v w", None,
    ),
    "union_by_name": ("SELECT x AS a, y AS b FROM t UNION ALL BY NAME SELECT w AS b, v AS a FROM u", "x y", "v w", None),
    "distinct_not_pruned": ("SELECT q.a FROM (SELECT DISTINCT x AS a, y AS b FROM t) AS q", "x y", None, None),
    "derived_table_pruned": ("SELECT q.a FROM (SELECT x AS a, y AS b FROM t) AS q", "x", None, None),
    "column_list": ("SELECT q.b FROM t AS q(a, b, c, d, e)", "k", None, None),
    "window": ("SELECT SUM(x) OVER (PARTITION BY k ORDER BY y) AS s FROM t", "k x y", None, None),
    "named_window": ("SELECT SUM(x) OVER w AS s FROM t WINDOW w AS (PARTITION BY k ORDER BY y)", "k x y", None, None),
    "window_unused": ("SELECT q.x FROM (SELECT x, RANK() OVER (ORDER BY y) AS r FROM t) AS q", "x", None, None),
    "qualify": ("SELECT x FROM t QUALIFY RANK() OVER (PARTITION BY k ORDER BY y) = 1", "k x y", None, None),
    "qualify_alias": ("SELECT x, RANK() OVER (ORDER BY y) AS r FROM t QUALIFY r = 1", "x y", None, None),
    "correlated_in_where": ("SELECT t.x FROM t WHERE t.y > (SELECT MAX(u.v) FROM u WHERE u.id = t.id)", "id x y", "id v", None),
    "correlated_in_select": ("SELECT (SELECT SUM(u.v) FROM u WHERE u.id = t.id) AS s FROM t", "id", "id v", None),
    "exists": ("SELECT t.x FROM t WHERE EXISTS (SELECT * FROM u WHERE u.id = t.id)", "id x", "id", None),
    "not_exists": ("SELECT t.x FROM t WHERE NOT EXISTS (SELECT u.v, u.w FROM u WHERE u.id = t.id)", "id x", "id", None),
    "exists_uncorrelated": ("SELECT t.x FROM t WHERE EXISTS (SELECT u.v FROM u)", "x", "", None),
    "exists_grouped": (
        "SELECT t.x FROM t WHERE EXISTS (SELECT u.k FROM u WHERE u.id = t.id GROUP BY u.k HAVING COUNT(*) > 1)", "id x", "id k", None,
    ),
    "in_subquery": ("SELECT t.x FROM t WHERE t.id IN (SELECT u.id FROM u WHERE u.v = 1)", "id x", "id v", None),
    "not_in_subquery": ("SELECT t.x FROM t WHERE t.id NOT IN (SELECT u.id FROM u)", "id x", "id", None),
    "two_queries_further_in": (
        "SELECT t.x FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id AND EXISTS (SELECT 1 FROM n WHERE n.id = t.y))",
        "id x y", "id", "id",
    ),
    "further_in_by_an_alias_that_is_a_column": (
        "SELECT k.x FROM t AS k WHERE EXISTS (SELECT 1 FROM u WHERE u.id = k.id AND EXISTS (SELECT 1 FROM n WHERE n.id = k.y))",
        "id x y", "id", "id",
    ),
    "correlated_alias_is_a_cte": (
        "WITH o AS (SELECT v FROM u) SELECT o.x, (SELECT COUNT(*) FROM o) AS n FROM t AS o "
        "WHERE EXISTS (SELECT 1 FROM n WHERE n.id = o.y)",
        "x y", "", "id",
    ),
    "lateral": (
        "SELECT t.x, q.m FROM t CROSS JOIN LATERAL (SELECT MAX(u.v) AS m FROM u WHERE u.k = t.k) AS q", "k x", "k v", None,
    ),
    "unnest": ("SELECT q.e FROM (SELECT id, unnest(l) AS e FROM n) AS q", None, None, "l"),
    "unnest_unread": ("SELECT q.id FROM (SELECT id, unnest(l) AS e FROM n) AS q", None, None, "id l"),
    "struct_field": ("SELECT n.s.a AS a FROM n", None, None, "s"),
    "struct_subscript": ("SELECT s['b'] AS b FROM n", None, None, "s"),
    "struct_passed_on": ("SELECT q.p.a AS a FROM (SELECT s AS p, l FROM n) AS q", None, None, "s"),
    "import_cte": ("WITH t AS (SELECT * FROM t) SELECT x FROM t WHERE y = 1", "x y", None, None),
    "import_cte_renamed": ("WITH src AS (SELECT * FROM t) SELECT src.x FROM src", "x", None, None),
    "nested_cte_shadows": (
        "WITH c AS (SELECT v AS a, w FROM u) SELECT q.a FROM (WITH c AS (SELECT x AS a, y FROM t) SELECT a FROM c) AS q",
        "x", None, None,
    ),
    "cte_used_twice": ("WITH c AS (SELECT id, x, y, z FROM t) SELECT a.x, b.y FROM c AS a JOIN c AS b ON a.id = b.id", "id x y", None, None),
    "cte_unused": ("WITH c AS (SELECT v FROM u) SELECT x FROM t", "x", None, None),
    "cte_chain": ("WITH a AS (SELECT id, x, y FROM t), b AS (SELECT id, x FROM a WHERE y = 1) SELECT x FROM b", "x y", None, None),
    "cte_counted": ("WITH c AS (SELECT x, y FROM t) SELECT COUNT(*) AS n FROM c", "", None, None),
    "cte_distinct_counted": ("WITH c AS (SELECT DISTINCT x, y FROM t) SELECT COUNT(*) AS n FROM c", "x y", None, None),
    "recursive_cte": (
        "WITH RECURSIVE r AS (SELECT id, x FROM t WHERE y = 1 UNION ALL SELECT u.w, u.v FROM u JOIN r ON u.id = r.id) "
        "SELECT r.id FROM r",
        "id x y", "id v w", None,
    ),
    "group_by_alias": ("SELECT x + y AS g, COUNT(*) AS n FROM t GROUP BY g", "x y", None, None),
    "group_by_ordinal": ("SELECT k, MAX(x) AS m FROM t GROUP BY 1", "k x", None, None),
    "group_by_all": ("SELECT k, MAX(x) AS m FROM t GROUP BY ALL", "k x", None, None),
    "group_by_unread": ("SELECT q.m FROM (SELECT k, y, MAX(x) AS m FROM t GROUP BY k, y) AS q", "k x y", None, None),
    "grouping_sets": ("SELECT MAX(x) AS m FROM t GROUP BY GROUPING SETS ((k), (y), ())", "k x y", None, None),
    "order_by_alias": ("SELECT x + y AS a FROM t ORDER BY a", "x y", None, None),
    "order_by_unselected": ("SELECT x FROM t ORDER BY y", "x y", None, None),
    "order_by_alias_hides_a_column": ("SELECT x AS y FROM t ORDER BY y", "x", None, None),
    "order_by_unread_below": ("SELECT q.x FROM (SELECT x, y FROM t ORDER BY y LIMIT 2) AS q", "x y", None, None),
    "having": ("SELECT k FROM t GROUP BY k HAVING MAX(x) > 1", "k x", None, None),
    "having_alias": ("SELECT k, MAX(x) AS m FROM t GROUP BY k HAVING m > 1", "k x", None, None),
    "distinct_on": ("SELECT DISTINCT ON (k) x FROM t ORDER BY k, y", "k x y", None, None),
    "filter": ("SELECT COUNT(*) FILTER (WHERE y > 1) AS n FROM t", "y", None, None),
    "aggregate_order": ("SELECT array_agg(x ORDER BY y) AS a FROM t", "x y", None, None),
    "case": ("SELECT CASE WHEN x > 1 THEN y ELSE z END AS c FROM t", "x y z", None, None),
    "last_aggregate_kept": ("SELECT COUNT(*) AS n FROM (SELECT MAX(x) AS m FROM t) AS q", "", None, None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_read_set(name: str) -> None:
    sql, *expected = CASES[name]
    compiled = TestCompiler(TABLES).compile(sql)
    found = dict(zip(compiled.inputs, compiled.reads, strict=True))
    assert found == {
        table: tuple(sorted(e.split())) for table, e in zip(TABLES, expected, strict=True) if e is not None
    }
    assert {table: tuple(columns) for table, columns in compiled.scans.items()} == found


def test_inputs_come_in_the_order_of_the_canonical_tree() -> None:
    compiler = TestCompiler(TABLES)
    assert compiler.compile("SELECT t.x, u.v FROM u LEFT JOIN t ON t.id = u.id").inputs == ("u", "t")
    assert compiler.compile("SELECT t.x, u.v FROM t LEFT JOIN u ON t.id = u.id").inputs == ("t", "u")
    inner = [f"SELECT t.x, u.v FROM {a} JOIN {b} ON t.id = u.id" for a, b in (("t", "u"), ("u", "t"))]
    assert len({compiler.compile(sql).inputs for sql in inner}) == 1


def test_volatile_calls_keep_what_they_are_applied_to() -> None:
    compiled = TestCompiler(TABLES).compile(
        "SELECT q.a FROM (SELECT x AS a, random() AS r FROM t) AS q WHERE q.r < 0.5"
    )
    assert compiled.reads == (("x",),)
    assert compiled.traits.volatile
