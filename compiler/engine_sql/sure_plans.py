"""Queries for which the engine surely has a physical plan once it has optimised them, so that none is made to know it.

Making one takes half of the time of planning a small query. The engine refuses some queries only then: subqueries that
it could not turn into joins, casts that do not exist, functions that it has for some types alone, aggregates that are
out of place, and those of expressions of which its two planners do not agree whether they can be NULL. What is listed
here can be none of these, and random queries that are made of it have shown no exception
(`tests/compiler/test_sure_plans.py`). An exception would be told by the build instead of the check.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.sql.functions import ScalarFunction, WindowFunction, function_name
from compiler.tree.walk import nodes

_SURE = frozenset({
    *(exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit),
    *(exp.Table, exp.TableAlias, exp.Subquery, exp.With, exp.CTE, exp.Alias, exp.Column, exp.Identifier, exp.Star),
    *(exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.And, exp.Or, exp.Not, exp.Is, exp.Between, exp.In),
    *(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.Neg),
    *(exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Distinct, exp.Window),
})  # fmt: skip
_SURE_OF_ROWS = frozenset({exp.Case, exp.If, exp.Coalesce, ScalarFunction, WindowFunction})
"""What is sure where nothing is grouped: only groups are made of what must not be NULL if it was not to be."""
_CALLS = frozenset({"rank", "dense_rank", "row_number", "greatest"})  # the last is what workarounds write
_FURTHER_GROUPS = ("grouping_sets", "rollup", "cube", "all")


def is_sure(query: exp.Query) -> bool:
    """Whether a query, in its executed form, is made of such parts alone."""
    of_rows = grouped = False
    for node in nodes(query):
        if type(node) in _SURE_OF_ROWS:
            of_rows = True
        elif type(node) not in _SURE:
            return False
        if not _is_plain(node):
            return False
        grouped = grouped or isinstance(node, exp.Group | exp.Distinct)
        grouped = grouped or (isinstance(node, exp.AggFunc) and not isinstance(node.parent, exp.Window))
    return not (of_rows and grouped)


def _is_plain(node: exp.Expr) -> bool:
    """Whether a node of a listed kind has no clause, and calls no function, that is not."""
    if isinstance(node, exp.Subquery):  # a table, not a value
        return isinstance(node.parent, exp.From | exp.Join)
    if isinstance(node, exp.AggFunc | exp.Window | WindowFunction):  # elsewhere it may be out of place
        output = node.parent.parent if isinstance(node.parent, exp.Window) else node.parent
        return isinstance(output, exp.Alias) and (type(node) is not WindowFunction or function_name(node) in _CALLS)
    if isinstance(node, exp.In):
        return not (node.args.get("query") or node.args.get("unnest"))
    if isinstance(node, exp.Group):
        return not any(node.args.get(key) for key in _FURTHER_GROUPS)
    if isinstance(node, exp.With):
        return not node.args.get("recursive")
    if isinstance(node, exp.Distinct):  # of one value, or of all columns
        return node.args.get("on") is None and len(node.expressions) <= 1
    return not isinstance(node, ScalarFunction) or function_name(node) in _CALLS
