"""Where a source's files may be: a file, a glob, a folder, a link, inside the project or not; all of it one table."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from support.direct import build, executed
from support.projects import RULES, SampleProject


def make(root: Path, path: str, options: str = "", sql: str = "SELECT * FROM s") -> SampleProject:
    project = SampleProject(root, toml=f'\n[sources.s]\npath = "{path}"\n{options}\n')
    project.sql("p", sql)
    return project


def put(path: Path, values: Any, name: str = "a") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: values}), path)


def values(project: SampleProject) -> list[Any]:
    found: list[Any] = project.product("p").column(0).to_pylist()
    return found


def failure(root: Path) -> dict[str, Any]:
    document = build(root, expect=1)
    found: dict[str, Any] = document["error"]
    return found


@pytest.mark.parametrize("path", ["data/t.parquet", "./data/t.parquet", "../outside.parquet", "ABSOLUTE"])
def test_one_file(tmp_path: Path, path: str) -> None:
    target = tmp_path / "elsewhere" / "t.parquet" if path == "ABSOLUTE" else tmp_path / "project" / path
    put(target, [1, 2])
    project = make(tmp_path / "project", str(target) if path == "ABSOLUTE" else path)
    assert executed(build(project.root)) == {"p"}
    assert values(project) == [1, 2]
    assert executed(build(project.root)) == set()
    put(target, [3])
    assert executed(build(project.root)) == {"p"}
    assert values(project) == [3]


@pytest.mark.parametrize(
    "path", ["data/*.parquet", "data/part-?.parquet", "data", "data/", "dat[a]/**", "**/*.parquet"]
)
def test_several_files_are_one_table_in_order_of_their_names(tmp_path: Path, path: str) -> None:
    for number in (3, 1, 2, 0):
        put(tmp_path / "data" / f"part-{number}.parquet", [number * 10, number * 10 + 1])
    project = make(tmp_path, path)
    build(tmp_path)
    assert values(project) == [0, 1, 10, 11, 20, 21, 30, 31]
    assert executed(build(tmp_path)) == set()


def test_many_files_keep_their_order(tmp_path: Path) -> None:
    for number in range(120):
        put(tmp_path / "data" / f"{number:03d}.parquet", [number])
    project = make(tmp_path, "data/*.parquet")
    build(tmp_path)
    assert values(project) == list(range(120))


def test_hive_style_folders_are_just_folders_where_rules_toml_says_so(tmp_path: Path) -> None:
    for year in (2024, 2023):
        put(tmp_path / "data" / f"year={year}" / f"_key={year}" / "f.parquet", [year])
    project = make(tmp_path, "data", "partitions = false")
    build(tmp_path)
    assert project.product("p").column_names == ["a"]
    assert values(project) == [2023, 2024]


def test_a_folder_leaves_out_what_is_hidden_or_of_another_kind(tmp_path: Path) -> None:
    put(tmp_path / "data" / "a.parquet", [1])
    for left in ("_SUCCESS", ".a.parquet.crc", "_temporary/b.parquet", ".hidden/c.parquet", "notes.txt"):
        (tmp_path / "data" / left).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / left).write_text("not data")
    project = make(tmp_path, "data")
    build(tmp_path)
    assert values(project) == [1]


@pytest.mark.parametrize(("path", "count"), [(".", 3), ("**/*.parquet", 3), ("*/*.parquet", 2)])
@pytest.mark.parametrize("store", [None, "store"])
def test_the_store_is_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, count: int, store: str | None
) -> None:
    if store:
        monkeypatch.setenv("RULES_STORE", str(tmp_path / store))
    put(tmp_path / "data" / "a.parquet", [1])
    put(tmp_path / "more" / "b.parquet", [2])
    put(tmp_path / "c.parquet", [3])
    make(tmp_path, path, sql="SELECT COUNT(*) AS n FROM s")
    assert build(tmp_path)["products"][0]["status"] == "executed"
    assert executed(build(tmp_path)) == set()
    (tmp_path / "rules" / "q.sql").write_text("SELECT COUNT(*) AS n, 1 AS one FROM s")
    assert executed(build(tmp_path)) == {"q"}
    assert pq.read_table(tmp_path / ".rules" / "products" / "q.parquet").to_pylist() == [{"n": count, "one": 1}]


def test_the_store_is_no_rule_folder(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["s"])
    project.edit("rules.toml", 'name = "sample"', 'name = "sample"\nrules = ["."]')
    put(tmp_path / "data" / "s.parquet", [1])
    project.sql("p", "SELECT a FROM s")
    assert executed(build(tmp_path)) == {"p"}
    (tmp_path / ".rules" / "evidence").mkdir(exist_ok=True)
    (tmp_path / ".rules" / "evidence" / "other.sql").write_text("SELECT nonsense")
    project.sql("q", "SELECT a + 1 AS b FROM p")
    assert executed(build(tmp_path)) == {"q"}


def test_a_folder_has_the_format_of_its_files(tmp_path: Path) -> None:
    project = make(tmp_path, "data")
    for name, text in (("b.csv", "a\n2\n"), ("a.csv", "a\n1\n")):
        project.write(f"data/{name}", text)
    build(tmp_path)
    assert values(project) == [1, 2]
    put(tmp_path / "data" / "c.parquet", [3])
    assert "several formats" in failure(tmp_path)["message"]


def test_a_declared_format_needs_no_extension(tmp_path: Path) -> None:
    project = make(tmp_path, "data", 'format = "csv"')
    project.write("data/part-0", "a\n1\n")
    build(tmp_path)
    assert values(project) == [1]


def test_a_file_added_to_a_glob_is_seen_and_one_removed_too(tmp_path: Path) -> None:
    put(tmp_path / "data" / "a.parquet", [1])
    project = make(tmp_path, "data/*.parquet")
    build(tmp_path)
    put(tmp_path / "data" / "b.parquet", [2])
    assert executed(build(tmp_path)) == {"p"}
    assert values(project) == [1, 2]
    (tmp_path / "data" / "a.parquet").unlink()
    assert executed(build(tmp_path)) == {"p"}
    assert values(project) == [2]


def test_links_are_followed(tmp_path: Path) -> None:
    put(tmp_path / "real" / "one.parquet", [1])
    put(tmp_path / "real" / "two.parquet", [2])
    (tmp_path / "project" / "data").mkdir(parents=True)
    (tmp_path / "project" / "data" / "folder").symlink_to(tmp_path / "real", target_is_directory=True)
    link = tmp_path / "project" / "one.parquet"
    link.symlink_to(tmp_path / "real" / "one.parquet")
    project = make(tmp_path / "project", "data")
    project.write("rules.toml", project.read("rules.toml") + '\n[sources.t]\npath = "one.parquet"\n')
    project.sql("q", "SELECT a FROM t")
    build(project.root)
    assert values(project) == [1, 2]
    link.unlink()
    link.symlink_to(tmp_path / "real" / "two.parquet")
    assert executed(build(project.root)) == {"q"}
    assert project.product("q").column("a").to_pylist() == [2]


def test_a_link_that_leads_back_is_an_error(tmp_path: Path) -> None:
    put(tmp_path / "data" / "a.parquet", [1])
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data", target_is_directory=True)
    make(tmp_path, "data")
    assert "leads back" in failure(tmp_path)["message"]


def test_a_project_folder_may_look_like_a_glob(tmp_path: Path) -> None:
    project = make(tmp_path / "a[b]*", "data/*.parquet")
    put(project.root / "data" / "a.parquet", [1])
    build(project.root)
    assert values(project) == [1]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("data/none.parquet", "does not exist"),
        ("data/*.parquet", "matches no file"),
        ("data/none", "does not exist"),
        ("data/t.xlsx", "no known format"),
    ],
)
def test_paths_that_lead_nowhere(tmp_path: Path, path: str, words: str) -> None:
    make(tmp_path, path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "t.xlsx").write_text("x")
    assert words in failure(tmp_path)["message"]


def _without_privileges() -> None:
    """Drop what lets root read everything (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH), before the command is executed."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):
            if libc.prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
                raise OSError(ctypes.get_errno(), "prctl")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists() and os.geteuid() == 0, reason="root reads everything here")
