"""Hive folders: key=value in the path of a file is a column like any other, of every format."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from support.direct import build, executed
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path


def put(root: Path, path: str, values: list[Any], name: str = "a") -> None:
    """Write a file below data/, in the format of its extension."""
    target = root / "data" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({name: values})
    if path.endswith(".parquet"):
        pq.write_table(table, target)
    elif path.endswith(".arrow"):
        feather.write_feather(table, str(target))
    elif path.endswith(".csv"):
        target.write_text(f"{name}\n" + "".join(f"{value}\n" for value in values), encoding="utf-8")
    else:
        target.write_text("".join(json.dumps({name: value}) + "\n" for value in values), encoding="utf-8")


def make(root: Path, path: str = "data", options: str = "", sql: str = "SELECT * FROM s") -> SampleProject:
    project = SampleProject(root, toml=f'\n[sources.s]\npath = "{path}"\n{options}\n')
    project.sql("p", sql)
    return project


def rows(project: SampleProject, name: str = "p") -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in project.product(name).to_pylist()]


FORMATS = ["parquet", "csv", "jsonl", "arrow"]


@pytest.mark.parametrize("form", FORMATS)
def test_keys_are_columns_after_those_of_the_file(tmp_path: Path, form: str) -> None:
    for year, month in (("2024", "01"), ("2023", "12"), ("2024", "02")):
        put(tmp_path, f"flights/year={year}/month={month}/part.{form}", [int(year), int(month)])
    project = make(tmp_path, "data/flights", sql="SELECT * FROM s WHERE s.a > 1")
    project.sql("q", "SELECT s.month AS m, COUNT(*) AS n FROM s WHERE s.year = '2024' GROUP BY s.month ORDER BY m")
    project.sql("only", "SELECT s.year FROM s")
    project.sql("none", "SELECT COUNT(*) AS n FROM s")
    build(tmp_path)
    assert project.product("p").column_names == ["a", "year", "month"]
    assert [str(column.type) for column in project.product("p").columns] == ["int64", "large_string", "large_string"]
    assert rows(project) == [
        (2023, "2023", "12"), (12, "2023", "12"), (2024, "2024", "01"), (2024, "2024", "02"), (2, "2024", "02"),
    ]  # fmt: skip
    assert rows(project, "q") == [("01", 2), ("02", 2)]
    assert rows(project, "only") == [("2023",)] * 2 + [("2024",)] * 4
    assert rows(project, "none") == [(6,)]
    assert executed(build(tmp_path)) == set()


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize(
    "path", ["data/**/*.FORM", "data/k=*/*.FORM", "data/*/part.FORM", "data/k=1/part.FORM", "data/k=1"]
)
def test_globs_single_files_and_folders(tmp_path: Path, form: str, path: str) -> None:
    put(tmp_path, f"k=1/part.{form}", [1])
    if "k=1" not in path:
        put(tmp_path, f"k=2/part.{form}", [2])
    project = make(tmp_path, path.replace("FORM", form))
    build(tmp_path)
    assert rows(project) == [(1, "1"), (2, "2")][: 1 if "k=1" in path else 2]


@pytest.mark.parametrize("form", FORMATS)
def test_values_are_decoded_and_null_is_apart_from_the_empty_text(tmp_path: Path, form: str) -> None:
    folders = {
        "__HIVE_DEFAULT_PARTITION__": None, "": "", "a%2Fb": "a/b", "it's": "it's", "50%25": "50%", "x=y": "x=y",
        "ä€": "ä€", "%20": " ", "NULL": "NULL", "2024-01-01 00%3A00%3A00": "2024-01-01 00:00:00",
    }  # fmt: skip
    for number, folder in enumerate(folders):
        put(tmp_path, f"my%20key={folder}/part.{form}", [number])
    project = make(tmp_path)
    project.sql("q", 'SELECT s.a FROM s WHERE s."my key" IS NULL')
    project.sql("r", "SELECT s.a FROM s WHERE s.\"my key\" = ''")
    build(tmp_path)
    assert dict(rows(project)) == dict(enumerate(folders.values()))
    assert project.product("p").column_names == ["a", "my key"]
    assert (rows(project, "q"), rows(project, "r")) == ([(0,)], [(1,)])


@pytest.mark.parametrize("form", FORMATS)
def test_keys_have_declared_types(tmp_path: Path, form: str) -> None:
    for name in ("n=01/d=2024-02-29/f=1.5/t=true", "n=12/d=9999-12-31/f=2/t=false",
                 "n=__HIVE_DEFAULT_PARTITION__/d=__HIVE_DEFAULT_PARTITION__/f=0/t=true"):  # fmt: skip
        put(tmp_path, f"{name}/part.{form}", [1])
    options = 'columns = { n = "int32", d = "date", f = "double", t = "boolean" }'
    project = make(tmp_path, options=options, sql="SELECT s.n, s.d, s.f, s.t FROM s WHERE s.f < 5 ORDER BY s.n")
    build(tmp_path)
    assert rows(project) == [
        (1, dt.date(2024, 2, 29), 1.5, True), (12, dt.date(9999, 12, 31), 2.0, False), (None, None, 0.0, True),
    ]  # fmt: skip
    assert str(project.product("p").schema.field("n").type) == "int32"


@pytest.mark.parametrize("form", FORMATS)
def test_what_runs_again_when_files_move_come_and_go(tmp_path: Path, form: str) -> None:
    for key in ("1", "2"):
        put(tmp_path, f"k={key}/part.{form}", [int(key)])
    project = make(tmp_path)
    project.sql("values_only", "SELECT s.a FROM s")
    project.sql("keys_only", "SELECT s.k FROM s")
    project.sql("rows_only", "SELECT COUNT(*) AS n FROM s")
    build(tmp_path)
    (tmp_path / "data" / "k=2").rename(tmp_path / "data" / "k=3")
    assert executed(build(tmp_path)) == {"p", "keys_only"}
    assert rows(project) == [(1, "1"), (2, "3")]
    put(tmp_path, f"k=2/part.{form}", [9])
    assert executed(build(tmp_path)) == {"p", "values_only", "keys_only", "rows_only"}
    assert rows(project) == [(1, "1"), (9, "2"), (2, "3")]
    (tmp_path / "data" / "k=2" / f"part.{form}").unlink()
    assert executed(build(tmp_path)) == set()
    assert rows(project) == [(1, "1"), (2, "3")]
    (tmp_path / "data" / "k=1" / f"part.{form}").rename(tmp_path / "data" / "k=1" / f"other.{form}")
    assert executed(build(tmp_path)) == set()


@pytest.mark.parametrize("form", FORMATS)
def test_folders_that_say_too_much_or_not_the_same(tmp_path: Path, form: str) -> None:
    cases = [
        (["a=1/part"], "", "column 'a' in the file and in its folder's name", "a=1/part"),
        (["k=1/part", "l=1/part"], "", "different keys: l here, and k", "l=1/part"),
        (["k=1/part", "part"], "", "different keys: none here, and k", "part"),
        (["k=1/l=1/part", "k=1/part"], "", "different keys: k here, and k, l", "k=1/part"),
        (["k=1/k=2/part"], "", "same key: k, k", "k=1/k=2/part"),
        (["k=1/part", "k=x/part"], 'columns = { k = "int64" }', "folder k=x is not int64", "k=x/part"),
        (["k=1/part"], 'columns = { k = "time" }', "cannot be time", "k=1/part"),
    ]
    for number, (files, options, words, where) in enumerate(cases):
        root = tmp_path / str(number)
        for file in files:
            put(root, f"{file}.{form}", [1])
        make(root, options=options)
        error = build(root, expect=1)["error"]
        assert words in error["message"], error
        assert error["where"] == f"data/{where}.{form}"
        if not options:
            assert "partitions = false" in error["hint"]
            project = make(root, options="partitions = false")
            build(root)
            assert set(rows(project)) == {(1,)}


def test_a_file_without_rows_and_a_large_one(tmp_path: Path) -> None:
    put(tmp_path, "k=1/part.parquet", list(range(200_000)))
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "data" / "k=1" / "empty.parquet")
    put(tmp_path, "k=2/part.parquet", [7])
    project = make(tmp_path, sql="SELECT s.k, COUNT(*) AS n, SUM(s.a) AS a FROM s GROUP BY s.k ORDER BY s.k")
    build(tmp_path)
    assert rows(project) == [("1", 200_000, 19_999_900_000), ("2", 1, 7)]


def test_a_stream_reads_keys_too(tmp_path: Path) -> None:
    put(tmp_path, "k=1/part.parquet", [1])
    put(tmp_path, "k=2/part.parquet", [2])
    project = make(tmp_path)
    project.write(
        "rules/streamed.py",
        "import pyarrow as pa\nfrom rules import rule\n\n"
        "@rule(engine='arrow', output=pa.schema([('k', pa.string()), ('a', pa.int64())]))\n"
        "def streamed(s):\n    for batch in s:\n"
        "        yield batch.select(['k', 'a'])\n",
    )
    build(tmp_path)
    assert rows(project, "streamed") == [("1", 1), ("2", 2)]
