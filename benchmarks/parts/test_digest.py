"""Digests of columns, of bags of rows, and of files, of a million rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache.bags import bag_digest
from cache.digests import TableDigest, TableDigester
from cache.filedigest import file_digest

ROWS = 1_000_000
KINDS = ("int64", "double", "string", "nullable")


@pytest.fixture(scope="session")
def tables() -> dict[str, pa.Table]:
    """Return a table of one column for each kind."""
    numbers = np.random.default_rng(0).integers(0, 10**6, ROWS)
    integers = pa.array(numbers)
    columns = {
        "int64": integers,
        "double": pa.array(numbers / 7),
        "string": integers.cast(pa.string()),
        "nullable": pa.array(numbers, mask=numbers % 5 == 0),
    }
    return {kind: pa.table({"value": column}) for kind, column in columns.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_columns(benchmark: Any, tables: dict[str, pa.Table], kind: str) -> None:
    """Digest a column in order."""

    def digest() -> TableDigest:
        digester = TableDigester(tables[kind].schema)
        for batch in tables[kind].to_batches(max_chunksize=8192):
            digester.update(batch)
        return digester.finish()

    assert benchmark(digest).rows == ROWS


@pytest.mark.parametrize("kind", KINDS)
def test_bag(benchmark: Any, tables: dict[str, pa.Table], kind: str) -> None:
    """Digest rows as a bag."""
    table = tables[kind]
    assert benchmark(lambda: bag_digest(table.schema, table.to_batches(max_chunksize=8192), ["value"]))


def test_file(benchmark: Any, tables: dict[str, pa.Table], tmp_path: Path) -> None:
    """Digest a file's bytes."""
    pq.write_table(tables["string"], tmp_path / "table.parquet")
    assert benchmark(file_digest, tmp_path / "table.parquet")
