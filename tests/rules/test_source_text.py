"""CSV and JSON lines: what is read is what stands there, of declared or inferred types; what does not fit fails."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from rules.formats import text
from support.direct import build
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path


def make(root: Path, file: str, content: str | bytes, options: str = "", sql: str = "SELECT * FROM s") -> SampleProject:
    project = SampleProject(root, toml=f'\n[sources.s]\npath = "data/{file}"\n{options}\n')
    put(project, file, content)
    project.sql("p", sql)
    return project


def put(project: SampleProject, file: str, content: str | bytes) -> None:
    target = project.root / "data" / file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())


def rows(
    root: Path, file: str, content: str | bytes, options: str = "", sql: str = "SELECT * FROM s"
) -> list[dict[str, Any]]:
    project = make(root, file, content, options, sql)
    build(root)
    found: list[dict[str, Any]] = project.product("p").to_pylist()
    return found


def error(root: Path, file: str, content: str | bytes, options: str = "") -> dict[str, Any]:
    make(root, file, content, options)
    document = build(root, expect=1)
    assert document["error"]["code"] == "source"
    found: dict[str, Any] = document["error"]
    return found


AB = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
FILES = {
    "t.csv": b"a,b\n1,x\n2,y\n",
    "t.tsv": b"a\tb\n1\tx\n2\ty\n",
    "t.jsonl": b'{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n',
    "t.ndjson": b'{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n',
    "t.json": b'{"a":1,"b":"x"}\n{"a":2,"b":"y"}',
}


@pytest.mark.parametrize("file", FILES)
def test_text_formats_follow_the_extension(tmp_path: Path, file: str) -> None:
    assert rows(tmp_path, file, FILES[file]) == AB


@pytest.mark.parametrize("file", FILES)
def test_gzipped_text(tmp_path: Path, file: str) -> None:
    assert rows(tmp_path, file + ".gz", gzip.compress(FILES[file])) == AB


def test_gzip_of_several_members_is_read_whole(tmp_path: Path) -> None:
    content = gzip.compress(b"a,b\n1,x\n") + gzip.compress(b"2,y\n")
    assert rows(tmp_path, "t.csv.gz", content) == AB


def test_a_truncated_gzip_is_an_error(tmp_path: Path) -> None:
    content = gzip.compress(b"a\n" + b"".join(b"%d\n" % (i * 7919 % 100003) for i in range(100_000)))
    assert "Truncated" in error(tmp_path, "t.csv.gz", content[: len(content) // 2])["message"]


TYPES = [
    ("string", "007", "007"),
    ("int64", "7", 7),
    ("int16", "-7", -7),
    ("double", "1.5", 1.5),
    ("boolean", "true", True),
    ("date", "2024-02-29", date(2024, 2, 29)),
    ("timestamp", "2024-02-29 12:34:56.789012", datetime(2024, 2, 29, 12, 34, 56, 789012)),
    ("timestamptz", "2024-02-29T12:34:56Z", datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)),
    ("time", "12:34:56", time(12, 34, 56)),
    ("decimal(10,2)", "12345678.90", Decimal("12345678.90")),
]


@pytest.mark.parametrize(("declared", "written", "value"), TYPES, ids=[name for name, *_ in TYPES])
def test_declared_types_of_csv(tmp_path: Path, declared: str, written: str, value: object) -> None:
    assert rows(tmp_path, "t.csv", f"a,b\n1,{written}\n2,\n", f'columns = {{ b = "{declared}" }}') == [
        {"a": 1, "b": value},
        {"a": 2, "b": None},
    ]


def test_declared_types_of_json(tmp_path: Path) -> None:
    options = (
        'columns = { d = "date", t = "timestamp", n = "decimal(10,2)", s = "string", i = "int32", none = "int64" }'
    )
    line = '{"d":"2024-02-29","t":"2024-02-29T01:02:03","n":1.25,"s":"2024-01-01","i":3,"more":true}\n'
    (row,) = rows(tmp_path, "t.jsonl", line, options)
    assert row == {
        "d": date(2024, 2, 29), "t": datetime(2024, 2, 29, 1, 2, 3), "n": Decimal("1.25"), "s": "2024-01-01", "i": 3,
        "more": True, "none": None,
    }  # fmt: skip


def test_declared_times_of_json(tmp_path: Path) -> None:
    """Arrow makes times of texts in CSV, and of none elsewhere."""
    written = ["12:30", "23:59:59", "00:00:00.000001", None]
    content = "".join(json.dumps({"t": one}) + "\n" for one in written)
    found = [row["t"] for row in rows(tmp_path, "t.jsonl", content, 'columns = { t = "time" }')]
    assert found == [time(12, 30), time(23, 59, 59), time(0, 0, 0, 1), None]


@pytest.mark.parametrize("text", ["12", "24:00", "12:60", "12:30Z", "12:30:00.0000001", "1970-01-01 12:30", ""])
def test_what_is_no_declared_time_in_json(tmp_path: Path, text: str) -> None:
    lines = '{"t": "12:30"}\n' + json.dumps({"t": text})
    found = error(tmp_path, "t.jsonl", lines, 'columns = { t = "time" }')
    assert f"does not fit in column 't': {json.dumps(text)} is not time" in found["message"]
    assert found["where"] == "data/t.jsonl:2:7"


def test_inferred_types(tmp_path: Path) -> None:
    content = "i,f,b,d,t,z,h,s\n1,1.5,true,2024-01-01,2024-01-01 00:00:00,2024-01-01T00:00:00Z,12:00:00,x\n"
    project = make(tmp_path, "t.csv", content)
    build(tmp_path)
    table = project.product("p")
    assert [str(column.type) for column in table.columns] == [
        "int64", "double", "bool", "date32[day]", "timestamp[us]", "timestamp[us, tz=UTC]", "time64[us]",
        "large_string",
    ]  # fmt: skip


def test_nulls_are_what_rules_toml_says_and_quoted_fields_never(tmp_path: Path) -> None:
    content = 'a,b\n1,NA\n2,"NA"\n3,\n4,""\nNA,x\n'
    assert rows(tmp_path, "t.csv", content, 'nulls = ["NA", ""]') == [
        {"a": 1, "b": None}, {"a": 2, "b": "NA"}, {"a": 3, "b": None}, {"a": 4, "b": ""}, {"a": None, "b": "x"},
    ]  # fmt: skip


def test_only_the_declared_spellings_are_null(tmp_path: Path) -> None:
    assert rows(tmp_path, "t.csv", "a,b\n,\nNA,NULL\n", 'nulls = ["NA"]') == [
        {"a": "", "b": ""},
        {"a": None, "b": "NULL"},
    ]


def test_delimiter_quotes_and_line_ends(tmp_path: Path) -> None:
    content = 'a;b\r\n1;"x;y"\r\n2;"two\nlines"\r\n3;"say ""hi"""\r\n'
    found = rows(tmp_path, "t.csv", content, 'delimiter = ";"')
    assert [row["b"] for row in found] == ["x;y", "two\nlines", 'say "hi"']


