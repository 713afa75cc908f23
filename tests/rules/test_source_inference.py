"""What CSV and JSON without declared types are read as: nothing is lost, over all files, however they are cut."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from rules.formats import text
from support.direct import build, executed
from support.inprocess import run
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path


def table(root: Path, files: dict[str, str], options: str = "") -> pa.Table:
    project = SampleProject(root, toml=f'\n[sources.s]\npath = "data"\n{options}\n')
    for name, content in files.items():
        target = root / "data" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8", newline="")
    project.sql("p", "SELECT * FROM s")
    build(root)
    return project.product("p")


def error(root: Path, files: dict[str, str], options: str = "") -> dict[str, Any]:
    project = SampleProject(root, toml=f'\n[sources.s]\npath = "data"\n{options}\n')
    for name, content in files.items():
        project.write(f"data/{name}", content)
    project.sql("p", "SELECT * FROM s")
    found: dict[str, Any] = build(root, expect=1)["error"]
    return found


# Texts of one column, and the type it has.
CSV = [
    ("01234 99", "text"),
    ("+4930 1", "text"),
    (" 12| 13", "text"),
    ("1e5 2e5", "text"),
    ("1_000", "text"),
    ("0x10 0x1F", "text"),
    ("12E4", "text"),
    ("1.1 1.10", "text"),
    ("1.9 1.10", "text"),
    ("1 1.0", "text"),
    ("nan NaN", "text"),
    ("true TRUE", "text"),
    ("1 true", "text"),
    ("T F", "text"),
    ("1. 2.", "text"),
    (".5 0.5", "text"),
    ("1e400", "text"),
    ("1e-05 0.00001", "text"),
    ("12:00 12:00:00", "text"),
    ("2024-1-5", "text"),
    ("2024-02-30", "text"),
    ("9007199254740993 0.5", "text"),
    ("0.12345678901234567891", "text"),
    ("0.1 0.10000000000000001", "double"),
    ("41.1304722 -72.886806000000007 54.013333333333335", "double"),
    (f"{'1' * 39}", "text"),
    ("0", "int64"),
    ("-12 7", "int64"),
    ("12.50 9.99 3", "double"),
    ("1.0 2.5", "double"),
    ("12.5 3", "double"),
    (".5 .25", "double"),
    ("0.1234567890123456", "double"),
    ("0.10000000000000001 0.29999999999999999", "double"),
    ("1e-05 0.5", "double"),
    ("1.0E10 2.0", "double"),
    ("nan 1.5 -inf", "double"),
    ("-0.0", "double"),
    ("true false", "bool"),
    ("TRUE FALSE", "bool"),
    ("9223372036854775808 -1", "decimal128(38, 0)"),
    (f"{'9' * 38}", "decimal128(38, 0)"),
    ("0001-01-01 9999-12-31", "date32[day]"),
    ("12:00 13:30", "time64[us]"),
    ("12:00:00", "time64[us]"),
    ("2024-01-01T00:00:00|2024-01-01 00:00:00", "text"),
    ("2024-01-01|2024-01-01 00:00:00", "text"),
    ("2024-01-01 00:00:00|9999-12-31 23:59:59", "timestamp[us]"),
    ("2024-01-01 00:00:00.5|2024-01-01 00:00:00", "timestamp[ns]"),
    ("2024-01-01 00:00:00.50|2024-01-01 00:00:00.5", "text"),
    ("9999-12-31 00:00:00.5|0001-01-01 00:00:00", "timestamp[us]"),
    ("9999-12-31 00:00:00.123456789|9999-12-31 00:00:00.123456789", "text"),
    ("2024-01-01 00:00:00.123456789|2024-01-01 00:00:00.123456780", "timestamp[ns]"),
    ("2024-01-01 00:00:00Z|9999-12-31 00:00:00Z", "timestamp[us, tz=UTC]"),
    ("2024-01-01 00:00:00Z|2024-01-01 02:00:00+02:00", "text"),
    ("2024-01-01 00:00:00Z|2024-01-01 00:00:00", "text"),
    ("2024-01-01 02:00:00+02:00|2024-01-01 03:00:00+02:00", "timestamp[us, tz=UTC]"),
    ("2024-01-01 00:00:00.1234567891|2024-01-01 00:00:00.1234567891", "text"),
    ("2024-01-01 24:00:00|2024-01-01 24:00:00", "text"),
    ("25:00", "text"),
]


def values_of(written: str) -> list[str]:
    return written.split("|") if "|" in written else written.split(" ")


def test_types_of_csv_columns(tmp_path: Path) -> None:
    files = {}
    width = max(len(values_of(written)) for written, _ in CSV)
    names = [f"c{number}" for number in range(len(CSV))]
    columns = [(values_of(written) * width)[:width] for written, _ in CSV]
    files["all.csv"] = "".join(",".join(row) + "\n" for row in [names, *zip(*columns, strict=True)])
    found = table(tmp_path, files)
    types = {written: str(field.type) for (written, _), field in zip(CSV, found.schema, strict=True)}
    assert types == {written: "large_string" if kind == "text" else kind for written, kind in CSV}
    for column, written, (_, kind) in zip(found.columns, columns, CSV, strict=True):
        if kind == "text":
            assert column.to_pylist() == written


@pytest.mark.parametrize("block", [40, 97, 1 << 20])
def test_types_depend_on_all_files_and_not_on_how_they_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(text, "_CSV_BLOCK", block)
    columns = list(itertools.islice(itertools.cycle(["7", "12"]), 40))
    files = {f"{number}.csv": "id,code,price\n" + "".join(f"{v},{v},{v}.50\n" for v in columns) for number in range(3)}
    files["3.csv"] = "id,code,price\n1,007,1.25\n"
    found = table(tmp_path, files)
    assert [str(column.type) for column in found.columns] == ["int64", "large_string", "double"]
    assert found.column("code").to_pylist() == [*columns * 3, "007"]


def test_a_late_value_widens_the_column_and_a_removed_one_narrows_it(tmp_path: Path) -> None:
    first = table(tmp_path, {"1.csv": "a,b\n1,x\n"})
    assert str(first.schema.field("a").type) == "int64"
    second = table(tmp_path, {"2.csv": "a,b\n01,y\n"})
    assert second.column("a").to_pylist() == ["1", "01"]
    (tmp_path / "data" / "2.csv").unlink()
    assert executed(build(tmp_path)) == set()  # computed before


# Lines of JSON, each the value of a field a, and what the field is read as.
JSON: list[tuple[list[str], str, list[Any] | None]] = [
    (["9223372036854775808", "9223372036854775809", "1"], "decimal128(38, 0)", [2**63, 2**63 + 1, 1]),
    (["1", "1.5"], "double", [1.0, 1.5]),
    (["1.10", "1.1"], "double", [1.1, 1.1]),
    (["9007199254740993", "0.5"], "large_string", ["9007199254740993", "0.5"]),
    (["0.12345678901234567891"], "large_string", ["0.12345678901234567891"]),
    (["0.10000000000000001", "0.1"], "double", [0.1, 0.1]),
    (["1" * 39, "2"], "large_string", ["1" * 39, "2"]),
    (["[1, 12345678901234567890]", "[]"], "list<element: decimal128(38, 0)>", [[1, 12345678901234567890], []]),
    (
        ['{"b": 9007199254740993, "c": "x"}', '{"b": 0.5}'],
        "",
        [{"b": "9007199254740993", "c": "x"}, {"b": "0.5", "c": None}],
    ),
    (['"01234"', '"1"'], "large_string", ["01234", "1"]),
    (['"2024-01-01"', '"2024-01-01 00:00:00"'], "large_string", ["2024-01-01", "2024-01-01 00:00:00"]),
    (['"2024-01-01T00:00:00Z"', '"2024-01-01T02:00:00+02:00"'], "large_string", None),
    (['"2024-01-01T00:00:00Z"'], "timestamp[us, tz=UTC]", None),
    (['"9999-12-31T00:00:00"', '"0001-01-01T00:00:00"'], "timestamp[us]", None),
    (['"2024-01-01T00:00:00"', '"2024-01-01T00:00:00.5"'], "large_string", None),
    (['"2024-01-01T00:00:00"', '"x"', '"2024-01-01T00:00:00"'], "large_string", None),
]


@pytest.mark.slow
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_types_of_json_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(text, "_JSON_BLOCK", block)
    for number, (lines, kind, values) in enumerate(JSON):
        content = "".join(f'{{"a": {line}, "i": {place}}}\n' for place, line in enumerate(lines))
        found = table(tmp_path / str(number), {"t.jsonl": content}).sort_by("i").column("a")
        if kind:
            assert str(found.type) == kind, lines
        if values is not None:
            assert found.to_pylist() == [
                Decimal(one) if "decimal" in kind and isinstance(one, int) else one for one in values
            ]
        elif kind == "large_string":
            assert found.to_pylist() == [json.loads(line) for line in lines]


def test_a_number_that_is_declared_a_string_keeps_its_spelling(tmp_path: Path) -> None:
    content = '{"a": 1.10, "b": 1.10}\n{"a": "x", "b": 7}\n'
    found = table(tmp_path, {"t.jsonl": content}, 'columns = { a = "string" }')
    assert found.to_pydict() == {"a": ["1.10", "x"], "b": [1.1, 7.0]}


ONE_COLUMN = [
    ("a\n1\n\n2\n", [1, None, 2]),
    ("a\nx\n\n", ["x", None]),
    ('a\n""\n\nx\n', ["", None, "x"]),
    ("a\r\n\r\nx\r\n", [None, "x"]),
    ("\n\na\n\nx\n", [None, "x"]),
    ("a\n", []),
    ("a\n\n\n", [None, None]),
    ('a\n"x\n\ny"\n\n', ["x\n\ny", None]),
    ("a\nx", ["x"]),
]


def test_an_empty_line_of_one_column_is_a_null(tmp_path: Path) -> None:
    for number, (content, values) in enumerate(ONE_COLUMN):
        assert table(tmp_path / str(number), {"t.csv": content}).column("a").to_pylist() == values, content
    assert table(tmp_path / "n", {"t.csv": "a\nNA\n\n"}, 'nulls = ["NA"]').column("a").to_pylist() == [None, ""]
    assert table(tmp_path / "h", {"t.csv": "\nx\n"}, "header = false").column("f0").to_pylist() == [None, "x"]
    found = error(tmp_path / "e", {"t.csv": "\na\n1\n\nx\n"}, 'columns = { a = "int64" }')
    assert found["where"] == "data/t.csv:5:1"
    assert table(tmp_path / "2", {"t.csv": "a,b\n1,2\n\n3,4\n"}).num_rows == 2


DECLARED = [
    ("t.csv", "a,b\n1,0.5\n9007199254740993,1\n", "double", "3:1"),
    ("t.csv", "a,b\n1e400,1\n", "double", "2:1"),
    ("t.csv", "a,b\n16777217,1\n", "float32", "2:1"),
    ("t.csv", "a,b\n1,1\n1.255,1\n", "decimal(10,2)", "3:1"),
    ("t.csv", "a,b\n2024-01-01 00:00:00.1234567,1\n", "timestamp", "2:1"),
    ("t.csv", "a,b\n2024-01-01 00:00:00Z,1\n", "timestamp", "2:1"),
    ("t.csv", "a,b\n9999-12-31,1\n", "timestamp[ns]", "2:1"),
    ("t.jsonl", '{"a":1}\n{"a":9007199254740993}\n', "double", "2:6"),
    ("t.jsonl", '{"a":"2024-01-01"}\n\n{"a":"2024-02-30"}\n', "date", "3:6"),
    ("t.jsonl", '{"a":"2024-01-01T00:00:00"}\n{"a":"2024-01-01T00:00:00+02:00"}\n', "timestamp", "2:6"),
    ("t.jsonl", '{"a":70000}\n', "int16", "1:6"),
    ("t.jsonl", '{"a":1.255}\n', "decimal(10,2)", "1:6"),
]


def test_a_declared_type_is_read_exactly_or_not_at_all(tmp_path: Path) -> None:
    for number, (file, content, kind, place) in enumerate(DECLARED):
        found = error(tmp_path / str(number), {file: content}, f'columns = {{ a = "{kind}" }}')
        assert found["where"] == f"data/{file}:{place}", (content, found)
        assert "column 'a'" in found["message"], found


def test_check_says_in_one_line_what_was_inferred_of_many(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d"]
    project = SampleProject(tmp_path, toml="".join(f'[sources.{one}]\npath = "data/{one}.csv"\n' for one in names))
    for name in names:
        project.write(f"data/{name}.csv", "x,y\n1,2\n")
        project.sql(f"r_{name}", f"SELECT COUNT(*) AS n FROM {name} AS q")
    line = "note: types of 8 columns of 4 text sources are inferred; -v lists them\n"
    assert run(project, "check").stderr == line
    assert run(project, "check", "-v").stderr.count("are inferred: x int64, y int64\n") == len(names)
    assert len(run(project, "check", "--json").document["inferred"]) == len(names)


@pytest.mark.parametrize(("mark", "written"), [(";", ";"), ("\t", "\\t"), ("|", "|")])
def test_another_delimiter_is_suggested(tmp_path: Path, mark: str, written: str) -> None:
    toml = '\n[sources.whole]\npath = "data/whole.csv"\n\n[sources.cut]\npath = "data/cut.csv"\n'
    project = SampleProject(tmp_path, toml=toml)
    project.write("data/whole.csv", f"id{mark}price\n1{mark}2.5\n")
    project.write("data/cut.csv", f"id{mark}price\n1{mark}2,5\n")
    for name in ("whole", "cut"):
        project.sql(f"of_{name}", f"SELECT COUNT(*) AS n FROM {name} AS w")
    hint = f"if '{written}' separates the fields: delimiter = \"{written}\" under [sources.NAME]"
    checked = run(project, "check", expect=1)
    assert f"price string; {hint}\n" in checked.stderr
    assert "data/cut.csv:2:5\n" in checked.stdout
    assert hint in checked.stdout
    project.edit("rules.toml", 'cut.csv"', f'cut.csv"\ndelimiter = "{written}"')
    project.edit("rules.toml", 'whole.csv"', f'whole.csv"\ndelimiter = "{written}"')
    assert "separates" not in run(project, "check").stderr
    run(project, "build")


def test_check_says_what_was_inferred(tmp_path: Path) -> None:
    toml = '\n[sources.s]\npath = "data/s.csv"\n[sources.t]\npath = "data/t.jsonl"\n'
    toml += 'columns = { n = "bigint", at = "timestamp" }\n'
    project = SampleProject(tmp_path, toml=toml, sources=["parquet"])
    project.parquet("parquet", {"a": [1]})
    project.write("data/s.csv", "code,price,day,big,at\n01,1.50,2024-01-01,9223372036854775808,2024-01-01 00:00:00Z\n")
    project.write("data/t.jsonl", '{"n": 1, "at": "2024-01-01T00:00:00"}\n')
    for name in ("s", "t", "parquet"):
        project.sql(f"r_{name}", f"SELECT COUNT(*) AS n FROM {name} AS q")
    line = (
        "note: types of s (data/s.csv) are inferred: code string, price double, day date, big decimal(38, 0),"
        " at timestamptz\n"
    )
    for _ in range(2):  # looked at, then remembered
        checked = project.cli("check")
        assert (checked.returncode, checked.stderr) == (0, line)
        assert project.cli("check", "-q").stderr == ""
        document = json.loads(project.cli("check", "--json").stdout)
        (found,) = document["inferred"]
        assert (found["source"], found["columns"][0]) == ("s", {"name": "code", "type": "string"})
        assert document["findings"] == []
    declared = ", ".join(f'{one["name"]} = "{one["type"]}"' for one in found["columns"])
    project.edit("rules.toml", 'path = "data/s.csv"', f'path = "data/s.csv"\ncolumns = {{ {declared} }}')
    assert project.cli("check").stderr == ""


STAMPS = [dt.datetime(2024, 1, 1, 0, 0, 0, 500000), None, dt.datetime(9999, 12, 31, 23, 59, 59)]
ROUND_TRIP: dict[str, tuple[str, pa.DataType, list[Any]]] = {
    "int": ("int64", pa.int64(), [1, None, -(2**63)]),
    "float": ("double", pa.float64(), [0.1, None, -0.0]),
    "odd": ("double", pa.float64(), [float("nan"), None, float("inf")]),
    "flag": ("boolean", pa.bool_(), [True, None, False]),
    "text": ("string", pa.large_string(), ["", None, 'a "q",\r\n\n b']),
    "code": ("string", pa.large_string(), ["01", None, "1"]),
    "day": ("date", pa.date32(), [dt.date(1, 1, 1), None, dt.date(9999, 12, 31)]),
    "at": ("timestamp", pa.timestamp("us"), STAMPS),
    "zoned": ("timestamptz", pa.timestamp("us", "UTC"), [one and one.replace(tzinfo=dt.UTC) for one in STAMPS]),
    "time": ("time", pa.time64("us"), [dt.time(12, 34, 56, 5), None, dt.time(0)]),
    "wide": ("decimal(38,0)", pa.decimal128(38, 0), [Decimal(2**70), None, Decimal(-1)]),
    "price": ("decimal(10,2)", pa.decimal128(10, 2), [Decimal("1.50"), None, Decimal("0.10")]),
}


@pytest.mark.parametrize("rows", [3, 0])
def test_what_show_writes_as_csv_is_read_back(tmp_path: Path, rows: int) -> None:
    project = SampleProject(tmp_path, sources=["s"])
    columns = {name: pa.array(values[:rows], dtype) for name, (_, dtype, values) in ROUND_TRIP.items()}
    project.parquet("s", columns)
    project.sql("all", "SELECT * FROM s")
    alone = ["int", "flag", "text", "day"]
    for name in alone:
        project.sql(f"only_{name}", f'SELECT s."{name}" FROM s')
    build(tmp_path)
    toml = ""
    again = SampleProject(tmp_path / "again")
    for product in ("all", *(f"only_{name}" for name in alone)):
        names = project.product(product).column_names
        again.write(f"data/{product}.csv", project.cli("show", product, "--format", "csv").stdout)
        declared = ", ".join(f'"{name}" = "{ROUND_TRIP[name][0]}"' for name in names)
        toml += f'\n[sources.{product}_declared]\npath = "data/{product}.csv"\ncolumns = {{ {declared} }}\n'
        toml += f'\n[sources.{product}_inferred]\npath = "data/{product}.csv"\n'
        for kind in ("declared", "inferred"):
            again.sql(f"{product}_{kind}_again", f"SELECT * FROM {product}_{kind}")
    again.write("rules.toml", again.read("rules.toml") + toml)
    build(again.root)
    exactly = {"int", "float", "odd", "flag", "text", "code", "day", "wide"}  # of which the type too can be told
    for product in ("all", *(f"only_{name}" for name in alone)):
        there, here = project.product(product), again.product(f"{product}_declared_again")
        assert here.schema == there.schema
        assert str(here.to_pydict()) == str(there.to_pydict())
        inferred = again.product(f"{product}_inferred_again")
        assert inferred.num_rows == there.num_rows
        for name in exactly & set(there.column_names) if rows else ():
            assert inferred.schema.field(name).type == there.schema.field(name).type
            assert str(inferred.column(name).to_pylist()) == str(there.column(name).to_pylist())


GOLDEN = {
    "r_c": "ca54a8148dff4feb4a86f6199999971f",
    "r_d": "dfb399b278598dfb782c7c4640cbfd05",
    "r_j": "96fe0666257af7670c8e03cdacba38d4",
    "r_p": "6a06a11d2c4691f124904bc3b3461982",
}
"""Artifacts as they were when types were inferred from the beginnings of files."""


def test_what_lost_nothing_is_read_as_it_was_before(tmp_path: Path) -> None:
    toml = (
        '\n[sources.c]\npath = "data/c.csv"\n[sources.j]\npath = "data/j.jsonl"\n[sources.p]\npath = "data/*.parquet"\n'
    )
    toml += '[sources.d]\npath = "data/d.csv"\ncolumns = { a = "int32", b = "decimal(10,2)", c = "timestamp" }\n'
    project = SampleProject(tmp_path, toml=toml)
    project.write(
        "data/c.csv",
        "i,f,b,d,t,z,h,s,n,w\n"
        "1,1.5,true,2024-01-01,2024-01-01 00:00:00,2024-01-01T00:00:00Z,12:00:00,x,,12345678901234567890\n"
        "-2,12.25,false,1969-12-31,2024-01-01 00:00:01,2024-01-01T00:00:01Z,12:30:00,007,,1\n",
    )
    project.write(
        "data/j.jsonl",
        '{"i":1,"f":1.10,"b":true,"s":"x","t":"2024-01-01T00:00:00","l":[1,2],"o":{"x":"y"}}\n'
        '{"i":2,"f":0.25,"b":null,"s":"y","t":"2024-01-02T00:00:00","l":[],"o":null}\n',
    )
    project.write("data/d.csv", "a,b,c\n1,1.50,2024-01-01\n")
    noon = dt.datetime(2024, 2, 29, 12)
    for number, rows in ((1, [noon, None]), (2, [noon])):
        zoned = pa.array([one and one.replace(tzinfo=dt.UTC) for one in rows], pa.timestamp("ns", "UTC"))
        ids, texts = ([1, 2], ["x", None]) if number == 1 else ([3], ["y"])
        at = pa.array(rows, pa.timestamp("us"))
        project.parquet(str(number), {"i": ids, "at": at, "z": zoned, "s": texts})
    for name in "cjdp":
        project.sql(f"r_{name}", f"SELECT * FROM {name}")
    assert {one["name"]: one["artifact"] for one in build(tmp_path)["products"]} == GOLDEN
