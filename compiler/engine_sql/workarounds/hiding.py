"""Expressions of unchanged value about which the engine's planner knows nothing."""

from __future__ import annotations

from sqlglot import exp

from compiler.sql.functions import ScalarFunction


def hide(node: exp.Expr, times: int = 1) -> None:
    """X → greatest(x), in place: of one value that is the value, of whatever type but INTERVAL.

    times: how often x is written; what is hidden another number of times is another expression to the engine.
    """
    call = ScalarFunction(this="greatest")
    node.replace(call)
    call.set("expressions", [node, *(node.copy() for _ in range(times - 1))])


def make_uncertain(value: exp.Expr) -> None:
    """Write CASE WHEN random() >= 0 THEN x END for x, in place: to the planner it may be NULL, and is no constant."""
    chance = exp.GTE(this=ScalarFunction(this="random", expressions=[]), expression=exp.Literal.number(0))
    branch = exp.If(this=chance)
    value.replace(exp.Case(ifs=[branch]))
    branch.set("true", value)
