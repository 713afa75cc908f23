"""No bit of a table, no artifact and no key depends on how many cores a build may use."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rules.config.profiles import RuntimeProfile
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process cannot be kept to some cores")
TOML = (
    '\n[sources.sales]\npath = "data/sales"\n[sources.shops]\npath = "data/shops.parquet"\n[parts]\nmin_rows = 1000\n'
)
RULES = {
    "floats": "SELECT s.shop, SUM(s.weight) AS weight, AVG(s.weight * 0.1) AS mean FROM sales AS s GROUP BY s.shop",
    "spread": "SELECT STDDEV(s.weight) AS spread, SUM(s.weight) AS weight FROM sales AS s",
    "totals": "SELECT s.shop, COUNT(*) AS n, AVG(s.price) AS price FROM sales AS s GROUP BY s.shop",
    "joined": "SELECT s.day, s.weight, p.city FROM sales AS s JOIN shops AS p ON s.shop = p.shop WHERE s.amount > 50",
    "cities": "SELECT j.city, SUM(j.weight) AS weight FROM joined AS j GROUP BY j.city",
    "ranks": "SELECT s.day, s.amount, RANK() OVER (PARTITION BY s.day ORDER BY s.weight) AS place FROM sales AS s",
    "whole": "SELECT MEDIAN(s.weight) AS middle FROM sales AS s",
}
DAYS, ROWS = 14, 1500


def write_sales(project: SampleProject) -> None:
    folder = project.root / "data" / "sales"
    folder.mkdir(parents=True)
    for day in range(DAYS):
        rng = np.random.default_rng(day)
        table = pa.table(
            {
                "day": pa.array([day] * ROWS, pa.int32()),
                "shop": [f"shop {n}" for n in rng.integers(0, 40, ROWS)],
                "amount": rng.integers(0, 101, ROWS),
                "price": pa.array([Decimal(int(n)) / 100 for n in rng.integers(0, 9999, ROWS)], pa.decimal128(10, 2)),
                "weight": rng.random(ROWS) * 10.0 ** rng.integers(-9, 9, ROWS),
            }
        )
        pq.write_table(table, folder / f"day_{day:03d}.parquet")
    project.parquet("shops", {"shop": [f"shop {n}" for n in range(40)], "city": [f"city {n % 7}" for n in range(40)]})


def built(project: SampleProject, cores: set[int], jobs: int | None) -> tuple[dict[str, Any], dict[str, str]]:
    """Build on some cores; return what is said of the products, and the artifact of each action by its key."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # which a process that it starts inherits
    try:
        done = project.started("build", "--json", *([] if jobs is None else ["--jobs", str(jobs)]))
    finally:
        os.sched_setaffinity(0, before)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    said = {one["name"]: (one["artifact"], one.get("parts")) for one in document["products"]}
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as index:
        return said, dict(index.execute("SELECT key, artifact FROM actions"))


@pytest.mark.slow
def test_artifacts_and_keys_are_the_same_on_any_number_of_cores(tmp_path: Path) -> None:
    first = SampleProject(tmp_path / "first", toml=TOML)
    write_sales(first)
    for name, sql in RULES.items():
        first.sql(name, sql)
    cores = sorted(os.sched_getaffinity(0))
    ways: list[tuple[set[int], int | None]] = [({cores[0]}, None), (set(cores[:2]), 2), (set(cores[:4]), 4)]
    copies = [SampleProject.copy_of(first.root, tmp_path / f"copy {n}") for n in range(len(ways))]
    (said, actions), *others = [built(project, *way) for project, way in zip(copies, ways, strict=True)]
    run = {name: parts["run"] for name, (_, parts) in said.items() if parts is not None}
    assert set(run) == set(RULES) - {"spread", "whole"}
    assert all(number > 2 for number in run.values())
    assert len(actions) > DAYS
    for other_said, other_actions in others:
        assert other_said == said
        assert other_actions == actions


def test_a_build_uses_the_cores_that_it_is_kept_to() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert RuntimeProfile("x").cores == 1
        assert RuntimeProfile("x", partitions=2).workers == 1
    finally:
        os.sched_setaffinity(0, before)
    assert RuntimeProfile("x").cores == len(before)
