"""The terms of conditions."""

from __future__ import annotations

from sqlglot import exp


def conjuncts(condition: exp.Expr | None) -> list[exp.Expr]:
    """Return the terms of a condition that AND joins, from left to right, without the parentheses around them."""
    found: list[exp.Expr] = []
    pending = [condition] if condition is not None else []
    while pending:
        term = pending.pop()
        if isinstance(term, exp.Paren):
            pending.append(term.this)
        elif isinstance(term, exp.And):
            pending += [term.expression, term.this]
        else:
            found.append(term)
    return found
