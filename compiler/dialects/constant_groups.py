"""GROUP BY ALL over constants alone: DuckDB then does not group, and BigQuery makes one group of all rows."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.dialects.reading import Reading
from compiler.dialects.traced import Rewrite
from compiler.dialects.view import View
from compiler.sql.foreign_calls import rows
from compiler.sql.foreign_table import DIALECTS
from compiler.sql.functions import function_name, lookup
from compiler.tree.selects import own_nodes

_OF_EACH_ROW = frozenset({"random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "nextval"})


def groups_of_constants(reading: Reading) -> Iterator[Rewrite]:
    """SELECT 1 AS x, COUNT(*) AS n … GROUP BY ALL, without another key → the same without it, or with GROUP BY ()."""
    letter = DIALECTS[reading.dialect]
    for select in reading.tree.find_all(exp.Select) if letter in "DB" else ():
        group = select.args.get("group")
        place = reading.span(group) if group is not None and _has_constants_alone(select) else None
        if place is not None:
            yield Rewrite(*place, ("GROUP BY ()",) if letter == "B" else ())


def constant_groups(view: View) -> None:
    """GROUP BY ALL over constants alone is one group of all rows here, if there are any."""
    for select in view.every(exp.Select) if view.letter in "DB" else ():
        if _has_constants_alone(select):
            message = f"these constants are groups here, and not in {view.title}"
            hint = "write it without GROUP BY ALL" if view.letter == "D" else "write GROUP BY ()"
            view.add("R046", select, message, hint, part=select.expressions[0])


def _has_constants_alone(select: exp.Expr) -> bool:
    """Whether a SELECT has GROUP BY ALL, and nothing to group by that differs from row to row."""
    group = select.args.get("group")
    if group is None or not group.args.get("all"):
        return False
    others = [item for item in select.expressions if not any(map(_is_aggregate, own_nodes(item, exp.Expr)))]
    return bool(others) and all(map(_is_same_in_all_rows, others))


def _is_aggregate(node: exp.Expr) -> bool:
    name = (function_name(node) or "") if isinstance(node, exp.Func) else ""
    known = lookup(name)
    return (known is not None and "aggregate" in known.kinds) or any(
        row.section == "Aggregates" for row in rows().get(name, ())
    )


def _is_same_in_all_rows(item: exp.Expr) -> bool:
    """Whether an expression reads nothing of a row, and is computed once for all of them."""
    return not any(
        isinstance(node, exp.Column | exp.Star | exp.Query | exp.Window)
        or (isinstance(node, exp.Func) and function_name(node) in _OF_EACH_ROW)
        for node in own_nodes(item, exp.Expr)
    )
