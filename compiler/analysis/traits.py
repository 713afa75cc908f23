"""Further facts about a query that decide how its result may be keyed and compared."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.sql import functions
from compiler.tree.walk import find_all, nodes

_TIE_FREE_WINDOWS = {"rank", "dense_rank", "percent_rank", "cume_dist"}


@dataclass(frozen=True)
class Traits:
    """Facts about one query.

    volatile: names of the volatile functions it calls ("random"); such a query may differ from run to run.
    order_dependent: its rows can depend on the order of its inputs' rows (LIMIT, ties in windows, array_agg, …).
    float_sensitive: it adds or averages floats; the last bits of the result depend on how rows are ordered and batched.
    ordered: its own row order is content, because it ends in ORDER BY.
    """

    volatile: tuple[str, ...]
    order_dependent: bool
    float_sensitive: bool
    ordered: bool


def traits(query: exp.Query, types: Types) -> Traits:
    """Return the traits of a qualified query. Anything not known to be harmless counts as harmful.

    types: those of its expressions; they distinguish a sum of integers from one of floats.
    """
    return Traits(
        volatile=volatile_calls(query),
        order_dependent=is_order_dependent(query),
        float_sensitive=_is_float_sensitive(query, types),
        ordered=query.args.get("order") is not None,
    )


def volatile_calls(query: exp.Expr) -> tuple[str, ...]:
    """Return the names of the volatile functions that a query calls."""
    names = (functions.function_name(node) or "" for node in find_all(query, exp.Func) if functions.is_volatile(node))
    return tuple(dict.fromkeys(names))


def is_order_dependent(query: exp.Query) -> bool:
    """Whether a query's rows or values can depend on the order of its inputs' rows."""
    return any(map(shows_row_order, nodes(query)))


def depends_on_row_order(node: exp.Expr, types: Types) -> bool:
    """Whether the order of rows can affect the result of a part of a query: its rows, values or their last bits."""
    return _is_float_sensitive(node, types) or any(map(shows_row_order, nodes(node)))


def _is_float_sensitive(node: exp.Expr, types: Types) -> bool:
    calls = (
        call for call in find_all(node, exp.Func) if functions.is_float_sensitive(functions.function_name(call) or "")
    )
    return any(not isinstance(call, exp.Sum) or not types.is_integer(call.this) for call in calls)


def shows_row_order(node: exp.Expr) -> bool:
    """Whether the effect of a node itself can depend on the order of its inputs' rows."""
    if isinstance(node, exp.Limit | exp.Offset | exp.Fetch):
        return True
    if isinstance(node, exp.Distinct):
        return node.args.get("on") is not None
    if isinstance(node, exp.Window):
        function = node.this
        if functions.function_name(node) in _TIE_FREE_WINDOWS:
            return False
        spec = node.args.get("spec")
        # A frame of whole peer groups does not depend on the order of ties; any other may cut through them.
        by_peers = spec is None or spec.args.get("kind") == "RANGE"
        return not (isinstance(function, exp.AggFunc) and by_peers and not functions.is_order_dependent(function))
    return isinstance(node, exp.Func) and functions.is_order_dependent(node)
