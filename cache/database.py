"""The database of the index: connection, transactions and version, without what is in its tables.

WAL mode: readers never wait for a build. Writers take turns; a build holds the store's lock anyway. Statements run
under one lock, so worker threads may share a `Database`.

A power loss damages nothing, and undoes the last transactions: at most those of the last second, none that was made
inside `durable`, and none that took long to compute. Each would else cost an `fsync` of its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cache.durability import synchronise
from cache.errors import DamagedIndexError, StoreError
from cache.readonly import memory_copy, uri

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from cache.decoding import Decoded

T = TypeVar("T")

VERSION = 5
"""Of the history: `PRAGMA user_version`. A migration brings it up to date."""
OLDEST = 2
"""The oldest version that `cache.migrations` brings up to date."""
MEMO_VERSION = 3
"""Of the memos: the table `memo_version`. Memos of any other version are dropped, and made again as they are needed."""
_LACKS_TABLES = 2
"""The version of memos that lacks only some of the tables: those that it has are kept."""
_HISTORY, _MEMOS = "history.sql", "memos.sql"
_MEMOS_RENEWED = f"REPLACE INTO memo_version VALUES (1, {MEMO_VERSION})"
_TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+)", re.MULTILINE)
_BATCH = 500
_LOG_PAGES, _PAGE = 1000, 4096
"""SQLite takes the log into the database once it has so many pages, by default."""
_AT_STAKE = 1.0
"""Seconds of work that a power loss may undo."""
_DAMAGED = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_SCHEMA,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
)
_REFUSALS = (
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
)
_PAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""What SQLite also says of a page that the disk could not read."""
UNREADABLE = sqlite3.Error, UnicodeDecodeError
"""What is raised where SQLite cannot read a database: its messages may quote what is in the file."""
_UNLIKE = re.compile(
    r"^(no such (table|column|index)|table \S+ has (\d+ columns|no column)|datatype mismatch"
    r"|Could not decode|.*(constraint failed|may not be modified))"
)
"""What SQLite says where the tables are not those of `history.sql` and `memos.sql`."""
_WATCHED = {"products": ("state", "name"), "artifacts": ("artifact", "artifact")}
_WATCHED |= dict.fromkeys(("compiled", "bodies"), ("head", "memo"))
"""Tables whose rows a process keeps: what it calls their records, and the column of the key."""


