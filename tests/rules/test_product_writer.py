"""A product's digest is taken from what is being written: it must be that of what both of its readers find there."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from cache.digests import TableDigest
from cache.levels import UnsupportedTypeError
from rules.config.profiles import PROFILES
from rules.engine.execute import open_frame
from rules.engine.protocol import EngineError, EngineInput, EngineQuery
from rules.engine.writing import ProductWriter
from rules.files.project_paths import DEFAULT_PROFILE
from rules.storage.types import storable_schema, to_arrow, to_schema
from support.arrays import LEAVES, batches_of, columns, digest, schema_of

QUICK = settings(max_examples=60)


def written(target: Path, schema: pa.Schema, batches: list[pa.RecordBatch]) -> TableDigest:
    with ProductWriter(target, to_schema(storable_schema(schema))) as writer:
        for batch in batches:
            writer.write(batch)
        return writer.finish()


def read_by_arrow(path: Path) -> TableDigest:
    with pq.ParquetFile(path) as file:
        return digest(file.schema_arrow, list(file.iter_batches(batch_size=5)))


def read_by_engine(path: Path, schema: pa.Schema) -> TableDigest:
    known = to_schema(storable_schema(schema))
    given = EngineInput("product", (path,), known, tuple(known.names))
    names = ", ".join(f'"{name}"' for name in known.names)
    query = EngineQuery(f"SELECT {names} FROM input.product", (given,), PROFILES[DEFAULT_PROFILE])
    frame = open_frame(query, path.parent)
    return digest(to_arrow(known), [batch.to_pyarrow() for batch in frame.execute_stream()])


@pytest.mark.slow
@QUICK
@given(st.data())
def test_both_readers_find_what_was_digested(data: st.DataObject) -> None:
    rows = data.draw(st.integers(0, 12))
    table = {name: data.draw(columns(rows)) for name in ("x", "y")}
    schema = schema_of(table)
    try:
        storable_schema(schema)
    except UnsupportedTypeError:
        reject()
    batches = batches_of(data.draw, table, rows, exotic=False)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "product.parquet"
        told = written(target, schema, batches)
        assert read_by_arrow(target) == told
        assert read_by_engine(target, schema) == told


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (pa.timestamp("s"), pa.timestamp("ms")),
        (pa.timestamp("s", "Asia/Tokyo"), pa.timestamp("ms", "Asia/Tokyo")),
        (pa.time32("s"), pa.time32("ms")),
        (pa.date64(), pa.date32()),
        (pa.list_(pa.timestamp("s")), pa.list_(pa.timestamp("ms"))),
    ],
    ids=str,
)
def test_what_parquet_lacks_is_stored_as_what_it_has(tmp_path: Path, given: pa.DataType, stored: pa.DataType) -> None:
    array = pa.nulls(1, given) if pa.types.is_list(given) else pa.array([None, 0], given)
    told = written(tmp_path / "product.parquet", pa.schema([("x", given)]), [pa.record_batch([array], ["x"])])
    assert told == digest(pa.schema([("x", stored)]), [pa.record_batch([array.cast(stored)], ["x"])])
    assert read_by_arrow(tmp_path / "product.parquet") == told


def groups(path: Path) -> list[int]:
    metadata = pq.read_metadata(path)
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


def test_row_groups_do_not_depend_on_batches(tmp_path: Path) -> None:
    """Who reads the product adds up floats by row group: what it finds must not depend on how the product was made."""
    rows = 400_000
    random = np.random.default_rng(1)
    words = pa.array(random.integers(0, 10**12, rows)).cast(pa.string())
    table = pa.table({"x": random.random(rows), "s": words, "l": [[1]] * rows})
    found = []
    for size, layout in [(1 << 20, pa.string()), (8192, pa.string_view()), (77_777, pa.large_string())]:
        laid_out = table.set_column(1, "s", table["s"].cast(layout)).combine_chunks()
        target = tmp_path / f"{size}.parquet"
        found.append((written(target, table.schema, laid_out.to_batches(size)), groups(target)))
    assert found == [found[0]] * 3
    assert len(found[0][1]) > 1
    assert sum(found[0][1]) == rows
    assert read_by_engine(tmp_path / "8192.parquet", table.schema) == found[0][0]


def test_bytes_do_not_depend_on_batches(tmp_path: Path) -> None:
    """Rows may come in batches of any size: neither encodings nor the ends of pages may follow from them."""
    rows = 300_000
    wave = np.minimum(np.arange(rows) % 10, 10 - np.arange(rows) % 10)  # each tenth value is the same
    words = pa.array([f"{number:0{number % 40 + 1}d}" for number in range(rows)])
    gaps = pa.array(np.arange(rows) * 7, mask=np.arange(rows) % 3 == 0)
    table = pa.table({"wave": wave, "words": words, "gaps": gaps, "l": [[1, None]] * rows})
    found = set()
    for size in (rows, 8192, 8191, 1000, 777):
        written(tmp_path / "product.parquet", table.schema, table.to_batches(size))
        found.add((tmp_path / "product.parquet").read_bytes())
    assert len(found) == 1


WHOLE = [
    dtype
    for dtype, _ in LEAVES
    if (pa.types.is_integer(dtype) or pa.types.is_temporal(dtype)) and not pa.types.is_interval(dtype)
]


@pytest.mark.parametrize("dtype", [dtype for dtype in WHOLE if dtype.bit_width > 8], ids=str)  # 256 values repeat
def test_differences_of_any_size_are_read_back(tmp_path: Path, dtype: pa.DataType) -> None:
    """Integers are stored as their differences, which wrap around: between the least and the largest, for example."""
    dtype = storable_schema(pa.schema([("x", dtype)])).field(0).type
    bits = dtype.bit_width
    random = np.random.default_rng(1)
    raw = random.integers(0, 256, 3000 * bits // 8, dtype=np.uint8)
    raw[: 6 * bits // 8].view(f"<u{bits // 8}")[:] = [0, 2**bits - 1, 2 ** (bits - 1), 2 ** (bits - 1) - 1, 0, 1]
    if pa.types.is_time(dtype):  # of a day
        day = 86_400 * {"ms": 10**3, "us": 10**6, "ns": 10**9}[dtype.unit]
        raw = (raw.view(f"<u{bits // 8}") % day).astype(f"<u{bits // 8}")
    present = random.integers(0, 256, 3000 // 8, dtype=np.uint8) | 0x3F  # some rows are null
    array = pa.Array.from_buffers(dtype, 3000, [pa.py_buffer(present), pa.py_buffer(raw)])
    schema = pa.schema([("x", dtype)])
    told = written(tmp_path / "product.parquet", schema, [pa.record_batch([array], schema)])
    assert "DELTA_BINARY_PACKED" in pq.read_metadata(tmp_path / "product.parquet").row_group(0).column(0).encodings
    assert told == digest(schema, [pa.record_batch([array], schema)])
    assert read_by_arrow(tmp_path / "product.parquet") == told
    assert read_by_engine(tmp_path / "product.parquet", schema) == told


def test_extremes_that_repeat_are_stored_as_a_dictionary(tmp_path: Path) -> None:
    values = np.random.default_rng(1).choice([-(2**63), 2**63 - 1, 0], 1000)
    schema = pa.schema([("n", pa.int64())])
    told = written(tmp_path / "product.parquet", schema, [pa.record_batch([values], schema=schema)])
    assert "RLE_DICTIONARY" in pq.read_metadata(tmp_path / "product.parquet").row_group(0).column(0).encodings
    assert read_by_engine(tmp_path / "product.parquet", schema) == told


def test_few_values_far_apart_are_stored_as_a_dictionary(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    days = random.integers(0, 365, 100_000) * 86_400_000_000
    schema = pa.schema([("day", pa.timestamp("us")), ("l", pa.list_(pa.string())), ("n", pa.int64())])
    table = pa.table([days, [["a"]] * 100_000, random.integers(0, 10**6, 100_000)], schema=schema)
    written(tmp_path / "product.parquet", schema, table.to_batches())
    metadata = pq.read_metadata(tmp_path / "product.parquet").row_group(0)
    kinds = {metadata.column(at).path_in_schema: set(metadata.column(at).encodings) for at in range(3)}
    assert "RLE_DICTIONARY" in kinds["day"] & kinds["l.list.element"]
    assert kinds["n"] == {"DELTA_BINARY_PACKED", "RLE"}
    assert metadata.column(0).total_compressed_size < 130_000  # 9 bits a row


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    schema = pa.schema([("x", pa.int64()), ("s", pa.string())])
    for batches in ([], [pa.RecordBatch.from_pylist([], schema)]):
        told = written(tmp_path / "product.parquet", schema, batches)
        assert told.rows == 0
        assert (
            read_by_arrow(tmp_path / "product.parquet") == told == read_by_engine(tmp_path / "product.parquet", schema)
        )


@pytest.mark.parametrize(
    "found", [{"x": [1.5]}, {"y": [1]}, {"x": [1], "y": [1]}], ids=["other type", "other name", "one more"]
)
def test_columns_that_were_not_planned_are_refused(tmp_path: Path, found: dict[str, list[Any]]) -> None:
    schema = pa.schema([("x", pa.int64())])
    with pytest.raises(EngineError, match="but it had planned"):
        written(tmp_path / "product.parquet", schema, [pa.RecordBatch.from_pydict(found)])


def test_a_disk_that_is_full_is_told_of(tmp_path: Path) -> None:
    """Also by the thread that encodes a row group while the next is made."""
    random = np.random.default_rng(1)
    table = pa.table({"x": random.integers(0, 1 << 60, 3_000_000)})
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        written(tmp_path / "full", table.schema, table.to_batches(65_536))
