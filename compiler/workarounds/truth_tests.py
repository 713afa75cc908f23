"""A fault of the engine in IS TRUE and IS FALSE: its two planners do not agree whether they can be NULL."""

from __future__ import annotations

from sqlglot import exp

from compiler.passes.facts import Facts

_CONDITIONS = (exp.Where, exp.Join)


def compare_with_truth(query: exp.Query, facts: Facts) -> exp.Query:
    """SELECT DISTINCT p IS TRUE AS c → SELECT DISTINCT p IS NOT DISTINCT FROM TRUE AS c, in place.

    DataFusion 55 fails where an aggregate, DISTINCT or UNION reads a column that is such a test: "physical input schema
    should be the same …". The tests of WHERE and ON are no columns, and stay what its optimizer knows best.
    """
    for test in facts.nodes(query, exp.Is):
        if isinstance(test.expression, exp.Boolean) and not _is_condition(test):
            test.replace(exp.NullSafeEQ(this=test.this, expression=test.expression))
    return query


def _is_condition(test: exp.Expr) -> bool:
    """Whether a test is in WHERE or ON, not of a subquery's or of FILTER."""
    around = test.find_ancestor(exp.Filter, exp.Select, *_CONDITIONS)
    return isinstance(around, _CONDITIONS) and not isinstance(around.parent, exp.Filter)
