"""The first row of each key is found by comparing neighbours, where the engine can do nothing better with the key."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from support.compiling import TestCompiler
from support.forms import StoredDatabase

ROWS = 20_000
_NUMBER = "ROW_NUMBER() OVER (PARTITION BY t.k ORDER BY t.o DESC)"

COMPARED = {
    "qualify": f"SELECT t.v FROM t QUALIFY {_NUMBER} = 1",
    "at most one": f"SELECT t.v FROM t QUALIFY 1 >= {_NUMBER} AND t.v > 3",
    "shown": f"SELECT t.v, {_NUMBER} AS n FROM t QUALIFY n < 2",
    "shown twice": f"SELECT t.v, {_NUMBER} AS n, {_NUMBER} + 1 AS m FROM t QUALIFY n = 1",
    "derived table": f"SELECT q.v FROM (SELECT t.v, {_NUMBER} AS n FROM t) AS q WHERE q.n = 1 AND q.v % 2 = 0",
    "CTE": f"WITH q AS (SELECT t.*, {_NUMBER} AS n FROM t) SELECT q.* FROM q WHERE 2 > q.n",
    "CTEs below": (
        "WITH a AS (SELECT t.* FROM t WHERE t.v > 5), b AS (SELECT a.* FROM a JOIN u ON a.k = u.k),"
        " q AS (SELECT b.v, b.k, ROW_NUMBER() OVER (PARTITION BY b.k ORDER BY b.o) AS n FROM b)"
        " SELECT q.v, q.k + q.n AS s FROM q WHERE q.n <= 1"
    ),
    "several keys": "SELECT t.v FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY t.k, t.s, t.d, t.b ORDER BY t.v) = 1",
    "texts": "SELECT t.v FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY t.s ORDER BY t.o NULLS FIRST, t.v) = 1",
    "moments and decimals": "SELECT t.v FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY t.m, t.z ORDER BY t.v) = 1",
    "no order": "SELECT t.v FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY t.k) = 1",
    "ordered by the key": "SELECT t.v FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY t.k ORDER BY t.k DESC, t.v) = 1",
    "groups": (
        "SELECT t.k, SUM(t.v) AS v FROM t GROUP BY t.k, t.s"
        " QUALIFY ROW_NUMBER() OVER (PARTITION BY t.k ORDER BY SUM(t.v) DESC, t.s) = 1"
    ),
    "beside other windows": (
        "SELECT t.v, SUM(t.v) OVER (PARTITION BY t.s) AS s, LAG(t.v) OVER (ORDER BY t.v) AS l"
        f" FROM t QUALIFY {_NUMBER} = 1"
    ),
    "branch": f"SELECT t.v FROM t WHERE t.k < 9 UNION ALL SELECT t.v FROM t QUALIFY {_NUMBER} = 1",
    "joined with others": (
        f"WITH r AS (SELECT t.*, {_NUMBER} AS n FROM t), d AS (SELECT r.v, r.k FROM r WHERE r.n = 1)"
        " SELECT d.v, u.k FROM d LEFT JOIN u ON d.k = u.k LEFT OUTER JOIN u AS w ON w.k = u.k + 1"
    ),
    "distinct and limited": f"SELECT DISTINCT t.s, t.v FROM t QUALIFY {_NUMBER} = 1 ORDER BY t.v, t.s LIMIT 50",
}
LEFT = {
    "floats": "SELECT t.v FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY t.x ORDER BY t.o, t.v) = 1",
    "lists": "SELECT t.v FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY t.l ORDER BY t.o, t.v) = 1",
    "second rows": f"SELECT t.v FROM t QUALIFY {_NUMBER} = 2",
    "first two rows": f"SELECT t.v FROM t QUALIFY {_NUMBER} <= 2",
    "ranks": "SELECT t.v FROM t QUALIFY RANK() OVER (PARTITION BY t.k ORDER BY t.o) = 1",
    "in any order": "SELECT t.k FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY t.k ORDER BY random()) = 1",
    "alternatives": f"SELECT t.v FROM t QUALIFY {_NUMBER} = 1 OR t.v = 4",
    "read by the filter": f"SELECT q.v FROM (SELECT t.v, {_NUMBER} AS n FROM t) AS q WHERE q.n = 1 AND q.v > q.n",
    "read by others": (
        f"WITH q AS (SELECT t.v, {_NUMBER} AS n FROM t) SELECT q.v FROM q WHERE q.n = 1 UNION ALL SELECT q.n FROM q"
    ),
    "of a key": f"SELECT q.v FROM (SELECT t.v, t.k AS c, {_NUMBER} AS n FROM t) AS q WHERE q.n = 1 AND q.c = 7",
    "of a key above": (
        f"SELECT q.v FROM (SELECT t.v, t.k FROM t QUALIFY {_NUMBER} = 1) AS q WHERE q.k BETWEEN 3 AND 5"
    ),
    "of a key in a join": f"SELECT q.v FROM (SELECT t.v, t.k FROM t QUALIFY {_NUMBER} = 1) AS q JOIN u ON q.k = u.k",
    "of a key in a later join": (
        f"SELECT q.v FROM (SELECT t.v, t.k FROM t QUALIFY {_NUMBER} = 1) AS q"
        " LEFT JOIN u ON q.k = u.k JOIN u AS w ON w.k = q.k"
    ),
    "of a key on the other side": (
        f"SELECT q.v FROM u LEFT JOIN (SELECT t.v, t.k FROM t QUALIFY {_NUMBER} = 1) AS q ON q.k = u.k"
    ),
    "of a key in a semi-join": (
        f"SELECT q.v FROM (SELECT t.v, t.k FROM t QUALIFY {_NUMBER} = 1) AS q LEFT SEMI JOIN u ON q.k = u.k"
    ),
    "of a key in QUALIFY": f"SELECT t.v FROM t QUALIFY {_NUMBER} = 1 AND t.k = 7",
    "of a key above a CTE": (
        f"WITH q AS (SELECT t.v, t.k FROM t QUALIFY {_NUMBER} = 1), r AS (SELECT q.* FROM q)"
        " SELECT r.v FROM r WHERE r.k = 7"
    ),
    "of a key in a subquery": f"SELECT u.k FROM u WHERE u.k IN (SELECT t.k FROM t QUALIFY {_NUMBER} = 1)",
    "limited before": f"SELECT q.v FROM (SELECT t.v, {_NUMBER} AS n FROM t ORDER BY n LIMIT 9) AS q WHERE q.n = 1",
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> StoredDatabase:
    draw = np.random.default_rng(5)

    def some(values: np.ndarray, kind: pa.DataType) -> pa.Array:
        return pa.array(values, mask=draw.random(len(values)) < 0.1).cast(kind)

    numbers = draw.integers(0, ROWS // 2, ROWS)
    table = pa.table({
        "k": some(numbers, pa.int64()),
        "s": some(draw.integers(0, 900, ROWS).astype(str), pa.string()),
        "d": some(draw.integers(0, 3, ROWS).astype(np.int32), pa.date32()),
        "b": some(draw.integers(0, 2, ROWS).astype(bool), pa.bool_()),
        "m": some(draw.integers(0, 50, ROWS), pa.timestamp("us")),
        "z": some(draw.integers(0, 50, ROWS), pa.decimal128(20, 0)),
        "o": some(draw.integers(0, 3, ROWS), pa.int64()),
        "x": some(draw.choice([0.0, float("nan"), 1.5], ROWS), pa.float64()),
        "l": pa.array([[int(one)] for one in numbers % 7], pa.list_(pa.int64())),
        "v": pa.array(np.arange(ROWS)),
    })  # fmt: skip
    tables = {"t": table, "u": pa.table({"k": pa.array([1, 2, None, 7, *range(100, 4000)], pa.int64())})}
    return StoredDatabase(tables, tmp_path_factory.mktemp("first") / "database")


@pytest.mark.parametrize("name", [*COMPARED, *LEFT])
def test_the_rows_and_their_order_are_those_of_the_text(database: StoredDatabase, name: str) -> None:
    sql = {**COMPARED, **LEFT}[name]
    compiled = TestCompiler({one: table.schema for one, table in database.tables.items()}).compile(sql)
    assert ("IS DISTINCT FROM" in compiled.sql) == (name in COMPARED)
    found, meant = database.executed(compiled), database.authored(sql)
    assert found.num_rows > 0
    assert found.schema.names == meant.schema.names
    rows, others = list(map(repr, found.to_pylist())), list(map(repr, meant.to_pylist()))
    in_order = name in COMPARED and name not in {"branch", "joined with others"}  # which have them in any order
    assert (rows if in_order else sorted(rows)) == (others if in_order else sorted(others))


def test_a_row_number_keeps_its_type(database: StoredDatabase) -> None:
    compiler = TestCompiler({one: table.schema for one, table in database.tables.items()})
    for name in ("shown", "CTE"):
        (column,) = (one for one in compiler.compile(COMPARED[name]).schema.columns if one.name == "n")
        (plain,) = compiler.compile(f"SELECT {_NUMBER} AS n FROM t").schema.columns
        assert column == plain
