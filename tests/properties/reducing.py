"""Shrink a query as long as something stays true of it: drop clauses and branches, put operands in place of what they
are in, constants and columns in place of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.generators.postgres import PostgresGenerator

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


def _changes(node: exp.Expr) -> Iterator[Callable[[exp.Expr], object]]:
    """Return what can be done to a node, as functions of the same node in a copy."""
    if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
        yield from _query_changes(node)
    elif isinstance(node, exp.With):
        yield from _item_changes(node, "expressions")
    elif isinstance(node, exp.Group | exp.Order):
        yield from _item_changes(node, "expressions")
    elif isinstance(node, exp.Window):
        for key in ("partition_by", "order", "spec"):
            if node.args.get(key):
                yield lambda one, key=key: one.set(key, None)
    elif isinstance(node, exp.Join):
        if node.args.get("side"):
            yield lambda one: one.set("side", None)
    elif isinstance(node, exp.Subquery | exp.Table) and isinstance(node.parent, exp.From | exp.Join):
        pass
    elif isinstance(node, exp.Condition) and not isinstance(
        node, exp.Column | exp.Literal | exp.Null | exp.Boolean | exp.If
    ):
        yield from _operand_changes(node)
    if isinstance(node, exp.In) and len(node.expressions) > 1:
        yield from _item_changes(node, "expressions")


def _query_changes(query: exp.Expr) -> Iterator[Callable[[exp.Expr], object]]:
    if isinstance(query, exp.SetOperation) and query.parent is not None:
        yield lambda one: one.replace(one.this.copy())
        yield lambda one: one.replace(one.expression.copy())
    for key in _OPTIONAL:
        if query.args.get(key):
            yield lambda one, key=key: one.set(key, None)
    if query.args.get("joins") and len(query.args["joins"]) > 1:
        yield from _item_changes(query, "joins")
    if isinstance(query, exp.Select) and len(query.expressions) > 1:
        yield from _item_changes(query, "expressions")


def _item_changes(node: exp.Expr, key: str) -> Iterator[Callable[[exp.Expr], object]]:
    items = node.args[key]
    if len(items) < 2:
        return
    for at in range(len(items)):
        yield lambda one, at=at: one.set(key, [item.copy() for n, item in enumerate(one.args[key]) if n != at])


def _operand_changes(node: exp.Expr) -> Iterator[Callable[[exp.Expr], object]]:
    if isinstance(node.parent, exp.Ordered | exp.Identifier | exp.TableAlias):
        return
    operands = [part for part in node.iter_expressions() if isinstance(part, exp.Condition)]
    for number in range(len(operands)):
        yield lambda one, number=number: one.replace(
            [part for part in one.iter_expressions() if isinstance(part, exp.Condition)][number].copy()
        )
    for constant in (exp.true(), exp.false(), exp.Literal.number(1), exp.Literal.string("a"), exp.null()):
        yield lambda one, constant=constant: one.replace(constant.copy())
    for column in {one.sql(): one for one in node.find_all(exp.Column)}.values():
        yield lambda one, column=column: one.replace(column.copy())