def test_without_a_header_columns_are_numbered_from_f0(tmp_path: Path) -> None:
    assert rows(tmp_path, "t.csv", "1,x\n2,y\n", "header = false") == [{"f0": 1, "f1": "x"}, {"f0": 2, "f1": "y"}]


def test_integers_too_wide_for_int64_keep_their_digits(tmp_path: Path) -> None:
    wide, wider = "12345678901234567890", "1" * 40
    assert rows(tmp_path, "t.csv", f"a,b\n{wide},{wider}\n1,2\n") == [
        {"a": Decimal(wide), "b": wider},
        {"a": Decimal(1), "b": "2"},
    ]


def test_an_integer_of_thousands_of_digits_in_json_is_text(tmp_path: Path) -> None:
    digits = "9" * 5000
    (found,) = rows(tmp_path, "t.json", f'{{"a": {digits}, "b": {{"c": [-{digits}]}}}}\n')
    assert found == {"a": digits, "b": {"c": [f"-{digits}"]}}


def test_a_file_of_json_lines_without_a_byte_has_no_rows(tmp_path: Path) -> None:
    """It is what `rules export` writes of an empty product, and what is left of a day that was emptied."""
    project = make(tmp_path, "days", b"", 'format = "json"')
    (tmp_path / "data" / "days").unlink()
    for name, content in {"1.jsonl": "", "2.jsonl": '{"a":1}\n', "3.jsonl": '{"a":2}\n'}.items():
        put(project, f"days/{name}", content)
    build(tmp_path)
    assert project.product("p").to_pylist() == [{"a": 1}, {"a": 2}]
    put(project, "days/3.jsonl", "")
    assert project.executed(build(tmp_path)) == {"p"}
    assert project.product("p").to_pylist() == [{"a": 1}]
    put(project, "days/2.jsonl", "")
    assert "has no columns" in build(tmp_path, expect=1)["error"]["message"]
    project.edit("rules.toml", 'format = "json"', 'format = "json"\ncolumns = { a = "int64" }')
    build(tmp_path)
    assert project.product("p").to_pylist() == []


