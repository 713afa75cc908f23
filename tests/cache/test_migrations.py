"""An upgrade forgets no artifact: an index of a former version is brought up to date in place, all or nothing."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cache.database import VERSION
from cache.index import Index
from support.former_store import as_version_2
from support.inprocess import build, run
from support.projects import FIXTURES, SampleProject

FORMER = FIXTURES / "former_store_3"
"""A store of commit eea8fce, index version 3, see fixtures/make_former_store.py."""
LASTING = {
    "artifacts": "artifact, rows, bytes, file_digest, columns",
    "actions": "key, artifact",
    "products": "name, artifact, key, fingerprint",
    "builds": "build, started, seconds, status, summary",
    "results": "build, product, status, changed, reason, seconds, artifact",
}
History = dict[str, set[tuple[object, ...]]]
COUNTS = {"artifacts": 5, "actions": 5, "products": 4, "builds": 2, "results": 6}


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject.copy_of(FORMER, tmp_path / "project")
    shutil.move(made.root / "store", made.root / ".rules")
    script = made.root / ".rules" / "index.sql"
    with closing(sqlite3.connect(index_of(made))) as connection:
        connection.executescript(script.read_text(encoding="utf-8"))
    script.unlink()
    return made


@pytest.fixture
def path(project: SampleProject) -> Path:
    """The index of the project, as version 2 would have left it."""
    as_version_2(index_of(project))
    return index_of(project)


def index_of(project: SampleProject) -> Path:
    return project.root / ".rules" / "index.sqlite"


def history(path: Path) -> History:
    with closing(sqlite3.connect(path)) as connection:
        return {table: set(connection.execute(f"SELECT {row} FROM {table}")) for table, row in LASTING.items()}


def lost(before: History, after: History) -> History:
    return {table: rows - after[table] for table, rows in before.items() if rows - after[table]}


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


@pytest.mark.parametrize("former", [3, 2])
def test_nothing_runs_again_and_no_history_is_lost(project: SampleProject, former: int) -> None:
    before = history(index_of(project))
    assert {table: len(rows) for table, rows in before.items()} == COUNTS
    if former == 2:
        as_version_2(index_of(project))
    assert version(index_of(project)) == former
    ran = build(project)
    assert (ran.executed, ran.stderr.count("warning")) == (set(), 0)
    after = history(index_of(project))
    assert lost(before, after) == {}
    assert version(index_of(project)) == VERSION
    project.edit("rules/largest.sql", "MIN", "MAX")
    assert build(project).executed == set(), "the first build of the former version computed just this"
    listed = {one["build"] for one in run(project, "log", "--json").document["builds"]}
    assert listed >= {row[0] for row in before["builds"]}


@pytest.mark.parametrize(
    ("table", "column"), [("compiled", "head"), ("compiled", "lineage"), ("contents", "record"), ("products", "record")]
)
@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_record_that_cannot_be_read_costs_no_other(
    project: SampleProject, path: Path, table: str, column: str, text: str
) -> None:
    before = history(path)
    with closing(sqlite3.connect(path)) as connection:
        first = f"(SELECT min({column}) FROM {table})"
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = {first}", (text,))
        connection.commit()
    ran = build(project)
    assert (ran.executed, ran.stderr.count("warning")) == (set(), 0)
    after = history(path)
    assert lost(before, after) == {}
    assert not list(path.parent.glob("*.aside"))


KILLED = """
import os, sqlite3, sys
from cache.index import Index
path, left = sys.argv[1], int(sys.argv[2])
connect = sqlite3.connect

def counting(*arguments, **options):
    connection = connect(*arguments, **options)
    connection.set_trace_callback(count)
    return connection

def count(statement):
    global left
    left -= 1
    if not left or (left < 0 and statement == "COMMIT" and migrated):
        os.kill(os.getpid(), 9)
    migrated.extend([1] if "user_version = " in statement else [])

migrated = []
sqlite3.connect = counting
Index(path)
"""
"""A process that is killed before its n-th statement, or, where n is 0, before the commit that ends the migration."""


def test_a_process_that_is_killed_loses_nothing(path: Path) -> None:
    before = history(path)
    for statement in (8, 12, 20, 30, 0):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(path), str(statement)], check=False)
        assert killed.returncode == -9, statement
        assert (version(path), history(path)) == (2, before), statement
    Index(path).close()
    assert (version(path), history(path)) == (VERSION, before)


def test_processes_that_migrate_at_once_lose_nothing(path: Path) -> None:
    before = history(path)
    script = (
        "import sys; from cache.index import Index; print(flush=True); sys.stdin.read(1); Index(sys.argv[1]).close()"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.read(1)
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"x")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert (version(path), history(path)) == (VERSION, before)


def test_reading_without_writing_leaves_the_former_version(path: Path) -> None:
    before = path.read_bytes()
    with Index(path, in_memory=True) as index:
        keys = [str(key) for key, *_ in history(path)["actions"]]
        assert len(index.actions(keys)) == len(keys)
        assert set(index.products()) == {"named", "total", "largest"}
    assert path.read_bytes() == before
