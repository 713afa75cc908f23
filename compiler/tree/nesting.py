"""Queries that are too large: nested too deeply for the engine, or too wide to be qualified in good time."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from compiler.tree.positions import located
from compiler.tree.walk import find_all

MAX_DEPTH = 1500
"""The depth of a query's tree. The engine planned 2,000 operators in a row and 200 nested queries, and crashed the
process at 3,000 and 400."""
_WEIGHTS: Mapping[type[exp.Expr], int] = {exp.Paren: 0, exp.Select: 4}
MAX_COLUMNS = 3000
"""With more column names than this `qualify` takes minutes, and a check skips it."""


def is_huge(query: exp.Query) -> bool:
    """Whether a query is too large to be qualified in good time."""
    return len(find_all(query, exp.Column, exp.SetOperation)) > MAX_COLUMNS


def require_depth(query: exp.Query) -> None:
    """Refuse a query that would exhaust the engine's stack, which ends the process; parentheses cost it nothing."""
    pending: list[tuple[exp.Expr, int]] = [(query, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise located(node, "nested too deeply", hint="compute part of it in a CTE", code="too-deep")
        below = depth + _WEIGHTS.get(type(node), 1)
        pending += [(child, below) for child in node.iter_expressions()]
