"""Arithmetic with a query that yields one value, written within that query.

Spark takes no query in the functions by which a value that is needed more than once is computed once.
"""

from __future__ import annotations

from sqlglot import exp

_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div)


def with_numbers_within(tree: exp.Query) -> exp.Query:
    """Return a query, changed in place: `2 * (SELECT MAX(x) FROM t)` → `(SELECT 2 * MAX(x) FROM t)`.

    Without rows both are NULL. With several both fail.
    """
    for node in reversed(list(tree.find_all(*_ARITHMETIC))):  # those within come first
        sides = [_bare(node.this), _bare(node.expression)]
        for query, number in (sides, sides[::-1]):
            if _is_number(number) and _has_one_value(query):
                (item,) = query.this.selects
                value = item.unalias()
                found = node.copy()
                found.set("this" if query is sides[0] else "expression", exp.Paren(this=value.copy()))
                value.replace(found)
                node.replace(query)
                break
    return tree


def _bare(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _is_number(node: exp.Expr) -> bool:
    inner = node.this if isinstance(node, exp.Neg) else node
    return isinstance(inner, exp.Literal) and not inner.is_string


def _has_one_value(node: exp.Expr) -> bool:
    """Whether it is a query of which an output may be changed: the others of several, and DISTINCT, would see it."""
    if not (isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select)) or node.args.get("alias"):
        return False
    return len(node.this.selects) == 1 and not any(node.this.args.get(key) for key in ("distinct", "order", "limit"))
