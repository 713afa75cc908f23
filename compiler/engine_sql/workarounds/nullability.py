"""Faults of the engine where its two planners do not agree whether an expression can be NULL.

DataFusion 55 then fails where an aggregate, DISTINCT or UNION reads a column that is such an expression: "physical
input schema should be the same …". The tests of WHERE and ON are no columns, and stay what its optimizer knows best.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.engine_sql.workarounds.hiding import hide
from compiler.tree.walk import branches, find_all

_CONDITIONS = (exp.Where, exp.Join)


def settle_nullability(query: exp.Query, facts: Facts) -> exp.Query:
    """Write what both planners agree on, in place.

    p IS TRUE                                         → p IS NOT DISTINCT FROM TRUE
    CASE WHEN a > b THEN a ELSE 0 END                 → CASE WHEN a > b THEN greatest(a) ELSE 0 END
    SELECT TRUE AS c … UNION SELECT COALESCE(p, TRUE) → … UNION SELECT greatest(COALESCE(p, TRUE))

    Only one planner takes a > b for a proof that a is not NULL; of a condition on one column both do.
    """
    for test in facts.nodes(query, exp.Is):
        if isinstance(test.expression, exp.Boolean) and not _is_condition(test):
            test.replace(exp.NullSafeEQ(this=test.this, expression=test.expression))
    for case in facts.nodes(query, exp.Case):
        if not _is_condition(case) and not isinstance(case.args.get("default") or exp.Null(), exp.Null):
            for branch in case.args["ifs"]:
                _hide_proven(branch)
    for operation in facts.nodes(query, exp.SetOperation):
        for select in branches(operation):
            for item in select.selects:
                _hide_truth(item.unalias())
    return query


def _hide_proven(branch: exp.If) -> None:
    value = branch.args["true"].unnest()
    if not isinstance(value, exp.Column):
        return
    tested = find_all(branch.this, exp.Column)
    if value in tested and any(column != value for column in tested):
        hide(value)


def _hide_truth(item: exp.Expr) -> None:
    if isinstance(item, exp.Coalesce) and any(isinstance(value, exp.Boolean) for value in item.expressions):
        hide(item)


def _is_condition(test: exp.Expr) -> bool:
    """Whether a test is in WHERE or ON, not of a subquery's or of FILTER."""
    around = test.find_ancestor(exp.Filter, exp.Select, *_CONDITIONS)
    return isinstance(around, _CONDITIONS) and not isinstance(around.parent, exp.Filter)
