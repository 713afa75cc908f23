"""Aggregates that need less than they are given: no order where they add exactly, no values where they count.

And counts in one form: of the rows that pass a test, and none where a group is there at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.aggregates import added_up_in_two_steps, is_never_empty, is_of_truths
from compiler.canonical.facts import Facts
from compiler.canonical.grouping import is_exact, is_plain_group
from compiler.canonical.joins import conjoined, conjuncts
from compiler.canonical.predicate_facts import never_fails, never_null_columns
from compiler.sql.encode import encode
from compiler.tree.selects import has_only, is_aggregated, own_nodes
from compiler.tree.walk import has

_TOTAL = {"expressions", "from_", "joins", "where"}
_NESTED = ("struct", "list", "map")
"""Types of which a comparison with NULL is not certainly NULL."""


def drop_orders_of_aggregates(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop ORDER BY from an aggregate whose result is the same in any order.

    SUM(t.n ORDER BY t.a) → SUM(t.n), of integers;  bool_or(t.p ORDER BY t.a) → bool_or(t.p)
    """
    for named in facts.nodes(query, exp.AnonymousAggFunc):
        if is_of_truths(named) and isinstance(named.expressions[0], exp.Order):
            named.set("expressions", [named.expressions[0].this])
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
    COUNT(t.a) FILTER (WHERE t.a > 1) → COUNT(*) FILTER (WHERE t.a > 1)

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
        filtered = call.parent if isinstance(call.parent, exp.Filter) else None
        if encode(call.this) in never_null_columns(select.args.get("where")) or (
            filtered is not None and encode(call.this) in never_null_columns(filtered.expression)
        ):
            call.set("this", exp.Star())
    return query