def test_a_header_alone_is_an_empty_table(tmp_path: Path) -> None:
    assert rows(tmp_path, "t.csv", "a,b\n") == []
    assert build(tmp_path)["products"][0]["rows"] == 0


def test_columns_without_values_are_strings(tmp_path: Path) -> None:
    project = make(tmp_path, "t.csv", "a,b\n,1\n,2\n")
    build(tmp_path)
    table = project.product("p")
    assert table.column("a").null_count == 2
    assert pa.types.is_large_string(table.schema.field("a").type)


def test_names_with_spaces_capitals_dots_and_letters_of_any_script(tmp_path: Path) -> None:
    content = "Order ID,a.b,größe,価格,select\n1,2,3,4,5\n"
    sql = 'SELECT "Order ID" + "a.b" AS x, "größe" AS "Größe", "価格" AS y, "select" AS z FROM s'
    assert rows(tmp_path, "t.csv", content, sql=sql) == [{"x": 3, "Größe": 3, "y": 4, "z": 5}]


def test_nested_json(tmp_path: Path) -> None:
    content = '{"a":{"b":[1,2],"c":{"d":"x"}},"e":[]}\n{"a":null,"e":[]}\n{"e":null}\n'
    assert rows(tmp_path, "t.jsonl", content) == [
        {"a": {"b": [1, 2], "c": {"d": "x"}}, "e": []}, {"a": None, "e": []}, {"a": None, "e": None},
    ]  # fmt: skip
    sql = "SELECT s.a['c']['d'] AS d, array_length(s.a['b']) AS n FROM s"
    assert rows(tmp_path / "2", "t.jsonl", content, sql=sql)[0] == {"d": "x", "n": 2}


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert rows(tmp_path, "t.csv", b"\xef\xbb\xbfa,b\n1,x\n2,y\n") == AB


def test_several_files_have_the_types_of_all_of_them(tmp_path: Path) -> None:
    project = make(tmp_path, "*.csv", "")
    (tmp_path / "data" / "*.csv").unlink()
    put(project, "1.csv", "code,n,empty\nA1,1,\n")
    put(project, "2.csv", "code,n,empty\n007,1.5,3\n")
    build(tmp_path)
    assert project.product("p").to_pylist() == [
        {"code": "A1", "n": 1.0, "empty": None}, {"code": "007", "n": 1.5, "empty": 3},
    ]  # fmt: skip


def test_json_files_may_lack_each_others_fields(tmp_path: Path) -> None:
    project = make(tmp_path, "*.jsonl", "")
    (tmp_path / "data" / "*.jsonl").unlink()
    put(project, "1.jsonl", '{"a":1}\n')
    put(project, "2.jsonl", '{"b":2}\n')
    build(tmp_path)
    assert project.product("p").to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": 2}]


def test_a_delimiter_is_not_remembered_from_a_file_of_another_kind(tmp_path: Path) -> None:
    toml = '\n[sources.s]\npath = "data/t.csv"\n[sources.t]\npath = "data/t.tsv"\n'
    project = SampleProject(tmp_path, toml=toml)
    for file in ("t.csv", "t.tsv"):
        put(project, file, "a\tb\n1\t2\n")
    project.sql("p", "SELECT * FROM s")
    project.sql("q", "SELECT * FROM t")
    build(tmp_path)
    assert project.product("p").column_names == ["a\tb"]
    assert project.product("q").column_names == ["a", "b"]


