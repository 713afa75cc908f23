"""What is computed over a UNION is the same in every run: its branches are read one after the other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.compiling import TestCompiler
from support.projects import SampleProject

BOTH = "(SELECT a.k, a.x, a.n FROM a UNION ALL SELECT b.k AS j, b.x AS y, b.n AS m FROM b)"
RULES = {
    "sums": f"SELECT u.k, SUM(u.x) AS s, AVG(u.x) AS m FROM {BOTH} AS u GROUP BY u.k",
    "total": f"SELECT SUM(u.x) AS s FROM {BOTH} AS u WHERE u.k < 40",
    "first_rows": f"SELECT u.k, u.n FROM {BOTH} AS u LIMIT 10",
    "numbered": f"SELECT u.n, ROW_NUMBER() OVER (ORDER BY u.k) AS r FROM {BOTH} AS u WHERE u.n % 7 = 0",
    "lists": f"SELECT u.k, array_agg(u.n) AS l FROM {BOTH} AS u WHERE u.n % 99 = 0 GROUP BY u.k",
    "top": "SELECT a.k, a.x FROM a UNION ALL SELECT b.k, b.x FROM b ORDER BY k LIMIT 5",
    "sorted_with_ties": "SELECT a.k, a.n FROM a UNION ALL SELECT b.k, b.n FROM b ORDER BY k",
    "sorted_by_what_is_dropped": f"SELECT u.n % 5 AS m, u.x / 2 AS h FROM {BOTH} AS u ORDER BY u.k",
    "without_duplicates": (
        "SELECT q.m, SUM(q.x) AS s FROM"
        " (SELECT a.k % 3 AS m, a.x FROM a UNION SELECT b.k % 3, b.x FROM b UNION ALL SELECT b.k, b.x FROM b) AS q"
        " GROUP BY q.m"
    ),
    "of_a_cte": (
        "WITH q AS (SELECT a.k, a.x FROM a UNION ALL (SELECT b.k, b.x FROM b ORDER BY b.x LIMIT 1000))"
        " SELECT q.k, AVG(q.x) AS m, COUNT(*) AS n FROM q JOIN (SELECT DISTINCT b.k FROM b) AS p ON q.k = p.k"
        " GROUP BY q.k"
    ),
    "by_name": (
        "SELECT q.k, SUM(q.x) AS s, SUM(q.n) AS t FROM (SELECT a.k, a.x FROM a UNION ALL BY NAME"
        " SELECT b.x, b.n FROM b) AS q GROUP BY q.k"
    ),
    "scalar": "SELECT p.k, (SELECT SUM(q.x) AS t FROM (SELECT a.x FROM a UNION ALL SELECT b.x FROM b) AS q) AS s"
    " FROM (SELECT DISTINCT a.k FROM a) AS p",
}

SORTED = {
    "as_it_is": "SELECT a.k % 5 AS k, a.x FROM a UNION ALL SELECT b.k, b.x FROM b",
    "maps": "SELECT map(make_array('k'), make_array(a.n)) AS m FROM a UNION ALL"
    " SELECT map(make_array('k'), make_array(b.n)) FROM b",
}
"""What no order shows in: these products are put in order."""


def project_at(folder: Path) -> SampleProject:
    project = SampleProject(folder, sources=["a", "b"])
    chance = np.random.default_rng(16)
    rows = 60_000
    for place, name in enumerate(("a", "b")):
        project.parquet(
            name,
            {
                "k": chance.integers(0, 50, rows),
                "x": chance.normal(size=rows),
                "n": np.arange(rows) + place * rows,
            },
        )
    for name, sql in {**RULES, **SORTED}.items():
        project.sql(name, sql)
    return project


def outcomes(built: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {product["name"]: (product["key"], product["artifact"]) for product in built["products"]}


def builds(folder: Path, runs: int) -> list[dict[str, tuple[str, str]]]:
    project = project_at(folder)
    found = []
    for run in range(runs):
        shutil.rmtree(project.root / ".rules", ignore_errors=True)
        found.append(outcomes(project.build("-j", str(1 + run % 3))))
    return found


@pytest.mark.slow
def test_every_build_in_an_empty_store_gives_the_same_tables(tmp_path: Path) -> None:
    first, *others = builds(tmp_path, 3)
    for other in others:
        assert other == first


@pytest.mark.soak
def test_many_builds_in_an_empty_store_give_the_same_tables(tmp_path: Path) -> None:
    first, *others = builds(tmp_path, 12)
    for other in others:
        assert other == first


@pytest.mark.slow
def test_the_rows_of_a_union_are_still_its_rows(tmp_path: Path) -> None:
    project = project_at(tmp_path)
    project.build()
    tables = {name: pa.table(project_table(project, name)) for name in ("a", "b")}
    k = np.concatenate([tables[name]["k"].to_numpy() for name in ("a", "b")])
    x = np.concatenate([tables[name]["x"].to_numpy() for name in ("a", "b")])
    n = np.concatenate([tables[name]["n"].to_numpy() for name in ("a", "b")])
    sums = project.product("sums").sort_by("k")
    assert np.allclose(sums["s"].to_numpy(), np.bincount(k, weights=x))
    assert project.product("first_rows").sort_by("n")["n"].to_pylist() == list(range(10))
    whole = project.product("sorted_with_ties")
    assert sorted(zip(whole["k"].to_pylist(), whole["n"].to_pylist(), strict=True)) == sorted(
        zip(k.tolist(), n.tolist(), strict=True)
    )
    assert whole["k"].to_pylist() == sorted(k.tolist())
    named = project.product("by_name")
    assert named.num_rows == 51
    assert [row["t"] for row in named.to_pylist() if row["k"] is None] == [int(tables["b"]["n"].to_numpy().sum())]
    lists = project.product("lists").to_pylist()
    assert all(row["l"] == sorted(row["l"]) for row in lists)  # n counts up in a, then in b


def project_table(project: SampleProject, name: str) -> pa.Table:
    return pq.read_table(project.root / "data" / f"{name}.parquet")


PLAIN = [
    "SELECT a.k FROM a UNION ALL SELECT b.k FROM b",
    "SELECT u.k, SUM(u.n) AS s FROM (SELECT a.k, a.n FROM a UNION SELECT b.k, b.n FROM b) AS u GROUP BY u.k",
    "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT r.i + 1 FROM r WHERE r.i < 5) SELECT r.i FROM r",
]


@pytest.mark.parametrize("sql", PLAIN)
def test_where_order_cannot_show_nothing_is_numbered(sql: str) -> None:
    types = pa.schema({"k": pa.int64(), "n": pa.int64(), "x": pa.float64()})
    compiled = TestCompiler({"a": types, "b": types}).compile(sql)
    assert "ROW_NUMBER" not in compiled.sql.upper()
    assert compiled.parts["execution"] == 1


@pytest.mark.parametrize("sql", RULES.values(), ids=RULES)
def test_where_order_shows_the_fingerprint_says_so(sql: str) -> None:
    types = pa.schema({"k": pa.int64(), "n": pa.int64(), "x": pa.float64()})
    parts = TestCompiler({"a": types, "b": types}).compile(sql).parts["execution"]
    assert isinstance(parts, list)
    assert "union-order" in parts
