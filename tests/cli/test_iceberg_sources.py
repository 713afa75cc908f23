"""Sources of the format Iceberg: which rows they have, which commits re-run what, and what cannot be read."""

from __future__ import annotations

import datetime
import decimal
import json
import shutil
import struct
import sys
import uuid
import weakref
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask, Table
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import DateType, IntegerType, LongType, NestedField, StringType, UUIDType
from pyroaring import BitMap

from support.direct import build, executed, run
from support.inprocess import run as run_text
from support.projects import SampleProject

SCHEMA = Schema(
    NestedField(1, "day", StringType()), NestedField(2, "id", IntegerType()), NestedField(3, "amount", LongType())
)


def rows(*found: tuple[str | None, int, int | None]) -> pa.Table:
    days, ids, amounts = zip(*found, strict=True)
    return pa.table({"day": pa.array(days, pa.string()), "id": pa.array(ids, pa.int32()), "amount": list(amounts)})


class Lake:
    """A project whose source t is the Iceberg table lake/db/t."""

    def __init__(self, root: Path, options: str = "", parts: str = "") -> None:
        self.root = root
        toml = f'\n[sources.t]\npath = "lake/db/t"\nformat = "iceberg"\n{options}\n{parts}'
        self.project = SampleProject(root, toml=toml)
        self.folder = root / "lake" / "db" / "t"
        self.folder.parent.mkdir(parents=True)
        self._catalog = SqlCatalog("c", uri=f"sqlite:///{root}/c.db", warehouse=f"file://{root}/lake")
        weakref.finalize(self, self._catalog.close)
        self._catalog.create_namespace("db")

    def create(self, schema: Schema | pa.Schema, **options: Any) -> Table:
        return self._catalog.create_table("db.t", schema, location=f"file://{self.folder}", **options)

    def rule(self, name: str, sql: str) -> None:
        self.project.sql(name, sql)

    def executed(self, expect: int = 0) -> set[str]:
        return executed(build(self.root, expect=expect))

    def rows(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.project.product(name).to_pylist()
        return found

    def error(self, expect: int = 1) -> str:
        message: str = build(self.root, expect=expect)["error"]["message"]
        return message


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    made.rule("ids", "SELECT t.id FROM t ORDER BY t.id")
    made.rule("amounts", "SELECT SUM(t.amount) AS amount FROM t")
    made.rule("days", "SELECT t.day, COUNT(*) AS n FROM t GROUP BY t.day ORDER BY t.day")
    return made


@pytest.fixture
def table(lake: Lake) -> Table:
    spec = PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "day"))
    made = lake.create(SCHEMA, partition_spec=spec)
    made.append(rows(("mon", 1, 10), ("mon", 2, 20), ("tue", 3, 30)))
    assert lake.executed() == {"ids", "amounts", "days"}
    return made


def test_rows_are_those_of_the_snapshot(lake: Lake, table: Table) -> None:
    assert lake.rows("days") == [{"day": "mon", "n": 2}, {"day": "tue", "n": 1}]
    table.append(rows((None, 9, 90)))
    table.delete("id = 3")
    assert lake.executed() == {"ids", "amounts", "days"}
    assert lake.rows("days") == [{"day": "mon", "n": 2}, {"day": None, "n": 1}]
    assert [row["id"] for row in lake.rows("ids")] == [1, 2, 9]


def test_commits_that_change_nothing_that_is_read_run_nothing(lake: Lake, table: Table) -> None:
    with table.transaction() as change:
        change.set_properties({"note": "other"})
    assert lake.executed() == set()
    table.overwrite(rows(("mon", 1, 11), ("mon", 2, 21), ("tue", 3, 31)))
    assert lake.executed() == {"amounts"}
    assert run_text(lake.project, "build").stdout == "nothing to do (3 products up to date)\n"


