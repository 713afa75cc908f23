"""What WHERE fixes to one value: outputs, of which a canonical tree has the value, and keys, of which it has none."""

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


def is_fixed_key(query: exp.Query, key: exp.Expr) -> bool:
    """Whether WHERE lets one value of a key of GROUP BY or ORDER BY through: the filter makes the key idle.

    The key may be the name of an output. Otherwise the description of an edit that adds this filter would say that the
    key was removed.
    """
    select, column = query, key.this if isinstance(key, exp.Ordered) else key
    where = select.args.get("where")
    if not isinstance(select, exp.Select) or where is None or not isinstance(column, exp.Column):
        return False
    if not column.table:
        column = next((item.unalias() for item in select.selects if item.alias_or_name == column.name), column)
    fixed = {encode(one) for term in terms_of(where.this, exp.And) for one in _fixed_columns(term)}
    return encode(column) in fixed


def _fixed_columns(term: exp.Expr) -> list[exp.Expr]:
    if isinstance(term, exp.Is) and isinstance(term.expression, exp.Null):
        return [term.this]
    return [column for column, _ in _fixed(term)]


def _fixed(term: exp.Expr) -> list[tuple[exp.Column, exp.Expr]]:
    """Return the column that a term fixes, with its value."""
    if isinstance(term, exp.EQ):
        sides = ((term.this, term.expression), (term.expression, term.this))
        return [(column, value) for column, value in sides if isinstance(column, exp.Column) and is_constant(value)]
    inner = term.this if isinstance(term, exp.Not) else term
    if isinstance(inner, exp.Column):
        return [(inner, exp.Boolean(this=inner is term))]
    return []