def drop_null_tests_of_totals(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop the test that a column is not NULL from the WHERE of totals that leave its NULLs out anyway.

    SELECT COUNT(*) AS n, MAX(t.a) AS m FROM t WHERE NOT t.a IS NULL → SELECT COUNT(t.a) AS n, MAX(t.a) AS m FROM t

    Only of totals: without the test there may be a group more. Not of floats, which are added in another rhythm; nor
    where the test may keep rows from what fails for them.
    """
    selects = [
        select
        for select in facts.nodes(query, exp.Select)
        if select.args.get("where") is not None and has_only(select, _TOTAL) and is_aggregated(select)
    ]
    if not selects:
        return query
    types, split = facts.types(query), facts.of(query, added_up_in_two_steps)
    for select in selects:
        terms = conjuncts(select.args["where"].this)
        found = [(term, column) for term in terms if (column := _required(term)) is not None]
        calls = list(chain.from_iterable(own_nodes(item, exp.AggFunc) for item in select.selects))
        if len(found) != 1 or id(select) in split:
            continue
        test, column = found[0]
        rest = [term for term in terms if term is not test]
        if (
            types.of(column) is None
            or not _guards_nothing(select, rest, types)
            or not all(_leaves_out(call, column, types) for call in calls)
            or any(has(item, exp.Query, exp.Window) for item in select.selects)
        ):
            continue
        for call in calls:
            if isinstance(call.this, exp.Star):
                call.set("this", column.copy())
        select.set("where", exp.Where(this=conjoined(rest)) if rest else None)
    return query


def _guards_nothing(select: exp.Select, rest: Sequence[exp.Expr], types: Types) -> bool:
    """Whether a term of WHERE keeps no row from an expression that may fail. rest: its other terms."""
    joins = select.args.get("joins") or []
    tables = [*[from_.this for from_ in [select.args.get("from_")] if from_], *[join.this for join in joins]]
    terms = [*rest, *[on for join in joins if (on := join.args.get("on")) is not None]]
    return all(isinstance(table, exp.Table) for table in tables) and all(never_fails(types, term) for term in terms)


def _required(term: exp.Expr) -> exp.Expr | None:
    """Return the column that a term requires not to be NULL."""
    test = term.this if isinstance(term, exp.Not) else None
    if not isinstance(test, exp.Is) or not isinstance(test.expression, exp.Null):
        return None
    return test.this if isinstance(test.this, exp.Column) else None


def _leaves_out(call: exp.Expr, column: exp.Expr, types: Types) -> bool:
    """Whether an aggregate is the same with and without the rows in which a column is NULL; or counts rows."""
    if isinstance(call.parent, exp.Filter) or call.expressions:
        return False
    value = call.this
    if isinstance(call, exp.Count) and isinstance(value, exp.Star):
        return not (types.of(column) or "").startswith(_NESTED)
    if isinstance(value, exp.Distinct) and len(value.expressions) == 1 and not value.args.get("on"):
        value = value.expressions[0]
    if not isinstance(value, exp.Column) or encode(value) != encode(column):
        return False
    if isinstance(call, exp.Count):
        return not (types.of(column) or "").startswith(_NESTED)
    return isinstance(call, exp.Sum | exp.Min | exp.Max) and is_exact(types, value)


def count_cases(query: exp.Query, facts: Facts) -> exp.Query:
    """Count the rows that pass a test, instead of adding 1 for each of them and 0 for the others.

    SELECT t.a, SUM(CASE WHEN p THEN 1 ELSE 0 END) FROM t GROUP BY t.a → SELECT t.a, COUNT(*) FILTER (WHERE p) …
    COALESCE(SUM(CASE WHEN p THEN 1 ELSE 0 END), 0) → COUNT(*) FILTER (WHERE p)

    The sum of no rows is NULL and their count 0: so only of groups, which have a row, or where NULL becomes 0.
    """
    sums = [call for call in facts.nodes(query, exp.Sum) if isinstance(call.this, exp.Case) and not call.expressions]
    if not sums:
        return query
    types, split = facts.types(query), facts.of(query, added_up_in_two_steps)
    for call in sums:
        select = call.find_ancestor(exp.Select)
        if select is None or id(select) in split or isinstance(call.parent, exp.Filter | exp.Window):
            continue
        if _or_zero(call.parent, call):
            slot = call.parent
        elif is_never_empty(select):
            slot = call
        else:
            continue
        test = _counted(call.this, types)
        if test is not None and slot is not None:
            slot.replace(exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=test)))
    return query


def drop_counts_of_groups(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop from HAVING that a group has a row: each has. A total that needs a row is a group of all rows.

    SELECT t.a FROM t GROUP BY t.a HAVING COUNT(*) > 0 → SELECT t.a FROM t GROUP BY t.a
    SELECT SUM(t.n) FROM t HAVING COUNT(*) > 0 → SELECT SUM(t.n) FROM t GROUP BY TRUE
    """
    for having in facts.nodes(query, exp.Having):
        select = having.parent
        if not isinstance(select, exp.Select):
            continue
        is_total = select.args.get("group") is None
        if not is_total and not is_never_empty(select):
            continue
        terms = conjuncts(having.this)
        kept = [term for term in terms if not _has_a_row(term)]
        if len(kept) < len(terms):
            select.set("having", exp.Having(this=conjoined(kept)) if kept else None)
            if is_total:
                select.set("group", exp.Group(expressions=[exp.true()]))
    return query


def _or_zero(around: exp.Expr | None, call: exp.Expr) -> bool:
    """Whether NULL becomes 0: COALESCE(call, 0)."""
    return (
        isinstance(around, exp.Coalesce)
        and around.this is call
        and len(around.expressions) == 1
        and _is_number(around.expressions[0], 0)
    )


def _counted(case: exp.Case, types: Types) -> exp.Expr | None:
    """Return the test of the rows for which a CASE yields 1, if it yields 0 for all others."""
    branches, default = case.args["ifs"], case.args.get("default")
    if case.this is not None or len(branches) != 1 or default is None:
        return None
    test, value = branches[0].this, branches[0].args["true"]
    if types.of(test) != "bool" or has(test, exp.Query):
        return None
    counted: exp.Expr = test.copy()
    return counted if _is_number(value, 1) and _is_number(default, 0) else None


def _has_a_row(term: exp.Expr) -> bool:
    """COUNT(*) > 0, or >= 1, or <> 0."""
    if isinstance(term, exp.LT | exp.LTE):
        count, number, allowed = term.expression, term.this, 0 if isinstance(term, exp.LT) else 1
    elif isinstance(term, exp.GT | exp.GTE | exp.NEQ):
        count, number, allowed = term.this, term.expression, 1 if isinstance(term, exp.GTE) else 0
        if isinstance(term, exp.NEQ) and isinstance(number, exp.Count):
            count, number = number, count
    else:
        return False
    return isinstance(count, exp.Count) and isinstance(count.this, exp.Star) and _is_number(number, allowed)


def _is_number(node: exp.Expr, value: int) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and node.name == str(value)
