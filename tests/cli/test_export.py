"""`rules export`: products in files and folders elsewhere, whole or not at all, never in place of others."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.dataset as ds
import pyarrow.json as pa_json
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from cache import removal
from rules.cli import main
from rules.exporting import writing_folders
from support.forks import shared
from support.inprocess import Ran, run
from support.projects import SampleProject
from support.terminal import run_on_terminal

TABLE = pa.table(
    {
        "id": pa.array(range(8), pa.int64()),
        "region": ["EU", "", None, "a/b=c", "EU", "%41", " ü", "."],
        "year": pa.array([2024, 2024, None, -1, 2025, 2024, 2024, 2024], pa.int32()),
        "amount": pa.array([0.5, None, -0.0, 1e300, 2.0, 3.0, 4.0, 5.0]),
    }
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    """Products of plain columns, of others, and of none; built once, only read by the tests."""
    made = SampleProject(tmp_path_factory.mktemp("export") / "sample", sources=["raw"])
    made.parquet("raw", TABLE)
    made.sql("sales", "SELECT r.id, r.region, r.year, r.amount FROM raw AS r ORDER BY r.id")
    made.sql("lists", "SELECT r.id, [r.id, NULL] AS both FROM raw AS r")
    made.sql("bytes", "SELECT encode(r.region, 'hex')::BYTEA AS raw_bytes, r.id FROM raw AS r")
    made.sql("pairs", "SELECT named_struct('a', r.id) AS pair, r.id FROM raw AS r")
    made.sql("lone", "SELECT r.region FROM raw AS r")
    made.sql("nothing", "SELECT r.id, r.region FROM raw AS r WHERE r.id < 0")
    made.sql("marked", "SELECT r.id, '__HIVE_DEFAULT_PARTITION__' AS region FROM raw AS r")
    run(made, "build")
    made.sql("unbuilt", "SELECT r.id FROM raw AS r")
    return made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def listed(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in listed(folder)}


def refused(project: SampleProject, *words: str | Path, expect: int = 2) -> str:
    """The message and hint of an export that is refused, in a folder in which nothing changed."""
    ran = run(project, "export", "--json", *map(str, words), expect=expect)
    error = ran.document["error"]
    return f"{error['message']}; {error['hint']}"


def export(project: SampleProject, *words: str | Path) -> Ran:
    return run(project, "export", *map(str, words))


def rows(table: pa.Table) -> list[dict]:
    return sorted(table.to_pylist(), key=lambda row: row["id"])


# Files


def test_parquet_is_the_table_as_it_is_stored(project: SampleProject, tmp_path: Path) -> None:
    export(project, "sales", tmp_path / "a.parquet")
    stored = project.root / ".rules/products/sales.parquet"
    assert (tmp_path / "a.parquet").read_bytes() == stored.read_bytes()
    assert os.access(tmp_path / "a.parquet", os.W_OK)
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == TABLE.to_pylist()


def read_csv(path: Path, delimiter: str = ",") -> pa.Table:
    values = pa_csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
    return pa_csv.read_csv(path, parse_options=pa_csv.ParseOptions(delimiter=delimiter), convert_options=values)


READERS: dict[str, Callable[[Path], pa.Table]] = {
    "csv": read_csv,
    "csv.gz": read_csv,
    "tsv": lambda path: read_csv(path, "\t"),
    "json": pa_json.read_json,
    "jsonl.zst": lambda path: pa_json.read_json(pa.input_stream(str(path), compression="zstd")),
    "arrow": feather.read_table,
}


@pytest.mark.parametrize("extension", READERS)
def test_the_extension_says_the_format(project: SampleProject, tmp_path: Path, extension: str) -> None:
    first, second = tmp_path / f"a.{extension}", tmp_path / f"b.{extension}"
    for path in (first, second):
        export(project, "sales", path)
    assert READERS[extension](first).to_pylist() == TABLE.to_pylist()
    assert first.read_bytes() == second.read_bytes()
    assert listed(tmp_path) == [first.name, second.name]


def test_the_document(project: SampleProject, out: Path) -> None:
    document = run(project, "export", "sales", str(out), "--partition-by", "year", "--json").document
    [one] = document.pop("products")
    assert document == {"format": 1, "command": "export", "status": "ok"}
    size = sum(len(data) for data in contents(out).values())
    assert one.pop("artifact")
    assert one == {
        "product": "sales", "path": str(out), "format": "parquet", "partition_by": ["year"], "rows": 8, "files": 4,
        "bytes": size,
    }  # fmt: skip


def test_a_format_for_any_name(project: SampleProject, tmp_path: Path) -> None:
    export(project, "sales", tmp_path / "a.txt", "--format", "csv")
    assert READERS["csv"](tmp_path / "a.txt").to_pylist() == TABLE.to_pylist()
    export(project, "sales", tmp_path / "plain", "--format", "json", "--single-file")
    assert pa_json.read_json(tmp_path / "plain").to_pylist() == TABLE.to_pylist()
    (tmp_path / "folder").mkdir()
    export(project, "sales", tmp_path / "folder", "--format", "csv", "--single-file")
    assert listed(tmp_path / "folder") == ["sales.csv"]


def test_a_compressed_file_is_the_plain_one(project: SampleProject, tmp_path: Path) -> None:
    export(project, "sales", tmp_path / "a.csv")
    export(project, "sales", tmp_path / "a.csv.gz")
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == (tmp_path / "a.csv").read_bytes()


@pytest.mark.parametrize("extension", ["parquet", "csv", "json", "arrow"])
def test_a_product_without_rows(project: SampleProject, tmp_path: Path, extension: str) -> None:
    target = tmp_path / f"none.{extension}"
    export(project, "nothing", target)
    if extension == "csv":
        assert target.read_bytes() == b'"id","region"\n'
    elif extension == "json":
        assert target.read_bytes() == b""
    else:
        read = {"parquet": pq.read_table, "arrow": feather.read_table}[extension]
        assert (read(target).num_rows, read(target).column_names) == (0, ["id", "region"])


# Folders


@pytest.mark.parametrize("extension", ["parquet", "csv", "json", "arrow"])
def test_a_folder_of_equal_names_and_bytes(project: SampleProject, tmp_path: Path, extension: str) -> None:
    for name in ("a", "b"):
        export(project, "sales", tmp_path / name, "--format", extension, "--partition-by", "region")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert len(listed(tmp_path / "a")) == 7
    assert all(name.endswith(f".{extension}") for name in listed(tmp_path / "a"))


def test_null_and_empty_text_have_folders_of_their_own(project: SampleProject, out: Path) -> None:
    export(project, "sales", out, "--partition-by", "region,year")
    folders = {str(Path(name).parent) for name in listed(out)}
    assert {"region=/year=2024", "region=__HIVE_DEFAULT_PARTITION__/year=__HIVE_DEFAULT_PARTITION__"} <= folders
    keys = pa.schema([("region", pa.string()), ("year", pa.int32())])
    read = ds.dataset(out, partitioning=ds.partitioning(keys, flavor="hive")).to_table()
    assert rows(read.select(TABLE.column_names)) == TABLE.to_pylist()


def test_an_exported_folder_is_a_source(project: SampleProject, tmp_path: Path) -> None:
    other = SampleProject(tmp_path / "other", toml='\n[sources.sales]\npath = "in"\ncolumns = { year = "int32" }\n')
    export(project, "sales", other.root / "in", "--partition-by", "region", "--partition-by", "year")
    other.sql("back", "SELECT s.id, s.region, s.year, s.amount FROM sales AS s ORDER BY s.id")
    run(other, "build")
    assert other.product("back").to_pylist() == TABLE.to_pylist()


def test_more_folders_than_files_are_open_at_once(
    project: SampleProject, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(project, "sales", out, "--partition-by", "id")
    monkeypatch.setattr(writing_folders, "_OPEN_FILES", 3)
    monkeypatch.setattr(writing_folders, "_BUFFERED_BYTES", 1)
    export(project, "sales", out.with_name("few"), "--partition-by", "id")
    assert len(listed(out)) == 8
    assert contents(out) == contents(out.with_name("few"))


def test_rows_keep_their_order_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = SampleProject(tmp_path / "sample", sources=["raw"])
    made.parquet("raw", {"n": list(range(5000)), "k": [(n * 7919) % 3 for n in range(5000)]})
    made.sql("many", "SELECT r.n, r.k FROM raw AS r ORDER BY r.n")
    run(made, "build")
    monkeypatch.setattr(writing_folders, "BATCH_ROWS", 64)
    monkeypatch.setattr(writing_folders, "_GROUP_ROWS", 100)
    export(made, "many", tmp_path / "out", "--partition-by", "k")
    for key in range(3):
        [file] = (tmp_path / "out" / f"k={key}").iterdir()
        found = pq.read_table(file)
        assert found.column_names == ["n"]
        assert found["n"].to_pylist() == [n for n in range(5000) if (n * 7919) % 3 == key]
        assert pq.read_metadata(file).num_row_groups > 10


def test_several_products(project: SampleProject, out: Path) -> None:
    export(project, "sales", "lists", out)
    assert listed(out) == ["lists.parquet", "sales.parquet"]
    (out / "notes.txt").write_text("mine")
    export(project, "sales", "nothing", out, "--mode", "overwrite", "--format", "csv")
    assert listed(out) == ["lists.parquet", "notes.txt", "nothing.csv", "sales.csv", "sales.parquet"]
    export(project, "sales", "marked", out.with_name("more"), "--partition-by", "id")
    assert len(listed(out.with_name("more") / "sales")) == 8
    assert len(listed(out.with_name("more") / "marked")) == 8


# What exists


def test_nothing_is_replaced_unasked(project: SampleProject, tmp_path: Path, out: Path) -> None:
    (tmp_path / "a.csv").write_text("mine")
    assert refused(project, "sales", tmp_path / "a.csv").endswith("exists already; --mode overwrite replaces it")
    export(project, "sales", out)
    before = contents(out)
    (tmp_path / "nothing.csv").write_text("mine")
    assert "nothing.csv exists already" in refused(project, "sales", "nothing", tmp_path, "--format", "csv")
    assert not (tmp_path / "sales.csv").exists()
    assert (contents(out), (tmp_path / "a.csv").read_text()) == (before, "mine")
    export(project, "sales", tmp_path / "a.csv", "--mode", "overwrite")
    assert READERS["csv"](tmp_path / "a.csv").to_pylist() == TABLE.to_pylist()


def test_overwriting_a_folder_leaves_nothing_of_the_former_table(project: SampleProject, out: Path) -> None:
    export(project, "sales", out, "--partition-by", "region")
    export(project, "sales", out, "--partition-by", "year", "--mode", "overwrite")
    assert {name.split("=")[0] for name in listed(out)} == {"year"}
    export(project, "sales", out, "--mode", "overwrite")
    assert len(listed(out)) == 1
    assert pq.read_table(out).to_pylist() == TABLE.to_pylist()
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_appending_adds_files(project: SampleProject, out: Path) -> None:
    for _ in range(3):
        export(project, "sales", out, "--partition-by", "region", "--mode", "append")
    assert len(listed(out)) == 21
    assert ds.dataset(out, partitioning="hive").count_rows() == 24
    former = {name: (out / name).stat().st_ino for name in listed(out)}
    export(project, "sales", out, "--partition-by", "region", "--mode", "append")
    assert former.items() <= {name: (out / name).stat().st_ino for name in listed(out)}.items()


def test_only_the_same_table_is_added(project: SampleProject, out: Path) -> None:
    for extension in ("parquet", "csv", "arrow"):
        place = out / extension
        export(project, "sales", place, "--format", extension)
        before = contents(place)
        add = (place, "--mode", "append")
        assert "other columns" in refused(project, "nothing", *add, "--format", extension)
        assert "not partitioned" in refused(project, "sales", *add, "--format", extension, "--partition-by", "id")
        assert "this export writes json" in refused(project, "sales", *add, "--format", "json")
        assert contents(place) == before
    assert "nothing can be added" in refused(project, "sales", out / "a.csv", "--mode", "append")


@pytest.mark.parametrize("mode", ["overwrite", "append"])
@pytest.mark.parametrize("foreign", ["notes.txt", "region=EU/data.parquet", "part-00000-xyz.parquet", "empty/", "link"])
def test_a_folder_with_anything_else_is_left_alone(project: SampleProject, out: Path, mode: str, foreign: str) -> None:
    export(project, "sales", out, "--partition-by", "region")
    if foreign == "link":
        (out / foreign).symlink_to(project.root)
    elif foreign.endswith("/"):
        (out / foreign).mkdir()
    else:
        (out / foreign).write_text("mine")
    before = listed(out)
    assert "which no export wrote" in refused(project, "sales", out, "--partition-by", "region", "--mode", mode)
    assert listed(out) == before
    assert (project.root / "rules.toml").exists()


def test_what_comes_into_a_folder_while_it_is_replaced_is_kept(
    project: SampleProject, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(project, "sales", out)
    exchange = removal.exchange

    def late(fresh: Path, target: Path) -> None:
        (target / "late.txt").write_text("mine")
        exchange(fresh, target)

    monkeypatch.setattr("rules.exporting.destination.exchange", late)
    ran = export(project, "sales", out, "--mode", "overwrite")
    assert "what no export wrote was left in" in ran.stderr
    [kept] = out.parent.glob(".out.*.new/late.txt")
    assert kept.read_text() == "mine"
    assert len(listed(out)) == 1


def test_without_a_rename_that_exchanges(project: SampleProject, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "renamed", lambda *_: False)
    export(project, "sales", out)
    assert "exists already" in refused(project, "sales", out)
    export(project, "sales", out, "--mode", "overwrite", "--partition-by", "id")
    assert len(listed(out)) == 8
    export(project, "sales", out.with_name("a.csv"))
    assert [path.name for path in sorted(out.parent.iterdir())] == ["a.csv", "out"]


def test_a_link_leads_to_the_file_that_is_replaced(project: SampleProject, tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("former")
    (tmp_path / "link.csv").symlink_to("real.csv")
    export(project, "sales", tmp_path / "link.csv", "--mode", "overwrite")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith('"id"')


def test_the_permissions_of_what_is_replaced(project: SampleProject, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("former")
    (tmp_path / "a.csv").chmod(0o640)
    export(project, "sales", tmp_path / "a.csv", "--mode", "overwrite")
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o640


# The standard output


@pytest.mark.parametrize("format_", ["parquet", "csv", "json", "arrow"])
def test_dash_is_the_standard_output(
    project: SampleProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(written)):
        assert main(["-C", str(project.root), "export", "sales", "-", "--format", format_]) == 0
        assert list(tmp_path.iterdir()) == []
        export(project, "sales", tmp_path / f"sales.{format_}")
        assert written.getvalue() == (tmp_path / f"sales.{format_}").read_bytes()


def test_binary_formats_are_not_for_terminals(project: SampleProject) -> None:
    seen = run_on_terminal(project.root, "export", "sales", "-")
    assert (seen.code, seen.screen[0]) == (2, "error: parquet is binary, which is not for terminals")


def test_what_a_format_cannot_hold_is_not_streamed(project: SampleProject) -> None:
    for product in ("lists", "lone"):
        ran = run(project, "export", product, "-", "--format", "csv", expect=2)
        assert "csv cannot hold" in ran.stderr


def test_a_refused_stream_leaves_nothing_to_be_written_later(project: SampleProject) -> None:
    ran = project.cli("export", "lone", "-", "--format", "csv")  # refused at a row, after the line of names
    assert (ran.returncode, ran.stdout) == (2, "")


# What cannot be


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lists", "OUT.csv"], "csv cannot hold column 'both' of lists, of type list"),
        (["pairs", "OUT.csv"], "csv cannot hold column 'pair' of pairs, of type struct"),
        (["bytes", "OUT.csv"], "csv cannot hold column 'raw_bytes' of bytes, of type large_binary"),
        (["bytes", "OUT.json"], "json cannot hold column 'raw_bytes'"),
        (["sales", "lists", "OUT", "--format", "csv"], "csv cannot hold column 'both' of lists"),
        (["lone", "OUT.csv"], "csv cannot hold a NULL in the only column 'region' of lone"),
        (["marked", "OUT", "--partition-by", "region"], "which as a folder's name means NULL"),
        (["sales", "OUT", "--partition-by", "regio"], "sales has no column 'regio'; did you mean 'region'?"),
        (["sales", "OUT", "--partition-by", "amount"], "is of type double, which names no folders"),
        (["lists", "OUT", "--partition-by", "both"], "which names no folders"),
        (["lone", "OUT", "--partition-by", "region"], "names all columns of lone"),
        (["sale", "OUT"], "unknown product 'sale'; did you mean 'sales'?"),
        (["unbuilt", "OUT"], "the product 'unbuilt' has not been built yet; rules build -s +unbuilt"),
        (["sales", "OUT.xlsx"], "does not say a format"),
        (["sales", "OUT.csv", "--format", "json"], "has the extension of csv, and --format says json"),
        (["sales", "OUT.parquet.gz"], "parquet files are not compressed as a whole"),
        (["sales", "s3://bucket/x.parquet"], "nothing is written to URLs"),
        (["sales", "OUT", "--partition-by", "id", "--single-file"], "--single-file one"),
        (["sales", ""], "DEST is empty"),
        (["sales", "lists", "-", "--format", "json"], "which holds one table"),
        (["sales", "-", "--format", "csv", "--partition-by", "year"], "for which --partition-by means nothing"),
        (["sales", "-", "--format", "csv", "--mode", "overwrite"], "for which --mode overwrite means nothing"),
        (["sales", "-", "--format", "csv"], "where --json prints its document"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_what_cannot_be_is_told_before_anything_is_written(
    project: SampleProject, tmp_path: Path, words: list[str], told: str
) -> None:
    given = [word.replace("OUT", str(tmp_path / "out")) for word in words]
    assert told in refused(project, *given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [".rules/a.csv", ".rules/objects", ".rules/products/sales.parquet", "link/a.csv"])
def test_nothing_is_written_into_the_store(project: SampleProject, tmp_path: Path, place: str) -> None:
    link = tmp_path / "link"
    link.symlink_to(project.root / ".rules")
    target = tmp_path / place if place.startswith("link") else project.root / place
    words = ["--format", "csv"] if target.suffix != ".parquet" else []
    assert "is in the store" in refused(project, "sales", target, "--mode", "overwrite", *words)


def test_a_folder_that_cannot_be_written_is_one_sentence(project: SampleProject, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(project, "sales", tmp_path / "file" / "a.csv", expect=1)
    assert "cannot be written" in refused(project, "sales", tmp_path / "file" / "deep" / "a.csv", expect=1)
    assert "is no plain file" in refused(
        project, "sales", "/dev/null", "--single-file", "--mode", "overwrite", expect=1
    )


def test_a_damaged_table_is_not_exported(tmp_path: Path) -> None:
    made = SampleProject(tmp_path / "sample", sources=["raw"])
    made.parquet("raw", {"id": [1]})
    made.sql("one", "SELECT r.id FROM raw AS r")
    run(made, "build")
    [stored] = (made.root / ".rules/objects").glob("*/*.parquet")
    stored.chmod(0o644)
    data = bytearray(stored.read_bytes())
    data[len(data) // 2] ^= 1
    stored.write_bytes(data)
    assert "is damaged" in refused(made, "one", tmp_path / "a.parquet", expect=1)
    assert not (tmp_path / "a.parquet").exists()


@pytest.mark.parametrize("words", [["a.csv"], ["folder", "--partition-by", "region"]], ids=["file", "folder"])
def test_killed_at_any_step_it_is_the_old_or_the_new(project: SampleProject, tmp_path: Path, words: list[str]) -> None:
    """And what a killed export has left is gone after the next."""
    forks, target = shared(), tmp_path / words[0]
    command = ["export", "sales", str(target), *words[1:], "--mode", "overwrite"]
    run(project, "export", "nothing", *command[2:])

    def state() -> object:
        return contents(target) if target.is_dir() else target.read_bytes()

    former = state()
    steps = forks.run(project.root, *command, kill_at=-1).steps
    wanted = state()
    assert former != wanted
    seen = []
    for number in [at for at, step in enumerate(steps) if not step.endswith(("script", "COMMIT", "IMMEDIATE"))][::5]:
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        run(project, "export", "nothing", *command[2:])
        assert forks.run(project.root, *command, kill_at=number).killed
        seen.append(state() == wanted)
        assert state() in (former, wanted)
        run(project, *command)
        assert state() == wanted
        assert [path.name for path in tmp_path.iterdir()] == [words[0]]
    assert False in seen
