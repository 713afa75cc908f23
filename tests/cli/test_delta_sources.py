"""Sources of the format Delta: which rows they have, which commits re-run what, and what cannot be read."""

from __future__ import annotations

import datetime
import decimal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, Field, write_deltalake
from deltalake.schema import PrimitiveType

from support.delta import HandWritten, field
from support.direct import build, executed, run
from support.inprocess import run as run_text
from support.projects import SampleProject

DAYS = pa.table({"day": ["mon", "mon", "tue"], "id": [1, 2, 3], "amount": [10, 20, 30]})


class Lake:
    """A project whose source t is the Delta table lake/t, with rules over some of its columns."""

    def __init__(self, root: Path, options: str = "", parts: str = "") -> None:
        self.root = root
        toml = f'\n[sources.t]\npath = "lake/t"\nformat = "delta"\n{options}\n{parts}'
        self.project = SampleProject(root, toml=toml)
        self.folder = root / "lake" / "t"

    def rule(self, name: str, sql: str) -> None:
        self.project.sql(name, sql)

    def write(self, table: pa.Table, mode: Any = "append", **options: Any) -> None:
        write_deltalake(self.folder, table, mode=mode, **options)

    def executed(self, expect: int = 0) -> set[str]:
        return executed(build(self.root, expect=expect))

    def rows(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.project.product(name).to_pylist()
        return found

    def error(self, *arguments: str, expect: int = 1) -> str:
        document = build(self.root, *arguments, expect=expect)
        message: str = document["error"]["message"]
        return message


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    made.write(DAYS, partition_by=["day"])
    made.rule("ids", "SELECT t.id FROM t ORDER BY t.id")
    made.rule("amounts", "SELECT SUM(t.amount) AS amount FROM t")
    made.rule("days", "SELECT t.day, COUNT(*) AS n FROM t GROUP BY t.day ORDER BY t.day")
    assert made.executed() == {"ids", "amounts", "days"}
    return made


def test_rows_and_partition_columns_are_those_of_the_log(lake: Lake) -> None:
    assert [row["id"] for row in lake.rows("ids")] == [1, 2, 3]
    assert lake.rows("days") == [{"day": "mon", "n": 2}, {"day": "tue", "n": 1}]
    lake.write(pa.table({"day": pa.array([None], pa.string()), "id": [9], "amount": [90]}))
    DeltaTable(lake.folder).delete("id = 3")
    assert lake.executed() == {"ids", "amounts", "days"}
    assert lake.rows("days") == [{"day": "mon", "n": 2}, {"day": None, "n": 1}]


def test_commits_that_change_nothing_that_is_read_run_nothing(lake: Lake) -> None:
    table = DeltaTable(lake.folder)
    table.alter.set_table_properties({"delta.appendOnly": "false"})
    table.create_checkpoint()
    assert lake.executed() == set()
    table.update({"amount": "amount + 1"})
    assert lake.executed() == {"amounts"}
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    assert lake.executed() == set()
    lake.write(pa.table({"day": ["mon"], "id": [4], "amount": [0]}))
    assert lake.executed() == {"ids", "amounts", "days"}


def test_optimize_runs_nothing_that_orders_its_rows_or_adds_integers(lake: Lake) -> None:
    lake.write(pa.table({"day": ["mon", "tue"], "id": [4, 5], "amount": [40, 50]}))
    lake.executed()
    before = lake.rows("days")
    DeltaTable(lake.folder).optimize.compact()
    lake.executed()
    assert lake.rows("days") == before
    assert lake.executed() == set()


def test_no_op_neither_lists_nor_imports(lake: Lake) -> None:
    code = (
        "import sys; from rules.cli import main; code = main(['build', '-C', sys.argv[1]]);"
        "heavy = {'deltalake', 'pyarrow', 'datafusion', 'sqlglot'} & set(sys.modules); sys.exit(code or len(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(lake.root)], capture_output=True, text=True, check=False)
    assert done.stdout == "nothing to do (3 products up to date)\n"
    assert done.returncode == 0, done.stderr


def test_time_travel(lake: Lake) -> None:
    lake.write(pa.table({"day": ["wed"], "id": [4], "amount": [40]}))
    assert lake.executed() == {"ids", "amounts", "days"}
    lake.project.edit("rules.toml", 'format = "delta"', 'format = "delta"\nversion = 0')
    assert lake.executed() == set(), "the old results are restored"
    assert [row["id"] for row in lake.rows("ids")] == [1, 2, 3]
    lake.write(pa.table({"day": ["wed"], "id": [5], "amount": [40]}))
    assert run_text(lake.project, "build").stdout == "nothing to do (3 products up to date)\n"
    made = DeltaTable(lake.folder).history()[1]["timestamp"]  # of version 1
    at = datetime.datetime.fromtimestamp(made / 1000, datetime.UTC).isoformat()
    lake.project.edit("rules.toml", "version = 0", f'timestamp = "{at}"')
    lake.executed()
    assert [row["id"] for row in lake.rows("ids")] == [1, 2, 3, 4]
    lake.project.edit("rules.toml", f'timestamp = "{at}"', 'timestamp = "2001-01-01"')
    assert lake.error() == "the source 't' has no version as old as 2001-01-01"
    lake.project.edit("rules.toml", 'timestamp = "2001-01-01"', "version = 99")
    document = build(lake.root, expect=1)["error"]
    assert document["message"] == "the source 't' has no version 99"
    assert document["hint"] == "there are versions 0 to 2"


def test_an_appended_file_is_one_part(tmp_path: Path) -> None:
    lake = Lake(tmp_path, parts="[parts]\nmin_rows = 1000\n")
    for day in range(6):
        lake.write(pa.table({"day": [f"d{day}"] * 500, "amount": list(range(500))}), partition_by=["day"])
    lake.rule("days", "SELECT t.day, SUM(t.amount) AS amount FROM t GROUP BY t.day")
    first = build(tmp_path)["products"][0]["parts"]
    assert first["run"] == first["total"] > 1
    lake.write(pa.table({"day": ["d9"] * 500, "amount": list(range(500))}))
    parts = build(tmp_path)["products"][0]["parts"]
    assert (parts["run"], parts["total"]) == (1, first["total"] + 1)
    assert len(lake.rows("days")) == 7
    assert run(tmp_path, "explain", "days")["reading"] == {"t": "mergeable"}


NUMBERS = pa.table({"c1": list(range(10)), "c2": [f"x{one}" for one in range(10)]})


def test_deleted_rows_and_mapped_names_are_honoured(tmp_path: Path) -> None:
    lake = Lake(tmp_path, parts="[parts]\nmin_rows = 4\n")
    fields = [field("id", "long", "c1", 1), field("day", "date", "c3", 3), field("text", "string", "c2", 2)]
    mapped = {"delta.columnMapping.mode": "name", "delta.enableDeletionVectors": "true"}
    table = HandWritten(lake.folder, fields, ["day"], mapped)
    table.commit(table.add("1.parquet", NUMBERS, c3="2024-01-02"), table.add("2.parquet", NUMBERS, c3=None))
    lake.rule("ids", "SELECT t.id, t.day FROM t ORDER BY t.id, t.day")
    lake.rule("texts", "SELECT t.text FROM t ORDER BY t.text")
    lake.executed()
    day = datetime.date(2024, 1, 2)
    assert lake.rows("ids") == [{"id": number, "day": one} for number in range(10) for one in (day, None)]
    table.commit(table.remove("1.parquet"), table.add("1.parquet", None, [0, 9], c3="2024-01-02"))
    assert lake.executed() == {"ids", "texts"}
    assert [row["id"] for row in lake.rows("ids") if row["day"] == day] == list(range(1, 9))
    renamed = [field("number", "long", "c1", 1), *fields[1:]]
    table.commit(table.metadata(renamed))
    lake.project.edit("rules/ids.sql", "SELECT t.id", "SELECT t.number AS id")
    lake.project.edit("rules/ids.sql", "ORDER BY t.id", "ORDER BY t.number")
    lake.executed()
    assert [row["id"] for row in lake.rows("ids") if row["day"] == day] == list(range(1, 9))


def test_columns_by_number_and_names_that_were_swapped(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    inner = {"type": "struct", "fields": [field("x", "long", "p", 4), field("y", "long", "q", 5)]}
    fields = [field("b", "long", "b", 1), field("a", "long", "a", 2), field("s", inner, "s", 3)]
    table = HandWritten(lake.folder, fields, (), {"delta.columnMapping.mode": "id"})
    marks = [(b"a", 1), (b"b", 2), (b"s", 3)]
    inside = pa.struct([pa.field("y", pa.int64(), metadata={"PARQUET:field_id": "4"})])
    types = {b"a": pa.int64(), b"b": pa.int64(), b"s": inside}
    schema = pa.schema([pa.field(name, types[name], metadata={"PARQUET:field_id": str(at)}) for name, at in marks])
    data = pa.table([pa.array([1, 2]), pa.array([10, 20]), pa.array([{"y": 5}, None], inside)], schema=schema)
    table.commit(table.add("1.parquet", data))
    lake.rule("all_of_it", "SELECT t.a, t.b, t.s FROM t ORDER BY t.a")
    lake.executed()
    assert lake.rows("all_of_it") == [{"a": 10, "b": 1, "s": {"x": 5, "y": None}}, {"a": 20, "b": 2, "s": None}]


def test_columns_that_came_later_are_null(lake: Lake) -> None:
    lake.write(pa.table({"day": ["wed"], "id": [4], "amount": [40], "note": ["new"]}), schema_mode="merge")
    assert lake.executed() == {"ids", "amounts", "days"}
    lake.rule("notes", "SELECT t.id, t.note FROM t ORDER BY t.id")
    assert lake.executed() == {"notes"}
    assert [row["note"] for row in lake.rows("notes")] == [None, None, None, "new"]


def test_a_column_added_to_an_unchanged_table_runs_nothing(lake: Lake) -> None:
    DeltaTable(lake.folder).alter.add_columns([Field("note", PrimitiveType("string"))])
    assert lake.executed() == set()


def test_an_empty_table_has_no_rows(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    DeltaTable.create(lake.folder, pa.schema([("id", pa.int64()), ("day", pa.string())]), partition_by=["day"])
    lake.rule("ids", "SELECT t.id, t.day FROM t")
    lake.rule("counts", "SELECT COUNT(*) AS n FROM t")
    assert lake.executed() == {"ids", "counts"}
    assert (lake.rows("ids"), lake.rows("counts")) == ([], [{"n": 0}])
    lake.write(pa.table({"id": [1], "day": ["mon"]}))
    assert lake.executed() == {"ids", "counts"}
    assert lake.rows("ids") == [{"id": 1, "day": "mon"}]


def test_types_come_through(tmp_path: Path) -> None:
    utc = datetime.UTC
    columns = {
        "i8": pa.array([1, None], pa.int8()), "i16": pa.array([1, None], pa.int16()),
        "i32": pa.array([1, None], pa.int32()), "i64": pa.array([2**62, None], pa.int64()),
        "f32": pa.array([float("nan"), None], pa.float32()), "f64": pa.array([-0.0, float("inf")]),
        "flag": pa.array([True, None]), "text": pa.array(["é", ""]), "raw": pa.array([b"\x00", None]),
        "money": pa.array([decimal.Decimal("-1.25"), None], pa.decimal128(38, 2)),
        "day": pa.array([datetime.date(1, 1, 1), None]),
        "moment": pa.array([datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, utc), None], pa.timestamp("us", "UTC")),
        "local": pa.array([datetime.datetime(1969, 5, 6, 7, 8, 9, 1), None], pa.timestamp("us")),
        "list": pa.array([[1, None], []], pa.list_(pa.int64())),
        "record": pa.array([{"a": 1, "b": ["x"]}, None], pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        "symbol": pa.array(["s", "s"]).dictionary_encode(),
    }  # fmt: skip
    lake = Lake(tmp_path)
    lake.write(pa.table(columns))
    lake.rule("all_of_it", "SELECT * FROM t")
    assert lake.executed() == {"all_of_it"}
    found = lake.project.product("all_of_it")
    assert str(found.to_pylist()) == str(DeltaTable(lake.folder).to_pyarrow_table().to_pylist())
    kinds = {one.name: one.type for one in found.schema}
    assert (kinds["moment"], kinds["local"]) == (pa.timestamp("us", "UTC"), pa.timestamp("us"))
    assert kinds["money"] == pa.decimal128(38, 2)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.int32(), 7), (pa.date32(), datetime.date(2024, 2, 3)), (pa.bool_(), True), (pa.string(), "a/b=é %20"),
        (pa.decimal128(9, 2), decimal.Decimal("1.50")), (pa.float64(), 0.1),
        (pa.timestamp("us", "UTC"), datetime.datetime(2024, 2, 3, 4, 5, 6, 7, datetime.UTC)),
        (pa.timestamp("us"), datetime.datetime(2024, 2, 3, 4, 5, 6, 7)),
    ],
)  # fmt: skip
def test_partition_columns_have_their_types(tmp_path: Path, kind: pa.DataType, value: Any) -> None:
    lake = Lake(tmp_path)
    lake.write(pa.table({"k": pa.array([value, None], kind), "n": [1, 2]}), partition_by=["k"])
    lake.rule("all_of_it", "SELECT t.k, t.n FROM t ORDER BY t.n")
    lake.executed()
    assert lake.rows("all_of_it") == [{"k": value, "n": 1}, {"k": None, "n": 2}]
    assert lake.project.product("all_of_it").schema.field("k").type in {kind, pa.large_string()}


def test_a_file_of_another_type_is_widened(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    fields = [field("n", "long"), field("x", "double")]
    table = HandWritten(lake.folder, fields, features=["typeWidening"])
    table.commit(table.add("1.parquet", pa.table({"n": pa.array([1], pa.int32()), "x": pa.array([1.5], pa.float32())})))
    table.commit(table.add("2.parquet", pa.table({"n": [2**40], "x": [2.5]})))
    lake.rule("all_of_it", "SELECT t.n, t.x FROM t ORDER BY t.n")
    lake.executed()
    assert lake.rows("all_of_it") == [{"n": 1, "x": 1.5}, {"n": 2**40, "x": 2.5}]


def test_null_is_null_in_what_is_widened_inside(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    pairs = {"type": "map", "keyType": "string", "valueType": "long", "valueContainsNull": True}
    record = {"type": "struct", "fields": [field("a", "long"), field("b", pairs)]}
    fields = [field("m", pairs), field("l", {"type": "array", "elementType": "long", "containsNull": True})]
    table = HandWritten(lake.folder, [*fields, field("r", record)], features=["typeWidening"])
    map_type = pa.map_(pa.string(), pa.int32())
    rows: list[dict[str, Any]] = [
        {"m": [("z", 0)], "l": [0], "r": {"a": 0, "b": [("z", 0)]}},
        {"m": None, "l": None, "r": None},
        {"m": [], "l": [], "r": {"a": None, "b": None}},
        {"m": [("k", None), ("l", 2)], "l": [None, 7], "r": {"a": 1, "b": [("k", 5)]}},
    ]
    types = pa.struct(
        [("m", map_type), ("l", pa.list_(pa.int32())), ("r", pa.struct([("a", pa.int32()), ("b", map_type)]))]
    )
    table.commit(table.add("1.parquet", pa.Table.from_struct_array(pa.array(rows, types))))
    lake.rule("all_of_it", "SELECT t.m, t.l, t.r FROM t")
    lake.executed()
    assert lake.rows("all_of_it") == rows


def test_errors_are_one_sentence(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    data = next(lake.folder.glob("day=tue/*.parquet"))
    kept = data.read_bytes()
    data.unlink()
    for command in ("build", "plan"):
        error = run(lake.root, command, expect=1)["error"]
        assert error["message"] == f"the source 't' lacks the data file {data.name}, which version 0 of its table names"
        assert "VACUUM" in error["hint"]
    data.write_bytes(kept)
    assert lake.executed() == set()
    lake.folder.rename(lake.folder.with_name("away"))
    assert lake.error() == "the source 't' does not exist: lake/t"
    lake.folder.mkdir()
    pq.write_table(DAYS, lake.folder / "1.parquet")
    assert lake.error() == "the source 't' is no Delta table: lake/t has no _delta_log"
    assert run(lake.root, "check", expect=1)["findings"][0]["message"].endswith("no _delta_log: lake/t")
    (lake.folder / "1.parquet").unlink()
    lake.folder.rmdir()
    lake.folder.with_name("away").rename(lake.folder)
    assert lake.executed() == set()
    lake.project.edit("rules.toml", 'format = "delta"', 'format = "delta"\nversion = 0')
    monkeypatch.setitem(sys.modules, "deltalake", None)
    error = build(lake.root, expect=1)["error"]
    assert error["message"] == "the source 't' is a Delta table, which needs the package deltalake"
    assert error["hint"] == "pip install 'leastwork-rules[delta]'"


def test_unknown_features_are_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    table = HandWritten(lake.folder, [field("n", "long")], features=["columnMapping", "teleport"])
    table.commit(table.add("1.parquet", pa.table({"n": [1]})))
    lake.rule("ids", "SELECT t.n FROM t")
    assert "teleport" in lake.error()


@pytest.mark.parametrize("beside", ["typeWidening", "vacuumProtocolCheck"])
def test_deleted_rows_that_the_package_does_not_read_are_refused(tmp_path: Path, beside: str) -> None:
    lake = Lake(tmp_path)
    table = HandWritten(lake.folder, [field("n", "long")], features=["deletionVectors", beside])
    table.commit(table.add("1.parquet", pa.table({"n": [1, 2]}), [0]))
    lake.rule("ids", "SELECT t.n FROM t")
    assert f"has the feature deletionVectors beside {beside}" in lake.error()


def test_a_table_may_ask_for_variants_unless_it_has_any(tmp_path: Path) -> None:
    """delta-rs asks for them in tables with timestamps without a zone, once a property is set."""
    lake = Lake(tmp_path)
    table = HandWritten(lake.folder, [field("n", "long")], features=["timestampNtz", "variantType"])
    table.commit(table.add("1.parquet", pa.table({"n": [1]})))
    lake.rule("ids", "SELECT t.n FROM t")
    lake.executed()
    assert lake.rows("ids") == [{"n": 1}]
    inside = {"type": "array", "elementType": "variant", "containsNull": True}
    table.commit(table.metadata([field("n", "long"), field("v", inside)]))
    assert lake.error() == (
        "the source 't' has column 'v' with values of type variant, which this version does not read"
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("version = -1", "'version' must not be negative"),
        ('timestamp = "soon"', "'soon' is no time"),
        ('version = 1\ntimestamp = "2024-01-01"', "'timestamp' and 'version' both name a state of the table"),
    ],
)
def test_options_are_checked(tmp_path: Path, lines: str, message: str) -> None:
    assert Lake(tmp_path, lines).error(expect=2) == message


def test_a_version_of_plain_files_is_an_error(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "version = 1")
    lake.project.edit("rules.toml", 'format = "delta"', 'format = "parquet"')
    assert lake.error(expect=2) == "'version' means nothing for [sources.t], whose format is not \"delta\""


def test_deleted_files_of_a_table_stay_unread(lake: Lake) -> None:
    lake.write(DAYS.slice(0, 1), mode="overwrite")
    assert lake.executed() == {"ids", "amounts", "days"}
    assert lake.rows("amounts") == [{"amount": 10}]
