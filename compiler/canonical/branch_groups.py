"""Aggregates over a UNION ALL of groups: they are made of the rows of its branches, in one step."""

from __future__ import annotations

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.aggregates import added_up_in_two_steps
from compiler.canonical.facts import Facts
from compiler.canonical.grouping import is_exact, is_plain_group
from compiler.canonical.item_keys import as_list
from compiler.canonical.ordering import rows_may_move
from compiler.canonical.regrouping import GROUPED_PARTS, OUTER_PARTS, SIGNED, is_aggregate
from compiler.sql.encode import encode
from compiler.tree.selects import has_only, only_read
from compiler.tree.walk import find_all, has, is_bare_subquery

_UNION_PARTS = {"this", "expression", "distinct"}


def aggregate_branches_once(query: exp.Query, facts: Facts) -> exp.Query:
    """Aggregate the rows of the branches of a UNION ALL instead of their groups.

    SELECT q.a, SUM(q.s) FROM (SELECT t.a, SUM(t.x) AS s FROM t GROUP BY t.a UNION ALL
    SELECT u.a, SUM(u.x) FROM u GROUP BY u.a) AS q GROUP BY q.a
    → SELECT q.a, SUM(q.s) FROM (SELECT t.a, t.x AS s FROM t UNION ALL SELECT u.a, u.x FROM u) AS q GROUP BY q.a

    A branch without groups has a row even of no rows: it is taken apart under a total only, where its NULL is none, and
    its 0 makes the total of counts a number.
    """
    if not facts.has(query, exp.Union):
        return query
    for outer in facts.nodes(query, exp.Select):
        union = only_read(outer, OUTER_PARTS)
        if not isinstance(union, exp.Union) or not is_aggregate(outer) or not facts.of(query, rows_may_move):
            continue
        branches = _branches_of(union)
        if branches is None or facts.of(query, added_up_in_two_steps):
            continue
        _ungroup(outer, branches, facts.types(query))
    return query


def _branches_of(union: exp.Expr) -> list[exp.Select] | None:
    """Return the branches of a tree of UNION ALL, each plain or grouped; None if one is something else, or none is."""
    if not isinstance(union, exp.Union) or union.args.get("distinct") or not has_only(union, _UNION_PARTS):
        return None
    found: list[exp.Select] = []
    for side in (union.this, union.expression):
        while is_bare_subquery(side):
            side = side.this  # noqa: PLW2901 — the same, without parentheses
        if isinstance(side, exp.Union):
            inner = _branches_of(side)
            if inner is None:
                return None
            found += inner
        elif isinstance(side, exp.Select) and has_only(side, GROUPED_PARTS):
            found.append(side)
        else:
            return None
    return found


def _ungroup(outer: exp.Select, branches: list[exp.Select], types: Types) -> None:
    """Take the groups out of the branches in place, if the outer aggregates can be had from the rows."""
    names = [item.alias for item in branches[0].selects if isinstance(item, exp.Alias)]
    keyed = [places for branch in branches if (places := _keyed_places(branch, types)) is not None]
    if not _are_alike(branches, names) or len(keyed) < len(branches):
        return
    parts = [*outer.selects, *as_list(outer.args.get("having"))]
    calls = [call for part in parts for call in find_all(part, exp.AggFunc)]
    if any(not isinstance(call.this, exp.Column) or call.expressions for call in calls):
        return
    keys = {key.name for group in as_list(outer.args.get("group")) for key in group.expressions}
    counting: dict[str, bool] = {}  # the outputs that are counts, and whether of rows
    raw: dict[int, list[exp.Expr]] = {}
    for place, name in enumerate(names):
        own = [call for call in calls if call.this.name == name]
        of_keys = [place in places for places in keyed]
        if name in keys or not own:
            if not all(of_keys) or not all(isinstance(call, exp.Min | exp.Max) for call in own):
                return
            continue
        found = _raw([branch.selects[place].unalias() for branch in branches], own, of_keys, types)
        if found is None:
            return
        raw[place], counts = found
        if counts is not None:
            counting[name] = counts
    if raw and (keys or not counting or any(map(_is_total, branches))):
        _put(branches, raw)
        for call in calls:
            if call.this.name in counting:
                call.replace(exp.Count(this=exp.Star() if counting[call.this.name] else call.this))


def _put(branches: list[exp.Select], raw: dict[int, list[exp.Expr]]) -> None:
    for place, values in raw.items():
        for branch, value in zip(branches, values, strict=True):
            branch.selects[place].set("this", value)
    for branch in branches:
        branch.set("group", None)


def _are_alike(branches: list[exp.Select], names: list[str]) -> bool:
    """Whether all branches have as many outputs, of different names, and one of them has groups."""
    return (
        len(set(names)) == len(branches[0].selects)
        and all(len(branch.selects) == len(names) and branch.args.get("from_") is not None for branch in branches)
        and any(branch.args.get("group") is not None or _is_total(branch) for branch in branches)
    )


def _is_total(branch: exp.Select) -> bool:
    """Whether a branch has one row, of aggregates of all it reads."""
    values = [item.unalias() for item in branch.selects]
    return branch.args.get("group") is None and all(isinstance(value, exp.AggFunc) for value in values)


def _keyed_places(branch: exp.Select, types: Types) -> set[int] | None:
    """Return the places of the outputs that are keys: all that are columns, in a branch without groups."""
    group = branch.args.get("group")
    values = [item.unalias() for item in branch.selects]
    if _is_total(branch):
        return set()
    if group is None:
        if any(has(value, exp.AggFunc, exp.Window, exp.Query, *exp.SET_RETURNING_FUNCTIONS) for value in values):
            return None
        return set(range(len(values)))
    if not is_plain_group(group) or not all(is_exact(types, key) for key in group.expressions):
        return None
    grouped = {encode(key) for key in group.expressions}
    return {place for place, value in enumerate(values) if encode(value) in grouped or isinstance(value, exp.Literal)}


def _raw(
    values: list[exp.Expr], calls: list[exp.AggFunc], keyed: list[bool], types: Types
) -> tuple[list[exp.Expr], bool | None] | None:
    """Return what each branch yields of its rows, and for a count whether it is one of rows; None if that differs."""
    kinds = {type(value) for value, key in zip(values, keyed, strict=True) if not key}
    if len(kinds) != 1 or not all(isinstance(call.this, exp.Column) for call in calls):
        return None
    kind = kinds.pop()
    if kind is exp.Count:
        if any(keyed) or not all(isinstance(call, exp.Sum) for call in calls):
            return None
        rows = {isinstance(value.this, exp.Star) for value in values}
        if len(rows) > 1 or any(
            value.expressions or isinstance(value.this, exp.Distinct | exp.Order) for value in values
        ):
            return None
        if True in rows:
            return [exp.Literal.number(1) for _ in values], True
    elif kind not in (exp.Sum, exp.Min, exp.Max) or not all(type(call) is kind for call in calls):
        return None
    raw = [value if key else value.this for value, key in zip(values, keyed, strict=True)]
    if not all(isinstance(value, exp.Column) for value in raw):
        return None
    types_of = {types.of(value) for value in raw}
    if len(types_of) != 1 or not is_exact(types, raw[0]) or (kind is exp.Sum and not types_of <= SIGNED):
        return None
    return [value.copy() for value in raw], False if kind is exp.Count else None
