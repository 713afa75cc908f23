"""A SELECT over a derived table with groups or windows: its filter becomes HAVING or QUALIFY, the items are merged.

Only where the derived table's items are columns, literals, aggregates and window calls, which cannot fail, and only as
far as the text does not grow: an item that is used n times is written n times. And only if no equality of floats may
end up beside another: the engine makes lists of them, which compare bits.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.aggregates import added_up_in_two_steps
from compiler.canonical.facts import Facts
from compiler.canonical.grouping import is_exact, is_plain_group
from compiler.canonical.merging import has_exact_equalities
from compiler.tree.selects import has_only, only_read
from compiler.tree.walk import find_all, has

_OUTER_PARTS = {"expressions", "from_", "where", "order"}
_GROUPED_PARTS = {"expressions", "from_", "joins", "where", "group", "having"}
_WINDOWED_PARTS = {"expressions", "from_", "joins", "where", "qualify"}
_DISTINCT_PARTS = {"expressions", "from_", "joins", "where", "distinct"}
_MOST_NODES = 500
"""The most nodes of an outer SELECT after the items were merged into it."""


def merge_grouped(query: exp.Query, facts: Facts) -> exp.Query:
    """Filter groups by HAVING, and compute with aggregates where they are made.

    SELECT q.n + 1 AS m FROM (SELECT t.a AS a, COUNT(*) AS n FROM t GROUP BY t.a) AS q WHERE q.n > 1
    → SELECT COUNT(*) + 1 AS m FROM t GROUP BY t.a HAVING COUNT(*) > 1

    Keys of floats stay: a group can contain 0.0 and -0.0, and the choice between the two affects the result.
    """
    for outer in facts.nodes(query, exp.Select):
        inner = _inner(outer, _GROUPED_PARTS)
        if inner is None or inner.args.get("group") is None or not is_plain_group(inner.args["group"]):
            continue
        values = _values(inner, exp.AggFunc)
        if values is None or not _may_take(outer, values) or not _aggregates_are_windows(outer):
            continue
        types = facts.types(query)
        where = outer.args.get("where")
        if where is not None and not has_exact_equalities(where, types):
            continue
        if id(inner) in added_up_in_two_steps(query, facts):
            continue
        if all(is_exact(types, key) and not isinstance(key, exp.Literal) for key in inner.args["group"].expressions):
            query = _merge(query, outer, inner, values, "having", exp.Having)
    return query


def merge_windowed(query: exp.Query, facts: Facts) -> exp.Query:
    """Filter by a window with QUALIFY.

    SELECT q.a AS a FROM (SELECT t.a AS a, RANK() OVER (ORDER BY t.b) AS r FROM t) AS q WHERE q.r = 1
    → SELECT t.a AS a FROM t QUALIFY RANK() OVER (ORDER BY t.b) = 1
    """
    for outer in facts.nodes(query, exp.Select):
        inner = _inner(outer, _WINDOWED_PARTS)
        where = outer.args.get("where")
        if inner is None or where is None or not has(outer, exp.Window):
            continue
        values = _values(inner, exp.Window)
        if values is None or not _may_take(outer, values):
            continue
        if any(has(part, exp.Window, exp.AggFunc) for part in (*outer.selects, where)):
            continue
        if any(isinstance(values[column.name], exp.Window) for column in find_all(where, exp.Column)) and (
            has_exact_equalities(where, facts.types(query))
        ):
            query = _merge(query, outer, inner, values, "qualify", exp.Qualify)
    return query


def count_distinct(query: exp.Query, facts: Facts) -> exp.Query:
    """Count different values in one step.

    SELECT COUNT(q.a) AS n FROM (SELECT DISTINCT t.a AS a FROM t) AS q → SELECT COUNT(DISTINCT t.a) AS n FROM t
    """
    for outer in facts.nodes(query, exp.Select):
        inner = _inner(outer, _DISTINCT_PARTS)
        if inner is None or inner.args.get("distinct") is None or inner.args["distinct"].args.get("on"):
            continue
        if outer.args.get("where") is not None or outer.args.get("order") is not None:
            continue
        if len(outer.selects) != 1 or len(inner.selects) != 1:
            continue
        item, value = outer.selects[0], inner.selects[0].unalias()
        count = item.unalias()
        if not isinstance(item, exp.Alias) or not isinstance(count, exp.Count):
            continue
        if (
            not isinstance(count.this, exp.Column)
            or count.expressions
            or count.this.table != outer.args["from_"].this.alias
            or not isinstance(value, exp.Column)
        ):
            continue
        if is_exact(facts.types(query), value):
            count.set("this", exp.Distinct(expressions=[value]))
            inner.set("distinct", None)
            inner.set("expressions", [item])
            query = _replaced(query, outer, inner)
    return query


def _inner(outer: exp.Select, parts: set[str]) -> exp.Select | None:
    """Return the SELECT that is all `outer` reads, if neither has parts that are unknown here."""
    inner = only_read(outer, _OUTER_PARTS)
    return inner if isinstance(inner, exp.Select) and has_only(inner, parts) else None


def _values(inner: exp.Select, kind: type[exp.Expr]) -> dict[str, exp.Expr] | None:
    """Return the expression of each output of `inner`, None if one may fail or two have one name."""
    values: dict[str, exp.Expr] = {}
    for item in inner.selects:
        value = item.unalias()
        core = value.this if isinstance(value, exp.Filter) else value
        if not isinstance(item, exp.Alias) or item.alias in values or has(value, exp.Query):
            return None
        if not isinstance(core, exp.Column | exp.Literal | kind):
            return None
        values[item.alias] = value
    return values


def _may_take(outer: exp.Select, values: dict[str, exp.Expr]) -> bool:
    """Whether every column of `outer` is an output of its derived table, and what replaces them is not too long."""
    alias = outer.args["from_"].this.alias
    order = outer.args.get("order")
    if order is not None and any(not isinstance(key.this, exp.Column) or key.this.table for key in order.expressions):
        return False
    parts = [*outer.selects, *([outer.args["where"]] if outer.args.get("where") is not None else [])]
    if not all(isinstance(item, exp.Alias) for item in outer.selects):
        return False
    sizes = {name: sum(1 for _ in value.walk()) for name, value in values.items()}
    grown = 0
    for part in parts:
        if has(part, exp.Query, exp.Filter, *exp.SET_RETURNING_FUNCTIONS):
            return False
        for column in find_all(part, exp.Column):
            if column.table != alias or column.name not in values:
                return False
            grown += sizes[column.name]
    return grown <= _MOST_NODES or all(isinstance(value, exp.Column) for value in values.values())


def _aggregates_are_windows(outer: exp.Select) -> bool:
    where = outer.args.get("where")
    if where is not None and has(where, exp.AggFunc, exp.Window):
        return False
    calls = [call for item in outer.selects for call in find_all(item, exp.AggFunc)]
    return all(isinstance(call.parent, exp.Window) and call.arg_key == "this" for call in calls)


def _merge(
    query: exp.Query,
    outer: exp.Select,
    inner: exp.Select,
    values: dict[str, exp.Expr],
    key: str,
    kind: type[exp.Having | exp.Qualify],
) -> exp.Query:
    where = outer.args.get("where")
    for part in [*outer.selects, *([where] if where is not None else [])]:
        for column in find_all(part, exp.Column):
            column.replace(values[column.name].copy())
    if where is not None:
        own = inner.args.get(key)
        condition = where.this if own is None else exp.And(this=own.this, expression=where.this)
        inner.set(key, kind(this=condition))
    inner.set("expressions", outer.selects)
    if outer.args.get("order") is not None:
        inner.set("order", outer.args["order"])
    return _replaced(query, outer, inner)


def _replaced(query: exp.Query, old: exp.Expr, new: exp.Query) -> exp.Query:
    if old is query:
        new.pop()
        return new
    old.replace(new)
    return query
