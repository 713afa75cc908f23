"""Set the peak memory of builds beside that of the bare engine: `python -m benchmarks.memory_peaks [CASE …]`.

Thirty million rows of two integers in 512 MiB (`--rows`, `--pool`): a sort, a hash join with all of them on the build
side, a window, DISTINCT. Each runs in a process of its own, by `rules build`, where that is the product's memory, and
by a script that gives the engine the same query with all of it as its pool and writes what comes of it. Resident
memory is what the system counts: `RssAnon`, which the process has taken, and `RssFile`, which is mapped from files
(programs and libraries; no data is mapped), and of the processes below it their shares of what they have in common.
The peak is of their sum. Linux alone shows them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

QUERIES = {
    "sorted": "SELECT l.a, l.b FROM l AS l ORDER BY l.b, l.a",
    "joined": "SELECT l.a, l.b, r.b AS c FROM l AS l JOIN r AS r ON r.a = l.a",
    "numbered": "SELECT l.a, ROW_NUMBER() OVER (PARTITION BY l.b ORDER BY l.a) AS n FROM l AS l",
    "different": "SELECT DISTINCT l.a, l.b FROM l AS l",
}
BARE = """
import os, sys
import pyarrow as pa, pyarrow.parquet as pq
from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext
root, sql, pool, is_join = sys.argv[1], sys.argv[2], int(sys.argv[3]) << 20, sys.argv[4] == "joined"
config = SessionConfig().with_target_partitions(2 if is_join else 1).with_batch_size(1024 if is_join else 32768)
# A hash join would need its build side in the pool; there is a sort-merge join from two partitions on.
config = config.set("datafusion.optimizer.prefer_hash_join", "false" if is_join else "true")
config = config.set("datafusion.execution.sort_spill_reservation_bytes", str(1 << 20 if is_join else pool // 3))
os.makedirs(f"{root}/spill", exist_ok=True)
runtime = RuntimeEnvBuilder().with_disk_manager_specified(f"{root}/spill").with_fair_spill_pool(pool)
context = SessionContext(config, runtime)
for name in "lr":
    context.register_parquet(name, f"{root}/data/{name}.parquet")
writer = None
for batch in context.sql(sql).execute_stream():
    batch = batch.to_pyarrow()
    writer = writer or pq.ParquetWriter(f"{root}/bare.parquet", batch.schema, compression="zstd")
    writer.write_batch(batch)
writer.close()
"""
RULES = """
import sys
from rules.cli import main
root, name, pool = sys.argv[1:]
sys.exit(main(["build", "-q", "-C", root, "-s", name, "--force", name, "-j", "1", "--set", f"memory_limit_mb={pool}"]))
"""


@dataclass(frozen=True)
class Peak:
    """MiB at the moment when most was resident, and the seconds of computing and of waiting."""

    anonymous: int
    of_files: int
    seconds: float
    cpu: float

    @property
    def resident(self) -> int:
        """The sum of both."""
        return self.anonymous + self.of_files


def make_project(root: Path, rows: int) -> None:
    """Write two tables of `rows` rows, and a rule for each query."""
    (root / "rules").mkdir(parents=True)
    (root / "data").mkdir()
    sources = "".join(f'\n[sources.{name}]\npath = "data/{name}.parquet"\n' for name in "lr")
    (root / "rules.toml").write_text(f'[project]\nname = "peaks"\n{sources}')
    for name, sql in QUERIES.items():
        (root / f"rules/{name}.sql").write_text(f"{sql}\n")
    generator = np.random.default_rng(11)
    for name in "lr":
        order = generator.permutation(rows)
        with pq.ParquetWriter(root / f"data/{name}.parquet", pa.schema([("a", pa.int64()), ("b", pa.int64())])) as file:
            for start in range(0, rows, 1 << 20):
                part = order[start : start + (1 << 20)]
                file.write_table(pa.table({"a": part, "b": generator.integers(0, max(rows // 10, 1), len(part))}))


def peak_of(script: str, *arguments: str) -> Peak:
    """Run a script to its end and look at its memory meanwhile. Raises `SystemExit` if it fails."""
    began, most = time.perf_counter(), (0, 0)
    cpu = 0.0
    with subprocess.Popen([sys.executable, "-c", script, *arguments]) as process:
        while process.poll() is None:
            # Its record stays until it is waited for, which only this loop does.
            now, spent = resident(process.pid), Path(f"/proc/{process.pid}/stat").read_text()
            # Of itself and of the processes below it that have ended.
            cpu = max(cpu, sum(map(int, spent.rpartition(")")[2].split()[11:15])) / 100)
            most = max(most, now, key=sum)
            time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"the run has failed with exit code {process.returncode}")
    return Peak(*most, time.perf_counter() - began, cpu)


def resident(pid: int) -> tuple[int, int]:
    """Return the MiB that a process and those below it have taken, and those that are mapped.

    Raises:
        OSError: nobody knows the process: it has ended, and was waited for.

    """
    found = _fields(Path(f"/proc/{pid}/status"), "RssAnon:", "RssFile:")
    waiting = _children(pid)
    while waiting:
        one = waiting.pop()
        with suppress(OSError):  # one that has ended meanwhile
            waiting += _children(one)
            shares = _fields(Path(f"/proc/{one}/smaps_rollup"), "Pss_Anon:", "Pss_File:")
            found = [known + share for known, share in zip(found, shares, strict=True)]
    return found[0] >> 10, found[1] >> 10


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread that has ended meanwhile
            found += map(int, (task / "children").read_text().split())
    return found


def _fields(path: Path, *names: str) -> list[int]:
    """Return the values of some lines, in KiB."""
    known = {line.split()[0]: int(line.split()[1]) for line in path.read_text().splitlines() if line.endswith(" kB")}
    return [known.get(name, 0) for name in names]


def peaks(root: Path, name: str, pool: int) -> dict[str, Peak]:
    """Return the peaks of a case: of the bare engine and of a build. The first build digests the sources."""
    return {
        "bare": peak_of(BARE, str(root), QUERIES[name], str(pool), name),
        "rules": peak_of(RULES, str(root), name, str(pool)),
    }


def main() -> None:
    """Print two lines for each case."""
    parser = argparse.ArgumentParser(description="Measure the peak memory of large queries.")
    parser.add_argument("cases", nargs="*", choices=[[], *QUERIES], default=[])
    parser.add_argument("--rows", type=int, default=30_000_000)
    parser.add_argument("--pool", type=int, default=512)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "project")
        make_project(root, given.rows)
        print(f"{'case':10} {'by':6} {'peak':>6} {'anon':>6} {'files':>6} {'- pool':>7} {'cpu s':>7}   MiB")
        for name in given.cases or QUERIES:
            for by, one in peaks(root, name, given.pool).items():
                beyond = one.resident - given.pool
                shown = f"{one.resident:6} {one.anonymous:6} {one.of_files:6} {beyond:7} {one.cpu:7.1f}"
                print(f"{name:10} {by:6} {shown}", flush=True)


if __name__ == "__main__":
    main()
