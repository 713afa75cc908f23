"""Outputs that WHERE fixes to one value: a canonical tree has the value, a described edit the column."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.predicate_facts import is_constant, terms_of
from compiler.sql.encode import encode
from compiler.tree.walk import branches


def read_fixed_columns(query: exp.Query) -> None:
    """Read an output that is called after a column from that column again, where WHERE says what it is, in place.

    SELECT 'open' AS status FROM o WHERE o.status = 'open' → SELECT o.status AS status FROM o WHERE o.status = 'open'

    Otherwise the description of an edit that adds this filter would say that the output changed.
    """
    for select in branches(query):
        where = select.args.get("where")
        if where is None or not any(isinstance(item, exp.Alias) for item in select.selects):
            continue
        columns = {(column.name, encode(value)): column for term in terms_of(where.this, exp.And)
                   for column, value in _fixed(term)}  # fmt: skip
        for item in select.selects if columns else ():
            value = item.unalias()
            bare = (
                value.this if isinstance(value, exp.Cast) and isinstance(value.this, exp.Literal | exp.Neg) else value
            )
            for one in (value, bare):
                column = columns.get((item.alias_or_name, encode(one)))
                if column is not None and isinstance(item, exp.Alias):
                    item.set("this", column.copy())
                    break


def _fixed(term: exp.Expr) -> list[tuple[exp.Column, exp.Expr]]:
    """Return the column that a term fixes, with its value."""
    if isinstance(term, exp.EQ):
        sides = ((term.this, term.expression), (term.expression, term.this))
        return [(column, value) for column, value in sides if isinstance(column, exp.Column) and is_constant(value)]
    inner = term.this if isinstance(term, exp.Not) else term
    if isinstance(inner, exp.Column):
        return [(inner, exp.Boolean(this=inner is term))]
    return []
