"""Habits about what is greater: lists with NULLs, NaN, and what a name in ORDER BY is."""

from __future__ import annotations

from sqlglot import exp

from compiler.dialects.view import View
from compiler.sql.functions import function_name

_BY_ORDER = (exp.LT, exp.LTE, exp.GT, exp.GTE)
_STRUCTS = frozenset({"named_struct", "struct"})
_GREATEST = frozenset({"greatest", "least", "max", "min"})


def ordered_lists(view: View) -> None:
    """[1, NULL] < [1, 2] is true here: a NULL in a list is the least value; DuckDB and PostgreSQL have it greatest."""
    if view.letter not in "DP":
        return
    for node in view.every(*_BY_ORDER, exp.Ordered, exp.Func):
        if isinstance(node, _BY_ORDER):
            values = [node.this, node.expression]
        elif isinstance(node, exp.Ordered):
            values = [node.this] if node.args.get("desc") else []  # ascending, NULLs of lists come last here, too
        elif function_name(node) in _GREATEST:
            values = [*([node.this] if isinstance(node.args.get("this"), exp.Expr) else []), *_listed(node)]
        else:
            continue
        if any(view.kind(value) == "list" or function_name(value.unnest()) in _STRUCTS for value in values):
            message = f"a NULL in a list or struct is the least value here, and the greatest in {view.title}"
            view.add("R036", node, message, "compare elements, such as l[1]")


def _listed(node: exp.Expr) -> list[exp.Expr]:
    return [one for one in node.args.get("expressions") or [] if isinstance(one, exp.Expr)]


def least_numbers(view: View) -> None:
    """min(x) leaves NaN out here, as it is the greatest number; in BigQuery it is NaN if one of them is."""
    for node in view.every(exp.Func) if view.letter == "B" else ():
        values = [*([node.this] if isinstance(node.args.get("this"), exp.Expr) else []), *_listed(node)]
        if function_name(node) != "min" or "float" not in {view.kind(value) for value in values}:
            continue
        text = view.extents.operand(values[0])
        call, around = view.extents.written(node), node
        while isinstance(around.parent, exp.Filter | exp.Window) and around.parent.this is around:
            around = around.parent
        whole = view.extents.written(around)
        written = None
        if call is not None and whole is not None and whole.startswith(call) and text is not None:
            behind = whole[len(call) :]
            written = f"CASE WHEN bool_or(isnan({text})){behind} THEN CAST('NaN' AS DOUBLE) ELSE {whole} END"
        message = "min takes NaN for the greatest number here; in BigQuery it is NaN if one of them is"
        view.replace("R046", around, message, written, None if written else "leave NaN out, with isnan(x)")


def names_in_order(view: View) -> None:
    """SELECT n AS m … ORDER BY -m is by the output here; within an expression it is the input's column elsewhere."""
    if view.letter not in "DPRS":
        return
    for select in view.every(exp.Select):
        order = select.args.get("order")
        renamed = {
            one.alias.lower()
            for one in select.expressions
            if isinstance(one, exp.Alias) and not (isinstance(one.this, exp.Column) and one.this.name == one.alias)
        }
        for key in order.expressions if isinstance(order, exp.Order) else ():
            value = key.this.unnest()
            if isinstance(value, exp.Column):
                continue
            for column in value.walk(prune=lambda one: isinstance(one, exp.Query)):
                if not isinstance(column, exp.Column) or column.name.lower() not in renamed:
                    continue
                if not view.is_output(column):
                    continue
                if view.letter in "PR" or column.name.lower() in view.names:
                    message = (
                        f"'{column.name}' is the output here, and the column of an input in {view.title},"
                        " as it is not alone in ORDER BY"
                    )
                    view.add("R046", column, message, "write the table before it, or give the output another name")
