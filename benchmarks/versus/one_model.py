"""Compute one model, as ninja's command: read its SQL, run it in DuckDB, write Parquet. Needs duckdb alone.

Usage: python one_model.py MODEL.sql TARGET.parquet NAME=INPUT.parquet…

An unchanged table leaves its file as it was, time and all, so that ninja (restat) prunes what depends on it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import duckdb  # type: ignore[import-not-found,unused-ignore]


def main() -> None:
    """Run the command line."""
    model, target, *inputs = sys.argv[1:]
    connection = duckdb.connect(config={"threads": 1})  # ninja runs as many commands as there are cores
    for one in inputs:
        name, _, path = one.partition("=")
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{path}')")
    fresh, old = Path(f"{target}.new"), Path(target)
    sql = Path(model).read_text(encoding="utf-8")
    connection.execute(f"COPY (\n{sql}) TO '{fresh}' (FORMAT parquet, COMPRESSION zstd)")
    if old.exists() and old.read_bytes() == fresh.read_bytes():
        fresh.unlink()
    else:
        os.replace(fresh, old)  # noqa: PTH105


if __name__ == "__main__":
    main()
