"""Stores as former versions of rules left them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from cache.sealing import compact, unsealed
from support.projects import FIXTURES, SampleProject

if TYPE_CHECKING:
    from pathlib import Path

FORMER = {3: FIXTURES / "former_store_3", 4: FIXTURES / "former_store_4"}
"""Stores of commits eea8fce and 852e391, by the version of their index, see fixtures/make_former_store.py."""
VERSION_2 = """
CREATE TABLE files (path TEXT PRIMARY KEY, size INT, mtime_ns INT, ctime_ns INT, inode INT, digest TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE products (
    name TEXT PRIMARY KEY, artifact TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, memo TEXT NOT NULL,
    record TEXT NOT NULL, seconds REAL NOT NULL, build TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE builds (
    build TEXT PRIMARY KEY, started TEXT NOT NULL, seconds REAL, status TEXT NOT NULL, summary TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE snapshots (kind TEXT PRIMARY KEY CHECK (kind IN ('compiled', 'built')), record TEXT NOT NULL);
"""
"""The tables of version 2 that are others today."""
SEALED_SINCE = {"compiled": "head", "contents": "record", "products": "record"}
"""Records that had no checksum yet."""


COMPILED_4 = """
CREATE TABLE compiled (memo TEXT PRIMARY KEY, head TEXT NOT NULL, body BLOB NOT NULL, lineage TEXT NOT NULL);
INSERT INTO compiled SELECT memo, head, body, lineage FROM compiled_5 JOIN bodies USING (memo);
DROP TABLE compiled_5;
DROP TABLE bodies;
DROP TABLE memo_version;
"""


def with_bodies_in_memos(connection: sqlite3.Connection) -> None:
    """Put the bodies of compiled rules where they were up to version 4, if the index is of version 5."""
    if connection.execute("PRAGMA user_version").fetchone()[0] > 4:
        connection.execute("ALTER TABLE compiled RENAME TO compiled_5")
        connection.executescript(COMPILED_4)


def left_by(former: int, folder: Path) -> SampleProject:
    """Return a project and its store as a former version of rules left it."""
    made = SampleProject.copy_of(FORMER[former], folder)
    shutil.move(made.root / "store", made.root / ".rules")
    script = made.root / ".rules" / "index.sql"
    with closing(sqlite3.connect(made.root / ".rules" / "index.sqlite")) as connection:
        connection.executescript(script.read_text(encoding="utf-8"))
    script.unlink()
    return made


def as_version_2(path: Path) -> None:
    """Make an index what the version of rules before project roots would have left."""
    moved = {
        "products": "name, artifact, key, fingerprint, memo, record, seconds, build",
        "builds": "build, started, seconds, status, summary",
        "files": "path, size, mtime_ns, ctime_ns, inode, digest",
    }
    with closing(sqlite3.connect(path)) as connection:
        with_bodies_in_memos(connection)
        for table in (*moved, "snapshots"):
            connection.execute(f"ALTER TABLE {table} RENAME TO {table}_3")
        connection.executescript(VERSION_2)
        for table, columns in moved.items():
            connection.execute(f"INSERT INTO {table} SELECT {columns} FROM {table}_3")
        for table in (*moved, "snapshots"):
            connection.execute(f"DROP TABLE {table}_3")
        connection.create_function("plain", 1, lambda text: compact(unsealed(text)))
        for table, column in SEALED_SINCE.items():
            connection.execute(f"UPDATE {table} SET {column} = plain({column})")
        connection.execute("UPDATE compiled SET lineage = plain(lineage)")
        connection.execute("PRAGMA user_version = 2")
        connection.commit()
