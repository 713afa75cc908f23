"""What else about a query decides how its result may be keyed and compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from compiler import functions
from compiler.schema import Schema
from compiler.types import Types

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


def traits(query: exp.Query, schemas: Mapping[str, Schema] | None = None) -> Traits:
    """Return the traits of a qualified query. What is not known to be harmless counts as harmful.

    schemas: of the inputs, by the names they have in the tree; they tell a sum of integers from one of floats.
    """
    volatile = [functions.function_name(node) or "" for node in query.find_all(exp.Func) if functions.is_volatile(node)]
    return Traits(
        volatile=tuple(dict.fromkeys(volatile)),
        order_dependent=any(_is_order_dependent(node) for node in query.walk()),
        float_sensitive=_is_float_sensitive(query, schemas or {}),
        ordered=query.args.get("order") is not None,
    )


def _is_float_sensitive(query: exp.Query, schemas: Mapping[str, Schema]) -> bool:
    calls = [
        node for node in query.find_all(exp.Func) if functions.is_float_sensitive(functions.function_name(node) or "")
    ]
    if not calls or any(not isinstance(call, exp.Sum) for call in calls):
        return bool(calls)
    types = Types(query, schemas)
    return not all(types.is_integer(call.this) for call in calls)


def _is_order_dependent(node: exp.Expr) -> bool:
    if isinstance(node, exp.Limit | exp.Offset | exp.Fetch):
        return True
    if isinstance(node, exp.Distinct):
        return node.args.get("on") is not None
    if isinstance(node, exp.Window):
        function = node.this
        if functions.function_name(node) in _TIE_FREE_WINDOWS:
            return False
        spec = node.args.get("spec")
        # A frame of whole peer groups does not care how ties are ordered; any other may cut through them.
        by_peers = spec is None or spec.args.get("kind") == "RANGE"
        return not (isinstance(function, exp.AggFunc) and by_peers and not functions.is_order_dependent(function))
    return isinstance(node, exp.Func) and functions.is_order_dependent(node)
