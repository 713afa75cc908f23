"""Constraints of enforced contracts of dbt → tests, which become promises of a rule as dbt's tests do.

Only those that the warehouse enforces: of the others it may hold rows that break them, and dbt does not look.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from rules.importing.dbt_nodes import Constraint, Node
from rules.importing.origin import Test

_ALL = frozenset({"not_null", "unique", "primary_key", "foreign_key", "check"})
_ENFORCED = {"duckdb": _ALL, "postgres": _ALL, "spark": frozenset({"not_null", "check"}),
             "databricks": frozenset({"not_null", "check"})}  # fmt: skip
_BY_ANY = frozenset({"not_null"})


class _Written(NamedTuple):
    """A test of a constraint: its kind, the columns that it is about, its query, and where a reference leads."""

    kind: str
    columns: tuple[str, ...]
    sql: str
    field: str = ""


def tests_of_constraints(node: Node, adapter: str) -> Iterator[Test]:
    """Yield what the contract of a model makes the warehouse enforce."""
    for number, (one, columns) in enumerate(_enforced_by_contract(node)):
        if one.type not in _ENFORCED.get(adapter, _BY_ANY):
            continue
        for written in _written(node, one, columns):
            name = one.name or "_".join([written.kind, *map(_plain, columns)])
            yield Test(
                id=f"constraint.{node.unique_id}.{number}.{written.kind}",
                kind=written.kind if len(columns) == 1 and not one.name else name,
                name=name,
                sql=written.sql,
                path=node.original_file_path,
                table=node.unique_id,
                column=written.columns[0] if len(written.columns) == 1 else "",
                arguments={"field": written.field} if written.field else {},
                bare=len(written.columns) == 1 and written.kind != "check",
                description=f"constraint: {one.type} {one.expression or ', '.join(columns)}".strip(),
            )


def written_down_only(node: Node, adapter: str) -> Iterator[str]:
    """Yield the constraints of a model's contract that the warehouse does not enforce."""
    for one, columns in _enforced_by_contract(node):
        if one.type not in _ENFORCED.get(adapter, _BY_ANY):
            about = ", ".join(columns) or one.expression or ""
            yield f"{node.name}: {one.type} of {about}" if about else f"{node.name}: {one.type}"


def _enforced_by_contract(node: Node) -> Iterator[tuple[Constraint, tuple[str, ...]]]:
    """Yield the constraints of a model whose contract is enforced, with their columns."""
    if node.config.contract is None or not node.config.contract.enforced:
        return
    for column in node.columns.values():
        yield from ((one, (column.name,)) for one in column.constraints)
    yield from ((one, tuple(one.columns)) for one in node.constraints)


def _written(node: Node, one: Constraint, columns: tuple[str, ...]) -> Iterator[_Written]:
    table, listed = node.relation_name or _quoted(node), ", ".join(columns)
    null = " OR ".join(f"{column} IS NULL" for column in columns)
    if one.type == "check" and one.expression:
        yield _Written("check", columns, f"SELECT * FROM {table} WHERE NOT ({one.expression})")
    if one.type in ("not_null", "primary_key") and columns:
        yield _Written("not_null", columns, f"SELECT * FROM {table} WHERE {null}")
    if one.type in ("unique", "primary_key") and columns:
        sql = f"SELECT {listed} FROM {table} WHERE NOT ({null}) GROUP BY {listed} HAVING count(*) > 1"
        yield _Written("unique", columns, sql)
    if one.type == "foreign_key" and columns:
        to, others = _referenced(one)
        if to:
            same = " AND ".join(f"o.{other} = t.{own}" for own, other in zip(columns, others, strict=False))
            missing = f"NOT EXISTS (SELECT 1 FROM {to} AS o WHERE {same})"
            sql = f"SELECT t.* FROM {table} AS t WHERE NOT ({null}) AND {missing}"
            yield _Written("relationships", columns, sql, others[0])


def _referenced(one: Constraint) -> tuple[str, list[str]]:
    """Return the table and columns of a foreign key, as fields or as the SQL that follows REFERENCES."""
    if one.to and one.to_columns:
        return one.to, one.to_columns
    named = re.fullmatch(r"\s*(.+?)\s*\(([^()]+)\)\s*", one.expression or "")
    return (named[1], [part.strip() for part in named[2].split(",")]) if named is not None else ("", [])


def _plain(column: str) -> str:
    return column.strip('"`')


def _quoted(node: Node) -> str:
    return ".".join(json.dumps(part) for part in node.relation if part)
