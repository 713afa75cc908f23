"""Time wide tables: rules of thousands of columns, next to the bare engine on the same queries.

    .venv-test/bin/python -m benchmarks.wide [--columns 2000] [--rows 1000] [--profile a|star|…]

For each project a cold build, a no-op, a plan and a build after the edit of one column, in seconds; `bare` is the
engine alone: it registers the files, runs the query and writes Parquet. The goal is twice `bare` plus two seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import io
import os
import pstats
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import SessionContext

from rules.cli import main

Rules = Mapping[str, str]


def listed(columns: int, text: str) -> str:
    """Return a select list with `text` for each column, {n} its number."""
    return ",\n    ".join(text.format(n=number) for number in range(columns))


def projects(columns: int) -> dict[str, Rules]:
    """Return what is measured: rules by name, inputs first, of each project."""
    names = listed(columns, "w.c{n}")
    sums = listed(columns, "w.c{n} + 1 AS c{n}")
    totals = listed(columns, "SUM(w.c{n}) AS c{n}")
    joined = listed(columns, "w.c{n} AS a{n}, v.c{n} AS b{n}")
    wide = "FROM wide AS w"
    return {
        "star": {"one": "SELECT * FROM wide"},
        "listed": {"one": f"SELECT w.id, {names} {wide}"},
        "computed": {"one": f"SELECT w.id, {sums} {wide}"},
        "aggregates": {"one": f"SELECT w.id % 10 AS id, {totals} {wide} GROUP BY w.id % 10"},
        "joined": {"one": f"SELECT w.id, {joined} {wide} JOIN wide AS v ON w.id = v.id"},
        "chain": {
            "one": "SELECT * FROM wide",
            "two": f"SELECT w.id, {sums} FROM one AS w",
            "three": f"SELECT w.id % 10 AS id, {totals} FROM two AS w GROUP BY w.id % 10",
        },
    }


def make_project(root: Path, rules: Rules, columns: int, rows: int) -> None:
    """Write a project with one wide source."""
    (root / "rules").mkdir(parents=True)
    (root / "rules.toml").write_text('[project]\nname = "wide"\n\n[sources.wide]\npath = "wide.parquet"\n')
    random = np.random.default_rng(0)
    data = {"id": np.arange(rows)} | {f"c{n}": random.integers(0, 1000, rows) for n in range(columns)}
    pq.write_table(pa.table(data), root / "wide.parquet")
    for name, sql in rules.items():
        (root / "rules" / f"{name}.sql").write_text(sql + "\n")


def add_column(rule: Path) -> None:
    """Give a rule one more column."""
    text = rule.read_text().replace("FROM wide\n", "FROM wide AS w\n")
    value = "MAX(w.c0)" if "GROUP BY" in text else "w.c0 + 5"
    rule.write_text(text.replace("SELECT", f"SELECT {value} AS more,", 1))


def bare(root: Path, rules: Rules) -> float:
    """Return how long the engine takes alone, from file to file."""
    began = time.perf_counter()
    session = SessionContext()
    session.register_parquet("wide", str(root / "wide.parquet"))
    for name, sql in rules.items():
        session.sql(sql).write_parquet(str(root / f"bare_{name}.parquet"))
        session.register_parquet(name, str(root / f"bare_{name}.parquet"))
    return time.perf_counter() - began


def timed(root: Path, *words: str) -> float:
    """Return how long a command takes in this process."""
    began = time.perf_counter()
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        code = main([*words, "-C", str(root)])
    if code:
        raise SystemExit(f"rules {' '.join(words)} ended with {code}:\n{silent.getvalue()}")
    return time.perf_counter() - began


def profiled(work: Callable[[], float]) -> None:
    """Run work, and print where the time of all its threads went."""
    profiles: list[cProfile.Profile] = []
    start = threading.Thread.run

    def run_profiled(thread: threading.Thread) -> None:
        profiles.append(profile := cProfile.Profile())
        profile.runcall(start, thread)

    threading.Thread.run = run_profiled  # type: ignore[method-assign]
    try:
        profiles.append(profile := cProfile.Profile())
        profile.runcall(work)
    finally:
        threading.Thread.run = start  # type: ignore[method-assign]
    pstats.Stats(*profiles).strip_dirs().sort_stats("cumtime").print_stats(110)


def run() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--profile", metavar="PROJECT", help="show what a cold build of this project does")
    options = parser.parse_args()
    all_projects = projects(options.columns)
    steps = ("bare", "cold", "no-op", "plan", "check", "edit", "diff", "lineage", "allowed")
    sys.stdout.write(f"{'':12}" + "".join(f"{step:>9}" for step in steps) + "\n")
    for name, rules in all_projects.items():
        if options.profile not in {None, name}:
            continue
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "project"
            make_project(root, rules, options.columns, options.rows)
            found = {"bare": bare(root, rules)}
            if options.profile:
                profiled(lambda root=root: timed(root, "build"))  # type: ignore[misc]
                continue
            found["cold"] = timed(root, "build")
            found["no-op"] = timed(root, "build")
            add_column(root / "rules" / "one.sql")
            found["plan"] = timed(root, "plan")
            found["diff"] = timed(root, "diff")
            found["check"] = timed(root, "check", "--ignore", "ALL")
            found["edit"] = timed(root, "build")
            found["lineage"] = timed(root, "lineage", f"{list(rules)[-1]}.id")
            found["allowed"] = 2 * found["bare"] + 2
            sys.stdout.write(f"{name:12}" + "".join(f"{found[step]:9.2f}" for step in steps) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    os.environ.setdefault("NO_COLOR", "1")
    run()
