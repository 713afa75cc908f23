"""Set a rule beside itself in conjunctive normal form: `.venv-test/bin/python -m benchmarks.normal_forms [--rows N]`.

The engine pushes what an OR says of one side below a join by itself. It does not push it below a window or a grouping:
(kind = 1 AND n <= 3) OR (kind = 2 AND n <= 5) hides kind = 1 OR kind = 2, which CNF shows. Printed are medians of the
seconds that the engine took for each case, as it is written and with normalize = "cnf", in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rules.cli import main as rules

CASES = {
    "window": "SELECT q.kind, q.day, q.n FROM (SELECT e.kind, e.day, "
    "ROW_NUMBER() OVER (PARTITION BY e.kind ORDER BY e.day, e.id) AS n FROM events AS e) AS q "
    "WHERE (q.kind = 1 AND q.n <= 3) OR (q.kind = 2 AND q.n <= 5)",
    "grouping": "SELECT e.kind, e.day, COUNT(*) AS n FROM events AS e GROUP BY e.kind, e.day "
    "HAVING (e.kind = 1 AND COUNT(*) > 3) OR (e.kind = 2 AND COUNT(*) > 5)",
    "join": "SELECT e.id, k.name FROM events AS e JOIN kinds AS k ON k.kind = e.kind "
    "WHERE (e.day = 1 AND k.name = 'kind 3') OR (e.day = 2 AND k.name = 'kind 4')",
}


def make_project(root: Path, rows: int) -> None:
    """Write a project of all cases, each as it is written and in CNF."""
    (root / "rules").mkdir(parents=True)
    sources = "".join(f'\n[sources.{name}]\npath = "{name}.parquet"\n' for name in ("events", "kinds"))
    (root / "rules.toml").write_text(f'[project]\nname = "normal"\n{sources}')
    random = np.random.default_rng(0)
    kind, day = random.integers(0, 1000, rows), random.integers(0, 365, rows)
    pq.write_table(pa.table({"id": np.arange(rows), "kind": kind, "day": day}), root / "events.parquet")
    pq.write_table(
        pa.table({"kind": np.arange(1000), "name": [f"kind {one}" for one in range(1000)]}), root / "kinds.parquet"
    )
    for name, sql in CASES.items():
        (root / f"rules/{name}_written.sql").write_text(sql + "\n")
        (root / f"rules/{name}_cnf.sql").write_text(f'-- /// rule\n-- normalize = "cnf"\n-- ///\n{sql}\n')


def seconds(root: Path, name: str) -> tuple[float, str]:
    """Return how long a product took, and its artifact."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        rules(["build", "-C", str(root), "-s", name, "--force", name, "-j", "1", "--json"])
    (product,) = json.loads(said.getvalue())["products"]
    return product["seconds"], product["artifact"]


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description="Measure rules as they are written and in CNF.")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_project(root, given.rows)
        print(f"{'case':10} {'as written':>11} {'CNF':>8} {'times':>7}  tables")
        for case in CASES:
            names = f"{case}_written", f"{case}_cnf"
            runs = [[seconds(root, name) for name in names] for _ in range(given.runs)]
            written, cnf = (statistics.median(one[place][0] for one in runs) for place in (0, 1))
            same = "equal" if len({one[1] for pair in runs for one in pair}) == 1 else "DIFFERENT"
            print(f"{case:10} {written:11.3f} {cnf:8.3f} {written / cnf:7.1f}  {same}", flush=True)


if __name__ == "__main__":
    main()
