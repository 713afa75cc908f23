"""Expressions of another dialect, fixed as `rules check --fix` does, and their values here."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from compiler.lint.check import World, check_rule
from compiler.lint.edits import fixed
from compiler.names.qualify import InputSchemas
from compiler.schema import Column, Schema

COLUMNS = {
    "a": "timestamp[us]", "b": "timestamp[us]", "d": "date32", "e": "date32", "n": "int64", "m": "int64", "k": "int64",
    "x": "float64", "y": "float64", "s": "string", "t": "string", "p": "string", "c": "bool", "f": "bool",
    "q": "decimal128(10, 2)", "u": "int64", "v": "int64", "w": "int64",
}  # fmt: skip
"""The columns of the table `v` that expressions read."""

ROWS = (
    ("2024-01-31 10:20:30.5", "2024-03-01 09:00:00", "2024-01-31", "2024-03-03", 7, 2, 1, "2.5", "1e20", "'ab,c'",
     "','", "'b'", "true",
     "false", "2.50", 1, 2, 3),
    ("1999-12-31 23:59:59.123456", "2000-01-01 00:00:00", "1999-12-31", "2000-02-29",
        -7, 3, 2, "-3.5", "0.00002", "'Éa'",
     "'a'", "'.'",
     "false", "true", "-1.25", 5, 5, 0),
    ("2021-01-03 00:00:00", "2020-12-28 12:00:00", "2021-01-03", "2020-12-28", 10, 4, 3, "0.5", "1.5e-7", "'a%b'",
     "'%'", "'a'", "true",
     "true", "0.05", 4, 9, 4),
    (None,) * 18,
)  # fmt: skip
EDGES = (
    (
        "2024-02-29 00:00:00",
        "2024-02-29 00:00:00",
        "2024-02-29",
        "2024-02-29",
        0,
        -3,
        4,
        "0",
        "0.1",
        "''",
        "''",
        "''",
        "false",
        "false",
        "0.00",
        0,
        0,
        0,
    ),
    (
        "1969-12-31 23:59:58.000001",
        "1970-01-01 00:00:00",
        "1969-12-31",
        "1970-01-01",
        -8,
        -3,
        5,
        "-2.5",
        "123456789.5",
        "'a_b'",
        "'_'",
        "'A'",
        "true",
        "true",
        "-2.50",
        -1,
        0,
        -1,
    ),
    (
        "2020-12-31 10:20:30.1",
        "2021-01-01 00:00:00",
        "2020-12-31",
        "2021-01-01",
        9,
        -2,
        6,
        "1.5",
        "-1.5e15",
        "'xayb'",
        "'b'",
        "'x'",
        "true",
        "false",
        "99.99",
        -1,
        -1,
        1,
    ),
    (
        "2020-12-31 10:20:30.1",
        "2021-01-01 00:00:00",
        "2020-12-31",
        "2021-01-01",
        9,
        -2,
        7,
        "-0.5",
        "-0.4999999999999999",
        "'it''s'",
        "' '",
        "''",
        "false",
        "true",
        "-0.50",
        None,
        0,
        None,
    ),
)
"""More rows: zeros, negative numbers, empty texts, halves of either sign, and ties; no divisor is zero."""
_SQL = {
    "timestamp[us]": "TIMESTAMP", "date32": "DATE", "int64": "BIGINT", "float64": "DOUBLE PRECISION",
    "string": "VARCHAR",
    "bool": "BOOLEAN", "decimal128(10, 2)": "DECIMAL(10, 2)",
}  # fmt: skip


def values(table: Iterable[tuple[object, ...]] = ROWS) -> str:
    """Return the table as a derived table that all of the engines read."""
    rows = []
    for row in table:
        cells = []
        for value, kind in zip(row, COLUMNS.values(), strict=True):
            text = "NULL" if value is None else str(value)
            text = f"'{text}'" if value is not None and kind in {"timestamp[us]", "date32", "float64"} else text
            cells.append(f"CAST({text} AS {_SQL[kind]})")
        rows.append(f"SELECT {', '.join(f'{cell} AS {name}' for cell, name in zip(cells, COLUMNS, strict=True))}")
    return " UNION ALL ".join(rows)


def world(dialect: str) -> World:
    """Return what expressions over `v` are checked against."""
    schemas = InputSchemas()
    schemas.add("v", Schema(tuple(Column(*column) for column in COLUMNS.items()), b""))
    return World(schemas, {"v": "v"}.get, ("v",), {}, {}, dialect=dialect)


def translated(text: str, dialect: str) -> tuple[str, list[str]]:
    """Return a query with all fixes, and what is still found in it."""
    around = world(dialect)
    for _ in range(12):
        found = [
            one for one in check_rule(text, around).found if one.code in {"R016", "R018", "R021"} or one.code >= "R030"
        ]
        after, _ = fixed(text, [one for one in found if one.fix is not None], around)
        if after == text:
            return text, [f"{one.code} {one.message} ({one.hint})" for one in found]
        text = after
    raise AssertionError(f"not stable: {text[:300]}")


def agree(theirs: Any, ours: Any) -> bool:
    """Whether a value of another engine's Python client is the one that our JSON has: numbers to 12 digits."""
    if theirs is None or isinstance(theirs, bool):
        return theirs is ours
    if isinstance(theirs, int | float | Decimal):
        if ours is None or isinstance(ours, bool):
            return False
        one, other = float(theirs), float(ours)
        return one == other or (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-12)
    if isinstance(theirs, list | tuple):
        return isinstance(ours, list) and len(theirs) == len(ours) and all(map(agree, theirs, ours))
    if isinstance(theirs, datetime.datetime):
        return ours is not None and theirs.replace(tzinfo=None) == _moment(ours)
    if isinstance(theirs, datetime.date):
        return ours is not None and datetime.datetime.combine(theirs, datetime.time()) == _moment(ours)
    return str(theirs) == ours


def _moment(text: str) -> datetime.datetime:
    whole, dot, fraction = text.replace("T", " ").replace("Z", "").partition(".")
    return datetime.datetime.fromisoformat(f"{whole}.{fraction[:6]}" if dot else whole).replace(tzinfo=None)
