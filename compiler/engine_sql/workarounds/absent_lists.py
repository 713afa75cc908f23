"""A fault of the engine where a value is put at the end or the beginning of a list that is NULL."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.names.lexical import item_name
from compiler.schema import INPUT_DB
from compiler.sql.functions import ScalarFunction, function_name

_LIST_AT = {
    **dict.fromkeys(("array_append", "list_append", "array_push_back", "list_push_back"), 0),
    **dict.fromkeys(("array_prepend", "list_prepend", "array_push_front", "list_push_front"), 1),
}
"""Functions that put a value to a list → which argument is the list."""
_WHOLE = frozenset({"make_array", "array_concat"})
"""Functions whose list is NULL without having elements."""


def forget_absent_lists(query: exp.Query, facts: Facts) -> exp.Query:
    """Have lists written anew before a value is put to them, in place.

    array_append(CASE WHEN t.b THEN t.l END, 1) → array_append(array_concat(CASE WHEN t.b THEN t.l END), 1)

    DataFusion 55 does not look whether the list is NULL: of one that CASE or NULLIF makes NULL it takes the elements
    that are still there. array_concat of one list is that list, and leaves none behind.
    """
    for value in list(_lists(query, facts)):
        written = ScalarFunction(this="array_concat")
        value.replace(written)
        written.set("expressions", [value])
    return query


def may_have_kept_absent_lists(tree: exp.Query, facts: Facts) -> bool:
    """Whether a value was put to a list that may be NULL; see `compiler.engine_sql.corrections`."""
    return any(True for _ in _lists(tree, facts))


def _lists(query: exp.Query, facts: Facts) -> Iterator[exp.Expr]:
    """Yield the lists to which values are put, but for those that are columns of inputs or certainly written anew."""
    for call in facts.nodes(query, ScalarFunction):
        at = _LIST_AT.get(function_name(call) or "")
        if at is not None and at < len(call.expressions) and _may_be_absent(call.expressions[at]):
            yield call.expressions[at]
    pipes = facts.nodes(query, exp.DPipe)
    types = facts.types(query) if pipes else None
    for pipe in pipes:
        for side in (pipe.this, pipe.expression):
            if types is not None and _is_list(types, side) and _may_be_absent(side):
                yield side


def _is_list(types: Types, node: exp.Expr) -> bool:
    """Whether a side of || is a list, as far as types are known."""
    node = node.unnest()
    if function_name(node) == "nullif":
        return _is_list(types, node.expressions[0])
    return "list" in (types.of(node) or "").partition("<")[0]


def _may_be_absent(value: exp.Expr) -> bool:
    value = value.unnest()
    if isinstance(value, exp.Null) or function_name(value) in _WHOLE | _LIST_AT.keys():
        return False
    return not (isinstance(value, exp.Column) and _is_of_input(value))


def _is_of_input(column: exp.Column) -> bool:
    """Whether a column is one of an input's, which is read as it is stored."""
    select = column.parent_select
    from_ = select.args.get("from_") if select is not None else None
    if select is None or from_ is None:
        return False
    items = [from_.this, *(join.this for join in select.args.get("joins") or [])]
    return any(isinstance(one, exp.Table) and one.db == INPUT_DB and item_name(one) == column.table for one in items)
