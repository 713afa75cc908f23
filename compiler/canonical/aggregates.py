"""Facts about the aggregates of a SELECT that passes need before they change one of them."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.sql.functions import function_name

_OF_TRUTHS = frozenset({"bool_and", "bool_or"})


def is_of_truths(call: exp.Expr) -> bool:
    """Whether a call is an aggregate of truth values that neither order nor repetition affects."""
    return isinstance(call, exp.AnonymousAggFunc) and function_name(call) in _OF_TRUTHS and len(call.expressions) == 1


def is_never_empty(select: exp.Select) -> bool:
    """Whether every row of a SELECT comes from at least one row that it reads: it groups, be it by a constant."""
    group = select.args.get("group")
    if group is None or any(value for key, value in group.args.items() if key != "expressions"):
        return False
    sets = (exp.GroupingSets, exp.Rollup, exp.Cube, exp.Tuple)
    keys = group.expressions
    return bool(keys) and not any(isinstance(key, sets) for key in keys)


def added_up_in_two_steps(query: exp.Query, facts: Facts) -> set[int]:
    """Return the SELECTs, by id, in which the engine may sum by the values of a DISTINCT first, then again.

    Whether it does depends on each of their aggregates, and affects the rounding of floats and the type of decimals:
    so none of their aggregates may be added, removed, or written with another DISTINCT or FILTER.
    """
    if not facts.has(query, exp.Distinct):
        return set()
    types = facts.types(query)
    distinct: set[int] = set()
    inexact: set[int] = set()
    for call in facts.nodes(query, exp.AggFunc):
        select = id(call.find_ancestor(exp.Select))
        if isinstance(call.this, exp.Distinct):
            distinct.add(select)
        of_integers = isinstance(call, exp.Sum) and types.is_integer(call.this)
        if not of_integers and not isinstance(call, exp.Count | exp.Min | exp.Max):
            inexact.add(select)
    return distinct & inexact
