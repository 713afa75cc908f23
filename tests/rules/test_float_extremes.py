"""MIN and MAX of floats are what ORDER BY puts first and last, whatever order the rows come in."""

from __future__ import annotations

import itertools
import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from support.inprocess import InProcess

NAN = math.nan
ORDERED = [-math.inf, -1.5, -0.0, 0.0, 1.5, math.inf, NAN]
"""In the engine's total order."""
SETS: list[list[float | None]] = [
    [NAN, 1.5], [0.0, -0.0], [-math.inf, -math.inf], [math.inf, NAN], [None, -0.0, 0.0], [None, None], [NAN, NAN, None],
    [-math.inf, NAN], [1.5], [math.inf, math.inf],
]  # fmt: skip
RULES = {
    "grouped": "SELECT b.g, MIN(b.x) AS a, MAX(b.x) AS z FROM base AS b GROUP BY b.g",
    "of_reals": "SELECT b.g, MIN(b.y) AS a, MAX(b.y) AS z FROM base AS b GROUP BY b.g",
    "computed": "SELECT b.g, MIN(b.x * 1) AS a, MAX(CAST(b.y AS DOUBLE)) AS z FROM base AS b GROUP BY b.g",
    "derived": "SELECT d.g, MIN(d.v) AS a, MAX(d.v) AS z FROM (SELECT b.g, b.x AS v FROM base AS b) AS d GROUP BY d.g",
    "distinct_values": "SELECT b.g, MIN(DISTINCT b.x) AS a, MAX(DISTINCT b.x) AS z FROM base AS b GROUP BY b.g",
    "filtered": "SELECT b.g, MIN(b.x) FILTER (WHERE b.k >= 0) AS a, MAX(b.x) AS z FROM base AS b GROUP BY b.g",
    "rolled_up": "SELECT b.g, MIN(b.x) AS a, MAX(b.x) AS z FROM base AS b GROUP BY ROLLUP (b.g) HAVING b.g IS NOT NULL",
    "beside_a_distinct": (
        "SELECT b.g, MIN(b.x) AS a, MAX(b.x) AS z FROM base AS b GROUP BY b.g HAVING COUNT(DISTINCT b.k) > 0"
    ),
    "correlated": (
        "SELECT s.g, (SELECT MIN(b.x) FROM base AS b WHERE b.g = s.g) AS a,"
        " (SELECT MAX(b.x) FROM base AS b WHERE b.g = s.g) AS z FROM (SELECT DISTINCT c.g FROM base AS c) AS s"
    ),
    "of_extremes": (
        "SELECT m.g, MIN(m.a) AS a, MAX(m.z) AS z FROM"
        " (SELECT b.g, b.k, MIN(b.x) AS a, MAX(b.x) AS z FROM base AS b GROUP BY b.g, b.k) AS m GROUP BY m.g"
    ),
    "of_a_field": (
        "SELECT d.g, MIN(d.o['v']) AS a, MAX(d.o['v']) AS z FROM"
        " (SELECT b.g, named_struct('v', b.x) AS o FROM base AS b) AS d GROUP BY d.g"
    ),
    "in_windows": "SELECT b.g, MIN(b.x) OVER (PARTITION BY b.g) AS a, MAX(b.x) OVER (PARTITION BY b.g) AS z"
    " FROM base AS b",
}


def place(value: float) -> int:
    return next(place for place, each in enumerate(ORDERED) if repr(each) == repr(value))


def extreme(values: list[float | None], choose: Callable[..., float]) -> float | None:
    known = [value for value in values if value is not None]
    return choose(known, key=place) if known else None


def table(rows: list[tuple[int, float | None, int]]) -> pa.Table:
    groups, values, numbers = zip(*rows, strict=True)
    floats = pa.array(values, pa.float64())
    return pa.table({"g": groups, "x": floats, "y": floats.cast(pa.float32()), "k": numbers})


def test_the_order_of_rows_shows_in_no_extreme(tmp_path: Path) -> None:
    project = InProcess(tmp_path, sources=["raw"])
    project.sql("base", "SELECT raw.g, raw.x, raw.y, raw.k FROM raw")
    for name, sql in RULES.items():
        project.sql(name, sql)
    rows = [(group, value, k) for group, values in enumerate(SETS) for k, value in enumerate(values)]
    project.parquet("raw", table(rows))
    built = project.build()
    expected = {group: (repr(extreme(values, min)), repr(extreme(values, max))) for group, values in enumerate(SETS)}
    for name in RULES:
        found = project.product(name).select(["g", "a", "z"]).to_pylist()
        assert {row["g"]: (repr(row["a"]), repr(row["z"])) for row in found} == expected, name
    artifacts = {product["name"]: product["artifact"] for product in built["products"]}

    chance = random.Random(16)
    for shuffled in (list(reversed(rows)), chance.sample(rows, len(rows))):
        project.parquet("raw", table(shuffled))
        again = project.build()
        assert project.executed(again) == {"base"}  # the readers stay clean, which is right only if order is nothing
    shutil.rmtree(project.root / ".rules")
    clean = project.build()
    assert set(project.statuses(clean).values()) <= {"executed", "restored"}  # two rules mean the same
    same = {p["name"]: p["artifact"] for p in clean["products"] if p["name"] in RULES}
    for name in RULES:  # groups may come in another order: then the tables are compared as bags
        before = artifacts[name] == same[name]
        found = project.product(name).select(["g", "a", "z"]).to_pylist()
        assert before or {row["g"]: (repr(row["a"]), repr(row["z"])) for row in found} == expected, name


