"""The battery of constructs of other dialects, fixtures/dialects/battery.txt: what becomes of each, and its value."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from compiler.dialects.translation import Surroundings, translation
from compiler.errors import SqlError
from compiler.names.qualify import InputSchemas
from compiler.schema import Column, Schema
from compiler.tree.big_stack import with_deep_stack

FILE = Path(__file__).parents[2] / "fixtures" / "dialects" / "battery.txt"
COLUMNS = {
    "k": "int64", "n": "int64", "m": "int64", "x": "float64", "q": "decimal128(10, 2)", "s": "string", "t": "string",
    "d": "date32", "a": "timestamp[us]", "c": "bool", "l": "list<item: int64>",
}  # fmt: skip
"""The columns of the table `v` that the constructs read; fixtures/dialects/v.sql makes its three rows."""
_QUERIES = ("SELECT", "FROM", "WITH", "PIVOT", "UNPIVOT")


@dataclass(frozen=True, eq=False)
class Case:
    """A construct. outcome: same, fixed or refused; value: of each row of `v` by k, or all rows of a query; None if
    refused. source: where the value is from, "" of the engine that the head of the section names."""

    dialect: str
    text: str
    outcome: str
    value: Any
    source: str

    @property
    def is_query(self) -> bool:
        """Whether the text is a query, not an expression over `v`."""
        return self.text.split()[0].upper() in _QUERIES

    @property
    def query(self) -> str:
        """The query that has the value; that of an expression in no order."""
        return self.text if self.is_query else f"SELECT {self.text} AS x FROM v"


def cases() -> Iterator[Case]:
    """Yield the cases of the file: text, outcome, value as JSON and source, with tabs between."""
    dialect = ""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            dialect = line.removeprefix("## ").split(":")[0]
        elif line and not line.startswith("#"):
            text, outcome, value, source = [*line.split("\t"), "", ""][:4]
            yield Case(dialect, text, outcome, json.loads(value) if value else None, source)


def became(case: Case) -> tuple[str, str]:
    """Return what becomes of a case: its outcome, and our SQL for it, or why it is refused and what to write."""
    schemas = InputSchemas()
    schemas.add("v", Schema(tuple(Column(*column) for column in COLUMNS.items()), b""))
    around = Surroundings(schemas, {"v": "v"}.get)
    try:
        found = with_deep_stack(lambda: translation(case.query, case.dialect, around))
    except SqlError as error:
        return "refused", f"{error.line}:{error.column} {error.message} ({error.hint})"
    if found.findings:
        one = found.findings[0]
        return "refused", f"{one.start} {one.message} ({one.hint})"
    return ("same" if found.source.text == case.query else "fixed"), found.source.text


def agree(theirs: Any, ours: Any) -> bool:
    """Whether a value of the file is the one that our JSON has: numbers to 12 digits."""
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(theirs) == len(ours) and all(map(agree, theirs, ours))
    if isinstance(theirs, dict):
        return (
            isinstance(ours, dict)
            and theirs.keys() == ours.keys()
            and all(agree(theirs[key], ours[key]) for key in theirs)
        )
    if isinstance(theirs, bool) or theirs is None:
        return theirs is ours
    if isinstance(theirs, int | float):
        try:
            return not isinstance(ours, bool) and math.isclose(float(ours), theirs, rel_tol=1e-12, abs_tol=1e-15)
        except (TypeError, ValueError):
            return False
    return isinstance(ours, str) and _moment(theirs) == _moment(ours)


def _moment(text: str) -> str:
    """Return a text without what JSON and clients write differently of a moment: 2024-01-31 00:00:00 is 2024-01-31."""
    whole = text.replace("T", " ") if text[10:11] == "T" else text
    head, dot, fraction = whole.partition(".")
    if len(head) == 19 and head[4] == head[7] == "-":
        whole = head + (dot + fraction.rstrip("0") if fraction.strip("0") else "")
        return whole.removesuffix(" 00:00:00")
    return whole


def in_order(rows: list[Any]) -> list[Any]:
    """Return rows in an order that depends on nothing but them."""
    return sorted(rows, key=lambda row: json.dumps(row, default=str))


def plain(value: Any) -> Any:
    """Return what another engine's Python client answers as JSON has it."""
    return json.loads(json.dumps(value, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ")
    return value.isoformat() if isinstance(value, datetime.date) else str(value)