def test_time_travel(lake: Lake, table: Table) -> None:
    first = table.current_snapshot()
    assert first is not None
    table.append(rows(("wed", 4, 40)))
    assert lake.executed() == {"ids", "amounts", "days"}
    lake.project.edit("rules.toml", 'format = "iceberg"', f'format = "iceberg"\nsnapshot = {first.snapshot_id}')
    assert lake.executed() == set(), "the old results are restored"
    assert [row["id"] for row in lake.rows("ids")] == [1, 2, 3]
    at = datetime.datetime.fromtimestamp(first.timestamp_ms / 1000, datetime.UTC).isoformat()
    lake.project.edit("rules.toml", f"snapshot = {first.snapshot_id}", f'timestamp = "{at}"')
    assert lake.executed() == set()
    lake.project.edit("rules.toml", f'timestamp = "{at}"', 'timestamp = "2001-01-01"')
    assert lake.error() == "the source 't' has no snapshot as old as 2001-01-01"
    lake.project.edit("rules.toml", 'timestamp = "2001-01-01"', "snapshot = 5")
    assert lake.error() == "the source 't' has no snapshot 5"


@pytest.mark.parametrize("option", ["snapshot", "timestamp"])
def test_a_snapshot_has_its_own_columns_also_while_it_is_the_current_one(lake: Lake, table: Table, option: str) -> None:
    current = table.current_snapshot()
    assert current is not None
    at = datetime.datetime.fromtimestamp(current.timestamp_ms / 1000, datetime.UTC).isoformat()
    pinned = {"snapshot": str(current.snapshot_id), "timestamp": f'"{at}"'}[option]
    lake.project.edit("rules.toml", 'format = "iceberg"', f'format = "iceberg"\n{option} = {pinned}')
    with table.update_schema() as change:
        change.rename_column("amount", "total")
    assert lake.executed() == set()
    table.append(rows(("wed", 4, 40)).rename_columns(["day", "id", "total"]))
    assert lake.executed() == set()
    assert lake.rows("amounts") == [{"amount": 60}]


def test_an_appended_file_is_one_part(tmp_path: Path) -> None:
    lake = Lake(tmp_path, parts="[parts]\nmin_rows = 1000\n")
    table = lake.create(SCHEMA)
    for day in range(5):
        table.append(rows(*((f"d{day}", number, number) for number in range(500))))
    lake.rule("days", "SELECT t.day, SUM(t.amount) AS amount FROM t GROUP BY t.day")
    first = build(tmp_path)["products"][0]["parts"]
    assert first["run"] == first["total"] > 1
    table.append(rows(*(("d9", number, number) for number in range(500))))
    parts = build(tmp_path)["products"][0]["parts"]
    assert parts["run"] == 1
    assert len(lake.rows("days")) == 6


def test_renamed_added_and_widened_columns(lake: Lake, table: Table) -> None:
    with table.update_schema() as change:
        change.rename_column("amount", "cents")
        change.add_column("note", StringType())
        change.update_column("id", LongType())
    lake.project.edit("rules/amounts.sql", "SUM(t.amount)", "SUM(t.cents)")
    lake.executed()
    assert lake.rows("amounts") == [{"amount": 60}]
    table.append(pa.table({"day": ["wed"], "id": [2**40], "cents": [1], "note": ["new"]}))
    lake.rule("notes", "SELECT t.id, t.note FROM t ORDER BY t.id")
    lake.executed()
    assert [row["note"] for row in lake.rows("notes")] == [None, None, None, "new"]
    assert lake.rows("amounts") == [{"amount": 61}]


def test_a_column_that_was_dropped_and_came_again_is_another_one(lake: Lake, table: Table) -> None:
    with table.update_schema(allow_incompatible_changes=True) as change:
        change.delete_column("amount")
    with table.update_schema() as change:
        change.add_column("amount", LongType())
    lake.executed()
    assert lake.rows("amounts") == [{"amount": None}]


def with_deletes(table: Table, write: Callable[[Path], DataFile]) -> None:
    """Commit a file of deletes, which pyiceberg reads and does not write, as an appended file in a list of its own."""
    table.append(rows(("sun", 99, 0)))
    file, snapshot = write(Path(table.location().removeprefix("file://"))), table.current_snapshot()
    assert snapshot is not None
    kept = snapshot.manifests(table.io)
    output = table.io.new_output(f"{table.location()}/metadata/deletes.avro")
    with OfDeletes(table.spec(), table.schema(), output, snapshot.snapshot_id, "null") as writer:
        writer.add_entry(
            ManifestEntry.from_args(
                status=ManifestEntryStatus.ADDED,
                snapshot_id=snapshot.snapshot_id,
                sequence_number=snapshot.sequence_number,
                file_sequence_number=snapshot.sequence_number,
                data_file=file,
            )
        )
    listed = table.io.new_output(snapshot.manifest_list)
    with write_manifest_list(
        2, listed, snapshot.snapshot_id, snapshot.parent_snapshot_id, snapshot.sequence_number, "null"
    ) as lists:
        lists.add_manifests([writer.to_manifest_file(), *kept])


