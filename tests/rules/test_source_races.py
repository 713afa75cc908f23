"""A source that changes at the worst moment: it may cost a build, but never gives a stale or a mixed result."""

from __future__ import annotations

import itertools
import os
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache.index import Index
from cache.objects import Objects
from rules.config.project import load_project
from rules.errors import UserError
from rules.files.file_digests import FileDigests
from rules.formats import ingest, parquet_files
from rules.sources.contents import Sources
from support.direct import build, executed
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path


def csv_project(root: Path) -> SampleProject:
    project = SampleProject(root, toml='\n[sources.s]\npath = "data/s.csv"\n')
    project.write("data/s.csv", "a\n100\n")
    project.sql("p", "SELECT SUM(a) AS a FROM s")
    return project


def answer(project: SampleProject) -> int:
    found: int = project.product("p").column(0)[0].as_py()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("restore", [False, True], ids=["as written", "mtime restored"])
def test_an_edit_of_the_same_size_right_after_a_build_is_seen(tmp_path: Path, *, restore: bool) -> None:
    project = csv_project(tmp_path)
    target = tmp_path / "data" / "s.csv"
    before = target.stat()
    for number in range(101, 126):
        target.write_text(f"a\n{number}\n")  # the same inode, size, and often the same tick
        if restore:
            os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert executed(build(tmp_path)) == {"p"}
        assert answer(project) == number


def test_a_write_while_the_file_is_digested_is_not_taken_for_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A digest may take longer than the clock's tick: what counts is when the reading began."""
    target = tmp_path / "f"
    target.write_bytes(b"first")
    status = target.stat()
    from rules.files import file_digests as files

    clock = iter([status.st_mtime_ns + 1_000_000])
    monkeypatch.setattr(files, "time", SimpleNamespace(time_ns=lambda: next(clock, status.st_mtime_ns + 10**10)))
    with Index(tmp_path / "index.sqlite") as index:
        digests = FileDigests(tmp_path, index)
        digests.digest("f")
        digests.save()
        assert index.files() == {}, "written less than a tick before it was read: its signature proves nothing"
        assert [list(taken)[:3] for _, taken, _ in digests.records()] == [[status.st_size, -1, -1]]
        again = FileDigests(tmp_path, index)
        again.digest("f")
        again.save()
        assert set(index.files()) == {"f"}


def test_an_unsettled_file_is_compared_by_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "f"
    target.write_bytes(b"first")
    soon = time.time() + 60
    os.utime(target, (soon, soon))  # or a slow machine would let it settle meanwhile
    from rules.files import file_digests as files

    taken = files.signature(target)
    monkeypatch.setattr(files, "signature", lambda _: taken)  # as within one tick: no time stamp moves
    with Index(tmp_path / "index.sqlite") as index:
        digests = FileDigests(tmp_path, index)
        digests.digest("f")
        assert digests.unchanged("f")
        target.write_bytes(b"other")
        assert not digests.unchanged("f")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_source_replaced_between_digest_and_reading_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    project = SampleProject(tmp_path, toml=f'\n[sources.s]\npath = "data/s.{kind}"\n')
    project.sql("p", "SELECT SUM(a) AS a FROM s")
    target = tmp_path / "data" / f"s.{kind}"

    def put(values: list[int]) -> None:
        target.parent.mkdir(exist_ok=True)
        if kind == "parquet":
            pq.write_table(pa.table({"a": values}), target)
        else:
            target.write_text("a\n" + "".join(f"{value}\n" for value in values))

    module, name = (parquet_files, "describe") if kind == "parquet" else (ingest, "to_parquet")
    real = getattr(module, name)

    def late(*arguments: Any) -> Any:
        put([2, 2, 2])
        return real(*arguments)

    put([1])
    monkeypatch.setattr(module, name, late)
    assert build(tmp_path, expect=1)["error"]["code"] == "source-changed"
    monkeypatch.undo()
    put([1])
    assert executed(build(tmp_path)) == {"p"}
    assert answer(project) == 1, "the old bytes must not be known by what was read in their place"
    put([2, 2, 2])
    build(tmp_path)
    assert answer(project) == 6


def test_a_source_replaced_between_its_digests_is_not_recorded(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["s"])
    project.parquet("s", {"a": [1, 2]})
    objects = Objects(tmp_path / ".rules")
    objects.create()
    with Index(tmp_path / ".rules" / "index.sqlite") as index:
        sources = Sources(load_project(tmp_path), index, objects, FileDigests(tmp_path, index))
        table = sources.open(["s"])["s"]
        project.parquet("s", {"a": [3, 4]})
        with pytest.raises(UserError, match="changed while the build read it"):
            sources.content("s", ["a"])
        assert index.column_digests([table.content]) == {}


def test_a_source_replaced_while_its_rule_runs_fails_the_product(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["s"])
    project.parquet("s", {"a": list(range(6000))})
    project.sql("p", "SELECT COUNT(*) AS n, SUM(a) AS a FROM s")
    build(tmp_path)
    project.sql("p", "SELECT SUM(a) AS a, SUM(CASE WHEN x.a * y.a % 7 > 3 THEN 1 ELSE 0 END) AS n FROM s AS x, s AS y")
    project.edit("rules/p.sql", "SUM(a) AS a", "SUM(x.a) AS a")
    stop = threading.Event()

    def replace() -> None:
        # Only once the rule runs: its result is being written. What the build has planned by then is of the old file.
        while not list((tmp_path / ".rules" / "tmp").iterdir()) and not stop.is_set():
            time.sleep(0.001)
        pq.write_table(pa.table({"a": [1] * 6000}), tmp_path / "new.parquet")
        (tmp_path / "new.parquet").replace(tmp_path / "data" / "s.parquet")

    thread = threading.Thread(target=replace)
    thread.start()
    document = build(tmp_path, expect=1)
    stop.set()
    thread.join()
    (product,) = document["products"]
    assert product["status"] == "failed"
    assert "changed while the build read it" in product["reason"]
    assert project.product("p").num_rows == 1, "the last committed state stays"
    assert executed(build(tmp_path)) == {"p"}
    assert project.product("p").to_pylist() == [{"a": 6000 * 6000, "n": 0}]


def test_a_file_that_comes_while_a_build_runs_is_seen_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = SampleProject(tmp_path, toml='\n[sources.s]\npath = "data"\n')
    project.parquet("a", {"a": [1]})
    project.sql("p", "SELECT SUM(a) AS a FROM s")
    from rules import build as driver

    real = driver.record_build

    def late(*arguments: Any) -> None:
        project.parquet("b", {"a": [2]})
        real(*arguments)

    monkeypatch.setattr(driver, "record_build", late)
    build(tmp_path)
    monkeypatch.undo()
    assert executed(build(tmp_path)) == {"p"}
    assert answer(project) == 3


def test_a_rule_edited_between_digest_and_reading_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = csv_project(tmp_path)
    build(tmp_path)
    from rules.config import project as load

    first, others = "SELECT SUM(a) + 1 AS a FROM s", itertools.count(2)
    real = load.read_text

    def late(path: Path, shown: str) -> str:
        if shown == "rules/p.sql":  # each time it is read
            project.sql("p", f"SELECT SUM(a) + {next(others)} AS a FROM s")
        text: str = real(path, shown)
        return text

    project.sql("p", first)
    monkeypatch.setattr(load, "read_text", late)
    assert build(tmp_path, expect=1)["error"]["code"] == "rule-changed"
    monkeypatch.undo()
    project.sql("p", first)
    build(tmp_path)
    assert answer(project) == 101
