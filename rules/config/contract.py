"""Contracts: what a product promises, as front matter or rules.toml declares it, and the data checks that follow.

Names and types are verified when the rule is compiled. Everything else is a check: a query of the rows that break the
promise, compiled, keyed and kept like any rule, whose result must be empty.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import msgspec

from rules.config.toml_positions import Keys
from rules.errors import Flaw

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
Severity = Literal["error", "warn"]
_KEY = 'write key = ["id"], which is unique and never NULL'
_TESTS = "write not_null, accepted or references of a column; anything else is a query of rows that fail, in [[checks]]"


class ColumnContract(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[columns.NAME]. references: "product.column" that holds every value; NULL passes there and in `accepted`.

    A date or timestamp that is accepted is the same as its text: the engine reads either as the column's type.
    """

    CALLED_ELSEWHERE: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("unique", "primary_key"), f"{_KEY}, for the whole table"),
        **dict.fromkeys(("tests", "data_tests", "constraints"), _TESTS),
        "data_type": 'write type = "string"',
        "accepted_values": 'write accepted = ["open", "paid"]',
        "nullable": "write not_null = true",
        **dict.fromkeys(("relationships", "foreign_key"), 'write references = "customers.id"'),
    }
    """Keys that other tools have, and what to write."""

    type: str = ""
    not_null: bool = False
    accepted: tuple[Any, ...] = ()
    references: str = ""
    severity: Severity | None = None
    description: str = ""


class CheckTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[[checks]]: a query that must return no row."""

    name: str
    sql: str
    severity: Severity | None = None
    volatile: bool = False
    description: str = ""


class Contract(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a product promises.

    key: columns that tell its rows apart, never NULL. severity: of checks that say no other. exact: every column is
    declared.
    """

    CALLED_ELSEWHERE: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("unique", "primary_key", "unique_key", "grain"), _KEY),
        **dict.fromkeys(("tests", "data_tests", "constraints", "audits"), _TESTS),
        "not_null": "write columns.id.not_null = true",
        **dict.fromkeys(("accepted", "accepted_values"), 'write columns.status.accepted = ["open", "paid"]'),
        **dict.fromkeys(
            ("references", "relationships", "foreign_key"), 'write columns.customer.references = "customers.id"'
        ),
    }
    """Keys that other tools have or that belong to a column, and what to write."""

    key: tuple[str, ...] = ()
    columns: dict[str, ColumnContract] = {}
    checks: tuple[CheckTable, ...] = ()
    severity: Severity | None = None
    exact: bool = False


def promise_called(key: str) -> str | None:
    """Return how a contract says what a key of this name promises, here or in another tool; None for any other key."""
    own = {"key": _KEY, "checks": _TESTS, "exact": "write exact = true", "severity": 'write severity = "warn"'}
    return own.get(key) or Contract.CALLED_ELSEWHERE.get(key)


def flaw(contract: Contract) -> Flaw | None:
    """Return the error of a contract whose keys are of the right types; None if nothing is."""
    return next(_flaws(contract), None)


def _flaws(contract: Contract) -> Iterator[Flaw]:
    for name, column in contract.columns.items():
        for number, value in enumerate(column.accepted):
            if not isinstance(value, str | int | float | bool | datetime.date):
                message = "'accepted' lists strings, numbers, booleans, dates and timestamps"
                hint = 'compare anything else in a query: [[checks]] name = "…" sql = "…"'
                yield Flaw(("columns", name, "accepted", str(number)), message, hint)
        table, dot, other = column.references.partition(".")
        if column.references and not (dot and other and _NAME.match(table)):
            message = f"'references' must name a product and its column, not '{column.references}'"
            yield Flaw(("columns", name, "references"), message, 'write references = "customers.id"')
    names = {"key"} if contract.key else set()
    for number, check in enumerate(contract.checks):
        if not _NAME.match(check.name):
            message = f"'{check.name}' is not a usable name of a check: letters, digits and _ only, no digit first"
            yield Flaw(("checks", str(number), "name"), message, None)
        elif check.name in names:
            message = f"two checks are named '{check.name}'"
            yield Flaw(("checks", str(number), "name"), message, "rename one")
        names.add(check.name)


def twice(first: Contract, second: Contract) -> Keys | None:
    """Return the keys of the first thing that both declare, as written in `second`; None if there is none."""
    if first.key and second.key:
        return ("key",)
    columns = [name for name in second.columns if name in first.columns]
    if columns:
        return ("columns", columns[0])
    known = {check.name for check in first.checks}
    return next((("checks", str(at), "name") for at, check in enumerate(second.checks) if check.name in known), None)


def spelled(dtype: str) -> str:
    """Return a type as people declare it; what has no such spelling stays, and is understood too.

    decimal128<10, 2> → decimal(10, 2); timestamp<us, "UTC"> → timestamp[us, tz=UTC]
    """
    decimal = re.fullmatch(r"decimal128<(\d+), (-?\d+)>", dtype)
    if decimal:
        return f"decimal({decimal[1]}, {decimal[2]})"
    moment = re.fullmatch(r'(timestamp|time32|time64)<(\w+)(?:, "([^"]+)")?>', dtype)
    if moment:
        return f"{moment[1]}[{moment[2]}{f', tz={moment[3]}' if moment[3] else ''}]"
    return {"float64": "double", "date32": "date"}.get(dtype, dtype)
