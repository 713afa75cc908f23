"""What the engine has read of a file is given back: also to the system, and before the next query."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rules.engine.execute import _sorts
from support.memory import PEAK

SCANS = """
import sys
from pathlib import Path
from rules.config.profiles import PROFILES
from rules.engine.local import LOCAL
from rules.engine.protocol import EngineInput, EngineQuery, Job
from rules.storage.types import to_schema
import pyarrow as pa

file, target, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
schema = to_schema(pa.schema([("a", pa.int64()), ("b", pa.int64())]))
totals = to_schema(pa.schema([("x", pa.int64()), ("y", pa.int64())]))
query = 'SELECT SUM(t.a % 7) AS x, SUM(t.b % 7) AS y FROM "input".t'
for _ in range(times):
    inputs = (EngineInput("t", (file,), schema, ("a", "b")),)
    LOCAL.execute(Job(EngineQuery(query, inputs, PROFILES["prod_fast"]), totals, target))
print(peak() // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="what is resident is counted otherwise elsewhere")
def test_scans_of_one_process_do_not_keep_what_they_have_read(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    file, rows = tmp_path / "t.parquet", 800_000
    with pq.ParquetWriter(file, pa.schema([("a", pa.int64()), ("b", pa.int64())]), use_dictionary=False) as writer:
        for _ in range(6):
            writer.write_table(pa.table({name: generator.integers(0, 1 << 62, rows) for name in "ab"}))
    size = file.stat().st_size >> 20
    peaks = {}
    for times in (1, 5):
        words = [sys.executable, "-c", f"{PEAK}\n{SCANS}", str(file), str(tmp_path / "out.parquet"), str(times)]
        peaks[times] = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert size >= 70
    assert peaks[5] < peaks[1] + 2 * size, peaks  # the engine kept as much again for each scan, four times in all


@pytest.mark.parametrize(
    ("sql", "sorts"),
    [
        ("SELECT t.a FROM t ORDER BY t.a", 1),
        ("SELECT ROW_NUMBER() OVER (PARTITION BY t.b ORDER BY t.a) FROM t", 1),
        ("SELECT SUM(t.a) OVER (PARTITION BY t.b) FROM t ORDER BY t.a", 2),
        (
            "SELECT SUM(t.a) OVER (PARTITION BY ABS(t.b) ORDER BY (t.a)), RANK() OVER (ORDER BY t.b) FROM t ORDER BY 1",
            3,
        ),
        ("SELECT SUM(t.a) OVER (PARTITION BY (SELECT MAX(u.a) FROM u) ORDER BY t.a", 1),
    ],
)
def test_a_window_that_is_ordered_is_one_sort(sql: str, sorts: int) -> None:
    """Sorts share what is reserved for merging, so a window that counted twice had half of what it needs."""
    assert _sorts(sql) == sorts
