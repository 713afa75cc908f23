"""The index: what the store knows, in one SQLite file. Every method is one question or one atomic change.

WAL mode: readers never wait for a build. Writers take turns; a build holds the store's lock anyway. Statements run
under one lock, so worker threads may share an `Index`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Literal, Self

from cache.errors import DamagedIndexError, StoreError
from cache.readonly import memory_copy, uri
from cache.sealing import compact, sealed, unsealed
from cache.signatures import Signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from cache.records import Artifact, Product, ProductRecord

VERSION = 3
SnapshotKind = Literal["checked", "compiled", "built"]
OLDEST = 2
"""The oldest version that `cache.migrations` brings up to date."""
_BATCH = 500
_NAME = re.compile(r"[0-9a-f]{4,64}")
"""What an artifact is called, and so its file: a name with a / in it would be of another one."""
_DAMAGED = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_SCHEMA,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
)
_UNLIKE = re.compile(
    r"^(no such (table|column|index)|table \S+ has (\d+ columns|no column)|datatype mismatch"
    r"|Could not decode|.*(constraint failed|may not be modified))"
)
"""What SQLite says where the tables are not those of `schema.sql`."""


class Index:
    """An open index. Close it, or use it as a context manager. Every method raises `StoreError` when SQLite fails.

    Files, pointers, builds and snapshots are those of one project root; everything else is the store's.
    """

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
        self.root = root
        self._heir = heir
        self._lock = threading.RLock()
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
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the changes inside all or none. Nests: the outermost one decides."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            try:
                with _translated():
                    self._connection.execute("BEGIN IMMEDIATE")
                yield
                with _translated():
                    self._connection.execute("COMMIT")
            except BaseException:
                self._connection.rollback()  # does nothing where SQLite ended it, as on a full disk
                raise

    # Files and memos

    def files(self) -> dict[str, tuple[Signature, str]]:
        """Return every known file's settled signature and digest, by path."""
        rows = self._rows(
            "SELECT path, size, mtime_ns, ctime_ns, inode, digest FROM files WHERE root = ?", (self.root,)
        )
        return {path: (Signature(*rest), digest) for path, *rest, digest in rows}

    def remember_files(self, files: Iterable[tuple[str, Signature, str]]) -> None:
        """Record settled signatures."""
        rows = [(self.root, path, *taken, digest) for path, taken, digest in files]
        self._many("REPLACE INTO files VALUES (?,?,?,?,?,?,?)", rows)

    def memo(self, table: str, keys: Iterable[str]) -> dict[str, Any]:
        """Return the records that `parsed`, `schemas` or `contents` holds under `keys`; a damaged one is not there."""
        column = "content" if table == "contents" else "memo"
        return _unsealed(self._select(table, column, "record", keys))

    def remember(self, table: str, records: Mapping[str, Any]) -> None:
        """Record mappings in `parsed`, `schemas` or `contents`."""
        self._many(f"REPLACE INTO {table} VALUES (?,?)", [(key, sealed(record)) for key, record in records.items()])

    def compiled_heads(self, memos: Iterable[str]) -> dict[str, Any]:
        """Return the small facts of compiled rules, by memo key."""
        return _unsealed(self._select("compiled", "memo", "head", memos))

    def compiled_body(self, memo: str) -> bytes:
        """Return the large facts of one compiled rule. Raises KeyError."""
        rows = self._rows("SELECT body FROM compiled WHERE memo = ?", (memo,))
        if not rows:
            raise KeyError(memo)
        if not isinstance(rows[0][0], bytes):
            raise DamagedIndexError("the index is damaged: a compiled rule cannot be read")
        return rows[0][0]

    def forget_compiled(self) -> None:
        """Forget all that was remembered of rules' texts: it is made again from them."""
        with self.transaction():
            for table in ("parsed", "compiled", "schemas", "snapshots"):
                self._many(f"DELETE FROM {table} WHERE ?", [(1,)])

    def lineages(self, memos: Iterable[str]) -> dict[str, Any]:
        """Return the column lineage of compiled rules, by memo key."""
        found = self._select("compiled", "memo", "lineage", memos)
        readable = _unsealed(found)
        if len(readable) < len(found):
            raise DamagedIndexError("the index is damaged: a column lineage cannot be read")
        return readable

    def remember_compiled(self, records: Iterable[tuple[str, Any, bytes, Any]]) -> None:
        """Record compiled rules: memo key, head, body, lineage."""
        rows = [(memo, sealed(head), body, sealed(lineage)) for memo, head, body, lineage in records]
        self._many("REPLACE INTO compiled VALUES (?,?,?,?)", rows)

    # Sources

    def column_digests(self, content: str) -> dict[str, str]:
        """Return the known column digests of a source's content."""
        return dict(self._rows("SELECT column_name, digest FROM column_digests WHERE content = ?", (content,)))

    def remember_column_digests(self, content: str, digests: Mapping[str, str]) -> None:
        """Record column digests of a source's content."""
        rows = [(content, column, digest) for column, digest in digests.items()]
        self._many("REPLACE INTO column_digests VALUES (?,?,?)", rows)

    def chunk_digests(self, chunks: Iterable[str]) -> dict[str, str]:
        """Return the value digests known for digests of encoded column chunks."""
        return dict(self._select("chunks", "chunks", "digest", chunks))

    def remember_chunks(self, digests: Mapping[str, str]) -> None:
        """Record which values encoded column chunks hold."""
        self._many("REPLACE INTO chunks VALUES (?,?)", list(digests.items()))

    # Artifacts, actions, products

    def artifacts(self, names: Iterable[str]) -> dict[str, Artifact]:
        """Return artifacts by digest."""
        from cache.records import Artifact  # msgspec takes time to import, and a no-op asks for none

        found = self._select("artifacts", "artifact", "rows, bytes, file_digest, columns", names)
        artifacts = {}
        for name, rows, size, file_digest, columns in found:
            facts = _read(columns, f"of artifact {name}")
            numbers = isinstance(rows, int) and isinstance(size, int)
            if not (numbers and all(map(_are_facts, facts.values())) and _NAME.fullmatch(name)):
                raise DamagedIndexError(f"the index is damaged: its record of artifact {name} cannot be read")
            artifacts[name] = Artifact(name, rows, size, file_digest, {key: tuple(two) for key, two in facts.items()})
        return artifacts

    def add_artifact(self, artifact: Artifact, build: str) -> None:
        """Record an artifact whose object is in place."""
        columns = compact({name: list(facts) for name, facts in artifact.columns.items()})
        row = (artifact.artifact, artifact.rows, artifact.bytes, artifact.file_digest, columns, build)
        self._many("REPLACE INTO artifacts VALUES (?,?,?,?,?,?)", [row])

    def actions(self, keys: Iterable[str]) -> dict[str, str]:
        """Return action key → artifact for the keys that are known."""
        return dict(self._select("actions", "key", "artifact", keys))

    def add_action(self, key: str, artifact: str, seconds: float, build: str) -> None:
        """Record that the action with this key yields this artifact."""
        self._many("REPLACE INTO actions VALUES (?,?,?,?)", [(key, artifact, seconds, build)])

    def products(self) -> dict[str, Product]:
        """Return the last committed state of every product."""
        return self._states("instr(name, '.') = 0")

    def checks(self) -> dict[str, Product]:
        """Return the last state of every check, by names such as "orders.key": what it yields are the failing rows."""
        return self._states("instr(name, '.') > 0")

    def _states(self, which: str) -> dict[str, Product]:
        from cache.records import Product

        rows = self._rows(
            "SELECT name, artifact, key, fingerprint, memo, seconds, build, record FROM products "
            f"WHERE root = ? AND {which}",
            (self.root,),
        )
        for name, artifact, *_ in rows:
            if not (isinstance(artifact, str) and _NAME.fullmatch(artifact) and isinstance(name, str)):
                raise DamagedIndexError(f"the index is damaged: its record of {name} names no object")
        return {
            name: Product(name, artifact, key, fingerprint, memo, read_state(record, name), seconds, build)
            for name, artifact, key, fingerprint, memo, seconds, build, record in rows
        }

    def set_product(self, product: Product) -> None:
        """Move a product's, or a check's, pointer. What was known to be up to date no longer is."""
        from cache.records import to_builtins

        record = sealed(to_builtins(product.record))
        made_of = (product.artifact, product.key, product.fingerprint, product.memo, record)
        row = (self.root, product.name, *made_of, product.seconds, product.build)
        with self.transaction():
            self._many("REPLACE INTO products VALUES (?,?,?,?,?,?,?,?,?)", [row])
            self.forget_built()

    def drop_products(self, names: Iterable[str]) -> None:
        """Forget products, or checks, that the project no longer has."""
        self._many("DELETE FROM products WHERE root = ? AND name = ?", [(self.root, name) for name in names])

    def bag(self, artifact: str, columns: str) -> str | None:
        """Return the order-free digest of some columns of an artifact, if it was ever computed."""
        rows = self._rows("SELECT digest FROM bags WHERE artifact = ? AND columns = ?", (artifact, columns))
        return rows[0][0] if rows else None

    def remember_bag(self, artifact: str, columns: str, digest: str) -> None:
        """Record the order-free digest of some columns of an artifact."""
        self._many("REPLACE INTO bags VALUES (?,?,?)", [(artifact, columns, digest)])

    # Builds

    def start_build(self, build: str, started: str) -> None:
        """Record that a build began. Call with the store's lock held: whatever else seems to run was killed."""
        with self.transaction():
            self._many("UPDATE builds SET status = 'killed' WHERE status = ?", [("running",)])
            self._many("REPLACE INTO builds VALUES (?,?,?,NULL,'running','{}')", [(self.root, build, started)])

    def has_build(self, build: str) -> bool:
        """Whether a build has been recorded as begun."""
        return bool(self._rows("SELECT 1 FROM builds WHERE build = ?", (build,)))

    def finish_build(self, build: str, seconds: float, status: str, summary: Mapping[str, int]) -> None:
        """Record how a build ended."""
        row = (seconds, status, compact(summary), build)
        self._many("UPDATE builds SET seconds = ?, status = ?, summary = ? WHERE build = ?", [row])

    def add_results(
        self, build: str, rows: Iterable[tuple[str, str, bool | None, str, float | None, str | None]]
    ) -> None:
        """Record products' results in a build: product, status, changed, reason, seconds, artifact."""
        self._many("REPLACE INTO results VALUES (?,?,?,?,?,?,?)", [(build, *row) for row in rows])

    def builds(self, limit: int) -> list[tuple[str, str, float | None, str, dict[str, int]]]:
        """Return the latest builds, newest first: build, started, seconds, status, summary."""
        rows = self._rows(
            "SELECT build, started, seconds, status, summary FROM builds WHERE root = ? "
            "ORDER BY started DESC, build DESC LIMIT ?",
            (self.root, limit),
        )
        _require_texts((build, started, status) for build, started, _, status, _ in rows)
        _require_seconds(seconds for _, _, seconds, *_ in rows)
        return [
            (build, started, seconds, status, _read(summary, f"of build {build}"))
            for build, started, seconds, status, summary in rows
        ]

    def results(self, build: str) -> list[tuple[str, str, bool | None, str, float | None, str | None]]:
        """Return a build's results by product."""
        rows = self._rows(
            "SELECT product, status, changed, reason, seconds, artifact FROM results WHERE build = ? ORDER BY product",
            (build,),
        )
        _require_texts((product, status, reason) for product, status, _, reason, *_ in rows)
        _require_seconds(seconds for *_, seconds, _ in rows)
        return rows

    def history(self, product: str) -> list[tuple[str, str, str, str | None]]:
        """Return what builds made of a product, newest first: build, status, reason, artifact."""
        rows = self._rows(
            "SELECT build, results.status, reason, artifact FROM results JOIN builds USING (build) "
            "WHERE product = ? AND root = ? ORDER BY started DESC, build DESC",
            (product, self.root),
        )
        _require_texts(row[:3] for row in rows)
        return rows

    # Snapshots

    def snapshot(self, kind: SnapshotKind) -> dict[str, Any] | None:
        """Return the state in which everything was checked, compiled or up to date, if that still is the last state."""
        rows = self._rows("SELECT record FROM snapshots WHERE root = ? AND kind = ?", (self.root, kind))
        return unsealed(rows[0][0]) if rows else None

    def set_snapshot(self, kind: SnapshotKind, record: Mapping[str, Any]) -> None:
        """Record the state in which everything is checked, compiled or up to date."""
        self._many("REPLACE INTO snapshots VALUES (?,?,?)", [(self.root, kind, sealed(record))])

    def refresh_snapshot(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Replace the snapshot `before`, unless it has been replaced or forgotten meanwhile."""
        row = (sealed(after), self.root, sealed(before))
        self._many("UPDATE snapshots SET record = ? WHERE root = ? AND record = ?", [row])

    def forget_built(self) -> None:
        """Say that not everything may be up to date."""
        self._many("DELETE FROM snapshots WHERE root = ? AND kind = 'built'", [(self.root,)])

    # Verifying

    def every_artifact(self) -> dict[str, Artifact]:
        """Return all artifacts, by digest."""
        return self.artifacts([name for (name,) in self._rows("SELECT artifact FROM artifacts ORDER BY artifact")])

    def pointers(self) -> dict[str, list[str]]:
        """Return the products and checks of all project roots, by the artifacts that they point at."""
        found: dict[str, list[str]] = {}
        for name, artifact in self._rows("SELECT DISTINCT name, artifact FROM products"):
            found.setdefault(artifact, []).append(name)
        return found

    def forget_artifact(self, artifact: str) -> None:
        """Forget an artifact whose object is gone, and that everything is up to date."""
        with self.transaction():
            for table in ("artifacts", "actions", "bags"):
                self._many(f"DELETE FROM {table} WHERE artifact = ?", [(artifact,)])
            self._many("DELETE FROM snapshots WHERE kind = ?", [("built",)])

    def restore(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over rows of another index of this version, as far as they have the columns of the table."""
        columns = [name for _, name, *_ in self._rows(f"PRAGMA table_info({table})")]
        marks = ",".join("?" * len(columns))
        known = [tuple(row[name] for name in columns) for row in rows if row.keys() >= set(columns)]
        self._many(f"REPLACE INTO {table} VALUES ({marks})", known)

    # How

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

    def _many(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        if not rows:
            return
        with self.transaction(), _translated():
            self._connection.executemany(sql, rows)

    def _create(self) -> None:
        with _translated():
            script = f"BEGIN IMMEDIATE;\n{_schema()}\nPRAGMA user_version = {VERSION};\nCOMMIT;"
            self._connection.executescript(script)
        self.created = True

    def _migrate(self) -> None:
        """Bring an index of a former version up to date, all or nothing; another process may be about it, too."""
        with self.transaction(), _translated():
            if int(self._connection.execute("PRAGMA user_version").fetchone()[0]) == VERSION:
                return
            from cache.migrations import migrate

            migrate(self._connection, _statements(_schema()), self._heir)
            self._connection.execute(f"PRAGMA user_version = {VERSION}")

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


def _schema() -> str:
    with open(os.path.join(os.path.dirname(__file__), "schema.sql"), encoding="utf-8") as file:
        return file.read()


def _statements(script: str) -> list[str]:
    """Return the statements of a script whose comments hold no semicolon at the end of a line."""
    return [f"{text};" for text in script.split(";\n") if text.strip()]


def set_aside(path: Path) -> str:
    """Rename an index that cannot be used; return its new name. Call with the store's lock held. Raises OSError."""
    aside = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}.aside")
    from cache.removal import rename

    for suffix in ("-wal", "-shm", ""):  # the log first: left alone it would be replayed into the new index
        with contextlib.suppress(FileNotFoundError):
            rename(path.with_name(path.name + suffix), aside.with_name(aside.name + suffix))
    return aside.name


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


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except sqlite3.ProgrammingError:  # our mistake, not the store's
        raise
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            raise DamagedIndexError(f"the index is damaged: {error}") from error
        if _UNLIKE.match(str(error)):
            raise DamagedIndexError(f"the index is damaged: {error}") from error
        busy = getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
        hint = "another process holds it; try again when that has finished" if busy else None
        raise StoreError(f"the index cannot be used: {error}", hint=hint) from error


def _unsealed(rows: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return records by key. One that cannot be read is not there: whatever is remembered can be made again."""
    read = ((key, unsealed(text)) for key, text in rows)
    return {key: record for key, record in read if record is not None}


def read_state(text: object, name: str) -> ProductRecord:
    """Return the record of a product. Raises `DamagedIndexError`."""
    from cache.records import from_builtins

    try:
        return from_builtins(unsealed(text))
    except ValueError as error:
        raise DamagedIndexError(f"the index is damaged: its record of {name} cannot be read") from error


def _read(text: object, what: str) -> dict[str, Any]:
    """Return a JSON object. Raises `DamagedIndexError` for anything else."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if not isinstance(found, dict) or "crc32" in found:
        raise DamagedIndexError(f"the index is damaged: its record {what} cannot be read")
    return found


def _require_texts(rows: Iterable[tuple[Any, ...]]) -> None:
    """Raise `DamagedIndexError` unless every value in the rows, which describe builds, is text."""
    if not all(isinstance(one, str) for row in rows for one in row):
        raise DamagedIndexError("the index is damaged: its record of a build cannot be read")


def _require_seconds(values: Iterable[object]) -> None:
    if not all(value is None or isinstance(value, int | float) for value in values):
        raise DamagedIndexError("the index is damaged: its record of a build cannot be read")


def _are_facts(value: object) -> bool:
    """Whether this is the type and the digest of a column."""
    return isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)  # noqa: PLR2004
