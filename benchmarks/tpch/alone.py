"""Set TPC-H rules that run alone beside the bare engine and DuckDB on all cores: `python -m benchmarks.tpch.alone`.

    .venv-test/bin/python -m benchmarks.tpch.alone [QUERY …] [--scale 1] [--runs 5] [--project FOLDER]

By turns, in one process: the engine with as many partitions as cores and nothing else, a build that executes the rule
again, DuckDB with as many threads (the fastest that there is, a measure and nothing that is used). Each reads the
Parquet files and writes its result as Parquet. Prints medians of wall and processor seconds, and how many times the
engine's ours are: of the rule's execution, and of the whole build. `--scale 0.1 --runs 1` is the short form.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
from datafusion import ParquetWriterOptions, RuntimeEnvBuilder, SessionConfig, SessionContext

from benchmarks.tpch.data import make_standard_project
from rules.cli import main as main_of_rules
from rules.config.machine import usable_cores
from rules.config.profiles import PROFILES
from rules.engine.memory import pool_bytes

GOAL = 1.15
"""Wall seconds of an execution, as a multiple of the engine's."""
_WRITER = ParquetWriterOptions(compression="zstd(1)", dictionary_page_size_limit=1 << 16)


class Took(NamedTuple):
    """What one run took, in seconds. build: of the whole command, if it is more than the execution."""

    wall: float
    cpu: float
    build: float = 0.0


def timed(work: Callable[[], float | None]) -> Took:
    """Run something that may say itself how long the part took that counts."""
    wall, cpu = time.perf_counter(), time.process_time()
    own = work()
    whole, spent = time.perf_counter() - wall, time.process_time() - cpu
    return Took(whole if own is None else own, spent, whole)


def by_engine(sql: str, data: Path, target: Path, cores: int) -> None:
    """Run a query as a script would that needs nothing else."""
    config = SessionConfig().with_target_partitions(cores)
    session = SessionContext(config, RuntimeEnvBuilder().with_fair_spill_pool(pool_bytes(PROFILES["prod_fast"])))
    for table in data.glob("*.parquet"):
        session.register_parquet(table.stem, str(table))
    session.sql(sql).write_parquet(str(target / "engine.parquet"), _WRITER)


def by_rule(root: Path, *options: str) -> float:
    """Build, and return the seconds of what was executed."""
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        code = main_of_rules(["-C", str(root), "build", "--json", "-q", *options])
    document = json.loads(written.getvalue())
    assert code == 0, document
    return sum(float(one["seconds"]) for one in document["products"] if one["status"] == "executed")


def by_duckdb(sql: str, data: Path, target: Path, cores: int) -> None:
    """Run a query in DuckDB, over the same files."""
    with duckdb.connect(config={"threads": cores}) as session:
        for table in data.glob("*.parquet"):
            session.execute(f"CREATE VIEW {table.stem} AS SELECT * FROM '{table}'")
        session.execute(f"COPY ({sql}) TO '{target / 'duckdb.parquet'}' (FORMAT parquet, COMPRESSION zstd)")


def measured(root: Path, names: Sequence[str], runs: int, target: Path) -> dict[str, dict[str, list[Took]]]:
    """Return what each query took in each run, by query and by who ran it."""
    cores, data = usable_cores(), root / "data"
    by_rule(root)
    found: dict[str, dict[str, list[Took]]] = {}
    for name in names:
        sql = (root / "rules" / f"{name}.sql").read_text(encoding="utf-8")
        ways: dict[str, Callable[[], float | None]] = {
            "engine": lambda sql=sql: by_engine(sql, data, target, cores),
            "rule": lambda name=name: by_rule(root, "-s", name, "--force", name),
            "duckdb": lambda sql=sql: by_duckdb(sql, data, target, cores),
        }
        for way in ways.values():
            way()  # once, so that nobody is the first to read a file
        found[name] = {way: [] for way in ways}
        for _ in range(runs):
            for way, run in ways.items():
                found[name][way].append(timed(run))
        print(f"{name} done", file=sys.stderr)
    return found


def report(found: dict[str, dict[str, list[Took]]]) -> str:
    """Return a table of medians and ratios, in which what is beyond the goal is marked."""
    lines = ["query   engine s   rule s  times   build s  times   DuckDB s | cpu: engine s  build s  times"]
    for name, ways in found.items():
        medians = {way: Took(*map(statistics.median, zip(*runs, strict=True))) for way, runs in ways.items()}
        engine, rule, other = medians["engine"], medians["rule"], medians["duckdb"]
        ratio = rule.wall / engine.wall
        lines.append(
            f"{name:6}{engine.wall:10.3f}{rule.wall:9.3f}{ratio:7.2f}{rule.build:10.3f}{rule.build / engine.wall:7.2f}"
            f"{other.wall:11.3f} |{engine.cpu:14.3f}{rule.cpu:9.3f}{rule.cpu / engine.cpu:7.2f}"
            + ("   beyond the goal" if ratio > GOAL else "")
        )
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queries", nargs="*", metavar="QUERY", help="such as q01 (default: all)")
    parser.add_argument("--scale", type=float, default=1, help="of the data (%(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="of each (%(default)s)")
    parser.add_argument("--project", type=Path, help="a folder for the project, used again if there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = (options.project or Path(name) / "project").resolve()
        if not (root / "rules.toml").exists():
            root.mkdir(parents=True, exist_ok=True)
            make_standard_project(root, options.scale)
        names = options.queries or sorted(path.stem for path in (root / "rules").glob("*.sql"))
        found = measured(root, names, options.runs, Path(name))
    print(f"TPC-H at scale {options.scale:g}, one at a time on {usable_cores()} cores, medians of {options.runs}")
    print(report(found))


if __name__ == "__main__":
    main()
