"""Execute queries on a million rows and write what they yield, at several sizes of batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rules.config.profiles import Profile
from rules.engine.execute import execute
from rules.engine.planner import EnginePlanner
from rules.engine.protocol import EngineInput, EngineQuery, Job
from rules.storage.types import to_schema

ROWS = 1_000_000
QUERIES = {
    "filter": "SELECT t.k, t.v * 2 AS x, t.s FROM input.t AS t WHERE t.c < 10",
    "group": "SELECT t.k, t.c, SUM(t.v) AS v, COUNT(*) AS n FROM input.t AS t GROUP BY t.k, t.c",
    "join": "SELECT a.k, b.v FROM input.t AS a JOIN input.t AS b ON a.w = b.w",
    "sort": "SELECT t.k, t.s, t.w FROM input.t AS t ORDER BY t.s, t.w",
    "window": "SELECT t.w, SUM(t.v) OVER (PARTITION BY t.k ORDER BY t.w) AS v FROM input.t AS t",
}


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> EngineInput:
    """Return a table of keys, numbers and words."""
    random = np.random.default_rng(1)
    columns = {
        "k": random.integers(0, 50_000, ROWS),
        "c": random.integers(0, 20, ROWS),
        "v": random.random(ROWS),
        "w": random.integers(0, 1 << 40, ROWS),
        "s": pa.array(random.integers(0, 100_000, ROWS)).cast(pa.string()),
    }
    path = tmp_path_factory.mktemp("execution") / "t.parquet"
    pq.write_table(pa.table(columns), path)
    return EngineInput("t", (path,), to_schema(pa.table(columns).schema), tuple(columns))


@pytest.mark.parametrize("batch", [8_192, 32_768, 131_072])
@pytest.mark.parametrize("query", QUERIES)
def test_batches(benchmark: Any, table: EngineInput, tmp_path: Path, query: str, batch: int) -> None:
    """Execute one query."""
    profile, sql = Profile("benchmark", batch_size=batch), QUERIES[query]
    planner = EnginePlanner(profile, lambda _key, _schema: None)
    schema = planner.plan_schema(sql, {"t": (table.schema, frozenset(table.columns))}, query)
    job = Job(EngineQuery(sql, (table,), profile), schema, tmp_path / "product.parquet")
    assert benchmark(lambda: execute(job)).digest.rows
