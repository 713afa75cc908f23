"""Row groups of a Parquet file as files of their own: the same values for every reader, whoever wrote the file."""

from __future__ import annotations

import contextlib
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datafusion import ParquetWriterOptions, SessionConfig, SessionContext

from rules.formats.row_groups import FileRows, UncutError, as_files, cut_out, require_cuttable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS, GROUP = 900, 100
START = datetime(1969, 12, 30, tzinfo=UTC)


def table() -> pa.Table:
    rng = random.Random(7)

    def some(values: list[Any]) -> list[Any]:
        return [None if n % 13 == 5 else values[(n * 7) % len(values)] for n in range(ROWS)]

    texts = ["", "ä", "a\0b", "x" * 90, *(f"name {n}" for n in range(200))]
    return pa.table(
        {
            "id": pa.array(range(ROWS), pa.int64()),
            "a.b": pa.array(some(list(range(-9, 9))), pa.int8()),
            "big": pa.array(some([0, 2**64 - 1]), pa.uint64()),
            "float": pa.array(some([0.1, float("nan"), -0.0, float("inf")]), pa.float64()),
            "half": pa.array(some([0.5, -2.0]), pa.float32()),
            "flag": pa.array(some([True, False])),
            "text": pa.array(some(texts)),
            "unique": pa.array([f"{rng.random()}" for _ in range(ROWS)]),
            "word": pa.array(some(["one", "two"])).dictionary_encode(),
            "bytes": pa.array(some([b"", b"\xff\0"]), pa.binary()),
            "fixed": pa.array(some([b"abcd", b"\0\0\0\0"]), pa.binary(4)),
            "money": pa.array(some([Decimal("-1.25"), Decimal("9999999.99")]), pa.decimal128(9, 2)),
            "wide": pa.array(some([Decimal(10) ** 30, Decimal(-7)]), pa.decimal128(38, 4)),
            "day": pa.array(some([START.date(), (START + timedelta(days=9999)).date()]), pa.date32()),
            "time": pa.array(some([START.time()]), pa.time64("us")),
            "at": pa.array(some([START, START + timedelta(days=40_000)]), pa.timestamp("us", "UTC")),
            "seconds": pa.array(some([START.replace(tzinfo=None)]), pa.timestamp("ms")),
            "list": pa.array(some([[], [1, None], [3]]), pa.list_(pa.int32())),
            "struct": pa.array(some([{"x": 1, "y": {"z": "s"}}, {"x": None, "y": None}])),
            "map": pa.array(some([[("k", 1)], []]), pa.map_(pa.string(), pa.int64())),
        }
    )


def by_engine(rows: pa.Table, path: Path) -> None:
    """Write with the engine's own writer."""
    session = SessionContext(SessionConfig().with_target_partitions(1))
    session.from_arrow(rows, "t")
    options = ParquetWriterOptions(max_row_group_size=GROUP, bloom_filter_on_write=True, compression="zstd(1)")
    session.sql("SELECT * FROM t").write_parquet_with_options(str(path), options)


def by_arrow(**options: Any) -> Callable[[pa.Table, Path], None]:
    return lambda rows, path: pq.write_table(rows, path, row_group_size=GROUP, **options)


WRITERS = {
    "engine": by_engine,
    "plain": by_arrow(compression="none", use_dictionary=False),
    "zstd": by_arrow(compression="zstd", write_page_index=True, data_page_size=256),
    "second pages": by_arrow(data_page_version="2.0", write_statistics=False),
    "old": by_arrow(version="1.0", use_deprecated_int96_timestamps=True),
    "Bloom filters": by_arrow(bloom_filter_options={"unique": True, "text": True}),
}
CHOSEN = [(0,), (8,), (2, 3, 7), tuple(range(9))]


