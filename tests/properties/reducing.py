"""Shrink a query as long as something stays true of it: drop clauses and branches, put operands in place of what they
are in, constants and columns in place of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.generators.postgres import PostgresGenerator

Change = Callable[[exp.Expr], None]
_OPTIONAL = ("with_", "where", "having", "group", "order", "limit", "offset", "distinct", "joins")


class _Portable(Postgres):
    """SQL that every judge reads, with the place of NULLs written out: judges differ in what they take for granted."""

    class Generator(PostgresGenerator):
        TRANSFORMS: ClassVar = {
            **PostgresGenerator.TRANSFORMS,
            exp.Substring: lambda self, e: self.func("substr", e.this, e.args.get("start"), e.args.get("length")),
            exp.NullSafeEQ: lambda self, e: f"({self.binary(e, 'IS NOT DISTINCT FROM')})",
            exp.NullSafeNEQ: lambda self, e: f"({self.binary(e, 'IS DISTINCT FROM')})",
        }

        def ordered_sql(self, expression: exp.Ordered) -> str:
            way = " DESC" if expression.args.get("desc") else ""
            nulls = "FIRST" if expression.args.get("nulls_first") else "LAST"
            return f"{self.sql(expression, 'this')}{way} NULLS {nulls}"


def parse(sql: str) -> exp.Expr:
    """Read a text with SQLGlot's own dialect, not with ours, which is what is judged."""
    return sqlglot.parse_one(sql, dialect=_Portable)


def text_of(tree: exp.Expr) -> str:
    """Return a tree as text that every judge reads."""
    return tree.sql(dialect=_Portable)


def reduced(sql: str, holds: Callable[[str], bool], *, tries: int = 600) -> str:
    """Return a shorter text of which `holds` is true as of `sql`, after at most so many tries."""
    tree: exp.Expr = parse(sql)
    if not holds(text_of(tree)):
        return sql
    seen = {text_of(tree)}
    going = True
    while going and tries > 0:
        going = False
        for candidate in _smaller(tree):
            text = text_of(candidate)
            if text in seen or len(text) >= len(text_of(tree)):
                continue
            seen.add(text)
            tries -= 1
            if tries <= 0:
                break
            if holds(text):
                tree = parse(text)
                going = True
                break
    return text_of(tree)


def _smaller(tree: exp.Expr) -> Iterator[exp.Expr]:
    """Return trees that are smaller by one step, those that lose most first."""
    nodes = list(tree.walk())
    for at, node in enumerate(nodes):
        if at and isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
            yield node.copy()
    for at in range(len(nodes)):
        yield from _changed(tree, at)


def _changed(tree: exp.Expr, at: int) -> Iterator[exp.Expr]:
    for change in _changes(list(tree.walk())[at]):
        copy = tree.copy()
        change(list(copy.walk())[at])
        yield copy


def _changes(node: exp.Expr) -> Iterator[Change]:
    """Yield what can be done to a node, as functions of the same node in a copy."""
    if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
        yield from _query_changes(node)
    elif isinstance(node, exp.With | exp.Group | exp.Order):
        yield from _item_changes(node, "expressions")
    elif isinstance(node, exp.Window):
        yield from [_Without(key) for key in ("partition_by", "order", "spec") if node.args.get(key)]
    elif isinstance(node, exp.Join):
        if node.args.get("side"):
            yield _Without("side")
    elif isinstance(node, exp.Condition) and not isinstance(
        node, exp.Column | exp.Literal | exp.Null | exp.Boolean | exp.If | exp.Subquery
    ):
        yield from _operand_changes(node)
    if isinstance(node, exp.In) and len(node.expressions) > 1:
        yield from _item_changes(node, "expressions")


def _query_changes(query: exp.Expr) -> Iterator[Change]:
    if isinstance(query, exp.SetOperation) and query.parent is not None:
        yield _Replaced(query.this)
        yield _Replaced(query.expression)
    yield from [_Without(key) for key in _OPTIONAL if query.args.get(key)]
    if isinstance(query, exp.Select):
        yield from _item_changes(query, "joins")
        yield from _item_changes(query, "expressions")


def _item_changes(node: exp.Expr, key: str) -> Iterator[Change]:
    """Yield what takes away one of several items."""
    items = node.args.get(key) or []
    if len(items) > 1:
        yield from [_Without(key, at) for at in range(len(items))]


def _operand_changes(node: exp.Expr) -> Iterator[Change]:
    if isinstance(node.parent, exp.Ordered | exp.Identifier | exp.TableAlias):
        return
    yield from [_Replaced(part) for part in node.iter_expressions() if isinstance(part, exp.Condition)]
    yield from [_Replaced(one) for one in (exp.true(), exp.false(), exp.null())]
    yield from [_Replaced(one) for one in (exp.Literal.number(1), exp.Literal.string("a"))]
    yield from [_Replaced(one) for one in {one.sql(): one for one in node.find_all(exp.Column)}.values()]


@dataclass(frozen=True)
class _Without:
    """Takes an argument away from a node, or one of the items in it."""

    key: str
    at: int | None = None

    def __call__(self, node: exp.Expr) -> None:
        left = (
            [item for number, item in enumerate(node.args[self.key]) if number != self.at]
            if self.at is not None
            else None
        )
        node.set(self.key, left)


@dataclass(frozen=True)
class _Replaced:
    """Puts something else in the place of a node."""

    by: exp.Expr

    def __call__(self, node: exp.Expr) -> None:
        node.replace(self.by.copy())
