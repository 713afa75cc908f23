"""How an index of a former version becomes one of today's: actions, artifacts, objects and history survive.

Memos (what can be worked out again from the project's files) may be dropped.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from cache.sealing import compact, sealed, unsealed
from cache.untrusted import parsed

if TYPE_CHECKING:
    import sqlite3

_TO_3 = (
    # Signatures are those of one project root's files; the digests are taken again.
    "DROP TABLE IF EXISTS files",
    "DROP TABLE IF EXISTS snapshots",
    "DELETE FROM parsed WHERE memo = 'checked'",
    "ALTER TABLE products RENAME TO products_2",
    "ALTER TABLE builds RENAME TO builds_2",
)
_MOVE_TO_3 = (
    "INSERT INTO products SELECT ?, name, artifact, key, fingerprint, memo, record, seconds, build FROM products_2",
    "INSERT INTO builds SELECT ?, build, started, seconds, status, summary FROM builds_2",
)
_AFTER_3 = ("DROP TABLE products_2", "DROP TABLE builds_2")

_SEALED_IN_3 = (("contents", "record"), ("products", "record"))


def migrate(connection: sqlite3.Connection, version: int, history: list[str], memos: list[str], root: str) -> None:
    """Bring an index of a former version up to date, inside the caller's transaction.

    history, memos: the statements that make today's tables where they are missing. Version 4 has new tables and no
    others than version 3; in version 5 the bodies of compiled rules are history. root: the project root that takes over
    what version 2 knew of no root: pointers and builds. A record that cannot be read is dropped. Raises
    `sqlite3.DatabaseError`.
    """
    if version < 3:  # noqa: PLR2004
        for statement in _TO_3:
            connection.execute(statement)
    connection.execute("ALTER TABLE compiled RENAME TO compiled_4")
    for statement in (*history, *memos):
        connection.execute(statement)
    if version < 3:  # noqa: PLR2004
        _finish_3(connection, root)
    if version < 4:  # noqa: PLR2004
        _fill_states(connection)
    _keep_bodies(connection)


def _fill_states(connection: sqlite3.Connection) -> None:
    columns = "artifact, name, key, fingerprint, memo, record, seconds, build"
    rows = connection.execute(f"SELECT {columns} FROM products").fetchall()
    states = [
        (*row[:5], zlib.compress(row[5].encode(errors="surrogatepass")), *row[6:])
        for row in rows
        if type(row[5]) is str
    ]
    connection.executemany("REPLACE INTO states VALUES (?,?,?,?,?,?,?,?)", states)


def _keep_bodies(connection: sqlite3.Connection) -> None:
    """Move the bodies of compiled rules to a table of their own, with what an upgrade reads of the heads.

    Heads and lineage go: another version of the compiler does not find them.
    """
    rows = connection.execute("SELECT memo, head, body FROM compiled_4 ORDER BY rowid").fetchall()
    read = ((memo, unsealed(head) or _read(head), _unpacked(body)) for memo, head, body in rows)
    moved = [
        (memo, zlib.compress(compact({**body, "inputs": head["inputs"], "scans": list(head["scans"])}).encode()))
        for memo, head, body in read
        if head is not None and body is not None and "inputs" in head and "scans" in head
    ]
    connection.executemany("INSERT INTO bodies VALUES (?,?)", moved)
    connection.execute("DROP TABLE compiled_4")


def _unpacked(body: object) -> dict[str, Any] | None:
    try:
        return _read(zlib.decompress(body).decode()) if isinstance(body, bytes) else None
    except (zlib.error, UnicodeDecodeError):
        return None


def _finish_3(connection: sqlite3.Connection, root: str) -> None:
    for statement in _MOVE_TO_3:
        connection.execute(statement, (root,))
    for statement in _AFTER_3:
        connection.execute(statement)
    for table, column in _SEALED_IN_3:
        rows = connection.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall()
        read = [(text, _read(text)) for (text,) in rows]
        fresh = [(sealed(record), text) for text, record in read if record is not None]
        connection.executemany(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", fresh)
        # A memo is made again, and a product is found again by its action.
        lost = [(text,) for text, record in read if record is None]
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", lost)


def _read(text: object) -> dict[str, Any] | None:
    """Return a record of version 2, None for what is none: the rest of the index is still good."""
    try:
        found = parsed(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
