"""Aggregates that need less than they are given: no order where they add exactly, no values where they count."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.aggregates import added_up_in_two_steps
from compiler.canonical.facts import Facts
from compiler.canonical.grouping import is_exact, is_plain_group
from compiler.canonical.predicate_facts import never_null_columns
from compiler.sql.encode import encode

_NESTED = ("struct", "list", "map")
"""Types of which a comparison with NULL is not certainly NULL."""


def drop_orders_of_aggregates(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop ORDER BY from an aggregate whose result is the same in any order.

    SUM(t.n ORDER BY t.a) → SUM(t.n), of integers
    """
    calls = [
        call
        for call in facts.nodes(query, exp.Sum, exp.Min, exp.Max)
        if isinstance(call.this, exp.Order) and isinstance(call.this.this, exp.Column) and not call.expressions
    ]
    types = facts.types(query) if calls else None
    for call in calls:
        if types is not None and is_exact(types, call.this.this):
            call.set("this", call.this.this)
    return query


def count_rows(query: exp.Query, facts: Facts) -> exp.Query:
    """Count rows where a column is counted that WHERE does not let be NULL.

    SELECT COUNT(t.a) AS n FROM t WHERE t.a > 1 → SELECT COUNT(*) AS n FROM t WHERE t.a > 1

    Not beside sums that the engine may make in two steps (compiler.canonical.aggregates).
    """
    counts = [
        call
        for call in facts.nodes(query, exp.Count)
        if isinstance(call.this, exp.Column) and not call.expressions and not call.this.args.get("db")
    ]
    if not counts or not facts.has(query, exp.Where):
        return query
    types, split = facts.types(query), facts.of(query, added_up_in_two_steps)
    for call in counts:
        select, kind = call.find_ancestor(exp.Select), types.of(call.this)
        if select is None or id(select) in split or kind is None or kind.startswith(_NESTED):
            continue
        group = select.args.get("group")
        if group is not None and not is_plain_group(group):
            continue
        if encode(call.this) in never_null_columns(select):
            call.set("this", exp.Star())
    return query
