"""Files that a cluster has written, and what it is sent to read and write others. No Spark is needed for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rules.engine.protocol import EngineError
from rules.engine.spark import executor_work
from rules.engine.spark.execute import read_parts
from rules.engine.spark.executor_work import Piece, Server, Span
from rules.engine.spark.staging import by_value
from rules.engine.stopping import NEVER

SCHEMA = pa.schema([("k", pa.int64()), ("name with, signs", pa.string_view())])


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.parquet"))


def write(folder: Path, number: int, *keys: int) -> None:
    table = pa.table({"c0": pa.array(keys, pa.int64()), "c1": pa.array([f"s{key}" for key in keys])})
    pq.write_table(table, folder / f"part-{number:05}-0f4c.c000.zstd.parquet")


def test_files_are_read_in_their_order_under_the_columns_of_the_product(tmp_path: Path) -> None:
    write(tmp_path, 1, 3)
    write(tmp_path, 0, 1, 2)
    (tmp_path / "_SUCCESS").touch()
    table = pa.Table.from_batches(read_parts(files(tmp_path), SCHEMA, 3, NEVER), SCHEMA)
    assert table.to_pydict() == {"k": [1, 2, 3], "name with, signs": ["s1", "s2", "s3"]}


@pytest.mark.parametrize("count", [3, 1])
def test_a_file_that_is_not_seen_is_no_smaller_table(tmp_path: Path, count: int) -> None:
    write(tmp_path, 0, 1, 2)
    with pytest.raises(EngineError, match=f"Spark has written {count} rows, of which 2 are seen here"):
        list(read_parts(files(tmp_path), SCHEMA, count, NEVER))


def test_a_file_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, 0, 1, 2)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(EngineError, match="which Spark has written, cannot be read"):
        list(read_parts(files(tmp_path), SCHEMA, 2, NEVER))


def test_other_columns_than_planned_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, 0, 1)
    with pytest.raises(EngineError, match="Spark returned the columns"):
        list(read_parts(files(tmp_path), pa.schema([("k", pa.int32()), ("s", pa.string())]), 1, NEVER))


WITHOUT_RULES = """
import pickle, sys
sys.modules["rules"] = None
for work in pickle.load(sys.stdin.buffer):
    print(list(work([])))
"""


@pytest.mark.slow
def test_what_executors_run_needs_no_package_of_ours() -> None:
    cloudpickle = pytest.importorskip("pyspark.cloudpickle")
    piece = Piece("bucket", "a.parquet", '"tag"', 100, (0,), (Span(0, 100, b"digest"),))
    server = Server("http://127.0.0.1:1", "")
    sent = [by_value(executor_work.reading((piece,), SCHEMA, server))]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RULES], input=cloudpickle.dumps(sent), capture_output=True, check=False, cwd="/"
    )
    assert (done.stdout, done.stderr) == (b"[]\n", b"")
