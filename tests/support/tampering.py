"""A store that somebody else writes: what its index remembers of rules is changed, with checksums that are right."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from support.inprocess import build
from support.projects import SampleProject


def built_sample(root: Path) -> SampleProject:
    """Return a project of two rules over one source that was built."""
    project = SampleProject(root, sources=["t"])
    project.parquet("t", {"a": [1, 2, 3]})
    project.sql("small", "SELECT t.a FROM t WHERE t.a < 3")
    project.sql("total", "SELECT SUM(small.a) AS total FROM small")
    build(project)
    return project


def rewrite(project: SampleProject, change: Callable[[sqlite3.Connection], None]) -> None:
    """Change the index of a project's store."""
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection:
        change(connection)
        connection.commit()


def executing(sql: str) -> Callable[[sqlite3.Connection], None]:
    """Let every remembered rule execute another text."""

    def change(connection: sqlite3.Connection) -> None:
        for memo, body in connection.execute("SELECT memo, body FROM bodies").fetchall():
            record = {**json.loads(zlib.decompress(body)), "sql": sql}
            packed = zlib.compress(json.dumps(record).encode())
            connection.execute("UPDATE bodies SET body = ? WHERE memo = ?", (packed, memo))

    return change
