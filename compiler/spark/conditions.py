"""`x IN (SELECT …)` where Spark knows what it is: as one of the conditions of WHERE or HAVING.

Everywhere else it is FALSE in Spark where it is NULL, for instance as a column, or within `NOT (a AND x IN (…))`.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.spark.refusal import RefusedError


def require_conditions(tree: exp.Query) -> None:
    """Raise `RefusedError` for an IN with a query whose NULL is not as good as FALSE."""
    for node in tree.find_all(exp.In):
        if node.args.get("query") is None:
            continue
        found = _beyond(node, exp.Paren)
        if isinstance(found, exp.Not):
            found = _beyond(found, exp.Paren)
        if isinstance(found, exp.And | exp.Or):
            found = _beyond(found, exp.And, exp.Or, exp.Paren)
        if not isinstance(found, exp.Where | exp.Having):
            raise RefusedError("IN of a query is only known to mean the same as a condition of WHERE or HAVING")


def _beyond(node: exp.Expr, *kinds: type[exp.Expr]) -> exp.Expr | None:
    found = node.parent
    while isinstance(found, kinds):
        found = found.parent
    return found
