"""Aggregates of aggregates: groups of finer groups, in one step.

Only aggregates whose partial results add up exactly: COUNT, SUM of integers, which wraps, MIN and MAX of exact types,
bool_and and bool_or.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.aggregates import added_up_in_two_steps, is_of_truths
from compiler.canonical.facts import Facts
from compiler.canonical.grouping import is_exact, is_plain_group
from compiler.canonical.item_keys import as_list
from compiler.canonical.ordering import rows_may_move
from compiler.canonical.predicate_facts import never_null_columns
from compiler.sql.encode import encode
from compiler.sql.functions import function_name
from compiler.tree.selects import has_only, only_read
from compiler.tree.walk import find_all, has

OUTER_PARTS = {"expressions", "from_", "group", "having", "order"}
GROUPED_PARTS = {"expressions", "from_", "joins", "where", "group"}
_DISTINCT_PARTS = {"expressions", "from_", "joins", "where", "distinct"}
_READ_IN = ("expressions", "having", "order")
SIGNED = frozenset({"int8", "int16", "int32", "int64"})


def aggregate_once(query: exp.Query, facts: Facts) -> exp.Query:
    """Aggregate the rows instead of groups of them, if the groups are finer.

    SELECT q.a AS a, SUM(q.s) AS s FROM (SELECT t.a AS a, t.b AS b, SUM(t.x) AS s FROM t GROUP BY t.a, t.b) AS q
    GROUP BY q.a → SELECT t.a AS a, SUM(t.x) AS s FROM t GROUP BY t.a
    SELECT q.a, COUNT(q.b) … FROM (SELECT DISTINCT t.a, t.b FROM t) AS q GROUP BY q.a → … COUNT(DISTINCT t.b) …

    SUM of COUNT is COUNT for a group, which has a row, but not for a total, which is NULL without rows: there only
    COALESCE(SUM(q.n), 0) is.
    """
    for outer in facts.nodes(query, exp.Select):
        inner = only_read(outer, OUTER_PARTS)
        if not isinstance(inner, exp.Select) or not has_only(inner, GROUPED_PARTS | _DISTINCT_PARTS):
            continue
        if not is_aggregate(outer) or not facts.of(query, rows_may_move):
            continue
        types = facts.types(query)
        split = facts.of(query, added_up_in_two_steps)
        grouped = None if {id(outer), id(inner)} & split else _grouped(inner, types)
        if grouped is None:
            continue
        found = _composed(outer, grouped, types)
        if found is not None:
            query = _replace(query, outer, inner, grouped, found)
    return query


@dataclass(frozen=True)
class _Grouped:
    """A SELECT with a row for each group: its outputs that are keys, and those that are aggregates."""

    keys: Mapping[str, exp.Expr]
    aggregates: Mapping[str, exp.Expr]
    grouped: Mapping[bytes, exp.Expr]
    """All keys, encoded, those too that are no output."""
    never_null: frozenset[bytes]
    """The columns, encoded, that are never NULL."""


def _grouped(inner: exp.Select, types: Types) -> _Grouped | None:
    outputs = {item.alias: item.this for item in inner.selects if isinstance(item, exp.Alias)}
    if len(outputs) < len(inner.selects) or inner.args.get("from_") is None:
        return None
    group, distinct = inner.args.get("group"), inner.args.get("distinct")
    if distinct is not None:
        if group is not None or distinct.args.get("on") is not None or has(inner, exp.AggFunc, exp.Window):
            return None
        keys, aggregates = outputs, {}
        grouped = {encode(value): value for value in outputs.values()}
    elif group is not None and is_plain_group(group):
        grouped = {encode(key): key for key in group.expressions}
        keys = {name: value for name, value in outputs.items() if encode(value) in grouped}
        aggregates = {name: value for name, value in outputs.items() if name not in keys}
        if not all(is_exact(types, key) for key in group.expressions):
            return None
    else:
        return None
    if not all(isinstance(value, exp.Column) and is_exact(types, value) for value in keys.values()):
        return None
    return _Grouped(keys, aggregates, grouped, frozenset(never_null_columns(inner.args.get("where"))))


def is_aggregate(outer: exp.Select) -> bool:
    """Whether a SELECT groups by columns of what it reads, or has one row, and has no windows."""
    group = outer.args.get("group")
    if group is not None and not is_plain_group(group):
        return False
    alias = outer.args["from_"].this.alias
    parts = [part for key in _READ_IN for part in as_list(outer.args.get(key))]
    if any(has(part, exp.Window, exp.Query, exp.Filter) for part in parts):
        return False
    keys = group.expressions if group is not None else []
    if not all(isinstance(key, exp.Column) and key.table == alias for key in keys):
        return False
    order = outer.args.get("order")
    if order is not None and not all(
        isinstance(key.this, exp.Column) and not key.this.table for key in order.expressions
    ):
        return False
    return bool(keys) or any(has(item, exp.AggFunc) for item in outer.selects)


def _composed(outer: exp.Select, grouped: _Grouped, types: Types) -> list[tuple[exp.Expr, exp.Expr]] | None:
    """Return the nodes of `outer` to replace and what by, None if one of its aggregates cannot be had from the rows."""
    group = outer.args.get("group")
    keys = [key.name for key in group.expressions] if group is not None else []
    if not all(key in grouped.keys for key in keys):
        return None
    left = set(grouped.grouped) - {encode(grouped.keys[key]) for key in keys}
    counted = grouped.grouped[left.pop()] if len(left) == 1 else None
    counted = counted if isinstance(counted, exp.Column) else None
    found: list[tuple[exp.Expr, exp.Expr]] = []
    inside: set[int] = set()
    for part in [*outer.selects, *as_list(outer.args.get("having"))]:
        for call in find_all(part, exp.AggFunc):
            new = _from_rows(call, grouped, counted, types, total=not keys)
            if new is None:
                return None
            found.append(new)
            inside |= {id(column) for column in find_all(call, exp.Column)}
        for column in find_all(part, exp.Column):
            if id(column) not in inside and column.table:
                if column.name not in keys:
                    return None
                found.append((column, grouped.keys[column.name].copy()))
    return found


def _from_rows(
    call: exp.Expr, grouped: _Grouped, counted: exp.Expr | None, types: Types, *, total: bool
) -> tuple[exp.Expr, exp.Expr] | None:
    """Return the node to replace for an aggregate of groups, and that aggregate of rows."""
    if is_of_truths(call):
        argument = call.expressions[0]
        inner = grouped.aggregates.get(argument.name) if isinstance(argument, exp.Column) else None
        same = inner is not None and is_of_truths(inner) and function_name(inner) == function_name(call)
        return (call, inner.copy()) if inner is not None and same else None
    argument = call.this
    if call.expressions:
        return None
    if isinstance(call, exp.Count) and isinstance(argument, exp.Star):
        if counted is None or encode(counted) not in grouped.never_null:
            return None
        return call, exp.Count(this=exp.Distinct(expressions=[counted.copy()]))
    if isinstance(argument, exp.Distinct):
        return _of_different(call, argument, grouped)
    if not isinstance(argument, exp.Column):
        return None
    if argument.name in grouped.keys:
        return _of_key(call, grouped.keys[argument.name].copy(), counted)
    inner = grouped.aggregates.get(argument.name)
    return None if inner is None else _of_aggregate(call, inner, types, total=total)


def _of_different(call: exp.Expr, distinct: exp.Distinct, grouped: _Grouped) -> tuple[exp.Expr, exp.Expr] | None:
    values = distinct.expressions
    if distinct.args.get("on") is not None or len(values) != 1 or not isinstance(call, exp.Count | exp.Min | exp.Max):
        return None
    key = grouped.keys.get(values[0].name) if isinstance(values[0], exp.Column) else None
    return None if key is None else (call, type(call)(this=exp.Distinct(expressions=[key.copy()])))


def _of_key(call: exp.Expr, key: exp.Expr, counted: exp.Expr | None) -> tuple[exp.Expr, exp.Expr] | None:
    if isinstance(call, exp.Min | exp.Max):
        return call, type(call)(this=key)
    if isinstance(call, exp.Count) and counted is not None and encode(key) == encode(counted):
        return call, exp.Count(this=exp.Distinct(expressions=[key]))
    return None


def _of_aggregate(call: exp.Expr, inner: exp.Expr, types: Types, *, total: bool) -> tuple[exp.Expr, exp.Expr] | None:
    core = inner.this if isinstance(inner, exp.Filter) else inner
    if not isinstance(core, exp.AggFunc) or isinstance(core.this, exp.Distinct | exp.Order) or core.expressions:
        return None
    if isinstance(core, exp.Min | exp.Max):
        return (call, inner.copy()) if type(call) is type(core) and is_exact(types, core) else None
    if not isinstance(call, exp.Sum):
        return None
    if isinstance(core, exp.Sum):
        return (call, inner.copy()) if types.of(core.this) in SIGNED else None
    if not isinstance(core, exp.Count):
        return None
    return (call, inner.copy()) if not total else _of_total(call, inner)


def _of_total(call: exp.Expr, count: exp.Expr) -> tuple[exp.Expr, exp.Expr] | None:
    """COALESCE(SUM(q.n), 0) → COUNT(*)."""
    around = call.parent
    if not isinstance(around, exp.Coalesce) or around.this is not call or len(around.expressions) != 1:
        return None
    zero = around.expressions[0]
    is_zero = isinstance(zero, exp.Literal) and not zero.is_string and zero.name == "0"
    return (around, count.copy()) if is_zero else None


def _replace(
    query: exp.Query, outer: exp.Select, inner: exp.Select, grouped: _Grouped, found: list[tuple[exp.Expr, exp.Expr]]
) -> exp.Query:
    group = outer.args.get("group")
    keys = [grouped.keys[key.name].copy() for key in group.expressions] if group is not None else []
    for node, new in found:
        node.replace(new)
    inner.set("expressions", outer.selects)
    inner.set("distinct", None)
    inner.set("group", exp.Group(expressions=keys) if keys else None)
    for part in ("having", "order"):
        inner.set(part, outer.args.get(part))
    if outer is query:
        inner.pop()
        return inner
    outer.replace(inner)
    return query
