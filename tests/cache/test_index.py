"""The index: all or nothing, and replaced with a warning when it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cache.database import VERSION
from cache.errors import DamagedIndexError, StoreError
from cache.index import Index, set_aside
from cache.records import Artifact, Product, ProductRecord
from cache.sealing import sealed
from cache.signatures import Signature
from support.former_store import as_version_2
from support.inprocess import build, run
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite"


def artifact(name: str = "ab01") -> Artifact:
    return Artifact(name, 3, 100, "digest", {"id": ("int64", "d1")})


def test_what_is_recorded_is_there_when_it_is_opened_again(path: Path) -> None:
    product = Product("p", "ab01", "key", "print", "memo", ProductRecord({"query": "q"}, ()), 0.5, "b1")
    with Index(path) as index:
        assert index.created
        index.add_artifact(artifact(), "b1")
        index.add_action("key", "ab01", 0.5, "b1")
        index.set_product(product)
        index.remember_files([("data/é.csv", Signature(1, 2, 3, 4), "f1")])
        index.remember_compiled([("memo", {"head": 1}, b"\x00body", {"edges": []})])
        index.remember_bag("ab01", "id", "bag")
    with Index(path, existing=True) as index:
        assert not index.created
        assert index.artifacts(["ab01", "none"]) == {"ab01": artifact()}
        assert index.actions(["key", "other"]) == {"key": "ab01"}
        assert index.products() == {"p": product}
        assert index.files() == {"data/é.csv": (Signature(1, 2, 3, 4), "f1")}
        assert index.compiled_heads(["memo"]) == {"memo": sealed({"head": 1})}
        assert index.body("memo") == b"\x00body"
        assert index.lineages(["memo", "none"]) == {"memo": {"edges": []}}
        assert index.bag("ab01", "id") == "bag"
        with pytest.raises(KeyError):
            index.body("none")


def test_more_keys_than_one_statement_takes(path: Path) -> None:
    with Index(path) as index:
        index.remember("parsed", {f"m{number}": {"n": number} for number in range(2000)})
        assert len(index.memo("parsed", (f"m{number}" for number in range(2500)))) == 2000


def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(path: Path) -> None:
    with Index(path) as index:

        def fail() -> None:
            with index.transaction():
                index.add_artifact(artifact("ab01"), "b")
                with index.transaction():
                    index.add_artifact(artifact("ab02"), "b")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert index.artifacts(["ab01", "ab02"]) == {}
        index.add_artifact(artifact("ab03"), "b")
    with Index(path) as index:
        assert set(index.artifacts(["ab01", "ab02", "ab03"])) == {"ab03"}


def test_what_another_process_sees_is_whole(path: Path) -> None:
    with Index(path) as writer, Index(path) as reader, writer.transaction():
        writer.add_artifact(artifact(), "b")
        assert reader.artifacts(["ab01"]) == {}


def test_threads_share_an_index(path: Path) -> None:
    with Index(path) as index:

        def work(number: int) -> None:
            for step in range(20):
                with index.transaction():
                    index.add_artifact(artifact(f"{number:02x}{step:02x}"), "b")
                    index.add_action(f"{number:02x}{step:02x}", f"{number:02x}{step:02x}", 0.0, "b")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        keys = [f"{number:02x}{step:02x}" for number in range(4) for step in range(20)]
        assert set(index.actions(keys)) == set(index.artifacts(keys)) == set(keys)


def test_moving_a_product_forgets_that_everything_is_up_to_date(path: Path) -> None:
    with Index(path) as index:
        index.set_snapshot("built", {"files": [["a", 1]]})
        index.set_snapshot("compiled", {"files": [["b", 1]]})
        index.set_product(Product("p", "ab01", "key", "print", "memo", ProductRecord({}, ()), 0.5, "b1"))
        assert index.snapshot("built") is None
        assert index.snapshot("compiled") == {"files": [["b", 1]]}, "what is compiled does not depend on products"
        index.refresh_snapshot({"files": [["a", 1]]}, {"files": [["a", 2]]})
        assert index.snapshot("built") is None, "a no-op check that began earlier has brought it back"
        index.set_snapshot("built", {"files": [["é", 1]]})
        index.refresh_snapshot({"files": [["é", 1]]}, {"files": [["é", 2]]})
        assert index.snapshot("built") == {"files": [["é", 2]]}


def test_a_build_that_was_killed_is_marked_when_the_next_one_starts(path: Path) -> None:
    with Index(path) as index:
        index.start_build("b1", "2026-01-01")
        index.start_build("b2", "2026-01-02")
        index.finish_build("b2", 1.0, "ok", {"clean": 1})
        assert [(build, status) for build, _, _, status, _ in index.builds(5)] == [("b2", "ok"), ("b1", "killed")]


def test_processes_that_make_one_index_at_once_agree(path: Path) -> None:
    opened: list[Index] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            opened.append(Index(path))
        except StoreError as error:
            errors.append(error)

    for _ in range(10):
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        while opened:
            opened.pop().close()
        for left in path.parent.iterdir():
            left.unlink()


def test_an_index_that_must_be_there_is_not_made(path: Path) -> None:
    with pytest.raises(StoreError):
        Index(path, existing=True)
    path.write_bytes(b"")
    with pytest.raises(StoreError):
        Index(path, existing=True)
    assert path.read_bytes() == b""


def test_an_index_is_set_aside_with_its_log(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        connection.execute("CREATE TABLE later (x)")
        connection.commit()
        with pytest.raises(DamagedIndexError, match=f"version {VERSION + 1}"):
            Index(path)
        name = set_aside(path)
    assert not list(path.parent.glob("index.sqlite-*"))
    with closing(sqlite3.connect(path.with_name(name))) as connection:
        assert connection.execute("SELECT count(*) FROM later").fetchone() == (0,)
    with Index(path) as index:
        assert index.created


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "project", sources=["numbers"])
    made.parquet("numbers", {"id": [1, 2, 3]})
    made.sql("some", "SELECT id FROM numbers WHERE id > 1")
    made.sql("total", "SELECT SUM(id) AS total FROM some")
    build(made)
    return made


def _unknown_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
        connection.commit()


def _no_database(path: Path) -> None:
    path.write_text("this is a note, and no database " * 400)


def _another_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")


def _cut(path: Path) -> None:
    os.truncate(path, 5000)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [_unknown_version, _no_database, _another_database, _cut, _empty, Path.unlink]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_replaced_with_a_warning_and_the_products_are_built_again(
    project: SampleProject, damage: Callable[[Path], None]
) -> None:
    store = project.root / ".rules"
    damage(store / "index.sqlite")
    ran = build(project)
    assert ran.stderr.startswith("warning: the index")
    assert ran.stderr.count("warning") == 1
    assert ran.executed == {"some", "total"}
    assert project.product("total").to_pylist() == [{"total": 5}]
    kept = list(store.glob("index.sqlite.*.aside"))
    assert len(kept) == (0 if damage in {_empty, Path.unlink} else 1)
    assert "nothing to do" in run(project, "build").stdout


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", [["plan"], ["log"], ["ls"], ["show", "total"]])
def test_looking_at_a_damaged_index_is_no_crash(
    project: SampleProject, damage: Callable[[Path], None], command: list[str]
) -> None:
    damage(project.root / ".rules" / "index.sqlite")
    assert "warning: the index" in run(project, *command, expect=2 if command[0] == "show" else 0).stderr
    build(project)
    assert project.product("total").to_pylist() == [{"total": 5}]


def test_damage_deep_in_the_index_is_a_warning_and_the_command_is_run_again(project: SampleProject) -> None:
    path = project.root / ".rules" / "index.sqlite"
    data = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    for page in range(2, len(data) // size):
        data[page * size : page * size + 200] = b"\xff" * 200
    path.write_bytes(data)
    project.edit("rules/total.sql", "SUM", "MAX")
    ran = build(project)
    assert ran.stderr.count("warning") == 1
    assert "set aside" in ran.stderr
    assert project.product("total").to_pylist() == [{"total": 3}]


def _is_hidden(path: Path) -> bool:
    """Whether the damage is not met when the index is opened."""
    try:
        Index(path).close()
    except DamagedIndexError:
        return False
    return True


def test_an_index_of_the_former_version_keeps_actions_products_and_history(project: SampleProject) -> None:
    build_before = run(project, "log", "--json").document["builds"]
    as_version_2(project.root / ".rules" / "index.sqlite")
    plan = run(project, "plan", "--json").document
    assert {one["verdict"] for one in plan["products"]} == {"clean"}
    ran = build(project)
    assert ran.stderr.count("warning") == 0
    assert ran.executed == set()
    assert run(project, "log", "--json").document["builds"][1:] == build_before
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM actions").fetchone()[0] >= 2
