"""A schema of PostgreSQL as a target, through ADBC: a table for each product, replaced in one transaction each.

Rows go by COPY into a staging table and are read back and compared. If the table has the columns already, its rows are
deleted and the staged ones inserted: grants, comments, indexes and views over it are as before, nobody who reads waits,
and every snapshot sees the old rows or the new ones. If its columns change, the staged table takes its place. What was
published is remembered in the table rules_published, in the same transactions.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cache.bags import bag_digest
from cache.keys import hash_json
from cache.table_files import read_batches, schema_of
from rules.errors import FAILED, UserError
from rules.publishing.postgresql_tables import (
    Relation,
    Rows,
    described,
    digest_query,
    index_statements,
    kept_statements,
    relations,
    require_replaceable,
    require_unreferenced,
)
from rules.publishing.postgresql_types import (
    LONGEST_NAME,
    SqlType,
    from_wire,
    literal,
    quoted,
    selected,
    sql_types,
    to_wire,
    wire_schema,
)
from rules.publishing.target import Sent, Step, StoredTable

if TYPE_CHECKING:
    from rules.config.publish_settings import Destination
    from rules.publishing.target import Say, Target

MEMORY = "rules_published"
_SETTINGS = {
    "timezone": "UTC", "datestyle": "ISO, MDY", "intervalstyle": "postgres", "bytea_output": "hex",
    "extra_float_digits": "1", "row_security": "off", "search_path": "pg_catalog", "client_min_messages": "error",
    "lock_timeout": "60s",
}  # fmt: skip
"""How rows are written as text, which their digests depend on; no row is hidden; no lock is waited for without end."""


@contextlib.contextmanager
def opened_database(destination: Destination, say: Say, *, writes: bool) -> Iterator[Target]:
    """Connect to a database. Raises `UserError`."""
    try:
        import adbc_driver_manager
        from adbc_driver_postgresql import dbapi
    except ModuleNotFoundError as error:
        hint = "pip install 'leastwork-rules[postgres]'"
        message = "publishing to PostgreSQL needs the package adbc-driver-postgresql"
        raise UserError(message, code="missing", hint=hint) from error
    to = destination.table.to
    schema = destination.table.schema or "public"
    try:
        with dbapi.connect(to) as connection:
            session = _Session(connection, to)
            session.begin(schema, say, writes=writes)
            yield PostgresTarget(session, schema, say)
    except adbc_driver_manager.Error as error:
        raise _failed(to, error) from error


def _failed(to: str, error: Exception) -> UserError:
    """Return an error of the database in one sentence: the server's words, without the query."""
    text = str(error)
    for mark in ("ERROR: ", "FATAL: "):
        if mark in text:
            text = text.split(mark, 1)[1]
            break
    else:
        text = text.split("[libpq] ", 1)[-1].removeprefix("Failed to connect: ")
    reason = " ".join(text.strip().splitlines()[0].split()) if text.strip() else type(error).__name__
    message = f"{to} cannot be published to: {reason}"
    hint = "host, user and password come from the URL, PGHOST, PGUSER, PGPASSWORD, a password file or a service"
    return UserError(message, code="unreachable", hint=hint if "FATAL" in str(error) else None, exit_code=FAILED)


