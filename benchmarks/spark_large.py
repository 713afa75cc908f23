"""Set large rules on two executors of Spark beside this machine alone: `python -m benchmarks.spark_large`.

200 million generated rows (`--rows`) in files of 5 million; one rule groups them by a twentieth as many keys, one keeps
half of the rows. Each is built locally under `memory_tight`, and on a cluster that `rules engine up spark` starts, with
its rows coming back through the server and in files (`spark_writes`). For each way: seconds, the peak memory of this
process and those below it (as `benchmarks.memory_peaks` takes it), of Spark's driver and of its largest executor. The
tables are compared. Needs Java and Apache Spark, see docs/spark.md; Linux alone shows peaks.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.memory_peaks import peak_of
from cache.bags import bag_of_files

QUERIES = {
    "grouped": "SELECT k, COUNT(*) AS n, SUM(v) AS total, MIN(v) AS least, MAX(v) AS most FROM events GROUP BY k",
    "kept": "SELECT k, v FROM events WHERE v % 2 = 0",
}
WAYS = {
    "local": ("--profile", "memory_tight"),
    "server": ("--profile", "cluster"),
    "files": ("--profile", "cluster", "--set", "spark_writes=true"),
}
BUILD = """
import sys
from rules.cli import main
root, name, *options = sys.argv[1:]
sys.exit(main(["build", "-q", "-C", root, "-s", name, "--force", name, *options]))
"""
_FILE_ROWS = 5_000_000


def make_project(root: Path, rows: int) -> None:
    """Write the table and the rules."""
    (root / "rules").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "rules.toml").write_text('[project]\nname = "large"\n\n[sources.events]\npath = "data/*.parquet"\n')
    for name, sql in QUERIES.items():
        (root / f"rules/{name}.sql").write_text(f"{sql}\n")
    generator = np.random.default_rng(5)
    for number, start in enumerate(range(0, rows, _FILE_ROWS)):
        count = min(_FILE_ROWS, rows - start)
        keys, values = generator.integers(0, max(rows // 20, 1), count), generator.integers(0, 1 << 40, count)
        pq.write_table(pa.table({"k": keys, "v": values}), root / f"data/{number:03}.parquet", compression="zstd")


class Cluster:
    """A cluster with two executors, and the peaks of its processes."""

    def __init__(self, root: Path) -> None:
        """root: of the project that gets a profile for it."""
        self._root = root
        remote = json.loads(self._rules("engine", "up", "spark", "--workers", "2", "--json"))["remote"]
        settings = (root / "rules.toml").read_text().partition("\n[profiles.")[0]
        profile = f'\n[profiles.cluster]\nengine = "spark"\nremote = "{remote}"\n'
        (root / "rules.toml").write_text(settings + profile)
        state = json.loads((root / ".rules/engines/spark/state.json").read_text())
        self._server, *self._workers = state["pids"][:-1]

    def peaks(self) -> tuple[int, int]:
        """Return the peak of the driver and that of the largest executor, in MiB."""
        return _peak(self._server), max(map(_peak, self._executors()), default=0)

    def end(self) -> None:
        """End it."""
        self._rules("engine", "down", "spark")

    def _rules(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "rules", *arguments, "-C", str(self._root)]
        found = subprocess.run(command, check=False, capture_output=True, text=True)
        if found.returncode:
            raise SystemExit(found.stderr)  # such as where Spark is not installed
        return found.stdout

    def _executors(self) -> Iterator[int]:
        for folder in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) in self._workers:
                    yield int(folder.name)


def _peak(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) >> 10
    return 0


def measure(root: Path, rules: Sequence[str], ways: Sequence[str]) -> None:
    """Print a line for each way of each rule."""
    print(
        f"{'rule':8} {'way':7} {'s':>7} {'this process':>13} {'driver':>7} {'executor':>9}   peaks in MiB", flush=True
    )
    for name in rules:
        bags = set()
        for way in ways:
            # A cluster of its own: a JVM does not give back what it has taken.
            cluster = Cluster(root) if way != "local" else None
            try:
                found = peak_of(BUILD, str(root), name, *WAYS[way])
                driver, executor = cluster.peaks() if cluster is not None else (0, 0)
            except SystemExit as failure:
                print(f"{name:8} {way:7} {failure}", flush=True)
                continue
            finally:
                if cluster is not None:
                    cluster.end()
            print(f"{name:8} {way:7} {found.seconds:7.1f} {found.resident:13} {driver:7} {executor:9}", flush=True)
            product = root / f".rules/products/{name}.parquet"
            files = sorted(product.iterdir()) if product.is_dir() else [product]  # one made by parts is a folder
            bags.add(bag_of_files(files, tuple(pq.read_schema(files[0]).names)))
        print(f"{name:8} {'the tables are the same' if len(bags) == 1 else 'THE TABLES DIFFER'}", flush=True)


def main() -> None:
    """Make the data, and measure."""
    parser = argparse.ArgumentParser(description="Set large rules on Spark beside this machine alone.")
    parser.add_argument("--rows", type=int, default=200_000_000)
    parser.add_argument("--rules", nargs="*", choices=list(QUERIES), default=list(QUERIES))
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--folder", type=Path, help="where the project is made, and found by another run")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = (given.folder or Path(temporary, "project")).resolve()
        if not root.exists():
            make_project(root, given.rows)
        peak_of(BUILD, str(root), "grouped", *WAYS["local"])  # which digests the source
        measure(root, given.rules, given.ways)


if __name__ == "__main__":
    main()