@pytest.mark.parametrize(
    ("path", "locked"), [("data/a.parquet", "data/a.parquet"), ("data", "data/b"), ("data/**/*.parquet", "data/b")]
)
def test_what_cannot_be_read_is_an_error_never_a_smaller_table(tmp_path: Path, path: str, locked: str) -> None:
    put(tmp_path / "data" / "a.parquet", [1])
    put(tmp_path / "data" / "b" / "b.parquet", [2])
    make(tmp_path, path)
    (tmp_path / locked).chmod(0)
    try:
        done = subprocess.run(
            [str(RULES), "build", "--json", "-C", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=_without_privileges,
        )
    finally:
        (tmp_path / locked).chmod(0o755)
    assert done.returncode == 1
    assert "Permission denied" in done.stdout
    assert locked in done.stdout


@pytest.mark.parametrize("kind", ["file", "stream", "feather"])
def test_arrow_files(tmp_path: Path, kind: str) -> None:
    table = pa.table(
        {
            "s": pa.array(["x", None, "y"]).dictionary_encode(),
            "n": pa.nulls(3),
            "l": pa.array(["a", "b", "c"], pa.large_string()),
            "i": pa.array([1, 2, 3], pa.int8()),
        }
    )
    project = make(tmp_path, "data/t.arrow", 'columns = { s = "string", i = "int8" }')
    target = tmp_path / "data" / "t.arrow"
    target.parent.mkdir()
    if kind == "feather":
        feather.write_feather(table, str(target), compression="lz4")
    else:
        new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
        with new(str(target), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    build(tmp_path)
    assert project.product("p").to_pydict() == table.to_pydict()
    assert executed(build(tmp_path)) == set()


def test_a_contract_that_parquet_does_not_keep(tmp_path: Path) -> None:
    put(tmp_path / "data" / "t.parquet", [1])
    project = make(tmp_path, "data/t.parquet", 'columns = { a = "int64" }')
    assert executed(build(tmp_path)) == {"p"}
    project.edit("rules.toml", '"int64"', '"string"')
    assert "type int64 in column 'a', where rules.toml declares string" in failure(tmp_path)["message"]
    project.edit("rules.toml", 'a = "string"', 'b = "string"')
    assert "no column 'b'" in failure(tmp_path)["message"]


def test_files_of_different_schemas(tmp_path: Path) -> None:
    put(tmp_path / "data" / "a.parquet", [1])
    put(tmp_path / "data" / "b.parquet", ["x"])
    make(tmp_path, "data")
    found = failure(tmp_path)
    assert "column 'a' is int64 in the first and string_view here" in found["message"]
    assert found["where"] == "data/b.parquet"


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    project = make(tmp_path, "data/t.parquet")
    project.write("data/t.parquet", "a,b\n1,2\n")
    assert "not a readable Parquet file" in failure(tmp_path)["message"]
