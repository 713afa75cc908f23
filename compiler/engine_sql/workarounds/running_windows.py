"""A fault of the engine in running MIN, MAX and SUM: it takes their values for sorted, and does not see the NULLs.

DataFusion 55 knows that a running MAX only grows, and drops a sort by it. Before the first value it is NULL, which that
sort may have to put last.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.engine_sql.workarounds.hiding import hide

_GROWING = (exp.Max, exp.Min, exp.Sum)


def sort_running_windows(query: exp.Query, facts: Facts) -> exp.Query:
    """MAX(x) OVER (ORDER BY k) → greatest(MAX(x) OVER (ORDER BY k)), in place, which the engine takes for unsorted."""
    for window in reversed(running_windows(query, facts)):  # those within others first
        hide(window)
    return query


def running_windows(query: exp.Query, facts: Facts) -> list[exp.Expr]:
    """Return the calls over a part of their partition that grow or shrink with it, if rows are put in order."""
    windows: list[exp.Expr] = [window for window in facts.nodes(query, exp.Window) if _is_running(window)]
    own = {id(window.args.get("order")) for window in windows}
    ordered = len(windows) > 1 or any(id(order) not in own for order in facts.nodes(query, exp.Order))
    return windows if windows and (ordered or facts.has(query, exp.Distinct, exp.Group)) else []


def _is_running(window: exp.Expr) -> bool:
    call = window.this
    while isinstance(call, exp.Filter | exp.IgnoreNulls | exp.RespectNulls):
        call = call.this
    return isinstance(call, _GROWING) and bool(
        window.args.get("order") or window.args.get("spec") or window.args.get("alias")
    )
