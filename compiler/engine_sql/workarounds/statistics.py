"""A fault of the engine in totals of a constant column, which it answers from statistics that are of other rows."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.engine_sql.workarounds.hiding import hide
from compiler.engine_sql.workarounds.origins import Origins
from compiler.tree.walk import has


def add_up_constants(query: exp.Query, facts: Facts) -> exp.Query:
    """Hide from the engine that it knows statistics of what is added up or compared, in place.

    SELECT SUM(q.c) AS n FROM t JOIN (SELECT u.k, 3 AS c FROM u) AS q ON q.k = t.k
    → SELECT SUM(GREATEST(q.c)) AS n FROM t JOIN (SELECT u.k, 3 AS c FROM u) AS q ON q.k = t.k

    DataFusion 55 knows the sum of a constant column of a file, its number of rows times the constant, and takes it for
    exact above joins, too, whatever rows they keep; of no rows it makes 0. Likewise the least and the greatest of two
    constants in a UNION ALL, one of which has no rows.
    """
    for value in list(_totalled(query, facts)):
        if has(value, exp.Column):  # a literal is no column, and has no statistics
            hide(value)
    return query


def may_have_added_constants(tree: exp.Query, facts: Facts) -> bool:
    """Whether a rule's totals may be of a constant, be it written there; see `compiler.engine_sql.corrections`."""
    return any(True for _ in _totalled(tree, facts))


def _totalled(query: exp.Query, facts: Facts) -> Iterator[exp.Expr]:
    """Yield what may be constant of the arguments of SUM, MIN and MAX without GROUP BY."""
    calls = [call for call in facts.nodes(query, exp.Sum, exp.Min, exp.Max) if _is_of_all(call)]
    if not calls:
        return
    origins = Origins(query, facts)
    for call in calls:
        value = call.this.expressions[0] if isinstance(call.this, exp.Distinct) else call.this
        if origins.may_be_constant(value):
            yield value


def _is_of_all(call: exp.Expr) -> bool:
    """Whether an aggregate is of all rows that its query selects."""
    select = call.parent_select
    if not isinstance(select, exp.Select) or isinstance(call.parent, exp.Window):
        return False
    group = select.args.get("group")
    return group is None or not has(group, exp.Column)