class _Session:
    """A connection; all of a product's statements are one transaction."""

    def __init__(self, connection: Any, shown: str) -> None:
        self._connection, self.shown = connection, shown

    def begin(self, schema: str, say: Say, *, writes: bool) -> None:
        """Prepare the session; make schema and memory if they are to be written, and let nobody else publish there."""
        for name, value in _SETTINGS.items():
            self.run(f"SET {name} = {literal(value)}")
        if not writes:
            self.run("SET default_transaction_read_only = on")
            self.commit()
            return
        key = f"hashtextextended({literal(f'rules publish {schema}')}, 0)"
        ((free,),) = self.query(f"SELECT pg_try_advisory_lock({key})")
        if not free:
            say(f"waiting for another publish to {self.shown}")
            self.run("SET lock_timeout = 0")
            self.query(f"SELECT pg_advisory_lock({key})::text")
            self.run(f"SET lock_timeout = {literal(_SETTINGS['lock_timeout'])}")
        self.commit()
        if not self.query(f"SELECT 1 FROM pg_namespace WHERE nspname = {literal(schema)}"):
            self.run(f"CREATE SCHEMA {quoted(schema)}")
        if MEMORY not in relations(self.query, schema):
            self.run(f"""
                CREATE TABLE {quoted(schema)}.{MEMORY} (
                    product text PRIMARY KEY, artifact text NOT NULL, rows bigint NOT NULL, digest text NOT NULL,
                    published_at timestamptz NOT NULL DEFAULT now())""")
        self.commit()

    def run(self, statement: str) -> None:
        """Execute a statement. Raises the driver's errors."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)

    def query(self, text: str) -> Rows:
        """Return the rows of a query. Raises the driver's errors."""
        with self._connection.cursor() as cursor:
            cursor.execute(text)
            rows: Rows = cursor.fetchall()
            return rows

    def read(self, text: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query. Raises the driver's errors."""
        with self._connection.cursor() as cursor:
            cursor.execute(text)
            yield from cursor.fetch_record_batch()

    def copy(self, schema: str, table: str, batches: pa.RecordBatchReader) -> None:
        """Append rows to a table by COPY. Raises the driver's errors."""
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(table, batches, mode="append", db_schema_name=schema)

    def commit(self) -> None:
        """End the transaction. Raises the driver's errors."""
        self._connection.commit()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end, or roll back. Raises `UserError`."""
        import adbc_driver_manager

        try:
            yield
            self.commit()
        except BaseException as error:
            with contextlib.suppress(adbc_driver_manager.Error):  # of a connection that is lost
                self._connection.rollback()
            if isinstance(error, adbc_driver_manager.Error):
                raise _failed(self.shown, error) from error
            raise


class PostgresTarget:
    """See `rules.publishing.target.Target`."""

    def __init__(self, session: _Session, schema: str, say: Say) -> None:
        """Read what is there. Raises the driver's errors, and `UserError`."""
        self._session, self._schema, self._say = session, schema, say
        with session.transaction():
            self._relations = relations(session.query, schema)
            memory = self._relations.get(MEMORY)
            columns = [name for name, _ in memory.columns[:4]] if memory is not None else []
            if memory is not None and columns != ["product", "artifact", "rows", "digest"]:
                message = f"{session.shown} holds a table {schema}.{MEMORY} that no publish wrote"
                raise UserError(message, code="exists", hint="publish to a schema of its own", exit_code=FAILED)
            text = f"SELECT product, artifact, rows, digest FROM {self._sql(MEMORY)}"
            self._held = {row[0]: row[1:] for row in session.query(text)} if memory is not None else {}

    def _sql(self, name: str) -> str:
        return f"{quoted(self._schema)}.{quoted(name)}"

    def _shown(self, name: str) -> str:
        return f"{self._schema}.{name}"

    def step(self, product: str, artifact: str) -> Step:
        """As `Target` says. What is there is compared with the digest of what was published."""
        there = self._relations.get(product)
        if product not in self._held:
            return Step(product, artifact, "send", "it was not published here before")
        was, rows, digest = self._held[product]
        if there is None:
            return Step(product, artifact, "send", "its table was removed by someone else")
        if there.kind != "r" or self._digest(there) != digest:
            return Step(product, artifact, "send", "its table was changed by someone else")
        if was != artifact:
            return Step(product, artifact, "send", "its table is another one than was published")
        return Step(product, artifact, "keep", "it is there already", rows)

    def _digest(self, relation: Relation, name: str | None = None) -> str:
        with self._session.transaction() if name is None else contextlib.nullcontext():
            ((text,),) = self._session.query(digest_query(self._sql(name or relation.name)))
        return f"{text}:{hash_json([list(one) for one in relation.columns])}"

    def require_possible(self, table: StoredTable) -> None:
        """As `Target` says."""
        name = table.product
        sql_types(name, schema_of(table.file))
        if len(name.encode()) > LONGEST_NAME or name == MEMORY:
            message = f"a table of PostgreSQL cannot be called '{name}'"
            hint = (
                f"{MEMORY} remembers what was published" if name == MEMORY else f"it has more than {LONGEST_NAME} bytes"
            )
            raise UserError(message, code="unfit", hint=hint)
        there = self._relations.get(name)
        if there is not None and there.kind != "r":
            message = f"{self._shown(name)} is {described(there)}"
            raise UserError(message, code="exists", hint="drop or rename it", exit_code=FAILED)
        if there is not None and name not in self._held:
            message = f"{self._shown(name)} exists already, and no publish wrote it"
            hint = "nothing of it was touched; drop or rename it, or publish to another schema"
            raise UserError(message, code="exists", hint=hint, exit_code=FAILED)

    def send(self, table: StoredTable) -> Sent:
        """As `Target` says; readers see it when this returns."""
        name, session = table.product, self._session
        types = sql_types(name, schema_of(table.file))
        staging = f"rules_staging_{os.urandom(8).hex()}"
        declared = ", ".join(f"{quoted(column)} {kind.name}" for column, kind in types.items())
        with session.transaction():
            session.run(f"CREATE TABLE {self._sql(staging)} ({declared})")
            self._copy(staging, wire_schema(types), to_wire(name, read_batches(table.file), types))
            self._compare(table, staging, types)
            fresh = relations(session.query, self._schema)[staging]
            digest = self._digest(fresh, staging)
            self._swap(name, fresh)
            there = relations(session.query, self._schema)[name]
            if self._digest(there, name) != digest:
                message = f"{self._shown(name)} does not hold what was written to it"
                hint = "a trigger or a rule of the database may change rows"
                raise UserError(message, code="unwritable", hint=hint, exit_code=FAILED)
            session.run(f"""
                INSERT INTO {self._sql(MEMORY)} (product, artifact, rows, digest)
                VALUES ({literal(name)}, {literal(table.artifact)}, {table.rows}, {literal(digest)})
                ON CONFLICT (product) DO UPDATE SET artifact = excluded.artifact, rows = excluded.rows,
                    digest = excluded.digest, published_at = excluded.published_at""")
        self._relations[name] = there
        self._held[name] = (table.artifact, table.rows, digest)
        return Sent(table.rows)

    def _copy(self, staging: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        """COPY rows. The driver makes another error of one that the rows raise; the own one is raised here."""
        refused: list[UserError] = []

        def watched() -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except UserError as error:
                refused.append(error)
                raise

        try:
            self._session.copy(self._schema, staging, pa.RecordBatchReader.from_batches(schema, watched()))
        except Exception:
            if refused:
                raise refused[0] from None
            raise

    def _compare(self, table: StoredTable, staging: str, types: dict[str, SqlType]) -> None:
        """Read back what was copied, as far as the type of a column and each value of it. Raises `UserError`."""
        schema = schema_of(table.file)
        columns = ", ".join(selected(column, kind) for column, kind in types.items())
        read = self._session.read(f"SELECT {columns} FROM {self._sql(staging)}")
        try:
            found = bag_digest(schema, (from_wire(batch, schema) for batch in read), schema.names)
        except pa.ArrowException:  # a value that is none of the column's type
            found = ""
        if found != bag_digest(schema, read_batches(table.file), schema.names):
            message = f"PostgreSQL does not give back the rows of {table.product} as they were sent"
            hint = "nothing was published of it; please report this with the types of its columns"
            raise UserError(message, code="unwritable", hint=hint, exit_code=FAILED)

    def _swap(self, name: str, fresh: Relation) -> None:
        """Let a table hold the rows of the staging table, by its own columns or by taking its place."""
        session, old, staging = self._session, self._relations.get(name), self._sql(fresh.name)
        if old is None:
            session.run(f"ALTER TABLE {staging} RENAME TO {quoted(name)}")
            return
        require_unreferenced(session.query, old, self._shown(name))
        if old.columns == fresh.columns:
            columns = ", ".join(quoted(column) for column, _ in fresh.columns)
            session.run(f"LOCK TABLE ONLY {self._sql(name)} IN SHARE ROW EXCLUSIVE MODE")
            session.run(f"DELETE FROM ONLY {self._sql(name)}")
            session.run(f"INSERT INTO {self._sql(name)} ({columns}) SELECT {columns} FROM {staging}")
            session.run(f"DROP TABLE {staging}")
            return
        require_replaceable(session.query, old, self._shown(name))
        for statement in kept_statements(session.query, old, staging, [column for column, _ in fresh.columns]):
            session.run(statement)
        indexes = index_statements(session.query, old, self._schema)
        session.run(f"DROP TABLE {self._sql(name)}")
        session.run(f"ALTER TABLE {staging} RENAME TO {quoted(name)}")
        self._remake(list(indexes.values()))
        made = index_statements(session.query, relations(session.query, self._schema)[name], self._schema)
        for index in sorted(indexes.keys() - made.keys()):
            self._say(f"warning: {index} of {self._shown(name)} does not fit the new columns, and was left out")

    def _remake(self, statements: Sequence[str]) -> None:
        """Execute each statement unless it fails: within the server, as the driver gives up one that has failed."""
        for statement in statements:
            body = f"BEGIN EXECUTE {literal(statement)}; EXCEPTION WHEN OTHERS THEN NULL; END"
            self._session.run(f"DO LANGUAGE plpgsql {literal(body)}")

    def finish(self) -> None:
        """As `Target` says: every table was committed when it was sent."""

    def others(self, products: Sequence[str]) -> list[str]:
        """As `Target` says."""
        return sorted(set(self._held) - set(products))

    def drop(self, products: Sequence[str]) -> None:
        """As `Target` says."""
        with self._session.transaction():
            for name in products:
                there = self._relations.get(name)
                if there is not None and there.kind == "r":
                    require_unreferenced(self._session.query, there, self._shown(name))
                    self._session.run(f"DROP TABLE {self._sql(name)}")
                self._session.run(f"DELETE FROM {self._sql(MEMORY)} WHERE product = {literal(name)}")
