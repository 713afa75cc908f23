"""Stored tables one after the other, written as one: the rows in the order of the tables, digested on the way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from rules.engine.protocol import Executed
from rules.engine.writing import ProductWriter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from compiler.schema import Schema

_ROWS = 1 << 16


def concatenate(files: Iterable[Path], schema: Schema, target: Path) -> Executed:
    """Write the tables of `schema` in `files`, which `ProductWriter` wrote, to `target`. Raises OSError."""
    started = time.perf_counter()
    with ProductWriter(target, schema) as writer:
        for path in files:
            # Opened here: to have a path looked up takes pyarrow as long as to read a small table.
            with pa.OSFile(str(path)) as opened, pq.ParquetFile(opened, page_checksum_verification=True) as file:
                for batch in file.iter_batches(_ROWS, use_threads=False):
                    writer.write(batch)
        digest = writer.finish()
    return Executed.of(digest, schema, started)