def read(path: Path, columns: str = "*", where: str = "") -> pa.Table:
    session = SessionContext(SessionConfig().with_target_partitions(1))
    session.register_parquet("t", str(path))
    return session.sql(f"SELECT {columns} FROM t {where}").to_arrow_table()


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
def test_readers_see_the_rows_of_the_row_groups(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "whole.parquet"
    WRITERS[writer](table(), path)
    require_cuttable(path)
    whole, engine = pq.read_table(path), read(path)
    assert pq.read_metadata(path).num_row_groups == ROWS // GROUP
    for number, groups in enumerate(CHOSEN):
        part = tmp_path / f"{number}.parquet"
        cut_out(path, groups, whole.column_names, part)
        wanted = [whole.slice(group * GROUP, GROUP) for group in groups]
        assert rows_of(pq.read_table(part)) == rows_of(pa.concat_tables(wanted))
        wanted = [engine.slice(group * GROUP, GROUP) for group in groups]
        found = read(part)
        assert found.schema == engine.schema
        assert rows_of(found) == rows_of(pa.concat_tables(wanted))
        one = whole["unique"][groups[-1] * GROUP + 3].as_py()
        assert read(part, "id", f"WHERE \"unique\" = '{one}'")["id"].to_pylist() == [groups[-1] * GROUP + 3]
        assert read(part, "id", f"WHERE id BETWEEN {groups[-1] * GROUP} AND {groups[-1] * GROUP + 4}").num_rows == 5
        assert read(part, "COUNT(*) AS n")["n"].to_pylist() == [len(groups) * GROUP]


def rows_of(found: pa.Table) -> list[str]:
    return list(map(repr, found.to_pylist()))


def test_only_the_columns_that_are_read_are_copied(tmp_path: Path) -> None:
    path = tmp_path / "whole.parquet"
    rows = pa.table({"a": range(20_000), "b": [f"{n * 7919} {n}" for n in range(20_000)]})
    pq.write_table(rows, path, row_group_size=10_000, compression="none", write_page_index=True)
    few, all_ = tmp_path / "few.parquet", tmp_path / "all.parquet"
    cut_out(path, [1], ["a"], few)
    cut_out(path, [1], ["a", "b"], all_)
    assert read(few, "SUM(a) AS s")["s"].to_pylist() == [sum(range(10_000, 20_000))]
    assert few.stat().st_blocks < all_.stat().st_blocks < path.stat().st_blocks


def test_temporary_files_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "whole.parquet"
    pq.write_table(table(), path, row_group_size=GROUP)
    names = iter([f"{number:032x}.parquet" for number in range(2)])
    with as_files([FileRows(path), FileRows(path, (1,))], ["id"], lambda: tmp_path / next(names)) as files:
        assert files[0] == path
        assert pq.read_table(files[1], columns=["id"])["id"].to_pylist() == list(range(GROUP, 2 * GROUP))
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_changed_is_taken_apart_again(tmp_path: Path) -> None:
    path = tmp_path / "whole.parquet"
    for rows in (table(), table().slice(300)):
        pq.write_table(rows, path, row_group_size=GROUP)
        part = tmp_path / f"{rows.num_rows}.parquet"
        cut_out(path, [1], ["id"], part)
        assert pq.read_table(part, columns=["id"])["id"][0].as_py() == rows["id"][GROUP].as_py()


def test_chunks_in_other_files_are_refused(tmp_path: Path) -> None:
    path, footer = tmp_path / "whole.parquet", tmp_path / "_metadata"
    pq.write_table(table(), path, row_group_size=GROUP)
    metadata = pq.read_metadata(path)
    metadata.set_file_path("whole.parquet")
    metadata.write_metadata_file(footer)
    with pytest.raises(UncutError):
        require_cuttable(footer)


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_footer_is_refused_or_read(tmp_path: Path, seed: int) -> None:
    rng, path = random.Random(seed), tmp_path / "whole.parquet"
    pq.write_table(table().select(["id", "text", "struct"]), path, row_group_size=GROUP)
    data = path.read_bytes()
    size = int.from_bytes(data[-8:-4], "little")
    refused = 0
    for number in range(150):
        harmed = bytearray(data)
        for _ in range(rng.choice([1, 3])):
            harmed[len(data) - 8 - rng.randrange(size) - 1] = rng.randrange(256)
        other = tmp_path / f"{number}.parquet"
        other.write_bytes(harmed[: rng.choice([len(data), len(data), len(data) - 3])])
        with contextlib.suppress(UncutError):
            refused += 1
            require_cuttable(other)
            refused -= 1
    assert 20 < refused < 150
