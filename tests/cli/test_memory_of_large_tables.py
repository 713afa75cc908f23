"""Thirty million rows of two integers in 512 MiB: everything finishes, and the processes stay within 300 MiB of that.

`benchmarks.memory_peaks` measures the bare engine, too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.memory import peak_of_all
from support.projects import SampleProject

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(sys.platform != "linux", reason="what is resident is counted otherwise elsewhere"),
]

ROWS = 30_000_000
MEMORY_MB = 512
BESIDE_MB = 300
QUERIES = {
    "sorted": "SELECT l.a, l.b FROM l AS l ORDER BY l.b, l.a\n",
    "joined": "SELECT l.a, l.b, r.b AS c FROM l AS l JOIN r AS r ON r.a = l.a\n",
    "numbered": "SELECT l.a, ROW_NUMBER() OVER (PARTITION BY l.b ORDER BY l.a) AS n FROM l AS l\n",
    "different": "SELECT DISTINCT l.a, l.b FROM l AS l\n",
}


FILES, FILE_ROWS, GROUPS = 20, 2_500_000, 8_000_000
GROUPED = "SELECT e.k, COUNT(*) AS n, SUM(e.v) AS total, MIN(e.v) AS least, MAX(e.v) AS most FROM e AS e GROUP BY e.k\n"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    project = SampleProject(tmp_path_factory.mktemp("large"), sources=["l", "r"])
    (project.root / "data").mkdir(exist_ok=True)
    generator = np.random.default_rng(11)
    for name in ("l", "r"):
        with pq.ParquetWriter(
            project.root / f"data/{name}.parquet", pa.schema([("a", pa.int64()), ("b", pa.int64())])
        ) as file:
            order = generator.permutation(ROWS)
            for start in range(0, ROWS, 1 << 20):
                part = order[start : start + (1 << 20)]
                file.write_table(pa.table({"a": part, "b": generator.integers(0, ROWS // 10, len(part))}))
    for name, query in QUERIES.items():
        project.sql(name, query)
    return project


def built(project: SampleProject, name: str) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Build a product; return it, its evidence, and the peak in MiB."""
    words = ["build", "-s", name, "--json", "--set", f"memory_limit_mb={MEMORY_MB}", "-C", str(project.root)]
    out, peak_mb = peak_of_all([sys.executable, "-m", "rules", *words])
    document = json.loads(out)
    (product,) = document["products"]
    print(f"{name}: {peak_mb} MiB, {product['seconds']} s: {product['reason']}")  # noqa: T201 — the measurement
    evidence = project.root / ".rules/evidence" / document["build"] / "products.jsonl"
    (line,) = map(json.loads, evidence.read_text().splitlines())
    return product, line, peak_mb


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.timeout(1200)
def test_finishes_within_its_memory_and_a_little(large: SampleProject, name: str) -> None:
    product, line, peak_mb = built(large, name)
    assert product["status"] == "executed", product
    assert product["rows"] == ROWS
    assert line.get("fallback", {}).get("name") == ("sort-merge joins" if name == "joined" else None)
    assert sum(one["spilled_bytes"] for one in line["operators"]) > 100 << 20, "it would not fit into memory"
    assert peak_mb <= MEMORY_MB + BESIDE_MB, product


@pytest.mark.timeout(1200)
def test_merges_of_many_groups_do_too(tmp_path: Path) -> None:
    """Each of its queries began where the one before had ended, at 300 to 800 MiB."""
    project = SampleProject(tmp_path, toml='\n[sources.e]\npath = "data/*.parquet"\n')
    (tmp_path / "data").mkdir()
    generator = np.random.default_rng(5)
    for number in range(FILES):
        keys, values = generator.integers(0, GROUPS, FILE_ROWS), generator.integers(0, 1 << 40, FILE_ROWS)
        pq.write_table(pa.table({"k": keys, "v": values}), tmp_path / f"data/{number:02}.parquet", compression="zstd")
    project.sql("grouped", GROUPED)
    product, _, peak_mb = built(project, "grouped")
    assert (product["status"], product["parts"]["run"]) == ("executed", FILES), product
    assert product["rows"] == pytest.approx(GROUPS, rel=0.01)
    assert peak_mb <= MEMORY_MB + BESIDE_MB, product
