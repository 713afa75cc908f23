"""An index that must not be written: opened for reading alone, wherever it lies and whoever owns it.

SQLite's WAL mode wants to write beside the database even to read it. Where it cannot, a database without a log is read
as an immutable one; one with a log is copied to a temporary folder first, since its last commits are in the log.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PLAIN = frozenset(b"/-_.~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""Bytes that a URI holds unescaped."""
_TABLES = {"actions", "artifacts", "builds", "compiled", "products", "snapshots"}
_LOG = "-wal"


def uri(path: str | Path, options: str) -> str:
    """Return the URI by which SQLite opens a file."""
    quoted = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in os.fsencode(os.path.realpath(path)))
    return f"file://{quoted}?{options}"


def memory_copy(path: str | Path | None) -> sqlite3.Connection:
    """Return a connection to a copy of an index in memory; of no index, an empty one.

    Raises `sqlite3.DatabaseError` and OSError.
    """
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        if path is not None and os.path.exists(path):
            with _opened(path, with_readers=True) as found:
                found.backup(memory)
    except BaseException:
        memory.close()
        raise
    return memory


def is_index(path: Path) -> bool:
    """Whether a file is an index that some version of rules made. Nothing is written beside it."""
    try:
        with _opened(path, with_readers=False) as found:
            version = found.execute("PRAGMA user_version").fetchone()[0]
            tables = {name for (name,) in found.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except (sqlite3.DatabaseError, UnicodeDecodeError, OSError):
        return False
    return version > 0 and tables >= _TABLES


@contextlib.contextmanager
def _opened(path: str | Path, *, with_readers: bool) -> Iterator[sqlite3.Connection]:
    """Open an index without changing it. with_readers: other processes may be using it, so their locks are heeded."""
    with contextlib.ExitStack() as held:
        connection = None
        if with_readers:
            with contextlib.suppress(sqlite3.OperationalError):
                connection = _connected(uri(path, "mode=ro"))
        if connection is None and _has_log(path):
            import shutil
            import tempfile  # neither is needed to find out that nothing has changed

            folder = held.enter_context(tempfile.TemporaryDirectory(prefix="rules-"))
            for suffix in ("", _LOG):
                shutil.copyfile(f"{path}{suffix}", f"{folder}/index{suffix}")
            connection = _connected(uri(f"{folder}/index", "mode=rw"))
        if connection is None:
            connection = _connected(uri(path, "immutable=1"))
        held.callback(connection.close)
        yield connection


def _connected(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=60)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _has_log(path: str | Path) -> bool:
    try:
        return os.path.getsize(f"{path}{_LOG}") > 0
    except OSError:
        return False
