"""Recognise queries that are too large: nested too deeply for the engine, or too wide to be qualified in good time."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from compiler.tree.positions import located
from compiler.tree.walk import find_all

MAX_DEPTH = 1500
"""Of a query's tree. The engine planned 2,000 operators in a row and 200 queries in one another, and crashed the
process at 3,000 and 400."""
_WEIGHTS: Mapping[type[exp.Expr], int] = {exp.Paren: 0, exp.Select: 4}
MAX_COLUMNS = 3000
"""Beyond that many column names `qualify` takes minutes, and a check does without it."""


def is_huge(query: exp.Query) -> bool:
    """Whether a query is too large to be qualified in good time."""
    return len(find_all(query, exp.Column, exp.SetOperation)) > MAX_COLUMNS


def require_depth(query: exp.Query) -> None:
    """Refuse what would exhaust the engine's stack, which ends the process; parentheses cost the engine nothing."""
    pending: list[tuple[exp.Expr, int]] = [(query, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise located(node, "nested too deeply", hint="compute a part of it in a CTE", code="too-deep")
        below = depth + _WEIGHTS.get(type(node), 1)
        pending += [(child, below) for child in node.iter_expressions()]
