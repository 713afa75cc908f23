"""Joins in parentheses that SQLGlot's scopes do not know, with semi-joins or USING: as derived tables."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.names.lexical import from_items, is_parenthesised, is_semi_join, is_semi_joined, item_name, resolve_names
from compiler.names.resolve import fold
from compiler.names.unaliased_tables import MARK
from compiler.tree.positions import located
from compiler.tree.walk import find_all


def derive_parenthesised_joins(query: exp.Query) -> None:
    """… JOIN (u SEMI JOIN v ON u.b = v.b) ON … → … JOIN (SELECT * FROM u SEMI JOIN v ON u.b = v.b) ON …, in place.

    SELECT * FROM t SEMI JOIN (u JOIN v ON …) ON … → SELECT * FROM t SEMI JOIN (SELECT * FROM u JOIN v ON …) ON …
    … JOIN (u JOIN v USING (b)) ON … → … JOIN (SELECT * FROM u JOIN v USING (b)) ON …, and where the outer has USING

    The names go through a derived table without an alias; see `compiler.names.unaliased_tables`. To SQLGlot the columns
    of v are fields of unknown columns in the first, those of u and v are outputs in the second, and it knows no table
    for USING.
    """
    operands = [
        operand for join in find_all(query, exp.Join) if is_parenthesised(operand := join.this) and _joins(operand.this)
    ]
    if not operands:
        return
    read = {id(reference.item) for reference in resolve_names(query).references}
    for operand in operands:
        join = operand.parent
        select = operand.find_ancestor(exp.Select)
        assert isinstance(join, exp.Join)
        assert select is not None
        within = list(_joins_within(operand))
        misread = any(one.args.get("using") or one.method for one in (join, *within))
        if is_semi_join(join):
            misread |= any(isinstance(item, exp.Star) for item in select.selects)
        else:
            misread |= any(id(one.this) in read for one in within if is_semi_join(one))
        if misread:
            _derive(operand)


def require_no_filter_read(query: exp.Query) -> None:
    """Refuse SELECT u.a FROM t SEMI JOIN u ON …, in which u is out of scope. Raises `SqlError` at the column."""
    if not any(is_semi_join(join) for join in find_all(query, exp.Join)):
        return
    for column in resolve_names(query).free:
        root = column.parts[0]
        name = fold(root) if isinstance(root, exp.Identifier) else None
        select = column.find_ancestor(exp.Select)
        while select is not None:
            if any(is_semi_joined(item) and item_name(item) == name for item in from_items(select)[0]):
                # A column read through a derived table without an alias is called "table~column" there.
                read = column.name if MARK in column.name else f"{name}.{column.name}"
                table, _, of_it = read.replace(MARK, ".", 1).partition(".")
                message = f"'{table}.{of_it}' cannot be read here: '{table}' only filters, in a SEMI or ANTI JOIN"
                hint = "read it in the ON of that join, or write JOIN"
                raise located(column, message, hint=hint, code="unknown-table")
            select = select.find_ancestor(exp.Select)


def _joins(item: exp.Expr) -> list[exp.Join]:
    return item.args.get("joins") or []


def _joins_within(item: exp.Expr) -> Iterator[exp.Join]:
    """Yield the joins in parentheses, and in those within them."""
    pending = [item.this]
    while pending:
        one = pending.pop()
        if is_parenthesised(one):
            pending.append(one.this)
        for join in _joins(one):
            yield join
            pending.append(join.this)


def _derive(operand: exp.Expr) -> None:
    inner, joins, within = operand.this, operand.args.get("joins"), _joins(operand.this)
    inner.set("joins", None)
    body = exp.Select(expressions=[exp.Star()])
    operand.replace(exp.Subquery(this=body, joins=joins))
    body.set("from_", exp.From(this=inner))  # before the joins: SQLGlot expands * in the order of a node's arguments
    body.set("joins", within)
