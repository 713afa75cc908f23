"""Faults of the engine in MIN and MAX of floats."""

from __future__ import annotations

from sqlglot import exp

from compiler.analysis.floats import Floats
from compiler.canonical.facts import Facts


def order_float_extremes(query: exp.Query, facts: Facts) -> exp.Query:
    """MAX(x) → first_value(x ORDER BY x DESC NULLS LAST), MIN(x) → … ASC NULLS LAST, in place, where x may be a float.

    DataFusion 55 takes the first of several values of a group that compare in no order, so that MAX of NaN and 1 is
    NaN or 1, and of 0.0 and -0.0 either, by the order of rows; and MAX of a group that holds -Infinity alone is
    -1.797e308. As a first value it is what ORDER BY puts there: NaN is above Infinity, 0.0 above -0.0.
    """
    for call in reversed(float_extremes(query, facts)):  # those within others first: a value is copied with them
        value = _argument(call)
        key = exp.Ordered(this=value.copy(), desc=isinstance(call, exp.Max), nulls_first=False)
        order = exp.Order(this=value.copy(), expressions=[key])
        call.replace(exp.AnonymousAggFunc(this="first_value", expressions=[order]))
    return query


def float_extremes(query: exp.Query, facts: Facts) -> list[exp.AggFunc]:
    """Return the calls of MIN and MAX as aggregates of what may be floats, those within others last.

    A literal is left out: it has no order to depend on, and in ORDER BY the engine would take it for a position.
    """
    calls = [
        call
        for call in facts.nodes(query, exp.Min, exp.Max)
        if not _has_window(call) and not isinstance(_argument(call).unnest(), exp.Literal)
    ]
    if not calls:
        return []
    floats = Floats(facts.names(query), facts.schemas)
    return [call for call in calls if floats.may_be(call.this)]


def _argument(call: exp.AggFunc) -> exp.Expr:
    value: exp.Expr = call.this
    return value.expressions[0] if isinstance(value, exp.Distinct) else value


def _has_window(call: exp.Expr) -> bool:
    child = call
    while isinstance(child.parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls) and child.parent.this is child:
        child = child.parent
    return isinstance(child.parent, exp.Window) and child.parent.this is child
