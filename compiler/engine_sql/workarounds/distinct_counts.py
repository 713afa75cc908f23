"""A fault of the engine in COUNT(DISTINCT x) where x is NULL in every row, and the engine knows it."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.aggregates import added_up_in_two_steps
from compiler.canonical.facts import Facts
from compiler.names.lexical import item_name
from compiler.schema import INPUT_DB
from compiler.tree.walk import find_all


def count_values_that_are_not_null(query: exp.Query, facts: Facts) -> exp.Query:
    """Write out that NULLs are not counted, in place, where the engine could find an expression to be NULL everywhere.

    SELECT COUNT(*) AS n, COUNT(DISTINCT m.x) AS d FROM (SELECT NULL AS x FROM t) AS m
    → SELECT COUNT(*) AS n, COUNT(DISTINCT m.x) FILTER (WHERE NOT m.x IS NULL) AS d FROM (SELECT NULL AS x FROM t) AS m

    DataFusion 55 groups by x first, then counts the groups; a constant key it drops, and counts one. It does not group
    where there is a filter. What is added up in two steps stays: that it is shows in the bits of sums.
    """
    distinct = [call for call in facts.nodes(query, exp.Count) if isinstance(call.this, exp.Distinct)]
    if not distinct:
        return query
    two_steps = facts.of(query, added_up_in_two_steps)
    for call in distinct:
        select = call.parent_select
        values = call.this.expressions
        if not isinstance(select, exp.Select) or select.args.get("group") is not None or len(values) != 1:
            continue
        if (
            isinstance(values[0], exp.Star)
            or id(select) in two_steps
            or isinstance(call.parent, exp.Filter | exp.Window)
            or _is_stored(values[0], select)
        ):
            continue
        filtered = exp.Filter(
            expression=exp.Where(this=exp.Not(this=exp.Is(this=values[0].copy(), expression=exp.Null())))
        )
        call.replace(filtered)
        filtered.set("this", call)
    return query


def may_have_counted_null(tree: exp.Query, facts: Facts) -> bool:
    """Whether distinct values of what the engine may find to be NULL were counted.

    See `compiler.engine_sql.corrections`.
    """
    for call in facts.nodes(tree, exp.Count):
        select = call.parent_select
        if not isinstance(call.this, exp.Distinct) or not isinstance(select, exp.Select) or select.args.get("group"):
            continue
        beside = [one for item in select.selects for one in find_all(item, exp.AggFunc) if one is not call]
        if (beside or select.args.get("having")) and not all(_is_stored(one, select) for one in call.this.expressions):
            return True
    return False


def _is_stored(value: exp.Expr, select: exp.Select) -> bool:
    """Whether an expression is a column of an input that every row of the SELECT has one of."""
    joins = select.args.get("joins") or []
    from_ = select.args.get("from_")
    if not isinstance(value, exp.Column) or from_ is None or any(join.side for join in joins):
        return False
    items = [from_.this, *(join.this for join in joins)]
    return any(isinstance(item, exp.Table) and item.db == INPUT_DB and item_name(item) == value.table for item in items)
