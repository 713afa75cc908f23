"""The query of a part as one of several parts at once: the number of its part is one more column of every row.

SELECT t.k, SUM(t.v) AS s FROM t GROUP BY t.k
→ SELECT t.k, SUM(t.v) AS s, t."~part" AS "~part" FROM t GROUP BY t.k, t."~part"

It is done for queries of which the engine makes the same rows in the same order for a part alone and among others: they
read one table, row by row or into groups, which come in the order of their first rows. Joins are left out, as the
engine may swap the sides of larger inputs, so are windows, which it sorts for, and floats, which it adds up otherwise
where there are no groups.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.parts.reading import PART
from compiler.sql.functions import function_name
from compiler.tree.selects import ROWS_OF_A_SET, has_only, is_aggregated
from compiler.tree.walk import bare_copy, nodes

_CLAUSES = frozenset({"expressions", "from_", "where", "group", "having", "distinct"})
_TABLE = frozenset({"this", "db", "alias"})
_AGGREGATES = frozenset({"count", "sum", "min", "max", "bool_and", "bool_or", "bit_and", "bit_or", "bit_xor"})
_LEFT_OUT = (exp.Window, exp.Order, exp.Lateral, exp.Rollup, exp.Cube, exp.GroupingSets, *ROWS_OF_A_SET)


def of_several_parts(form: exp.Query) -> exp.Select | None:
    """Return a copy of the query of a part that reads several; None if it is of another kind."""
    from_ = form.args.get("from_")
    table = from_.this if from_ is not None else None
    if not isinstance(form, exp.Select) or not has_only(form, _CLAUSES) or not isinstance(table, exp.Table):
        return None
    alias, group, distinct = table.args.get("alias"), form.args.get("group"), form.args.get("distinct")
    if not has_only(table, _TABLE) or alias is None or alias.columns:
        return None
    if group is not None and not has_only(group, {"expressions"}):
        return None
    if distinct is not None and distinct.args.get("on"):
        return None
    for node in nodes(form):
        if isinstance(node, _LEFT_OUT) or (isinstance(node, exp.Query) and node is not form):
            return None
        if isinstance(node, exp.AggFunc) and (
            function_name(node) not in _AGGREGATES or any(isinstance(one, exp.Distinct) for one in nodes(node))
        ):
            return None
    found = bare_copy(form, positions=True)
    number = exp.column(PART, table=alias.name, quoted=True)
    found.append("expressions", exp.Alias(this=number, alias=exp.to_identifier(PART, quoted=True)))
    if is_aggregated(form):
        if group is None:
            found.set("group", exp.Group(expressions=[number.copy()]))
        else:
            found.args["group"].append("expressions", number.copy())
    return found


def yields_a_row_of_none(form: exp.Query) -> bool:
    """Whether a query that `of_several_parts` takes has a row where its input has none."""
    return isinstance(form, exp.Select) and is_aggregated(form) and form.args.get("group") is None