@pytest.mark.parametrize(
    ("file", "content", "place", "words"),
    [
        ("t.csv", "a,b\n1,2\n3,4,5\n", "3:5", ("3 fields", "2 fields")),
        ("t.csv", 'a,b\n"x\ny",2\n\n3\n', "5:2", ("1 field,",)),
        ("t.csv", "a,b\n1,x\n2,\xe9\n".encode("latin-1"), "3:3", ("column 'b'", "UTF-8")),
        ("t.csv", 'a,b\n1,"x\n2,y\n', "2:3", ("never closed",)),
        ("t.csv", "a,a\n1,2\n", "1:3", ("two columns named 'a'",)),
        ("t.csv", "b,c,a,b\n1,2,3,4\n", "1:7", ("two columns named 'b'",)),
        ("t.csv", "naïve,é\n1,2\n".encode("latin-1"), "1:3", ("header", "UTF-8")),
        ("t.csv", 'a,b\n"x ""y"", z",1\n"p\n\n",2,"3\n"\n', "5:5", ("3 fields",)),
        ("t.csv", b"\xef\xbb\xbfa,b\r\n1,2\r\n1,\xe4,3\r\n", "3:5", ("3 fields",)),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), "1:1", ("UTF-16",)),
        ("t.json", '{"a":1}\n'.encode("utf-16"), "1:1", ("UTF-16",)),
        ("t.csv", "\n\n", None, ("no columns",)),
        ("t.csv", "", None, ("0 bytes",)),
        ("t.jsonl.gz", "", None, ("0 bytes",)),
        ("t.json", '[{"a":1}]', "1:1", ("JSON array",)),
        ("t.json", '{"a":1}\n{"a":\n', "2:6", ("JSON lines",)),
        ("t.json", '{"a":1}\n{"a":2}\n{"a":"x"}\n', "3:6", ("number to string",)),
        ("t.json", '{"a":"x"}\n{"b":1,"a":"\xe9"}\n'.encode("latin-1"), "2:13", ("JSON lines", "UTF-8")),
        ("t.json", '{"a":1}\n  {"b": ["}"], "a" : "x"}\n', "2:22", ("number to string",)),
        ("t.json", '{"a":1}\n[1]\n', "2:1", ("no object",)),
        ("t.json", '{"a":1}\n{"a"\n:99999999999999999999}\n', "2:5", ("no whole object",)),
        ("t.json", "{}\n{}\n", None, ("no columns",)),
        ("t.csv.gz", "a\n1\n", None, ("t.csv.gz",)),
        ("t.csv", gzip.compress(b"a,b\n1,2\n", mtime=0), None, ("no text but gzip",)),
        ("t.csv.gz", gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0), None, ("no text but gzip",)),
        ("t.jsonl", bz2.compress(b'{"a":1}\n'), None, ("no text but bzip2",)),
        ("t.csv", lzma.compress(b"a,b\n1,2\n"), None, ("no text but xz",)),
        ("t.csv", b"PK\x03\x04\x14\0\0\0\x08\0xl/workbook.xml", None, ("ZIP archive",)),
        ("t.jsonl", b"PAR1\x15\x04\x15\x10PAR1", None, ("no text but Parquet",)),
    ],
)
def test_files_that_cannot_be_read(
    tmp_path: Path, file: str, content: str | bytes, place: str | None, words: tuple[str, ...]
) -> None:
    found = error(tmp_path, file, content)
    assert all(word in found["message"] + str(found["where"]) for word in words), found
    assert found["where"] == f"data/{file}" + (f":{place}" if place else "")


def test_a_header_that_begins_like_the_mark_of_a_format_is_a_header(tmp_path: Path) -> None:
    assert rows(tmp_path, "t.csv", "PAR1,BZh9\n1,2\n") == [{"PAR1": 1, "BZh9": 2}]


def test_a_late_value_of_another_kind_makes_the_column_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_CSV_BLOCK", 4096)
    content = "id,the code\n" + "".join(f"{number},{number}\n" for number in range(5000)) + "5000,A7\n"
    found = rows(tmp_path, "t.csv", content)
    assert (found[7], found[-1]) == ({"id": 7, "the code": "7"}, {"id": 5000, "the code": "A7"})


def test_a_value_that_does_not_fit_its_declared_type(tmp_path: Path) -> None:
    found = error(tmp_path, "t.csv", "a,b\n1,2\nx,3\n", 'columns = { a = "int64" }')
    assert found["where"] == "data/t.csv:3:1"
    assert "'x' is not int64" in found["message"]
    assert "declares 'a' as int64" in found["hint"]


def test_a_late_json_value_of_another_kind_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_JSON_BLOCK", 4096)
    content = '{"a":1}\n' * 3000 + '{"a":"x"}\n'
    found = error(tmp_path, "t.jsonl", content)
    assert found["where"] == "data/t.jsonl:3001:6"
    assert '"x" is not int64' in found["message"]
    assert 'columns = { a = "string" }' in found["hint"]
    assert rows(tmp_path, "t.jsonl", content, 'columns = { a = "string" }')[2999:] == [{"a": "1"}, {"a": "x"}]


def test_late_json_fractions_and_fields_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_JSON_BLOCK", 4096)
    found = rows(tmp_path, "t.jsonl", '{"a":1}\n' * 3000 + '{"a":1.5,"late":2}\n')
    assert (found[0], found[-1]) == ({"a": 1.0, "late": None}, {"a": 1.5, "late": 2})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ('columns = { nope = "int64" }', "no column 'nope'"),
        ('columns = { a = "intt" }', "unknown type 'intt'"),
        ('columns = { a = "decimal(90,2)" }', "unusable type"),
    ],
)
def test_declarations_that_cannot_hold(tmp_path: Path, options: str, words: str) -> None:
    assert words in error(tmp_path, "t.csv", "a,b\n1,2\n", options)["message"]
