"""What a change of a source re-executes: the readers of what changed, by value, and nothing else."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from support.direct import build, executed
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TABLE = pa.table(
    {
        "id": pa.array(range(1000)),
        "amount": pa.array([None if n % 7 == 0 else n / 3 for n in range(1000)]),
        "place": pa.array([f"place {n % 13}" for n in range(1000)]),
        "a.b": pa.array([n % 5 for n in range(1000)]),
        "tags": pa.array([[n % 3] * (n % 4) for n in range(1000)]),
        "at": pa.array([{"x": n, "y": None if n % 2 else "odd"} for n in range(1000)]),
    }
)
RULES = {
    "total": "SELECT SUM(amount) AS total FROM s",
    "places": "SELECT DISTINCT place FROM s",
    "dotted": 'SELECT SUM("a.b") AS n FROM s',
    "nested": "SELECT s.at['x'] AS x, array_length(s.tags) AS n FROM s",
    "how_many": "SELECT COUNT(*) AS n FROM s",
}


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path, sources=["s"])
    project.parquet("s", TABLE)
    for name, sql in RULES.items():
        project.sql(name, sql)
    assert executed(build(tmp_path)) == set(RULES)
    return project


def source(project: SampleProject) -> Path:
    return project.root / "data" / "s.parquet"


def changed(table: pa.Table, column: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, values)


def test_a_touched_file_executes_nothing(project: SampleProject) -> None:
    os.utime(source(project), (1, 1))
    assert executed(build(project.root)) == set()


LAYOUTS: dict[str, dict[str, Any]] = {
    "row groups": {"row_group_size": 77},
    "compression": {"compression": "zstd"},
    "no dictionary": {"use_dictionary": False},
    "data pages": {"data_page_version": "2.0", "data_page_size": 100},
    "delta": {"use_dictionary": False, "column_encoding": {"id": "DELTA_BINARY_PACKED", "place": "DELTA_BYTE_ARRAY"}},
    "no arrow schema": {"store_schema": False},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_equal_values_in_another_layout_execute_nothing(project: SampleProject, layout: str) -> None:
    before = source(project).read_bytes()
    pq.write_table(TABLE, source(project), **LAYOUTS[layout])
    assert source(project).read_bytes() != before
    assert executed(build(project.root)) == set()


def test_other_string_layouts_execute_nothing(project: SampleProject) -> None:
    for values in (pc.cast(TABLE["place"], pa.large_string()), TABLE["place"].dictionary_encode()):
        project.parquet("s", changed(TABLE, "place", values))
        assert executed(build(project.root)) == set()


def test_reordered_columns_and_one_that_nobody_reads_execute_nothing(project: SampleProject) -> None:
    project.parquet("s", TABLE.select(TABLE.column_names[::-1]).append_column("new", pa.array(range(1000))))
    assert executed(build(project.root)) == set()


def test_equal_values_split_over_other_files_execute_nothing(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, toml='\n[sources.s]\npath = "data"\n')
    project.parquet("a", TABLE)
    for name, sql in RULES.items():
        project.sql(name, sql)
    build(tmp_path)
    project.parquet("a", TABLE.slice(0, 100))
    project.parquet("b", TABLE.slice(100))
    assert executed(build(tmp_path)) == set()
    (tmp_path / "data" / "b.parquet").rename(tmp_path / "data" / "A.parquet")
    assert "places" in executed(build(tmp_path)), "the rows stand in another order now"


CHANGES = {"amount": {"total"}, "place": {"places"}, "a.b": {"dotted"}, "id": set()}


@pytest.mark.parametrize(("column", "readers"), CHANGES.items(), ids=CHANGES)
def test_one_changed_value_executes_the_readers_of_its_column(
    project: SampleProject, column: str, readers: set[str]
) -> None:
    values = TABLE[column].to_pylist()
    values[500] = "elsewhere" if column == "place" else 12345
    project.parquet("s", changed(TABLE, column, pa.array(values)))
    assert executed(build(project.root)) == readers


def test_a_change_deep_in_a_nested_column(project: SampleProject) -> None:
    values = TABLE["at"].to_pylist()
    values[10]["y"] = "other"
    project.parquet("s", changed(TABLE, "at", pa.array(values)))
    assert executed(build(project.root)) == {"nested"}
    items = TABLE["tags"].to_pylist()
    items[10] = [9]
    project.parquet("s", changed(TABLE, "tags", pa.array(items)))
    assert executed(build(project.root)) == {"nested"}


def test_a_changed_row_count_executes_also_those_that_only_count(project: SampleProject) -> None:
    project.parquet("s", pa.concat_tables([TABLE, TABLE.slice(0, 1)]))
    assert "how_many" in executed(build(project.root))
    assert project.product("how_many").to_pylist() == [{"n": 1001}]


TYPES: dict[str, Callable[[pa.Table], Any]] = {
    "amount": lambda table: table["amount"].cast(pa.float32()),
    "a.b": lambda table: table["a.b"].cast(pa.int32()),
}


@pytest.mark.parametrize(("column", "readers"), [("amount", {"total"}), ("a.b", {"dotted"})])
def test_a_changed_type_executes_the_readers_of_the_column(
    project: SampleProject, column: str, readers: set[str]
) -> None:
    project.parquet("s", changed(TABLE, column, TYPES[column](TABLE)))
    assert executed(build(project.root)) == readers


def struct_files() -> tuple[pa.Table, pa.Table]:
    """Two tables whose struct column differs in which of its levels is NULL, and whose encoded bytes are alike."""
    inner, outer = pa.array([1, None, 3]), pa.array([1, 0, 3])
    nulls = pa.array([False, True, False])
    optional = pa.StructArray.from_arrays([inner], fields=[pa.field("x", pa.int64(), nullable=True)])
    required = pa.StructArray.from_arrays([outer], fields=[pa.field("x", pa.int64(), nullable=False)], mask=nulls)
    one = pa.Table.from_arrays([optional], schema=pa.schema([pa.field("at", optional.type, nullable=False)]))
    two = pa.Table.from_arrays([required], schema=pa.schema([pa.field("at", required.type, nullable=True)]))
    return one, two


def test_null_structs_and_structs_of_null_are_not_confused(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["s"])
    project.sql("p", "SELECT COUNT(s.at) AS n FROM s")
    counts = []
    for table in struct_files():
        project.parquet("s", table)
        assert executed(build(tmp_path)) == {"p"}
        counts += project.product("p").to_pylist()
    assert counts == [{"n": 3}, {"n": 2}]


@pytest.mark.parametrize("swap", [(0.0, -0.0), (float("nan"), None), (1.0, 1.0000000000000002)])
def test_floats_are_compared_by_their_bits(tmp_path: Path, swap: tuple[float, float | None]) -> None:
    project = SampleProject(tmp_path, sources=["s"])
    project.sql("p", "SELECT x FROM s")
    for value in swap:
        project.parquet("s", {"x": pa.array([2.0, value], pa.float64())})
        assert executed(build(tmp_path)) == {"p"}


def index_rows(project: SampleProject, sql: str) -> list[Any]:
    connection = sqlite3.connect(project.root / ".rules" / "index.sqlite")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_text_is_ingested_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = SampleProject(tmp_path, toml='\n[sources.s]\npath = "data/s.csv"\n[sources.j]\npath = "data/j.jsonl"\n')
    project.write("data/s.csv", "a,b\n1,x\n2,y\n")
    project.write("data/j.jsonl", '{"k":1}\n')
    project.sql("p", "SELECT a FROM s")
    project.sql("q", "SELECT k FROM j")
    assert executed(build(tmp_path)) == {"p", "q"}
    known = index_rows(project, "SELECT content FROM contents ORDER BY content")
    ingested = {path: path.stat().st_ino for path in (tmp_path / ".rules" / "objects").rglob("*.parquet")}

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("text was read again")

    monkeypatch.setattr("rules.formats.ingest.to_parquet", refuse)
    assert executed(build(tmp_path)) == set()
    project.sql("p", "SELECT a + 1 AS a, b FROM s")
    project.sql("r", "SELECT COUNT(*) AS n FROM j")
    assert executed(build(tmp_path)) == {"p", "r"}
    os.utime(tmp_path / "data" / "s.csv", (1, 1))
    assert executed(build(tmp_path)) == set()
    assert index_rows(project, "SELECT content FROM contents ORDER BY content") == known
    assert all(path.stat().st_ino == inode for path, inode in ingested.items())
    monkeypatch.undo()
    project.write("data/s.csv", "a,b\n1,x\n3,y\n")
    assert executed(build(tmp_path)) == {"p"}


def test_changed_text_executes_the_readers_of_what_changed(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, toml='\n[sources.s]\npath = "data/s.csv"\n')
    project.write("data/s.csv", "a,b\n1,x\n2,y\n")
    project.sql("p", "SELECT a FROM s")
    project.sql("q", "SELECT b FROM s")
    project.sql("n", "SELECT COUNT(*) AS n FROM s")
    build(tmp_path)
    project.write("data/s.csv", 'b,a,c\n"x",1,\ny,2,\n')
    assert executed(build(tmp_path)) == set()
    project.write("data/s.csv", "a,b\n1,x\n2,z\n")
    assert executed(build(tmp_path)) == {"q"}
    project.edit("rules.toml", 'path = "data/s.csv"', 'path = "data/s.csv"\ncolumns = { a = "double" }')
    assert executed(build(tmp_path)) == {"p"}


def test_an_ingested_table_that_is_gone_is_made_again(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, toml='\n[sources.s]\npath = "data/s.csv"\n')
    project.write("data/s.csv", "a\n1\n")
    project.sql("p", "SELECT a FROM s")
    build(tmp_path)
    (artifact,) = index_rows(project, "SELECT json_extract(record, '$.artifact') FROM contents")
    (tmp_path / ".rules" / "objects" / artifact[0][:2] / f"{artifact[0][2:]}.parquet").unlink()
    project.sql("q", "SELECT a + 1 AS b FROM s")
    assert executed(build(tmp_path)) == {"q"}
    assert project.product("q").to_pylist() == [{"b": 2}]


def test_a_key_of_group_by_all_is_read_though_nobody_shows_it(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["t"])
    project.parquet("t", {"g": ["x", "x", "y"], "n": [1, 2, 3]})
    project.sql("groups", "SELECT q.g FROM (SELECT t.g, t.n + 1 AS more FROM t GROUP BY ALL) AS q")
    build(project.root)
    assert sorted(project.product("groups")["g"].to_pylist()) == ["x", "x", "y"]
    project.parquet("t", {"g": ["x", "x", "y"], "n": [1, 1, 3]})
    assert executed(build(project.root)) == {"groups"}
    assert sorted(project.product("groups")["g"].to_pylist()) == ["x", "y"]
    project.sql("groups", "SELECT q.g FROM (SELECT t.g, t.n * 0 AS more FROM t GROUP BY ALL) AS q")
    assert executed(build(project.root)) == {"groups"}
