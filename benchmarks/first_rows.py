"""Set QUALIFY row_number() … = 1 beside the form in which it is executed: `python -m benchmarks.first_rows [--rows N]`.

Printed are medians of the processor seconds that the engine took over tables of ever more rows for each key, and the
factor between both. The tables must be equal, rows in the same order.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from rules.config.profiles import PROFILES
from rules.engine.session import make_session, qualified_name
from support.compiling import TestCompiler

SQL = "SELECT t.k, t.o, t.v FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY t.k ORDER BY t.o DESC, t.v) = 1"
ROWS_OF_A_KEY = (1, 3, 10, 100, 10_000)


def taken(sql: str, file: Path) -> tuple[float, pa.Table]:
    """Return the processor seconds of a query over one file as the input `t`, and its table."""
    session = make_session(PROFILES["prod_fast"])
    session.register_parquet(qualified_name("t"), str(file))
    session.register_parquet("t", str(file))
    start = time.process_time()
    batches = [batch.to_pyarrow() for batch in session.sql(sql).execute_stream()]
    return time.process_time() - start, pa.Table.from_batches(batches)


def main() -> None:
    """Print a line for each number of rows of a key."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    print(f"{'rows a key':>10} {'as written':>11} {'executed':>9} {'times':>6}  tables")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "t.parquet"
        for rows in ROWS_OF_A_KEY:
            draw = np.random.default_rng(rows)
            keys, order = (draw.integers(0, most, given.rows) for most in (given.rows // rows, 10**9))
            table = pa.table({"k": keys, "o": order, "v": draw.random(given.rows)})
            pq.write_table(table, file)
            forms = SQL, TestCompiler({"t": table.schema}).compile(SQL).sql
            runs = [[taken(sql, file) for sql in forms] for _ in range(given.runs)]
            written, executed = (statistics.median(run[place][0] for run in runs) for place in (0, 1))
            same = "equal" if all(first[1].equals(second[1]) for first, second in runs) else "DIFFERENT"
            print(f"{rows:10} {written:11.2f} {executed:9.2f} {written / executed:6.1f}  {same}", flush=True)


if __name__ == "__main__":
    main()
