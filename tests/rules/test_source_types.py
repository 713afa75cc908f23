"""Every type a Parquet or Arrow source may have: it is read, kept, digested by value, or refused by name."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.direct import build, executed
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path

NAN = float("nan")
UTC = dt.UTC
NOON = dt.datetime(2024, 2, 29, 12, 0, 0, 123456)
KINDS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "bool": (pa.bool_(), [True, None, False]),
    "int8": (pa.int8(), [-128, None, 127]),
    "uint8": (pa.uint8(), [255, None, 0]),
    "uint64": (pa.uint64(), [2**64 - 1, None, 0]),
    "int64": (pa.int64(), [-(2**63), None, 2**63 - 1]),
    "float32": (pa.float32(), [1.5, None, -0.0]),
    "float64": (pa.float64(), [float("inf"), None, -0.0]),
    "decimal": (pa.decimal128(10, 2), [decimal.Decimal("-12345678.90"), None, decimal.Decimal("0.01")]),
    "wide decimal": (pa.decimal256(50, 3), [decimal.Decimal("1" * 40 + ".125"), None, decimal.Decimal("0.000")]),
    "date": (pa.date32(), [dt.date(1900, 1, 1), None, dt.date(2024, 2, 29)]),
    "time": (pa.time64("us"), [dt.time(1, 2, 3, 4), None, dt.time(23, 59)]),
    "timestamp s": (pa.timestamp("s"), [NOON.replace(microsecond=0), None, dt.datetime(1, 1, 1)]),
    "date64": (pa.date64(), [dt.date(1900, 1, 1), None, dt.date(2024, 2, 29)]),
    "time s": (pa.time32("s"), [dt.time(1, 2, 3), None, dt.time(23, 59)]),
    "seconds inside": (pa.list_(pa.timestamp("s")), [[NOON.replace(microsecond=0)], None, []]),
    "timestamp us": (pa.timestamp("us"), [NOON, None, dt.datetime(1, 1, 1)]),
    "timestamp ns": (pa.timestamp("ns"), [NOON, None, dt.datetime(1970, 1, 1)]),
    "timestamp utc": (pa.timestamp("us", "UTC"), [NOON.replace(tzinfo=UTC), None, NOON.replace(tzinfo=UTC)]),
    "timestamp zone": (pa.timestamp("us", "Europe/Berlin"), [NOON.replace(tzinfo=UTC), None, NOON.replace(tzinfo=UTC)]),
    "string": (pa.string(), ["", None, "ä€😀\n"]),
    "large string": (pa.large_string(), ["", None, "x" * 100]),
    "string view": (pa.string_view(), ["", None, "x" * 100]),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), ["a", None, "b"]),
    "dictionary of ints": (pa.dictionary(pa.int32(), pa.int64()), [1, None, 2]),
    "binary": (pa.binary(), [b"", None, b"\xff\x00"]),
    "fixed binary": (pa.binary(4), [b"abcd", None, b"\x00" * 4]),
    "list": (pa.list_(pa.int64()), [[], None, [1, None]]),
    "list of strings": (pa.list_(pa.string()), [[], None, ["x", None]]),
    "large list": (pa.large_list(pa.string()), [[], None, ["x", None]]),
    "fixed list": (pa.list_(pa.int64(), 2), [[1, 2], None, [3, None]]),
    "struct": (pa.struct([("x", pa.int64()), ("y", pa.string())]), [{"x": 1, "y": None}, None, {"x": None, "y": "z"}]),
    "deep": (pa.list_(pa.struct([("x", pa.list_(pa.string()))])), [[{"x": ["a", None]}], None, []]),
    "map": (pa.map_(pa.string(), pa.int64()), [[("a", 1)], None, []]),
}


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_values_of_every_type_arrive_unchanged(tmp_path: Path, form: str) -> None:
    table = pa.table({name: pa.array(values, dtype) for name, (dtype, values) in KINDS.items()})
    project = SampleProject(tmp_path, toml=f'\n[sources.s]\npath = "data/s.{form}"\n')
    write(project, table, form)
    project.sql("p", "SELECT * FROM s")
    assert executed(build(tmp_path)) == {"p"}
    found, expected = project.product("p").to_pydict(), table.to_pydict()
    assert {name: repr(values) for name, values in found.items()} == {name: repr(v) for name, v in expected.items()}


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("name", KINDS)
def test_a_change_of_any_type_is_seen(tmp_path: Path, name: str, form: str) -> None:
    dtype, values = KINDS[name]
    project = SampleProject(tmp_path, toml=f'\n[sources.s]\npath = "data/s.{form}"\n')
    project.sql("p", "SELECT v FROM s")
    write(project, pa.table({"v": pa.array(values, dtype)}), form)
    assert executed(build(tmp_path)) == {"p"}
    write(project, pa.table({"v": pa.array([values[0], values[1], values[0]], dtype)}), form)
    same = repr(values[0]) == repr(values[2])
    assert executed(build(tmp_path)) == (set() if same else {"p"})
    write(project, pa.table({"v": pa.array([values[1], values[0], values[1]], dtype)}), form)
    assert executed(build(tmp_path)) == {"p"}


def write(project: SampleProject, table: pa.Table, form: str) -> None:
    target = project.root / "data" / f"s.{form}"
    target.parent.mkdir(exist_ok=True)
    if form == "parquet":
        pq.write_table(table, target)
    else:
        with pa.ipc.new_file(str(target), table.schema) as writer:
            writer.write_table(table)


def test_nan_is_a_value_and_null_is_none(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["s"])
    project.parquet("s", {"x": pa.array([NAN, None, 1.0])})
    project.sql("p", "SELECT COUNT(x) AS n, SUM(CASE WHEN isnan(x) THEN 1 ELSE 0 END) AS nan FROM s")
    build(tmp_path)
    assert project.product("p").to_pylist() == [{"n": 2, "nan": 1}]


def test_old_timestamps_of_96_bits(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["s"])
    table = pa.table({"t": pa.array([NOON, None], pa.timestamp("us"))})
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data" / "s.parquet", use_deprecated_int96_timestamps=True)
    project.sql("p", "SELECT t FROM s")
    build(tmp_path)
    assert [value and value.replace(tzinfo=None) for value in project.product("p").column("t").to_pylist()] == [
        NOON,
        None,
    ]


def test_names_of_any_kind_are_read_when_quoted(tmp_path: Path) -> None:
    names = ["Order ID", "a.b", "a", "größe", "価格", 'say "hi"', "select", "A", "it's", "x[0]", "f(x)"]
    project = SampleProject(tmp_path, sources=["s"])
    project.parquet("s", {name: [number] for number, name in enumerate(names)})
    escaped = [name.replace('"', '""') for name in names]
    for position in range(len(names)):
        project.sql(f"p{position}", f'SELECT "{escaped[position]}" AS v FROM s')
    project.sql("everything", "SELECT * FROM s")
    build(tmp_path)
    found = [project.product(f"p{position}").column("v").to_pylist() for position in range(len(names))]
    assert found == [[position] for position in range(len(names))]
    assert project.product("everything").column_names == names
    project.parquet("s", {name: [number + (name == "a.b") * 100] for number, name in enumerate(names)})
    assert executed(build(tmp_path)) == {"p1", "everything"}


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (pa.month_day_nano_interval(), [(1, 2, 3)]),
        (pa.duration("us"), [dt.timedelta(seconds=1)]),
        (pa.float16(), [1.5]),
    ],
    ids=str,
)
def test_types_that_may_be_refused_are_refused_by_name_or_read(
    tmp_path: Path, dtype: pa.DataType, values: list[Any]
) -> None:
    project = SampleProject(tmp_path, toml='\n[sources.s]\npath = "data/s.arrow"\n')
    write(project, pa.table({"v": pa.array(values, dtype), "i": [1]}), "arrow")
    project.sql("p", "SELECT v FROM s")
    done = project.cli("build")
    assert done.returncode in {0, 1}
    if done.returncode:
        assert "v" in done.stderr
        assert "internal error" not in done.stderr
    else:
        assert project.product("p").column("v").to_pylist() == values
