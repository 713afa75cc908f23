"""Calls of the project's own functions → the nodes of calls of the engine's, if the engine supports them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from compiler.errors import SqlError
from compiler.sql import functions
from compiler.tree.positions import located

Shape = Literal["scalar", "aggregate", "window"]


@dataclass(frozen=True)
class OwnFunction:
    """A function of the project. names: of its parameters; digest: of everything that decides its values.

    any_order: of an aggregate, whether its author declares that its value is the same for every order of rows.
    """

    name: str
    names: tuple[str, ...]
    volatility: str
    digest: str
    shape: Shape = "scalar"
    any_order: bool = False


CALLS: Mapping[str, type[exp.Expression]] = {
    "scalar": functions.ScalarFunction,
    "aggregate": exp.AnonymousAggFunc,
    "window": functions.WindowFunction,
}
"""The nodes for calls of a project's functions."""
_KINDS = {"scalar": "is a function of single rows", "window": "is a window function"}


def with_own_calls(query: exp.Query, own: Mapping[str, OwnFunction]) -> exp.Query:
    """Turn calls of the project's functions into nodes of calls of the engine's. Raises `SqlError`.

    grade(x) → ScalarFunction;  spread(x) → AnonymousAggFunc;  streak(x) OVER (…) → WindowFunction
    """

    def own_call(node: exp.Expr) -> exp.Expr:
        function = own.get(str(node.name).lower()) if isinstance(node, exp.Anonymous) else None
        if function is None:
            return node
        _require_plain(node, function)
        call = CALLS[function.shape](this=function.name, expressions=node.expressions)
        call.meta.update(node.meta)
        return call

    result = query.transform(own_call, copy=False) if own else query
    assert isinstance(result, exp.Query)
    return result


def _require_plain(call: exp.Expr, function: OwnFunction) -> None:
    """Refuse uses of a Python function that the engine does not support, or handles differently without an error."""
    arguments = call.expressions
    odd = next((one for one in arguments if isinstance(one, exp.Order | exp.Distinct | exp.Star)), None)
    if odd is not None:
        word = {exp.Order: "ORDER BY", exp.Distinct: "DISTINCT"}.get(type(odd), "*")
        raise _refused(call, f"'{function.name}' takes no {word}", "put it in a subquery")
    if len(arguments) != len(function.names):
        takes, given = len(function.names), len(arguments)
        message = f"'{function.name}' takes {takes} argument{'' if takes == 1 else 's'}, not {given}"
        raise located(call, message, code="arguments")
    window: exp.Expr | None = None
    inner: exp.Expr = call
    around = call.parent
    while isinstance(around, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup | exp.Window):
        if around.this is not inner:
            break
        if isinstance(around, exp.Window):
            window = around
            break
        if function.shape != "aggregate" or not isinstance(around, exp.Filter):
            word = {exp.Filter: "FILTER", exp.WithinGroup: "WITHIN GROUP"}.get(type(around), "IGNORE or RESPECT NULLS")
            raise _refused(call, f"'{function.name}' takes no {word}")
        inner, around = around, around.parent
    if function.shape == "scalar" and window is not None:
        raise _refused(call, f"'{function.name}' {_KINDS['scalar']}, and takes no OVER", "write an aggregate: @udf.agg")
    if function.shape == "window" and window is None:
        raise _refused(call, f"'{function.name}' {_KINDS['window']}, and needs OVER (…)")
    if window is not None:
        _settle_frame(call, function, window)


def _settle_frame(call: exp.Expr, function: OwnFunction, window: exp.Expr) -> None:
    """Refuse frames: a window function sees its whole partition; an aggregate cannot remove rows that leave a frame."""
    spec = window.args.get("spec")
    alias = window.args.get("alias")
    if alias is not None:  # OVER w
        select = window.find_ancestor(exp.Select)
        named = (select.args.get("windows") or []) if select is not None else []
        spec = next((one.args.get("spec") for one in named if one.name.lower() == alias.name.lower()), None)
    if spec is None:
        return
    from_start = str(spec.args.get("start")).upper() == "UNBOUNDED" and _side(spec, "start") == "PRECEDING"
    to_end = str(spec.args.get("end")).upper() == "UNBOUNDED" and _side(spec, "end") == "FOLLOWING"
    if function.shape == "window":
        if not (from_start and to_end):
            raise _refused(call, f"'{function.name}' sees its whole partition, and takes no frame", "leave it out")
        if alias is None:
            window.set("spec", None)
    elif not from_start:
        hint = "begin the frame at UNBOUNDED PRECEDING"
        raise _refused(call, f"'{function.name}' cannot remove the rows that leave this frame", hint)


def _side(spec: exp.Expr, bound: str) -> str:
    return str(spec.args.get(f"{bound}_side")).upper()


def _refused(call: exp.Expr, message: str, hint: str | None = None) -> SqlError:
    return located(call, message, hint=hint, code="own-function")