@pytest.mark.parametrize("sql", [
    "SELECT t.g, MAX(t.i) AS m, MIN(t.s) AS a FROM t GROUP BY t.g",
    "SELECT t.g, MAX(t.d * (1 - t.d)) AS m FROM t GROUP BY t.g",
    "SELECT MAX(u.r) AS m FROM (SELECT t.g, SUM(t.d * (1 - t.d)) AS r FROM t GROUP BY t.g) AS u",
    "SELECT t.g, MIN(date_trunc('month', t.w)) AS m, MAX(CAST(t.i AS DECIMAL(9, 2)) / 2) AS b FROM t GROUP BY t.g",
    "SELECT t.g, MAX(CASE WHEN t.i > 1 THEN upper(t.s) END) AS m, MAX(COALESCE(t.d, 0)) AS c FROM t GROUP BY t.g",
])  # fmt: skip
def test_other_types_are_computed_as_ever(sql: str) -> None:
    compiled = _compiler().compile(sql)
    assert "first_value" not in compiled.sql
    assert compiled.parts["execution"] == 1


CONCERNED: dict[str, tuple[str, list[str]]] = {
    "SELECT t.g, MAX(t.x) AS m FROM t GROUP BY t.g": ("first_value", ["float-extremes", "float-statistics"]),
    "SELECT t.g, MAX(CAST(t.i AS DOUBLE)) AS m FROM t GROUP BY t.g": ("first_value", ["float-extremes"]),
    "SELECT t.g, MAX(sqrt(t.i)) AS m FROM t GROUP BY t.g": ("first_value", ["float-extremes"]),
    "SELECT t.g, MAX(t.i * 0.5) AS m FROM t GROUP BY t.g": ("first_value", ["float-extremes"]),
    "SELECT t.g, MAX(t.i) OVER (PARTITION BY t.x) AS m FROM t": ("OVER", ["float-statistics", "float-zeros"]),
    "SELECT t.g FROM t WHERE t.x > 2": ("WHERE", ["float-statistics"]),
    "SELECT t.g FROM t WHERE t.x = 2": ("WHERE", ["float-statistics"]),
    "SELECT t.g FROM t WHERE t.x = 0 AND t.i = 0 AND t.s = ''": ("+ 0.0 = 0", ["float-statistics", "float-zeros"]),
    "SELECT NULLIF(round(t.i / 3.0), 0) AS n FROM t": ("CASE", ["float-zeros"]),
    "SELECT NULLIF(t.i, 0) AS n, CASE t.s WHEN 'a' THEN 1 END AS m FROM t WHERE t.d IN (0, 1.5)": ("nullif", []),
    "SELECT t.g FROM t": ("FROM", []),
    "SELECT COUNT(*) AS n FROM t": ("COUNT", []),
    "SELECT t.g, MAX(t.l) AS m FROM t GROUP BY t.g": ("MAX", []),
}


@pytest.mark.parametrize("sql", CONCERNED)
def test_rules_that_could_have_been_wrong_run_once_more(sql: str) -> None:
    compiled = _compiler().compile(sql)
    part, names = CONCERNED[sql]
    assert part in compiled.sql
    assert compiled.parts["execution"] == ([1, *names] if names else 1)


def _compiler() -> Any:
    from support.compiling import TestCompiler

    types = {
        "g": pa.int32(), "i": pa.int64(), "s": pa.string(), "d": pa.decimal128(15, 2), "w": pa.timestamp("us"),
        "x": pa.float64(), "l": pa.list_(pa.float64()),
    }  # fmt: skip
    return TestCompiler({"t": pa.schema(types.items())})


def test_every_order_of_a_few_rows_gives_the_same(tmp_path: Path) -> None:
    """All permutations at once: each is a group of its own."""
    project = InProcess(tmp_path, sources=["raw"])
    orders = list(itertools.permutations([NAN, -0.0, 0.0, None]))
    project.parquet("raw", table([(group, x, k) for group, order in enumerate(orders) for k, x in enumerate(order)]))
    project.sql("ends", "SELECT raw.g, MIN(raw.x) AS a, MAX(raw.x) AS z FROM raw GROUP BY raw.g")
    project.build()
    found = project.product("ends")
    assert {repr(x) for x in found["a"].to_pylist()} == {"-0.0"}
    assert {repr(x) for x in found["z"].to_pylist()} == {"nan"}
