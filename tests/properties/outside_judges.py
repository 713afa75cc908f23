"""Judges that share no code with ours: SQLite of the standard library, and a PostgreSQL server. Both in one shape."""

from __future__ import annotations

import datetime
import math
import sqlite3
import weakref
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import pyarrow as pa

from properties.portable_values import Features

Row = tuple[object, ...]
_SQLITE_TYPES = {"int64": "INTEGER", "int32": "INTEGER", "string": "TEXT", "double": "REAL", "bool": "INTEGER"}
_POSTGRESQL_TYPES = {
    "int64": "bigint", "int32": "integer", "string": "text", "double": "double precision", "bool": "boolean",
    "float": "real", "date32[day]": "date", "timestamp[us]": "timestamp", "timestamp[us, tz=UTC]": "timestamptz",
}  # fmt: skip


class JudgeError(Exception):
    """The judge refused a query, or could not answer it."""


class Judge(Protocol):
    """An engine that holds databases by number and answers queries on them."""

    name: str
    features: Features
    knows_booleans: bool

    def add(self, number: int, tables: Mapping[str, pa.Table]) -> None:
        """Take in the tables of a database."""

    def answer(self, number: int, sql: str) -> list[Row]:
        """Return the rows of a query. Raises `JudgeError`."""


class SqliteJudge:
    """SQLite, in memory. It has no booleans, no NaN, and no signed zeros in tables."""

    name = "SQLite"
    knows_booleans = False

    def __init__(self) -> None:
        recent = sqlite3.sqlite_version_info >= (3, 39, 0)
        self.features = Features(
            outer_joins=recent,
            quantified=False,
            bags=False,
            nan=False,
            sets=False,
            default_nulls=False,
            distinct_from=recent,
            alias_lists=False,
            shadowing=False,
            inner_offsets=False,
            later_outer_joins=False,
        )
        self._open: dict[int, sqlite3.Connection] = {}

    def add(self, number: int, tables: Mapping[str, pa.Table]) -> None:
        connection = sqlite3.connect(":memory:")
        weakref.finalize(self, connection.close)
        connection.execute("PRAGMA case_sensitive_like = ON")
        for name, table in tables.items():
            columns = ", ".join(f'"{field.name}" {_SQLITE_TYPES[str(field.type)]}' for field in table.schema)
            connection.execute(f'CREATE TABLE "{name}" ({columns})')
            marks = ", ".join("?" * table.num_columns)
            connection.executemany(f'INSERT INTO "{name}" VALUES ({marks})', _rows(table))
        self._open[number] = connection

    def answer(self, number: int, sql: str) -> list[Row]:
        try:
            return self._open[number].execute(sql).fetchall()
        except sqlite3.Error as error:
            raise JudgeError(str(error)) from error


class PostgresqlJudge:
    """PostgreSQL, reached at an address; each database is a schema, whose name begins with `prefix`."""

    name = "PostgreSQL"
    features = Features()
    knows_booleans = True

    def __init__(self, address: str, prefix: str = "d") -> None:
        import psycopg  # who judges with SQLite alone need not have it

        self._error = psycopg.Error
        self._prefix = prefix
        self._connection = psycopg.connect(address, autocommit=True, prepare_threshold=None)
        self._connection.execute("SET statement_timeout = '10s'; SET timezone = 'UTC'")
        self._shown: int | None = None

    def add(self, number: int, tables: Mapping[str, pa.Table]) -> None:
        self._connection.execute(
            f"DROP SCHEMA IF EXISTS {self._prefix}{number} CASCADE; CREATE SCHEMA {self._prefix}{number}"
        )
        self._show(number)
        for name, table in tables.items():
            columns = ", ".join(f'"{field.name}" {_postgresql_type(field.type)}' for field in table.schema)
            self._connection.execute(f'CREATE TABLE "{name}" ({columns})')
            marks = ", ".join(["%s"] * table.num_columns)
            with self._connection.cursor() as cursor:
                cursor.executemany(f'INSERT INTO "{name}" VALUES ({marks})', list(_rows(table)))

    def answer(self, number: int, sql: str) -> list[Row]:
        self._show(number)
        try:
            return list(self._connection.execute(sql.encode()).fetchall())
        except self._error as error:
            raise JudgeError(str(error).splitlines()[0]) from error

    def close(self) -> None:
        self._connection.close()

    def _show(self, number: int) -> None:
        if self._shown != number:
            self._connection.execute(f"SET search_path = {self._prefix}{number}")
            self._shown = number


def _postgresql_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision}, {kind.scale})"
    return _POSTGRESQL_TYPES[str(kind)]


def _rows(table: pa.Table) -> Iterable[Row]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def rows_of(table: pa.Table) -> list[Row]:
    """Return the rows of a table, in order."""
    return list(_rows(table)) if table.num_columns else [()] * table.num_rows


def normal(rows: Iterable[Sequence[Any]], *, booleans: bool, loose: bool = False) -> list[Row]:
    """Return rows in a form in which equal ones are equal in Python too.

    NaN equals itself, 0.0 equals -0.0, and an integer is none of the floats. booleans: whether both sides know them;
    else they are 0 and 1. loose: how a number is stored does not matter, nor its digits after the sixth; a date is its
    midnight, an instant is in UTC.
    """
    change = _loose if loose else _normal
    return [tuple(change(value, booleans) for value in row) for row in rows]


def _normal(value: Any, booleans: bool) -> object:
    if value is None:
        return ("", "NULL")
    if isinstance(value, bool):
        return ("bool", value) if booleans else ("int", int(value))
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return ("int", int(value))
    if isinstance(value, float | Decimal):
        number = float(value)
        return ("float", "NaN" if math.isnan(number) else number + 0.0)
    return (type(value).__name__, repr(value) if isinstance(value, list | dict) else value)


def _loose(value: Any, booleans: bool) -> object:
    if isinstance(value, datetime.datetime):
        moment = value if value.tzinfo is None else value.astimezone(datetime.UTC).replace(tzinfo=None)
        return ("moment", str(moment.replace(microsecond=moment.microsecond)))
    if isinstance(value, datetime.date):
        return ("moment", f"{value} 00:00:00")
    if isinstance(value, int | float | Decimal) and not (booleans and isinstance(value, bool)):
        return ("number", f"{float(value) + 0.0:.6g}")
    return _normal(value, booleans)
