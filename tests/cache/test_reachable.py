"""What is reachable in a store, after edits, renames and builds of several project roots: it is enough, and no more."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cache.errors import DamagedIndexError
from cache.objects import Objects
from cache.reachable import Kind, reachable, references
from cache.store_index import StoreIndex
from support.inprocess import Ran, build, run
from support.projects import SampleProject

SUM = "SELECT SUM(s.v) AS n FROM some AS s"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RULES_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def first(tmp_path: Path, store: Path) -> SampleProject:
    del store
    toml = '\n[sources.raw]\npath = "data/raw.csv"\n[sources.flat]\npath = "data/flat.parquet"\n'
    made = SampleProject(tmp_path / "first", toml=f'{toml}[contracts.some]\nkey = ["id"]\n')
    made.write("data/raw.csv", "id,v\n1,10\n2,20\n3,30\n")
    made.parquet("flat", {"w": [1]})
    made.sql("some", "SELECT r.id, r.v FROM raw AS r WHERE r.id > 1")
    made.sql("total", SUM)
    made.sql("other", "SELECT f.w FROM flat AS f")
    return made


@contextmanager
def opened(store: Path) -> Iterator[StoreIndex]:
    with StoreIndex(store / "index.sqlite", existing=True) as index:
        yield index


def needs(store: Path, kind: Kind) -> dict[tuple[str, str], set[str]]:
    """Return the artifacts that each owner in each root needs, roots by the names of their folders."""
    found: dict[tuple[str, str], set[str]] = {}
    with opened(store) as index:
        for artifact, all_of in references(index, [kind]).items():
            for one in all_of:
                found.setdefault((Path(one.root).name, one.owner), set()).add(artifact)
    return found


def remaining(store: Path, builds: Collection[str] = ()) -> set[str]:
    with opened(store) as index:
        return reachable(index, builds)


def collect(store: Path, builds: Collection[str] = ()) -> set[str]:
    """Remove every object that is not reachable, as garbage collection does; return what was removed."""
    with opened(store) as index:
        gone = index.every_artifact().keys() - reachable(index, builds)
        objects = Objects(store)
        for artifact in gone:
            objects.discard(artifact)
            index.forget_artifact(artifact)
        return set(gone)


def artifact(ran: Ran, name: str) -> str:
    (found,) = (one["artifact"] for one in ran.document["products"] if one["name"] == name)
    assert isinstance(found, str)
    return found


def test_pointers_inputs_and_sources_are_told_apart(first: SampleProject, store: Path) -> None:
    ran = build(first)
    some, total, other = (artifact(ran, name) for name in ("some", "total", "other"))
    (ingested,) = needs(store, "source").values()
    read = {("first", "some"): ingested, ("first", "total"): {some}, ("first", "some.key"): {some}}
    assert needs(store, "input") == read
    pointers = needs(store, "pointer")
    check = pointers.pop(("first", "some.key"))
    assert pointers == {("first", "some"): {some}, ("first", "total"): {total}, ("first", "other"): {other}}
    assert remaining(store) == {some, total, other} | ingested | check
    assert collect(store) == set()


def test_after_edits_the_former_tables_belong_to_builds_alone(first: SampleProject, store: Path) -> None:
    before = build(first)
    first.edit("rules/some.sql", "> 1", "> 2")
    first.edit("data/raw.csv", "3,30", "3,33")
    after = build(first)
    former = {artifact(before, name) for name in ("some", "total")}
    assert not former & remaining(store)
    assert former <= remaining(store, [before.document["build"]])
    assert former <= remaining(store, [before.document["build"], after.document["build"]])
    read = needs(store, "input")["first", "some"]
    ingested = set().union(*needs(store, "source").values())
    assert collect(store, [before.document["build"]]) == ingested - read, "what the file of the source was"
    assert collect(store) == former
    assert build(first).executed == set()
    first.edit("rules/some.sql", "> 2", "> 1")
    first.edit("data/raw.csv", "3,33", "3,30")
    assert build(first).executed == {"some", "total"}, "what was collected is made again, not taken for stored"


def test_a_renamed_product_keeps_its_table_and_a_deleted_one_lets_it_go(first: SampleProject, store: Path) -> None:
    ran = build(first)
    (first.root / "rules" / "total.sql").rename(first.root / "rules" / "sum.sql")
    (first.root / "rules" / "other.sql").unlink()
    build(first)
    assert needs(store, "pointer")["first", "sum"] == {artifact(ran, "total")}
    assert collect(store) == {artifact(ran, "other")}
    assert run(first, "cache", "verify", "--json").document["bad"] == []
    assert build(first).executed == set()


def test_what_one_root_no_longer_needs_another_may(first: SampleProject, store: Path, tmp_path: Path) -> None:
    ran = build(first)
    second = SampleProject.copy_of(first.root, tmp_path / "second")
    assert build(second).executed == set()
    first.edit("rules/some.sql", "> 1", "> 2")
    build(first)
    assert artifact(ran, "some") in needs(store, "pointer")["second", "some"]
    assert collect(store) == set()
    second.edit("rules/total.sql", "SUM", "MAX")
    build(second)
    assert collect(store) == {artifact(ran, "total")}
    for project in (first, second):
        assert build(project).executed == set()
        assert run(project, "cache", "verify", "--json").document["bad"] == []


def test_an_input_that_moved_on_before_its_reader_is_kept_for_the_reader(first: SampleProject, store: Path) -> None:
    ran = build(first)
    first.edit("rules/some.sql", "> 1", "> 2")
    build(first, "-s", "some")
    assert artifact(ran, "some") in remaining(store), "total was made of it"
    assert collect(store) == set()
    build(first)
    assert artifact(ran, "some") in collect(store)


def test_a_record_that_cannot_be_read_is_an_error_and_no_garbage(first: SampleProject, store: Path) -> None:
    build(first)
    with closing(sqlite3.connect(store / "index.sqlite")) as connection, connection:
        connection.execute("UPDATE products SET record = '{}' WHERE name = 'total'")
    with pytest.raises(DamagedIndexError):
        remaining(store)
    assert run(first, "cache", "verify", "--json").document["bad"] == []
