"""Inputs that change between the look at them and the end of a run: what was made of them is never recorded."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from compiler.parts.reading import PARTIALS
from rules.engine.local import LocalEngine
from rules.python import streaming
from rules.running import cutoff
from support.inprocess import build, run
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[Path], None]
    Arrange = Callable[[str, Callable[[], object]], None]

TOML = '\n[sources.t]\npath = "t"\n'
PARTS = f"{TOML}[parts]\nmin_rows = 1\n"
DAYS = 3
ONE = ("--jobs", "1")
"""Parts run one after the other: what changes has not been read before."""
ALL = [5, 7, 15, 17, 25, 27]


@pytest.fixture
def while_read(monkeypatch: pytest.MonkeyPatch) -> Arrange:
    """Do something once, when the engine is given the first query that reads a table."""
    execute, stream, pending = LocalEngine.execute, LocalEngine.stream, dict[str, Any]()

    def look(query: Any) -> None:
        for entry in query.inputs:
            pending.pop(entry.name, lambda: None)()

    def executed(self: LocalEngine, job: Any) -> Any:
        look(job.query)
        return execute(self, job)

    def streamed(self: LocalEngine, query: Any, *rest: Any) -> Any:
        look(query)
        return stream(self, query, *rest)

    run_stream = streaming.run_stream

    def yielded(declared: Any, arrives: Any, inputs: Any, *rest: Any) -> Any:
        for entry in inputs.values():
            pending.pop(entry.name, lambda: None)()
        return run_stream(declared, arrives, inputs, *rest)

    monkeypatch.setattr(streaming, "run_stream", yielded)
    monkeypatch.setattr(LocalEngine, "execute", executed)
    monkeypatch.setattr(LocalEngine, "stream", streamed)
    return pending.__setitem__


def emptied(path: Path) -> None:
    """DataFusion reads a file without bytes as a table without rows."""
    path.chmod(0o644)
    path.write_bytes(b"")


def swapped(path: Path) -> None:
    """Put another table of the same columns in the place of one."""
    table = pq.read_table(path)
    other = {name: pc.add(table[name], 1000) for name in table.column_names}
    pq.write_table(pa.table(other, schema=table.schema), path.parent / "other")
    (path.parent / "other").replace(path)


CHANGES = pytest.mark.parametrize("change", [emptied, swapped])


def holds(path: Path) -> set[object]:
    return {value for column in pq.read_table(path) for value in column.to_pylist()}


def stored(project: SampleProject, *values: int) -> Path:
    """Return a file of the store that holds just these values."""
    return next(one for one in files(project) if holds(one) == {*values})


def files(project: SampleProject) -> list[Path]:
    found = (one for one in (project.root / ".rules" / "objects").rglob("*.parquet") if one.is_file())
    return [one for one in found if not one.is_symlink()]


def put(project: SampleProject, day: int) -> Path:
    path = project.root / "t" / f"{day}.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"a": [10 * day + 5, 10 * day + 7]}), path)
    return path


def made(tmp_path: Path, toml: str = TOML) -> SampleProject:
    project = SampleProject(tmp_path / "project", toml=toml)
    for day in range(DAYS):
        put(project, day)
    project.sql("base", "SELECT t.a + 0 AS a FROM t")
    project.sql("reader", "SELECT b.a FROM base AS b WHERE b.a > 0")
    return project


def values(project: SampleProject, name: str = "reader") -> list[int]:
    return sorted(project.product(name)["a"].to_pylist())


@CHANGES
def test_a_stored_input_is_made_again(tmp_path: Path, while_read: Arrange, change: Change) -> None:
    project = made(tmp_path)
    while_read("base", lambda: change(stored(project, *ALL)))
    ran = build(project, *ONE)
    assert "the object of base is not sound" in ran.stderr
    assert ran.executed == {"base", "reader"}
    assert values(project) == ALL
    assert build(project, *ONE).executed == set()


@CHANGES
def test_a_part_of_a_stored_input_is_made_again(tmp_path: Path, while_read: Arrange, change: Change) -> None:
    project = made(tmp_path, PARTS)
    build(project, *ONE)
    project.sql("reader", "SELECT b.a + 1 AS a FROM base AS b WHERE b.a > 0")
    while_read("base", lambda: change(stored(project, 5, 7)))
    ran = build(project, *ONE)
    assert "the object of base is not sound" in ran.stderr
    assert ran.executed == {"base", "reader"}
    assert values(project) == [6, 8, 16, 18, 26, 28]
    put(project, DAYS)
    build(project, *ONE)
    assert values(project) == [6, 8, 16, 18, 26, 28, 36, 38]


@CHANGES
def test_a_table_in_parts_that_is_read_whole_is_made_again(tmp_path: Path, while_read: Arrange, change: Change) -> None:
    project = made(tmp_path, PARTS)
    project.sql("reader", "SELECT b.a, LAG(b.a) OVER (ORDER BY b.a) AS p FROM base AS b")
    while_read("base", lambda: change(stored(project, 25, 27)))
    ran = build(project, *ONE)
    assert "the object of base is not sound" in ran.stderr
    assert ran.executed == {"base", "reader"}
    assert values(project) == ALL


@CHANGES
def test_a_table_that_is_read_whole_beside_each_part_is_made_again(
    tmp_path: Path, while_read: Arrange, change: Change
) -> None:
    project = made(tmp_path, PARTS + '[sources.d]\npath = "d.parquet"\n')
    pq.write_table(pa.table({"a": [5, 15, 25]}), project.root / "d.parquet")
    project.sql("dim", "SELECT d.a FROM d ORDER BY d.a LIMIT 99")
    project.sql("reader", "SELECT t.a FROM t WHERE EXISTS (SELECT 1 FROM dim AS d WHERE d.a = t.a)")
    while_read("dim", lambda: change(stored(project, 5, 15, 25)))
    ran = build(project, *ONE)
    assert "the object of dim is not sound" in ran.stderr
    assert values(project) == [5, 15, 25]
    build(project, *ONE, "--force", "reader")
    assert values(project) == [5, 15, 25]
    put(project, DAYS)
    build(project, *ONE)
    assert values(project) == [5, 15, 25]


@CHANGES
def test_a_partial_result_is_made_again(tmp_path: Path, while_read: Arrange, change: Change) -> None:
    project = made(tmp_path, PARTS)
    project.sql("reader", "SELECT MAX(t.a) AS a, COUNT(*) AS n FROM t")
    build(project, *ONE)
    put(project, DAYS)
    while_read(PARTIALS, lambda: change(stored(project, 17, 2)))
    build(project, *ONE)
    assert project.product("reader").to_pylist() == [{"a": 37, "n": 8}]
    put(project, DAYS + 1)
    build(project, *ONE)
    assert project.product("reader").to_pylist() == [{"a": 47, "n": 10}]


@CHANGES
def test_a_source_file_that_changes_while_its_part_is_read_leaves_no_result(
    tmp_path: Path, while_read: Arrange, change: Change
) -> None:
    project = made(tmp_path, PARTS)
    project.sql("reader", "SELECT t.a + 1 AS a FROM t")
    path = project.root / "t" / "1.parquet"
    before = path.read_bytes()
    while_read("t", lambda: change(path))
    ran = build(project, *ONE, "-s", "reader", expect=1)
    assert "changed while the build read it" in ran.stdout
    path.write_bytes(before)
    build(project, *ONE)
    assert values(project) == [6, 8, 16, 18, 26, 28]


@CHANGES
def test_an_ingested_source_is_read_again(tmp_path: Path, while_read: Arrange, change: Change) -> None:
    project = made(tmp_path, '\n[sources.t]\npath = "t.csv"\n')
    (project.root / "t.csv").write_text("a\n5\n7\n")
    while_read("t", lambda: change(stored(project, 5, 7)))
    ran = build(project, *ONE)
    assert "the object of t is not sound" in ran.stderr
    assert values(project) == [5, 7]


@CHANGES
def test_a_part_of_an_ingested_source_is_read_again(tmp_path: Path, while_read: Arrange, change: Change) -> None:
    project = made(tmp_path, '\n[sources.t]\npath = "t.csv"\ncolumns = { a = "BIGINT" }\n[parts]\nmin_rows = 1000\n')
    (project.root / "t.csv").write_text("a\n" + "".join(f"{number}\n" for number in range(1, 20_000)))
    while_read("t", lambda: change(next(one for one in files(project) if 7777 in holds(one))))
    ran = build(project, *ONE)
    assert "the object of t is not sound" in ran.stderr
    assert values(project) == list(range(1, 20_000))


@CHANGES
def test_what_a_check_reads_is_made_again_by_the_next_build(
    tmp_path: Path, while_read: Arrange, change: Change
) -> None:
    project = made(tmp_path, f'{TOML}[contracts.base]\nkey = ["a"]\n')
    while_read("base", lambda: change(stored(project, *ALL)))
    build(project, expect=1)
    build(project, *ONE)
    assert values(project) == ALL


@CHANGES
def test_a_query_of_a_table_that_is_changed_says_so(tmp_path: Path, while_read: Arrange, change: Change) -> None:
    project = made(tmp_path)
    build(project, *ONE)
    while_read("base", lambda: change(stored(project, *ALL)))
    ran = run(project, "query", "SELECT b.a FROM base AS b", expect=1)
    assert "is damaged" in ran.stderr


def test_who_has_read_a_damaged_table_that_is_sound_again_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made(tmp_path)
    project.sql("second", "SELECT b.a + 1 AS a FROM base AS b")
    build(project, "-s", "base")
    place, execute, both = stored(project, *ALL), LocalEngine.execute, threading.Barrier(2, timeout=30)
    first = True

    def then(self: LocalEngine, job: Any) -> Any:
        nonlocal first
        if job.query.inputs[0].name != "base" or not first:
            return execute(self, job)
        if both.wait() == 0:
            emptied(place)
        both.wait()
        done = execute(self, job)
        if both.wait() == 0:  # this thread looks at the table only after the other has had it made again
            first = False
            until = time.monotonic() + 30
            while time.monotonic() < until and not (place.exists() and place.stat().st_size):
                time.sleep(0.01)
        return done

    monkeypatch.setattr(LocalEngine, "execute", then)
    ran = build(project, "--jobs", "2")
    assert ran.executed == {"base", "reader", "second"}
    assert ran.stderr.count("the object of base is not sound") == 2
    assert values(project) == ALL
    assert values(project, "second") == [value + 1 for value in ALL]


def test_a_store_whose_files_never_stay_as_they_are_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = made(tmp_path)
    execute = LocalEngine.execute

    def then(self: LocalEngine, job: Any) -> Any:
        if job.query.inputs[0].name == "base":
            emptied(stored(project, *ALL))
        return execute(self, job)

    monkeypatch.setattr(LocalEngine, "execute", then)
    ran = build(project, *ONE, expect=1)
    assert "the files of its input base in the store do not stay as they are written" in ran.stdout
    assert ran.statuses == {"base": "executed", "reader": "failed"}


@pytest.mark.parametrize(("change", "toml"), [(emptied, TOML), (swapped, TOML), (emptied, PARTS)])
def test_tables_that_are_compared_as_bags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, toml: str
) -> None:
    """The rows of an input come in another order; a table is changed while it is looked whether that is all."""
    project = made(tmp_path, toml)
    project.sql("last", "SELECT SUM(b.a) AS a FROM base AS b")
    build(project, *ONE)
    project.sql("base", "SELECT t.a + 0 AS a FROM t ORDER BY t.a DESC")
    place, digests = stored(project, *(ALL if toml == TOML else (5, 7))), cutoff.bag_of_files

    def then(paths: Any, columns: Any) -> str:
        if place in map(Path, paths) and place.exists():
            change(place)
        return digests(paths, columns)

    monkeypatch.setattr(cutoff, "bag_of_files", then)
    ran = build(project, *ONE)
    assert "is corrupt: its bytes are not those that were written" in ran.stderr
    assert values(project) == ALL
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as index:
        known = [artifact for (artifact,) in index.execute("SELECT artifact FROM bags")]
    assert place.parent.name + place.stem not in known
    monkeypatch.undo()
    build(project, *ONE)
    assert values(project) == ALL
    assert run(project, "verify").code == 0
    assert project.product("last").to_pylist() == [{"a": sum(ALL)}]


STREAM = """import pyarrow as pa