class Database:
    """An open index. Close it, or use it as a context manager. Every method raises `StoreError` when SQLite fails."""

    def __init__(
        self,
        path: str | Path | None,
        *,
        root: str = "",
        heir: str = "",
        existing: bool = False,
        in_memory: bool = False,
    ) -> None:
        """Open the index, made if there is none. With `existing` it must be there.

        root: the project root, "" for the one whose folder holds the store. heir: the root that takes over what version
        2 knew of no root. in_memory: a copy that is forgotten when it
        is closed, for a store that cannot be written (path: None or missing for an empty one). Raises
        `DamagedIndexError` if the index is damaged or of a version that is not known, else `StoreError`.
        """
        self.created = False
        self.forgets = False
        """Whether what is to be recorded is dropped instead, all but what tables consist of, which is read again."""
        self.decoded: Decoded | None = None
        """What a process that reads the index again and again has decoded."""
        self._watched: int | None = None
        self.root = root
        self._heir = heir
        self._lock = threading.RLock()
        self._synchronised, self._at_stake, self._durable = time.monotonic(), 0.0, False
        self._log = None if in_memory or path is None else f"{path}-wal"
        self._connection = _copied(path) if in_memory or path is None else _open(path, create=not existing)
        try:
            version = self._version()
            if OLDEST <= version < VERSION:
                self._migrate()
            elif version == 0 and not existing:
                self._create()
            elif version != VERSION:
                message = f"the index has version {version}, which this version of rules does not know"
                raise DamagedIndexError(message)  # noqa: TRY301 — the connection is closed below
            elif self._memo_version() != MEMO_VERSION:
                self._renew_memos()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, once no thread is at work in it: SQLite would crash the process."""
        with self._lock:
            self._connection.close()

    def watch(self) -> None:
        """Take note of what is written from now on, so that what is decoded need not be read again.

        What this connection writes is noted by triggers of its own, whoever makes the change; that others wrote is seen
        by SQLite's version of the data. Call it before anything is read.
        """
        self._watched = self._data_version()
        self._rows("PRAGMA temp_store = MEMORY")
        self._rows("CREATE TEMP TABLE written (kind TEXT, key TEXT)")
        for table, (kind, column) in _WATCHED.items():
            for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
                self._rows(
                    f"CREATE TEMP TRIGGER written_{table}_{event} AFTER {event} ON main.{table} "
                    f"BEGIN INSERT INTO written VALUES ('{kind}', {row}.{column}); END"
                )

    def is_own(self) -> bool:
        """Whether nobody else has committed a change since `watch`."""
        return self._watched is not None and self._watched == self._data_version()

    def _data_version(self) -> int:
        found: int = self._rows("PRAGMA data_version")[0][0]
        return found

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the changes inside all or none. Nests: the outermost one decides."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            lasting = max(self._at_stake, time.monotonic() - self._synchronised) >= _AT_STAKE
            with self.durable() if lasting else contextlib.nullcontext():
                try:
                    with _translated():
                        self._connection.execute("BEGIN IMMEDIATE")
                    yield
                    with _translated():
                        self._connection.execute("COMMIT")
                except BaseException:
                    self._connection.rollback()  # does nothing where SQLite ended it, as on a full disk
                    raise

    @contextlib.contextmanager
    def without_checkpoints(self) -> Iterator[None]:
        """Let no commit inside take the log into the database, which can take long; `settle` does."""
        self._rows("PRAGMA wal_autocheckpoint = 0")
        try:
            yield
        finally:
            self._rows(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")

    def settle(self) -> None:
        """Let all that was committed survive a power loss, and keep the log short. Raises OSError."""
        if self._log is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if os.path.getsize(self._log) > _LOG_PAGES * _PAGE:
                self._rows("PRAGMA wal_checkpoint(PASSIVE)")
            synchronise(self._log)
        self._synchronised, self._at_stake = time.monotonic(), 0.0

    def stake(self, seconds: float) -> None:
        """Say how long it took to compute what is about to be committed."""
        self._at_stake += seconds

    @contextlib.contextmanager
    def durable(self) -> Iterator[None]:
        """Let what is committed inside, and all that was committed before, survive a power loss."""
        with self._lock:
            if self._durable:
                yield
                return
            self._durable = True
            self._rows("PRAGMA synchronous = FULL")
            try:
                yield
                self._synchronised, self._at_stake = time.monotonic(), 0.0
            finally:
                self._rows("PRAGMA synchronous = NORMAL")
                self._durable = False

    def decode(self, kind: str, key: str, raw: object, decode: Callable[[], T]) -> T:
        """Return what a record decodes to; it is decoded if nobody remembers that."""
        return decode() if self.decoded is None else self.decoded.get(kind, key, raw, decode)

    def all_of(
        self,
        kind: str,
        keys: Collection[str] | None,
        read: Callable[[Collection[str] | None], Mapping[str, Any]],
        decode: Callable[[str, Any], T],
    ) -> dict[str, T]:
        """Return the decoded records of a kind under `keys`, None for all that there are. read: returns them by key."""
        with self._lock:
            # What a transaction has changed may be undone.
            if self.decoded is None or self._watched is None or self._connection.in_transaction:
                return {key: self.decode(kind, key, raw, partial(decode, key, raw)) for key, raw in read(keys).items()}
            self.decoded.doubt(self._rows("SELECT kind, key FROM written"))
            self._rows("DELETE FROM written")
            if keys is None and (keys := self.decoded.keys_of(kind)) is None:
                found = read(None)
                return self.decoded.all_of(kind, found.keys(), lambda _: found, decode)
            return self.decoded.all_of(kind, keys, read, decode)

    def _rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        with self._lock, _translated():
            return self._connection.execute(sql, parameters).fetchall()

    def _select(self, table: str, key: str, columns: str, keys: Iterable[str]) -> list[Any]:
        wanted = list(keys)
        found: list[Any] = []
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            marks = ",".join("?" * len(batch))
            found += self._rows(f"SELECT {key}, {columns} FROM {table} WHERE {key} IN ({marks})", tuple(batch))
        return found

    def _many(self, sql: str, rows: list[tuple[Any, ...]], *, lasting: bool = False) -> None:
        if not rows or (self.forgets and not lasting):
            return
        with self.transaction(), _translated():
            self._connection.executemany(sql, rows)

    def _create(self) -> None:
        with _translated():
            version = f"{_MEMOS_RENEWED};\nPRAGMA user_version = {VERSION}"
            self._connection.executescript(f"BEGIN IMMEDIATE;\n{_text(_HISTORY)}{_text(_MEMOS)}\n{version};\nCOMMIT;")
        self.created = True

    def _migrate(self) -> None:
        """Bring an index of a former version up to date, all or nothing; another process may be about it, too."""
        with self.transaction(), _translated():
            version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
            if version == VERSION:
                return
            from cache.migrations import migrate

            tables = _statements(_text(_HISTORY)), _statements(_text(_MEMOS))
            migrate(self._connection, version, *tables, self._heir)
            self._connection.execute(_MEMOS_RENEWED)
            self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def _renew_memos(self) -> None:
        """Make the tables of memos anew, empty, or those that are lacking; another process may be about it, too."""
        with self.transaction(), _translated():
            found, script = self._memo_version(), _text(_MEMOS)
            if found == MEMO_VERSION:
                return
            for table in _TABLE.findall(script) if found != _LACKS_TABLES else ():
                self._connection.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _statements(script):
                self._connection.execute(statement)
            self._connection.execute(_MEMOS_RENEWED)

    def _memo_version(self) -> int | None:
        """Return the version of the memos, None where none is recorded."""
        with _translated():
            try:
                rows = self._connection.execute("SELECT version FROM memo_version").fetchall()
            except sqlite3.OperationalError as error:
                if not _UNLIKE.match(str(error)):
                    raise
                return None  # there is no such table
        return rows[0][0] if rows else None

    def _version(self) -> int:
        """Return the index's version, 0 for a file without tables, at one moment: another process may be making it."""
        with _translated():
            self._connection.execute("BEGIN")
            version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
            tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            self._connection.execute("COMMIT")
        if version == 0 and tables:
            raise DamagedIndexError("the index is damaged: it has tables but no version")
        return version


