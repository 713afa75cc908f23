"""R010: tables that no condition joins."""

from __future__ import annotations

from sqlglot import exp

from compiler.lint.findings import Found
from compiler.lint.query_view import Subject, shown
from compiler.names.lexical import from_items
from compiler.tree.conditions import conjuncts

_OF_NO_TABLE = (exp.Unnest, exp.Values, exp.Lateral)


def implicit_cross_joins(subject: Subject) -> list[Found]:
    """FROM orders AS o, customers AS c → R010, unless WHERE or ON compares a column of each."""
    found: list[Found] = []
    for select in subject.every(exp.Select):
        items, joins = from_items(select)
        bare = [join for join in joins if _has_no_condition(join) and _may_multiply(join.this)]
        if not bare or _has_unsure_columns(subject, select):
            continue
        groups = _linked(subject, select, items, joins)
        for join in bare:
            others = [item for item in items if item is not join.this]
            if all(groups[id(item)] != groups[id(join.this)] for item in others):
                hint = "join it ON a condition, or write CROSS JOIN if every pair is meant"
                message = f"no condition joins {shown(join.this)} to the other tables"
                found.append(subject.found("R010", join.this, message, hint))
    return found


def _has_no_condition(join: exp.Join) -> bool:
    return not any(join.args.get(key) for key in ("side", "method", "on", "using")) and join.kind in {"", "INNER"}


def _may_multiply(item: exp.Expr) -> bool:
    """Whether a FROM item can have more than one row, judging by its form; functions of a row are not tables."""
    if isinstance(item, _OF_NO_TABLE) or (isinstance(item, exp.Table) and not isinstance(item.this, exp.Identifier)):
        return False
    query = item.this if isinstance(item, exp.Subquery) else None
    if not isinstance(query, exp.Select) or query.args.get("group"):
        return True
    return not any(call.parent_select is query for one in query.selects for call in one.find_all(exp.AggFunc))


def _has_unsure_columns(subject: Subject, select: exp.Select) -> bool:
    own = (column for column, _ in subject.names.bare if column.parent_select is select)
    return any(subject.meanings[id(column)].kind in {"unsure", "merged"} for column in own)


def _linked(subject: Subject, select: exp.Select, items: list[exp.Expr], joins: list[exp.Join]) -> dict[int, int]:
    """Return the group of each FROM item; items that one condition mentions belong together."""
    group = {id(item): number for number, item in enumerate(items)}
    where = select.args.get("where")
    conditions = [join.args["on"] for join in joins if join.args.get("on")] + ([where.this] if where else [])
    parts = [part for condition in conditions for part in conjuncts(condition)]
    mentioned = [
        {id(owner) for column in part.find_all(exp.Column) if (owner := subject.owner(column))} for part in parts
    ]
    mentioned += [{id(join.this), id(items[0])} for join in joins if join.args.get("using") or join.method]
    for together in mentioned:
        numbers = {group[one] for one in together if one in group}
        for one, number in group.items():
            if number in numbers:
                group[one] = min(numbers)
    return group
