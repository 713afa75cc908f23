"""Ingesting streams: a big text file needs no more memory than a small multiple of the blocks it is read in."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.memory import peak_of_all
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTES = 300
LIMIT_MB = 800

# Peak memory of a process of its own, engine included.
SCRIPT = """
import json, resource, sys
from rules.cli import main
code = main(["build", "-q"])
print(json.dumps([code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


GROUPS, COLUMNS = 600, 40
ROOM_MB = 150
"""What a build may take more of a file of many parts than of few. Footers read for each part took 2 GiB more."""


THREADS = """
import threading, time
until = time.monotonic() + 1.5
while time.monotonic() < until:
    started = [threading.Thread(target=int) for _ in range(20)]
    [one.start() for one in started], [one.join() for one in started]
taken = b"1" * (200 << 20)
time.sleep(0.3)
"""


@pytest.mark.slow
def test_threads_that_end_do_not_end_the_measuring() -> None:
    assert peak_of_all([sys.executable, "-c", THREADS])[1] > 200


@pytest.mark.slow
def test_the_parts_of_a_file_share_its_footer(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["t"], toml="\n[parts]\nmin_rows = 2000\n")
    rows = pa.table({f"c{number}": np.arange(GROUPS * 200) for number in range(COLUMNS)})
    taken = []
    for groups in (2, GROUPS):
        (tmp_path / "data").mkdir(exist_ok=True)
        pq.write_table(rows, tmp_path / "data/t.parquet", row_group_size=rows.num_rows // groups)
        project.sql("p", f"SELECT t.c0 + {groups} AS c, t.c1 FROM t WHERE t.c2 % 7 = 0")
        out, peak = peak_of_all([sys.executable, "-m", "rules", "-C", str(tmp_path), "build", "--json"])
        (product,) = json.loads(out)["products"]
        taken.append(peak)
    assert "54 of 54 parts of t are new" in product["reason"]
    assert taken[1] < taken[0] + ROOM_MB, taken


@pytest.mark.soak
def test_a_csv_file_of_300_mb_is_ingested_in_bounded_memory(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, toml='\n[sources.s]\npath = "data/s.csv"\n')
    target = project.write("data/s.csv", "id,amount,place\n")
    block = "".join(f"{n},{n / 7:.4f},the place with the number {n % 997}\n" for n in range(100_000))
    with target.open("a") as file:
        while target.stat().st_size < MEGABYTES * 1_000_000:
            file.write(block)
    project.sql("p", "SELECT place, SUM(amount) AS amount, COUNT(*) AS n FROM s GROUP BY place")
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=True)
    code, peak = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    assert peak < LIMIT_MB, f"{peak:.0f} MB"
    assert sum(project.product("p").column("n").to_pylist()) % 100_000 == 0
