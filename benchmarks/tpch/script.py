"""The 22 TPC-H queries as a bare script: `python -m benchmarks.tpch.script PROJECT TARGET THREADS POOL`.

What somebody would write who needs no more than the tables: the engine with the settings of the default profile, as
many queries at once, and Parquet of the same compression. Nothing is compiled, digested, synced or recorded.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from datafusion import ParquetWriterOptions, RuntimeEnvBuilder, SessionConfig, SessionContext

_WRITER = ParquetWriterOptions(compression="zstd(1)", dictionary_page_size_limit=1 << 16)


def run(query: Path, data: Path, target: Path, pool: int) -> None:
    """Run one query on the tables, and write its result."""
    config = SessionConfig().with_target_partitions(1).with_batch_size(32_768)
    config = config.set("datafusion.execution.sort_in_place_threshold_bytes", str(32 << 20))
    session = SessionContext(config, RuntimeEnvBuilder().with_fair_spill_pool(pool))
    for table in data.glob("*.parquet"):
        session.register_parquet(table.stem, str(table))
    session.sql(query.read_text()).write_parquet(str(target / f"{query.stem}.parquet"), _WRITER)


def main(project: str, target: str, threads: str, pool: str) -> None:
    """Run all queries, some at once."""
    queries = sorted(Path(project, "rules").glob("*.sql"))
    Path(target).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(int(threads)) as executor:
        list(executor.map(lambda query: run(query, Path(project, "data"), Path(target), int(pool)), queries))


if __name__ == "__main__":
    main(*sys.argv[1:])
