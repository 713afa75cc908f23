"""A second engine: SQLite in memory. Small, but it does plan and run the queries of rules, and writes their tables."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from compiler.compiled import EngineIdentity
from compiler.errors import SqlError
from compiler.schema import INPUT_DB, Schema
from rules.config.profiles import Profile
from rules.engine.protocol import Engine, EngineError, EngineFunction, EngineInput, EngineQuery, Executed, Job
from rules.engine.writing import ProductWriter
from rules.storage.types import to_arrow, to_schema

TYPES = {"integer": pa.int64(), "real": pa.float64(), "text": pa.string(), "null": pa.string()}
SAMPLES: dict[str, tuple[Any, ...]] = {"integer": (1, 2, 50, -1), "real": (1.5, 2.5, 50.5, -1.5), "text": ("a", "b")}
"""Rows on which a query is planned: SQLite knows the type of a value, and none of a column."""
Inputs = Mapping[str, tuple[Schema, frozenset[str]]]


class SqliteEngine(Engine):
    """Rules over integers, floats and texts. It calls no functions of the project."""

    def identity(self, profile: Profile) -> EngineIdentity:
        del profile
        return EngineIdentity(f"sqlite {sqlite3.sqlite_version}", {}, {})

    def load(self) -> None:
        pass

    def planner(
        self, profile: Profile, remember: Callable[[str, Schema], None], functions: Iterable[EngineFunction]
    ) -> SqlitePlanner:
        del profile, functions
        return SqlitePlanner(remember)

    def execute(self, job: Job) -> Executed:
        started = time.perf_counter()
        with opened() as connection, ProductWriter(job.target, job.schema) as writer:
            for entry in job.query.inputs:
                fill(connection, entry)
            writer.write(rows_of(connection, job.query.sql, to_arrow(job.schema)))
            return Executed.of(writer.finish(), job.schema, started)

    def stream(self, query: EngineQuery, schema: pa.Schema, scratch: Path) -> Generator[pa.RecordBatch]:
        del scratch
        with opened() as connection:
            for entry in query.inputs:
                fill(connection, entry)
            yield rows_of(connection, query.sql, schema)


class SqlitePlanner:
    """Plans by running queries on a few rows."""

    def __init__(self, remember: Callable[[str, Schema], None]) -> None:
        self._remember = remember

    def plan_schema(self, sql: str, inputs: Inputs, key: str, *, sure: bool = False) -> Schema:
        del sure  # to run a query is to know
        try:
            found = self._run(sql, inputs)
        except EngineError as error:
            raise SqlError(str(error), code="engine") from error
        schema = to_schema(found)
        self._remember(key, schema)
        return schema

    def problem(self, sql: str, inputs: Inputs) -> str | None:
        try:
            self._run(sql, inputs)
        except EngineError as error:
            return str(error)
        return None

    def trial(self, sql: str, inputs: Inputs) -> str | None:
        return self.problem(sql, inputs)

    def _run(self, sql: str, inputs: Inputs) -> pa.Schema:
        with opened() as connection, errors():
            for name, (schema, visible) in inputs.items():
                kinds = {one.name: kind_of(one.type) for one in to_arrow(schema) if one.name in visible}
                table = create(connection, name, list(kinds))
                for values in zip(*(SAMPLES[kind] * 2 for kind in kinds.values()), strict=False):
                    connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
            cursor = connection.execute(sql)
            names = [name for name, *_ in cursor.description]
            rows = cursor.fetchall()
        columns = zip(*(rows or [(None,) * len(names)]), strict=True)
        return pa.schema([(name, TYPES[kind_of_values(values)]) for name, values in zip(names, columns, strict=True)])


@contextmanager
def errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise EngineError(str(error)) from error


@contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"ATTACH ':memory:' AS {quoted(INPUT_DB)}")
        yield connection


def fill(connection: sqlite3.Connection, entry: EngineInput) -> None:
    table = create(connection, entry.name, list(entry.columns))
    inside = [name for name in entry.columns if name not in entry.constants]
    for number, file in enumerate(entry.files):
        table_of_file = pq.read_table(file, columns=inside)
        rows = table_of_file.to_pylist() if inside else [{}] * table_of_file.num_rows
        added = {name: values[number].as_py() for name, values in entry.constants.items() if name in entry.columns}
        marks = ", ".join("?" * max(len(entry.columns), 1))
        values = [[{**row, **added}[name] for name in entry.columns] or [None] for row in rows]
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)


def create(connection: sqlite3.Connection, name: str, columns: list[str]) -> str:
    table = f"{quoted(INPUT_DB)}.{quoted(name)}"
    connection.execute(f"CREATE TABLE {table} ({', '.join(map(quoted, columns or ['no column']))})")
    return table


def rows_of(connection: sqlite3.Connection, sql: str, schema: pa.Schema) -> pa.RecordBatch:
    with errors():
        rows = connection.execute(sql).fetchall()
    columns = list(zip(*rows, strict=True)) or [() for _ in schema]
    return pa.record_batch([pa.array(values, one.type) for values, one in zip(columns, schema, strict=True)], schema)


def kind_of(dtype: pa.DataType) -> str:
    return next(kind for kind, check in CHECKS.items() if check(dtype))


CHECKS: dict[str, Callable[[pa.DataType], bool]] = {
    "integer": pa.types.is_integer,
    "real": pa.types.is_floating,
    "text": lambda dtype: pa.types.is_string(dtype) or pa.types.is_string_view(dtype),
}


def kind_of_values(values: Iterable[object]) -> str:
    kinds = {int: "integer", float: "real", str: "text"}
    return next((kinds[type(value)] for value in values if value is not None), "null")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