class OfDeletes(ManifestWriterV2):
    """Writes a list of files of deletes."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return super()._meta | {"content": "deletes"}


def delete_file(path: Path, content: DataFileContent, count: int, kind: FileFormat = FileFormat.PARQUET) -> DataFile:
    made = DataFile.from_args(
        content=content, file_path=f"file://{path}", file_format=kind, record_count=count,
        file_size_in_bytes=path.stat().st_size, column_sizes={}, value_counts={}, null_value_counts={},
        nan_value_counts={}, lower_bounds={}, upper_bounds={}, split_offsets=None, sort_order_id=None,
        equality_ids=[2] if content == DataFileContent.EQUALITY_DELETES else None,
    )  # fmt: skip
    made.spec_id = 0
    return made


def test_deleted_positions_are_honoured(lake: Lake) -> None:
    table = lake.create(SCHEMA)
    table.append(rows(*(("mon", number, number) for number in range(10))))
    lake.executed()
    data = next(iter(table.scan().plan_files())).file.file_path

    def write(folder: Path) -> DataFile:
        path = folder / "data" / "deletes.parquet"
        marks = [("file_path", pa.string(), 2147483546), ("pos", pa.int64(), 2147483545)]
        schema = pa.schema([pa.field(name, kind, metadata={"PARQUET:field_id": str(at)}) for name, kind, at in marks])
        pq.write_table(pa.table({"file_path": [data, data], "pos": [0, 7]}, schema=schema), path)
        return delete_file(path, DataFileContent.POSITION_DELETES, 2)

    with_deletes(table, write)
    assert lake.executed() == {"ids", "amounts", "days"}
    assert [row["id"] for row in lake.rows("ids")] == [1, 2, 3, 4, 5, 6, 8, 9, 99]


def test_deletion_vectors_are_honoured(lake: Lake) -> None:
    """Of two files of data in one file of vectors, as the third version of the format has them."""
    table = lake.create(SCHEMA)
    for first in (0, 10):
        table.append(rows(*(("mon", number, number) for number in range(first, first + 5))))
    lake.executed()
    deleted = {task.file.file_path: [0, 4] if number else [2] for number, task in enumerate(planned(table))}

    def write(folder: Path) -> DataFile:
        path = folder / "data" / "deletes.puffin"
        path.write_bytes(puffin(deleted))
        return delete_file(path, DataFileContent.POSITION_DELETES, 3, FileFormat.PUFFIN)

    with_deletes(table, write)
    assert lake.executed() == {"ids", "amounts", "days"}
    assert sorted(row["id"] for row in lake.rows("ids")) == [0, 1, 3, 4, 11, 12, 13, 99]


def planned(table: Table) -> list[FileScanTask]:
    """The files of data, those with the lowest ids first."""
    return sorted(table.scan().plan_files(), key=lambda task: sorted((task.file.lower_bounds or {}).items()))


def puffin(deleted: dict[str, list[int]]) -> bytes:
    """A file of vectors of deleted rows, as the specification of Puffin has it."""
    data, blobs = b"PFA1", []
    for path, positions in deleted.items():
        vector = bytes.fromhex("d1d33964") + struct.pack("<QI", 1, 0) + BitMap(positions).serialize()
        blob = struct.pack(">I", len(vector)) + vector + struct.pack(">I", zlib.crc32(vector))
        blobs.append({
            "type": "deletion-vector-v1", "fields": [2147483645], "snapshot-id": -1, "sequence-number": -1,
            "offset": len(data), "length": len(blob),
            "properties": {"referenced-data-file": path, "cardinality": str(len(positions))},
        })  # fmt: skip
        data += blob
    footer = json.dumps({"blobs": blobs}).encode()
    return data + b"PFA1" + footer + struct.pack("<I", len(footer)) + bytes(4) + b"PFA1"


def test_files_are_in_the_order_of_partitions(tmp_path: Path) -> None:
    """Names of files are by chance, so two tables with the same commits have the same order of rows."""
    found = []
    for turn in range(2):
        lake = Lake(tmp_path / str(turn))
        lake.rule("all_rows", "SELECT t.day, t.id FROM t")
        spec = PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "day"))
        table = lake.create(SCHEMA, partition_spec=spec)
        table.append(rows(("tue", 1, 1), ("mon", 2, 2), (None, 3, 3), ("wed", 4, 4), ("sun", 5, 5)))
        table.append(rows(("mon", 6, 6), ("tue", 7, 7)))
        lake.executed()
        found.append([(row["day"], row["id"]) for row in lake.rows("all_rows")])
    assert found[0] == found[1]
    assert found[0] == [(None, 3), ("mon", 2), ("mon", 6), ("sun", 5), ("tue", 1), ("tue", 7), ("wed", 4)]


def test_deletes_by_value_are_refused(lake: Lake) -> None:
    table = lake.create(SCHEMA)
    table.append(rows(("mon", 1, 1)))

    def write(folder: Path) -> DataFile:
        path = folder / "data" / "deletes.parquet"
        pq.write_table(pa.table({"id": pa.array([1], pa.int32())}), path)
        return delete_file(path, DataFileContent.EQUALITY_DELETES, 1)

    with_deletes(table, write)
    assert "equality deletes" in lake.error()


def test_files_without_numbers(lake: Lake) -> None:
    table = lake.create(SCHEMA)
    path = lake.folder / "plain.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(rows(("mon", 1, 10)), path)
    table.add_files([f"file://{path}"])
    assert lake.executed() == {"ids", "amounts", "days"}
    assert lake.rows("amounts") == [{"amount": 10}]
    with table.update_schema() as change:
        change.rename_column("amount", "cents")
    lake.project.edit("rules/amounts.sql", "SUM(t.amount)", "SUM(t.cents)")
    lake.executed()
    assert lake.rows("amounts") == [{"amount": 10}]
    with table.transaction() as done:
        done.remove_properties("schema.name-mapping.default")
    assert "has no numbers of its columns" in lake.error()


def test_values_of_partitions_stand_in_for_columns_that_files_lack(lake: Lake) -> None:
    schema = Schema(NestedField(1, "day", DateType()), NestedField(2, "id", IntegerType()))
    table = lake.create(schema, partition_spec=PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "day")))
    table.append(pa.table({"day": [datetime.date(2024, 1, 2)], "id": pa.array([1], pa.int32())}))
    path = next(lake.folder.glob("data/**/*.parquet"))
    held = pq.read_table(path)
    pq.write_table(held.select(["id"]), path)  # as writers of Hive tables do, whose files are taken over
    for name in ("amounts", "ids", "days"):
        (lake.root / "rules" / f"{name}.sql").unlink()
    lake.rule("all_of_it", "SELECT t.day, t.id FROM t")
    lake.executed()
    assert lake.rows("all_of_it") == [{"day": datetime.date(2024, 1, 2), "id": 1}]


def test_a_moved_table_is_the_same_one(lake: Lake, table: Table) -> None:
    del table
    shutil.move(lake.folder, lake.root / "moved")
    lake.project.edit("rules.toml", "lake/db/t", "moved")
    assert lake.executed() == set()
    metadata = max((lake.root / "moved" / "metadata").glob("*.metadata.json")).relative_to(lake.root)
    lake.project.edit("rules.toml", '"moved"', f'"{metadata}"')
    assert lake.executed() == set()


def test_an_empty_table_has_no_rows(lake: Lake) -> None:
    table = lake.create(SCHEMA)
    assert lake.executed() == {"ids", "amounts", "days"}
    assert (lake.rows("ids"), lake.rows("amounts")) == ([], [{"amount": None}])
    table.append(rows(("mon", 1, 1)))
    assert lake.executed() == {"ids", "amounts", "days"}


def test_types_come_through(tmp_path: Path) -> None:
    columns = {
        "i32": pa.array([1, None], pa.int32()), "i64": pa.array([2**62, None], pa.int64()),
        "f32": pa.array([float("nan"), None], pa.float32()), "f64": pa.array([-0.0, float("inf")]),
        "flag": pa.array([True, None]), "text": pa.array(["é", ""]), "raw": pa.array([b"\x00", None]),
        "fixed": pa.array([b"abcd", None], pa.binary(4)), "time": pa.array([datetime.time(1, 2, 3, 4), None]),
        "money": pa.array([decimal.Decimal("-1.25"), None], pa.decimal128(38, 2)),
        "day": pa.array([datetime.date(1, 1, 1), None]),
        "moment": pa.array([datetime.datetime(2024, 5, 6, 7, tzinfo=datetime.UTC), None], pa.timestamp("us", "UTC")),
        "local": pa.array([datetime.datetime(1969, 5, 6, 7, 8, 9, 1), None], pa.timestamp("us")),
        "list": pa.array([[1, None], []], pa.list_(pa.int64())),
        "record": pa.array([{"a": 1, "b": ["x"]}, None], pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    }  # fmt: skip
    lake = Lake(tmp_path)
    table = lake.create(pa.table(columns).schema)
    table.append(pa.table(columns))
    lake.rule("all_of_it", "SELECT * FROM t")
    assert lake.executed() == {"all_of_it"}
    found = lake.project.product("all_of_it")
    assert str(found.to_pylist()) == str(table.scan().to_arrow().to_pylist())
    assert {one.name: one.type for one in found.schema}["money"] == pa.decimal128(38, 2)


def test_uuids_come_through(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    table = lake.create(Schema(NestedField(1, "id", LongType()), NestedField(2, "key", UUIDType())))
    key = uuid.UUID(int=5)
    schema = pa.schema([("id", pa.int64()), ("key", pa.uuid())])
    table.append(pa.table({"id": [1, 2], "key": pa.array([key.bytes, None], pa.uuid())}, schema=schema))
    lake.rule("keys", "SELECT t.id, t.key FROM t ORDER BY t.id")
    lake.executed()
    assert [row["key"] for row in lake.rows("keys")] == [key, None]


def test_errors_are_one_sentence(lake: Lake, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    data = next(lake.folder.glob("data/**/*.parquet"))
    kept = data.read_bytes()
    data.unlink()
    snapshot = table.current_snapshot()
    assert snapshot is not None
    wanted = f"the source 't' lacks the data file {data.name}, which snapshot {snapshot.snapshot_id} of its table names"
    assert lake.error() == wanted
    data.write_bytes(kept)
    assert lake.executed() == set()
    manifest = next(lake.folder.glob("metadata/*-m0.avro"))
    manifest.rename(manifest.with_suffix(".away"))
    lake.project.edit("rules.toml", '"iceberg"', f'"iceberg"\nsnapshot = {snapshot.snapshot_id}')
    assert lake.error().startswith("the source 't' lacks a file of its metadata: ")
    manifest.with_suffix(".away").rename(manifest)
    assert lake.executed() == set()
    last = max(lake.folder.glob("metadata/*.metadata.json"))
    shutil.copy(last, last.with_name("00001-other.metadata.json"))
    assert "only a catalogue knows which counts" in lake.error()
    (last.parent / "version-hint.text").write_text(last.name.removesuffix(".metadata.json"))
    assert lake.executed() == set()
    lake.folder.rename(lake.folder.with_name("away"))
    assert lake.error() == "the source 't' does not exist: lake/db/t"
    lake.folder.with_name("away").rename(lake.folder)
    monkeypatch.setitem(sys.modules, "pyiceberg", None)
    monkeypatch.setitem(sys.modules, "pyiceberg.catalog.noop", None)
    lake.project.edit("rules.toml", f"\nsnapshot = {snapshot.snapshot_id}", "")
    lake.project.edit("rules/ids.sql", "ORDER BY t.id", "ORDER BY t.id DESC")
    error = build(lake.root, expect=1)["error"]
    assert error["message"] == "the source 't' is an Iceberg table, which needs the package pyiceberg"
    assert run(lake.root, "check", expect=1)["findings"]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("what", "left"),
    [
        ("*.metadata.json", b""),
        ("*.metadata.json", b'{"format-version": 2}'),
        ("*-m0.avro", b""),
        ("snap-*.avro", b"Obj"),
    ],
)
def test_damaged_metadata_is_an_error_of_the_source(lake: Lake, what: str, left: bytes) -> None:
    path = max((lake.folder / "metadata").glob(what))
    data = path.read_bytes()
    path.write_bytes(left)
    shutil.rmtree(lake.root / ".rules")
    message = lake.error()
    assert message.startswith("the source 't' cannot be read as an Iceberg table: ")
    assert "validation error for" not in message
    path.write_bytes(data)
    assert lake.executed() == {"ids", "amounts", "days"}