def _text(name: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read()


def _statements(script: str) -> list[str]:
    """Return the statements of a script whose comments hold no semicolon at the end of a line."""
    return [f"{text};" for text in script.split(";\n") if text.strip()]


def _open(path: str | Path, *, create: bool) -> sqlite3.Connection:
    for part in (path, f"{path}-wal", f"{path}-shm"):
        if os.path.isdir(part):
            raise DamagedIndexError(f"the index is damaged: {part} is a folder")
    address = uri(path, f"mode={'rwc' if create else 'rw'}")
    try:
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=60)
    except sqlite3.OperationalError as error:
        raise StoreError(f"cannot open the index {path}: {error}") from error
    try:
        with _translated():
            connection.execute("PRAGMA synchronous = NORMAL")
            if create:
                with contextlib.suppress(sqlite3.OperationalError):  # another process is making it
                    connection.execute("PRAGMA journal_mode = WAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _copied(path: str | Path | None) -> sqlite3.Connection:
    try:
        with _translated():
            return memory_copy(path)
    except OSError as error:
        raise StoreError(f"cannot read the index {path}: {error.strerror or error}") from error


def is_refusal(error: Exception) -> bool:
    """Whether it is the system that lets SQLite not use a database, whatever is in that."""
    return _code(error) in _REFUSALS


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except sqlite3.ProgrammingError:  # our mistake, not the store's
        raise
    except sqlite3.DatabaseError as error:
        if _code(error) in _DAMAGED or _UNLIKE.match(str(error)):
            raise DamagedIndexError(f"the index is damaged: {error}", of_pages=_code(error) in _PAGES) from error
        busy = _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
        hint = "another process holds it; try again when that has finished" if busy else None
        raise StoreError(f"the index cannot be used: {error}", hint=hint) from error
    except UnicodeDecodeError as error:  # of a message, which may quote what is in the file
        raise DamagedIndexError(f"the index is damaged: {error}") from error
