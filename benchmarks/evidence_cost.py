"""Print what evidence costs: `python -m benchmarks.evidence_cost [RULES] [ROWS] [RUNS]`, 100, 100000 and 7 by default.

Builds of a generated project that run every rule, with no evidence, the summary and all of it, by turns in one process.
A rule of 100,000 rows takes some milliseconds, so this is close to the worst case: evidence costs the same of any rows.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rules.build import build
from rules.config.project import load_project
from rules.planning.prepared import Request

LEVELS = ("none", "summary", "full")


class Nobody:
    """Ignores progress."""

    def planned(self, total: int, ahead: object) -> None:
        """Do nothing."""

    def started(self, name: str) -> None:
        """Do nothing."""

    def finished(self, result: object) -> None:
        """Do nothing."""

    def say(self, message: str) -> None:
        """Print a warning."""
        print(message)

    def close(self) -> None:
        """Do nothing."""


def write_project(root: Path, rules: int, rows: int) -> None:
    """Write a project of `rules` aggregates over joins, each of `rows` rows."""
    generator = np.random.default_rng(0)
    (root / "data").mkdir()
    columns = {"id": np.arange(rows), "g": generator.integers(0, 1000, rows), "x": generator.integers(0, 9999, rows)}
    pq.write_table(pa.table(columns), root / "data" / "t.parquet")
    (root / "rules.toml").write_text('[project]\nname = "cost"\n[sources.t]\npath = "data/t.parquet"\n')
    (root / "rules").mkdir()
    for number in range(rules):
        sql = f"SELECT a.g, COUNT(*) AS n, SUM(b.x) AS x FROM t AS a JOIN t AS b ON a.id = b.id WHERE a.x > {number}"
        (root / "rules" / f"r{number}.sql").write_text(f"{sql} GROUP BY a.g\n")


def main(rules: int = 100, rows: int = 100_000, runs: int = 7) -> None:
    """Measure, and print medians."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_project(root, rules, rows)
        build(load_project(root), Request(), Nobody())
        spent: dict[str, list[tuple[float, float]]] = {level: [] for level in LEVELS}
        for _ in range(runs):
            for level in LEVELS:
                wall, processor = time.perf_counter(), time.process_time()
                build(load_project(root), Request(force=("*",), evidence=level), Nobody())
                spent[level].append((time.perf_counter() - wall, time.process_time() - processor))
    base = [statistics.median(figures) for figures in zip(*spent["none"], strict=True)]
    for level in LEVELS:
        wall, processor = (statistics.median(figures) for figures in zip(*spent[level], strict=True))
        figures = f"wall {wall:.3f} s ({wall / base[0]:.3f}), processor {processor:.3f} s ({processor / base[1]:.3f})"
        print(f"{level:<8} {figures}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
