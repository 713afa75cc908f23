"""R007 and R008: dependence on an order of rows that is unspecified, or that may leave ties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from compiler.lint.findings import Found
from compiler.lint.query_view import Subject
from compiler.names.lexical import from_items
from compiler.names.resolve import fold
from compiler.schema import INPUT_DB
from compiler.sql import functions

_WINDOWS = frozenset({"first_value", "lag", "last_value", "lead", "nth_value", "ntile", "row_number"})
_TIES = "end ORDER BY with columns that tell all rows apart, such as a key"
Outputs = Mapping[str, exp.Expr]
_AGGREGATES = frozenset({"array_agg", "first_value", "last_value", "nth_value", "string_agg"})


def order_dependence(subject: Subject) -> list[Found]:
    """SELECT o.id FROM orders AS o LIMIT 3 → R007; with ORDER BY o.day before LIMIT → R008."""
    return [*_limits(subject), *_windows(subject), *_aggregates(subject)]


def _limits(subject: Subject) -> Iterator[Found]:
    for limit in subject.every(exp.Limit, exp.Offset, exp.Fetch):
        query = limit.parent
        if not isinstance(query, exp.Query) or isinstance(query.parent, exp.Exists) or _yields_one_row(query):
            continue
        if isinstance(limit, exp.Offset) and query.args.get("limit") is not None:
            continue
        word = "OFFSET" if isinstance(limit, exp.Offset) else "LIMIT"
        order = query.args.get("order")
        if order is None:
            hint = "add ORDER BY with columns that tell all rows apart"
            yield subject.found("R007", limit, f"{word} without ORDER BY keeps arbitrary rows", hint)
        elif not (isinstance(query, exp.Select) and _is_total(subject, query, _keys(order), of_groups=True)):
            yield subject.found("R008", limit, f"{word} after an order that may leave ties", _TIES)
    for distinct in subject.every(exp.Distinct):
        query = distinct.parent
        if distinct.args.get("on") is not None and isinstance(query, exp.Select) and not query.args.get("order"):
            hint = "add ORDER BY with columns that tell all rows apart"
            yield subject.found("R007", distinct, "DISTINCT ON without ORDER BY keeps arbitrary rows", hint)


def _windows(subject: Subject) -> Iterator[Found]:
    for window in subject.every(exp.Window):
        name = functions.function_name(window) or ""
        select = window.parent_select
        if name not in _WINDOWS or window.arg_key == "windows" or not isinstance(select, exp.Select):
            continue
        spec = _definition(window, select)
        if spec is None:
            continue
        order = spec.args.get("order")
        if order is None:
            hint = "add ORDER BY with columns that tell all rows apart"
            yield subject.found("R007", window.this, f"{name} OVER a window without ORDER BY", hint)
            continue
        keys = [*_keys(order), *(spec.args.get("partition_by") or [])]
        if not _is_total(subject, select, keys, of_groups=True):
            yield subject.found("R008", window.this, f"{name} over an order that may leave ties", _TIES)


def _aggregates(subject: Subject) -> Iterator[Found]:
    for call in subject.every(exp.AggFunc):
        name = functions.function_name(call) or ""
        if name not in _AGGREGATES or not functions.is_order_dependent(call) or _has_window(call):
            continue
        arguments = list(call.args.get("expressions") or [])
        order = arguments[-1] if arguments and isinstance(arguments[-1], exp.Order) else None
        select = call.parent_select
        if order is None:
            hint = f"write {name}(… ORDER BY …) with columns that tell all rows apart"
            yield subject.found("R007", call, f"{name} without ORDER BY takes rows in arbitrary order", hint)
        elif not (isinstance(select, exp.Select) and _is_total(subject, select, _keys(order), of_groups=False)):
            yield subject.found("R008", call, f"{name} over an order that may leave ties", _TIES)


def _has_window(call: exp.Expr) -> bool:
    node = call.parent
    while isinstance(node, exp.Filter | exp.IgnoreNulls | exp.RespectNulls):
        node = node.parent
    return isinstance(node, exp.Window)


def _definition(window: exp.Window, select: exp.Select) -> exp.Expr | None:
    """Return the window itself, or the one of the WINDOW clause that it names."""
    alias = window.args.get("alias")
    if alias is None:
        return window
    named = [one for one in select.args.get("windows") or [] if one.this.name.lower() == alias.name.lower()]
    return named[0] if named else None


def _keys(order: exp.Expr) -> list[exp.Expr]:
    return [one.this for one in order.expressions]


def _yields_one_row(query: exp.Query) -> bool:
    if not isinstance(query, exp.Select) or query.args.get("group"):
        return False
    calls = (call for item in query.selects for call in item.find_all(exp.AggFunc))
    return any(call.parent_select is query and not _has_window(call) for call in calls)


def _is_total(subject: Subject, select: exp.Select, keys: list[exp.Expr], *, of_groups: bool) -> bool:
    """Whether rows that are equal in all of `keys` are certainly the same row."""
    outputs = _outputs(select)
    given = {_meant(key, outputs) for key in keys}
    group = select.args.get("group")
    if of_groups and group is not None:
        plain = not any(group.args.get(key) for key in ("rollup", "cube", "grouping_sets", "all"))
        return plain and {_meant(key, outputs) for key in group.expressions} <= given
    if of_groups and select.args.get("distinct") is not None:
        return {_meant(item.unalias(), outputs) for item in select.selects} <= given
    items = from_items(select)[0]
    if len(items) != 1 or not isinstance(items[0], exp.Table) or items[0].db != INPUT_DB:
        return False
    key = subject.keys.get(items[0].name, ())
    resolved = [_resolve(key, outputs) for key in keys]
    columns = {fold(one.this) for one in resolved if isinstance(one, exp.Column)}
    return bool(key) and set(key) <= columns


def _meant(key: exp.Expr, outputs: Outputs) -> str:
    """Return a text that is equal for keys that are certainly equal."""
    resolved = _resolve(key, outputs)
    return fold(resolved.this) if isinstance(resolved, exp.Column) else resolved.sql(normalize=True, comments=False)


def _outputs(select: exp.Select) -> Outputs:
    """Return the expressions that positions and aliases in a clause of `select` refer to."""
    found: dict[str, exp.Expr] = {str(number): item.unalias() for number, item in enumerate(select.selects, 1)}
    aliases = {fold(item.args["alias"]): item.this for item in select.selects if isinstance(item, exp.Alias)}
    return found | aliases


def _resolve(key: exp.Expr, outputs: Outputs) -> exp.Expr:
    if isinstance(key, exp.Literal) and key.is_int:
        return outputs.get(key.name, key)
    if isinstance(key, exp.Column) and not key.table and isinstance(key.this, exp.Identifier):
        return outputs.get(fold(key.this), key)
    return key
