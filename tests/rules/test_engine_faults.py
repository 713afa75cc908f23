"""Faults of the engine that a build works around: the product is what SQL says, not what the raw engine gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.projects import SampleProject


@pytest.mark.parametrize("words", ["RIGHT JOIN", "RIGHT OUTER JOIN"])
def test_a_right_join_keeps_the_rows_without_a_match(tmp_path: Path, words: str) -> None:
    project = SampleProject(tmp_path, sources=["a", "b"])
    project.parquet("a", {"k": [1, 2, 3], "x": [10, None, 30]})
    project.parquet("b", {"s": [1, 2, 4], "x": [7, 8, 9]})
    project.sql(
        "unmatched",
        f"SELECT b.s, a.x AS ax, b.x AS bx FROM a {words} b ON a.k = b.s WHERE a.x IS NULL ORDER BY b.s",
    )
    project.build()
    assert project.product("unmatched").to_pydict() == {"s": [2, 4], "ax": [None, None], "bx": [8, 9]}


EMPTY_FIRST_BRANCHES = {
    "distinct": "SELECT a.k AS id FROM a WHERE FALSE UNION ALL SELECT DISTINCT b.s FROM b",
    "two left": "SELECT a.k AS id FROM a WHERE FALSE UNION ALL SELECT DISTINCT b.s FROM b UNION ALL SELECT a.x FROM a",
    "except": (
        "SELECT a.k AS id FROM a WHERE FALSE EXCEPT SELECT a.x FROM a UNION SELECT b.s FROM b UNION SELECT b.x FROM b"
    ),
    "intersect": "SELECT a.k AS id FROM a WHERE FALSE UNION ALL SELECT b.s AS t FROM b INTERSECT SELECT b.s FROM b",
    "nested": "SELECT a.k AS id FROM a WHERE FALSE UNION ALL (SELECT b.s FROM b UNION ALL SELECT DISTINCT b.x FROM b)",
    "ordered": (
        "SELECT a.k AS x FROM a WHERE FALSE UNION ALL (SELECT DISTINCT b.s AS y FROM b ORDER BY y LIMIT 2)"
        " UNION ALL (SELECT b.s AS t FROM b ORDER BY b.x LIMIT 1)"
    ),
    "ordered union": (
        "SELECT a.k AS id FROM a WHERE FALSE"
        " UNION ALL (SELECT DISTINCT b.s AS t FROM b UNION ALL SELECT b.s FROM b ORDER BY t LIMIT 4)"
    ),
    "grouped": "SELECT a.k AS id FROM a WHERE FALSE UNION ALL SELECT b.s + 1 AS t FROM b GROUP BY t",
    "empty within": (
        "SELECT a.k AS id FROM a WHERE FALSE"
        " UNION ALL (SELECT a.x AS t FROM a WHERE FALSE UNION ALL SELECT DISTINCT b.s FROM b ORDER BY t LIMIT 4)"
    ),
    "by name within": (
        "SELECT a.k AS id, a.x AS w FROM a WHERE FALSE"
        " UNION ALL (SELECT DISTINCT b.s AS t, b.x AS u FROM b UNION ALL BY NAME SELECT b.x AS u, b.s AS t FROM b)"
    ),
    "having": "SELECT a.k AS id FROM a WHERE FALSE UNION ALL SELECT b.s AS t FROM b GROUP BY b.s HAVING t > 1",
    "joined to itself": (
        "WITH q AS (SELECT a.k AS id FROM a WHERE FALSE UNION ALL SELECT b.s FROM b UNION ALL SELECT b.x FROM b)"
        " SELECT r.id FROM q AS r JOIN q AS p ON r.id = p.id"
    ),
}


@pytest.mark.parametrize("sql", EMPTY_FIRST_BRANCHES.values(), ids=EMPTY_FIRST_BRANCHES)
def test_the_first_branch_names_the_columns_also_where_it_is_empty(tmp_path: Path, sql: str) -> None:
    project = SampleProject(tmp_path, sources=["a", "b"])
    project.parquet("a", {"k": [1, 2, 3], "x": [10, None, 30]})
    project.parquet("b", {"s": [1, 2, 4], "x": [7, 8, 9]})
    project.sql("product", sql)
    project.sql("same", sql.replace("WHERE FALSE", "WHERE a.k > 5"))  # which the engine does not know to be empty
    project.build()
    product, same = project.product("product"), project.product("same")
    assert product.schema.names == same.schema.names
    assert sorted(product.to_pylist(), key=repr) == sorted(same.to_pylist(), key=repr)
    assert product.num_rows > 0


OF_HIDDEN_TABLES = {
    "exists": "SELECT info.id FROM a AS info WHERE EXISTS (SELECT 1 FROM b WHERE b.s = info.id AND b.info IS NOT NULL)",
    "not exists": (
        "SELECT n.id FROM a AS n WHERE n.id NOT IN (SELECT info.id FROM a AS info"
        " WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.s = info.id AND b.info IS NOT NULL))"
    ),
    "in": "SELECT info.id FROM a AS info WHERE 7 IN (SELECT b.s + 6 FROM b WHERE b.s = info.id AND b.info IS NOT NULL)"
    " OR info.id = 3",
    "field": "SELECT info.id FROM a AS info WHERE info.id IN (SELECT b.s FROM b WHERE b.info.id > info.id)",
    "field beside it": "SELECT info.id, b.info.id AS f FROM b JOIN a AS info ON info.id = b.s WHERE b.info.id > 6",
    "value": "SELECT info.id FROM a AS info WHERE (SELECT COUNT(b.info) FROM b WHERE b.s = info.id) > 0",
    "lateral": "SELECT info.id FROM a AS info CROSS JOIN LATERAL (SELECT b.info FROM b WHERE b.s = info.id) AS q",
    "derived": (
        "SELECT n.id FROM a AS n"
        " WHERE EXISTS (SELECT 1 FROM (SELECT b.s AS n, b.info FROM b) AS q WHERE q.n = n.id AND q.info IS NOT NULL)"
    ),
}


@pytest.mark.parametrize("sql", OF_HIDDEN_TABLES.values(), ids=OF_HIDDEN_TABLES)
def test_a_table_around_a_subquery_is_not_taken_for_a_column_of_it(tmp_path: Path, sql: str) -> None:
    project = SampleProject(tmp_path, sources=["a", "b"])
    project.parquet("a", {"id": [1, 2, 3]})
    project.parquet("b", {"s": [1, 3], "info": [{"id": 7}, {"id": 8}]})
    project.sql("product", sql)
    project.build()
    assert sorted(project.product("product")["id"].to_pylist()) == [1, 3]