from rules import rule


@rule(engine="arrow", output={"a": pa.int64()}, by_part=["base"])
def reader(base):
    for batch in base:
        yield batch.select(["a"])
"""


@CHANGES
@pytest.mark.parametrize("toml", [TOML, PARTS])
def test_what_a_stream_reads_is_made_again(tmp_path: Path, while_read: Arrange, change: Change, toml: str) -> None:
    project = made(tmp_path, toml)
    (project.root / "rules" / "reader.sql").unlink()
    project.write("rules/reader.py", STREAM)
    build(project, *ONE, "-s", "base")
    while_read("base", lambda: change(stored(project, *(ALL if toml == TOML else (5, 7)))))
    ran = build(project, *ONE)
    assert "the object of base is not sound" in ran.stderr
    assert values(project) == ALL


@CHANGES
@pytest.mark.parametrize("command", [("audit", "--sample", "1"), ("verify",)])
def test_who_compares_tables_says_that_one_was_changed(
    tmp_path: Path, while_read: Arrange, change: Change, command: tuple[str, ...]
) -> None:
    project = made(tmp_path)
    build(project, *ONE)
    while_read("base", lambda: change(stored(project, *ALL)))
    ran = run(project, *command, expect=1)
    assert "is corrupt: its bytes are not those that were written" in ran.stderr
    assert build(project, *ONE).executed == {"base"}
    assert values(project) == ALL
