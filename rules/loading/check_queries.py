"""Data checks: the queries of rows that break a contract, and what is wrong with a contract that no query can tell.

NULL passes where values are accepted or referred to, as in dbt; `not_null` and `key` are for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from rules.config.contract import CheckTable, ColumnContract, Contract, Severity
from rules.config.toml_positions import Keys

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True)
class Draft:
    """A check before it is compiled. Its query yields the failing rows.

    title: how people call it; declared: keys from the contract's table to where it is declared; failing: what a failing
    row is, in the singular, and what is wrong with it. tables: what it reads, None if it must be parsed to know.
    """

    title: str
    sql: str
    severity: Severity
    declared: Keys
    failing: tuple[str, str]
    tables: tuple[str, ...] | None = None
    volatile: bool = False

    @property
    def is_authored(self) -> bool:
        """Whether the contract contains its query as it is."""
        return self.declared[0] == "checks"


def drafts(product: str, contract: Contract) -> tuple[Draft, ...]:
    """Return the checks of a product's contract."""
    return tuple(_drafts(product, contract))


def _drafts(product: str, contract: Contract) -> Iterator[Draft]:
    severity = contract.severity or "error"
    if contract.key:
        yield _key(product, contract.key, severity)
    for name, column in contract.columns.items():
        yield from _of_column(product, contract.key, name, column, column.severity or severity)
    for number, check in enumerate(contract.checks):
        yield _authored(check, number, check.severity or severity)


def _key(product: str, key: tuple[str, ...], severity: Severity) -> Draft:
    """Key = ["a"] → SELECT a, COUNT(*) AS rows FROM product GROUP BY a HAVING COUNT(*) > 1 OR a IS NULL ORDER BY a."""
    names = ", ".join(quoted(name) for name in dict.fromkeys(key))
    nulls = "".join(f" OR {quoted(name)} IS NULL" for name in dict.fromkeys(key))
    count = "rows"
    while count in key:
        count += "_"
    sql = (
        f"SELECT {names}, COUNT(*) AS {quoted(count)} FROM {quoted(product)} "
        f"GROUP BY {names} HAVING COUNT(*) > 1{nulls} ORDER BY {names}"
    )
    shown = key[0] if len(key) == 1 else f"({', '.join(key)})"
    return Draft("key", sql, severity, ("key",), (f"value of {shown}", "repeated or NULL"), (product,))


def _of_column(
    product: str, key: tuple[str, ...], name: str, column: ColumnContract, severity: Severity
) -> Iterator[Draft]:
    shown = ", ".join(f"p.{quoted(one)}" for one in dict.fromkeys((*key, name)))
    select, tested = f"SELECT {shown} FROM {quoted(product)} AS p WHERE", f"p.{quoted(name)}"
    noun = f"value of {name}"
    if column.not_null:
        declared = ("columns", name, "not_null")
        sql = f"{select} {tested} IS NULL"
        yield Draft(f"not_null.{name}", sql, severity, declared, (noun, "NULL"), (product,))
    if column.accepted:
        from compiler.sql.dialect import render  # whoever knows all texts does without SQLGlot

        values = ", ".join(render(accepted_literal(value)) for value in column.accepted)
        declared = ("columns", name, "accepted")
        sql = f"{select} {tested} NOT IN ({values})"
        yield Draft(f"accepted.{name}", sql, severity, declared, (noun, f"none of {values}"), (product,))
    if column.references:
        table, _, other = column.references.partition(".")
        declared = ("columns", name, "references")
        there = f"SELECT 1 FROM {quoted(table)} AS r WHERE r.{quoted(other)} = {tested}"
        sql = f"{select} {tested} IS NOT NULL AND NOT EXISTS ({there})"
        failing = (noun, f"not in {column.references}")
        yield Draft(f"references.{name}", sql, severity, declared, failing, (product, table))


def _authored(check: CheckTable, number: int, severity: Severity) -> Draft:
    wrong = f"returned: {check.description}" if check.description else "returned"
    declared = ("checks", str(number), "sql")
    return Draft(check.name, check.sql, severity, declared, ("row", wrong), volatile=check.volatile)


def accepted_literal(value: object) -> exp.Expr:
    """Return an accepted value as an SQL literal; dates and timestamps as text, as what is remembered has them."""
    from compiler.variables import literal

    plain = msgspec.to_builtins(value)
    assert isinstance(plain, str | int | float | bool)
    return literal(plain)


def quoted(name: str) -> str:
    """Return a name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'
