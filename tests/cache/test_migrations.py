"""An upgrade forgets no artifact: an index of a former version is brought up to date in place, all or nothing."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from cache.database import MEMO_VERSION, VERSION
from cache.index import Index
from support.former_store import as_version_2, left_by
from support.inprocess import build, run
from support.projects import SampleProject

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
    return left_by(3, tmp_path / "project")


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


@pytest.mark.parametrize("former", [4, 3, 2])
def test_nothing_runs_again_and_no_history_is_lost(tmp_path: Path, former: int) -> None:
    project = left_by(max(former, 3), tmp_path / "project")
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
    ("table", "column"), [("compiled", "head"), ("compiled", "body"), ("contents", "record"), ("products", "record")]
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


@pytest.mark.parametrize("former", [4, 3])
def test_what_rules_meant_is_known_after_an_upgrade(tmp_path: Path, former: int) -> None:
    project = left_by(former, tmp_path / "project")
    with closing(sqlite3.connect(index_of(project))) as connection:
        bodies = dict(connection.execute("SELECT memo, body FROM compiled"))
    Index(index_of(project)).close()
    with closing(sqlite3.connect(index_of(project))) as connection:
        moved = dict(connection.execute("SELECT memo, body FROM bodies"))
    assert moved.keys() == bodies.keys() != set()
    for memo, body in bodies.items():
        now = json.loads(zlib.decompress(moved[memo]))
        assert now == {**json.loads(zlib.decompress(body)), "inputs": now["inputs"], "scans": now["scans"]}
    project.edit("rules/largest.sql", "MIN(amount) AS amount", "MIN(amount) + 1 AS amount")
    plan = run(project, "plan", "--json").document["products"]
    reasons = {one["name"]: one["reason"] for one in plan if one["verdict"] != "clean"}
    assert reasons == {"largest": "column amount: MIN(total.amount) → MIN(total.amount) + 1"}


MEMOS = ("compiled", "parsed", "schemas", "contents", "column_digests", "files", "snapshots")


@pytest.mark.parametrize("recorded", ["DROP TABLE memo_version", "UPDATE memo_version SET version = 999"])
def test_memos_of_another_version_are_dropped_and_nothing_runs(tmp_path: Path, recorded: str) -> None:
    """The shape of their tables does not matter: they are made anew."""
    project = left_by(4, tmp_path / "project")
    build(project)
    before = history(index_of(project))
    with closing(sqlite3.connect(index_of(project))) as connection:
        connection.execute(recorded)
        for table in MEMOS:
            connection.execute(f"DROP TABLE {table}")
        connection.execute("CREATE TABLE compiled (of_another_version)")
        connection.execute("INSERT INTO compiled VALUES (1)")
        connection.commit()
    ran = build(project)
    assert (ran.executed, ran.stderr.count("warning")) == (set(), 0)
    assert lost(before, history(index_of(project))) == {}
    with closing(sqlite3.connect(index_of(project))) as connection:
        assert connection.execute("SELECT version FROM memo_version").fetchone() == (MEMO_VERSION,)
        assert connection.execute("SELECT count(*) FROM compiled").fetchone() == (4,)
    assert not list((project.root / ".rules").glob("*.aside"))


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
