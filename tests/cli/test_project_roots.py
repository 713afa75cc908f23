"""Several project roots on one store: they share what was computed, and never see each other's products."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from support.former_store import as_version_2
from support.inprocess import build, run
from support.projects import RULES, SampleProject

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RULES_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def first(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "first", toml='\n[sources.raw]\npath = "data/raw.csv"\n')
    made.write("data/raw.csv", "id,v\n1,10\n2,20\n3,30\n")
    made.sql("some", "SELECT r.id, r.v FROM raw AS r WHERE r.id > 1")
    made.sql("total", "SELECT SUM(s.v) AS n FROM some AS s")
    return made


@pytest.fixture
def second(first: SampleProject, tmp_path: Path) -> SampleProject:
    return SampleProject.copy_of(first.root, tmp_path / "second")


def builds(project: SampleProject) -> list[str]:
    return [one["build"] for one in run(project, "log", "--json").document["builds"]]


def total(project: SampleProject) -> int:
    """Return the product as its folder and as `rules show` have it, which must agree."""
    (row,) = project.product("total").to_pylist()
    assert run(project, "show", "total", "--json").document["data"] == [row]
    found: int = row["n"]
    return found


@pytest.mark.usefixtures("store")
def test_a_second_root_executes_nothing_that_the_first_did(first: SampleProject, second: SampleProject) -> None:
    assert build(first).executed == {"some", "total"}
    assert {one["verdict"] for one in run(second, "plan", "--json").document["products"]} == {"restore"}
    assert run(second, "show", "total", expect=2).stderr.startswith("error: the product 'total' has not been built yet")
    assert builds(second) == []
    ran = build(second)
    assert ran.statuses == {"some": "restored", "total": "restored"}
    assert total(first) == total(second) == 50
    for project in (first, second):
        assert run(project, "build").stdout.startswith("nothing to do")


@pytest.mark.usefixtures("store")
def test_an_edit_in_one_root_is_not_seen_in_the_other(first: SampleProject, second: SampleProject) -> None:
    build(first)
    build(second)
    before = builds(second)
    first.edit("rules/some.sql", "r.id > 1", "r.id > 2")
    assert build(first).executed == {"some", "total"}
    assert (total(first), total(second)) == (30, 50)
    assert run(second, "build").stdout.startswith("nothing to do")
    assert builds(second) == before
    assert len(builds(first)) == 2
    assert run(second, "diff", "--json").document["rules"] == []
    assert run(second, "diff", "--data", "--json").document["products"] == []
    second.edit("rules/some.sql", "r.id > 1", "r.id > 0")
    (edited,) = run(second, "diff", "--json").document["rules"]
    assert "1" in json.dumps(edited), "compared with this root's last build"
    first.edit("rules/some.sql", "r.id > 2", "r.id > 1")
    assert build(first).executed == set()
    assert (total(first), total(second)) == (50, 50)


@pytest.mark.usefixtures("store")
def test_what_is_gone_from_one_root_stays_in_the_other(first: SampleProject, second: SampleProject) -> None:
    build(first)
    build(second)
    (first.root / "rules" / "total.sql").unlink()
    build(first)
    assert not (first.root / ".rules" / "products" / "total.parquet").is_symlink()
    assert total(second) == 50
    assert run(second, "build").stdout.startswith("nothing to do")


@pytest.mark.usefixtures("store")
def test_sources_of_one_path_are_those_of_each_root(first: SampleProject, second: SampleProject) -> None:
    second.write("data/raw.csv", "id,v\n1,10\n2,20\n3,31\n")
    build(first)
    assert build(second).executed == {"some", "total"}
    assert (total(first), total(second)) == (50, 51)
    for project in (first, second, first):
        run(project, "check", expect=None)
        run(project, "plan")
        assert run(project, "build").stdout.startswith("nothing to do")


@pytest.mark.slow
def test_builds_of_two_roots_at_once_execute_each_rule_once(
    first: SampleProject, second: SampleProject, store: Path
) -> None:
    command = [str(RULES), "build", "--json"]
    running = [
        subprocess.Popen(command, cwd=one.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for one in (first, second)
    ]
    documents: list[dict[str, Any]] = []
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        documents.append(json.loads(out))
    statuses = [one["status"] for document in documents for one in document["products"]]
    assert sorted(statuses) == ["executed", "executed", "restored", "restored"]
    assert total(first) == total(second) == 50
    assert list((store / "tmp").iterdir()) == []


def test_the_store_of_one_project_serves_another(
    first: SampleProject, second: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(first)
    monkeypatch.setenv("RULES_STORE", str(first.root / ".rules"))
    assert build(second).statuses == {"some": "restored", "total": "restored"}
    second.edit("rules/some.sql", "r.id > 1", "r.id > 2")
    build(second)
    assert (total(first), total(second)) == (50, 30)
    assert run(first, "build").stdout.startswith("nothing to do")
    monkeypatch.delenv("RULES_STORE")
    assert run(first, "build").stdout.startswith("nothing to do")
    assert len(builds(first)) == 1


def test_a_project_moved_with_its_store_keeps_products_and_history(first: SampleProject, tmp_path: Path) -> None:
    build(first)
    before = builds(first)
    first.root.rename(tmp_path / "moved")
    first.root = tmp_path / "moved"
    assert build(first).executed == set()
    assert builds(first)[1:] == before
    assert total(first) == 50


def test_going_from_the_own_store_to_another_and_back_executes_each_once(
    first: SampleProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(first)
    monkeypatch.setenv("RULES_STORE", str(tmp_path / "store"))
    assert build(first).executed == {"some", "total"}
    assert total(first) == 50
    monkeypatch.delenv("RULES_STORE")
    first.edit("rules/total.sql", "SUM(s.v)", "SUM(s.v) + 1")
    assert build(first).executed == {"total"}
    assert total(first) == 51
    monkeypatch.setenv("RULES_STORE", str(tmp_path / "store"))
    first.edit("rules/total.sql", "SUM(s.v) + 1", "SUM(s.v)")
    assert build(first).executed == set()
    assert total(first) == 50


def test_a_shared_store_of_the_former_version_goes_to_the_root_that_asks_first(
    first: SampleProject, second: SampleProject, store: Path
) -> None:
    build(first)
    before = builds(first)
    with closing(sqlite3.connect(store / "index.sqlite")) as connection:
        artifact = connection.execute("SELECT artifact FROM products WHERE name = 'total'").fetchone()[0]
    as_version_2(store / "index.sqlite")
    (store / ".rules-store").unlink()
    (store / "products").mkdir()
    (store / "products" / "total.parquet").symlink_to(f"../objects/{artifact[:2]}/{artifact[2:]}.parquet")
    shutil.rmtree(first.root / ".rules")
    assert build(first).executed == set()
    assert builds(first)[1:] == before
    assert total(first) == 50
    assert not (store / "products" / "total.parquet").is_symlink(), "it would be stale from now on"
    assert builds(second) == []
    assert build(second).executed == set()


def test_a_root_whose_folder_is_not_ours_builds_with_a_warning(first: SampleProject, store: Path) -> None:
    first.write(".rules/of-another-tool.txt", "precious")
    ran = build(first)
    assert ran.executed == {"some", "total"}
    assert "warning: products cannot be linked in" in ran.stderr
    assert [path.name for path in (first.root / ".rules").iterdir()] == ["of-another-tool.txt"]
    assert run(first, "show", "total", "--json").document["data"] == [{"n": 50}]
    assert (store / ".rules-store").exists()
