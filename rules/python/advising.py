"""Advice for functions on a slower rung than necessary: the body is a single call or expression.

Only bodies with the same result wherever the Python does not raise: calls with an equal in the engine; sums, products,
comparisons of floats. The gain in speed is measured, by `python -m benchmarks.rungs`.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pyarrow as pa

from rules.python.syntax import definition

if TYPE_CHECKING:
    from rules.python.functions import RegisteredFunction

_TIMES = {("python", "call"): 12, ("python", "expression"): 24, ("pandas", "call"): 2.5, ("pandas", "expression"): 9}
"""The time of a rung as a multiple of the engine's own, on texts (a call) and on floats (an expression)."""
_METHODS = {
    "upper": ("upper", 0),
    "lower": ("lower", 0),
    "startswith": ("starts_with", 1),
    "endswith": ("ends_with", 1),
}
_CALLS = {"len": ("character_length", pa.string()), "abs": ("abs", pa.float64())}
_OPERATORS = (ast.Add, ast.Sub, ast.Mult)
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


def advice(function: RegisteredFunction) -> tuple[str, str] | None:
    """Return the finding about a function and what to do instead, None if there is none."""
    if function.kind not in {"python", "pandas"} or isinstance(function.function, type):
        return None
    node, _ = definition(function.function.__code__)
    if not isinstance(node, ast.FunctionDef):
        return None
    names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
    types = dict(zip(names, function.inputs, strict=True))
    value = _value(node, names)
    hidden = {*names, *function.function.__globals__}
    call = _engine_call(value, types, hidden, series=function.kind == "pandas") if value is not None else None
    rung = "is called for every value" if function.kind == "python" else "goes through pandas"
    if call is not None:
        message = f"'{function.name}' {rung}, and does what {call} of the engine does"
        return _timed(function, message, "call"), f"call {call} in SQL, its equivalent in Ibis, or @udf.builtin"
    if value is not None and isinstance(value, ast.BinOp | ast.Compare) and _is_expression(value, types):
        message = f"'{function.name}' {rung}, and is an expression of the engine"
        return _timed(function, message, "expression"), "write it in SQL or Ibis, or over arrays: @udf.pyarrow"
    return None


def _timed(function: RegisteredFunction, message: str, what: str) -> str:
    return f"{message}: {_TIMES[function.kind, what]:g} times as slow, measured on a million rows"


def _value(node: ast.FunctionDef, names: list[str]) -> ast.expr | None:
    """Return the expression that a function returns for values that are not None, if its body is only that."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if len(body) == 2 and isinstance(body[0], ast.If) and _is_guard(body[0].test, names):  # noqa: PLR2004 — guard, result
        inside = body[0].body
        if len(inside) != 1 or body[0].orelse or not _returns_none(inside[0]):
            return None
        body = body[1:]
    if len(body) != 1 or not isinstance(body[0], ast.Return):
        return None
    value = body[0].value
    if isinstance(value, ast.IfExp):
        guarded = _is_none(value.body) and _is_guard(value.test, names)
        return value.orelse if guarded else None
    return value


def _returns_none(node: ast.stmt) -> bool:
    return isinstance(node, ast.Return) and (node.value is None or _is_none(node.value))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_guard(test: ast.expr, names: list[str]) -> bool:
    """X is None or y is None."""
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or) else [test]
    return all(
        isinstance(one, ast.Compare)
        and isinstance(one.left, ast.Name)
        and one.left.id in names
        and isinstance(one.ops[0], ast.Is)
        and len(one.ops) == 1
        and _is_none(one.comparators[0])
        for one in parts
    )


def _engine_call(value: ast.expr, types: dict[str, pa.DataType], hidden: set[str], *, series: bool) -> str | None:
    """Return the engine's function that a call of a method or built-in equals."""
    if not isinstance(value, ast.Call) or value.keywords:
        return None
    if isinstance(value.func, ast.Attribute) and value.func.attr in _METHODS:
        name, count = _METHODS[value.func.attr]
        of = value.func.value
        if series:
            of = of.value if isinstance(of, ast.Attribute) and of.attr == "str" else ast.Constant(value=None)
        plain = len(value.args) == count and all(_is_text(one, types) for one in value.args)
        return name if plain and _is_parameter(of, types, pa.string()) else None
    if not series and isinstance(value.func, ast.Name) and value.func.id in _CALLS and value.func.id not in hidden:
        name, kind = _CALLS[value.func.id]
        return name if len(value.args) == 1 and _is_parameter(value.args[0], types, kind) else None
    return None


def _is_parameter(node: ast.expr, types: dict[str, pa.DataType], kind: pa.DataType) -> bool:
    return isinstance(node, ast.Name) and types.get(node.id) == kind


def _is_text(node: ast.expr, types: dict[str, pa.DataType]) -> bool:
    constant = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return constant or _is_parameter(node, types, pa.string())


def _is_expression(node: ast.expr, types: dict[str, pa.DataType]) -> bool:
    """Whether a node is made only of floats, which the engine computes as Python does."""
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
        known = isinstance(node.op, _OPERATORS)
        return known and all(_is_expression(one, types) for one in parts) and any(_has_parameter(one) for one in parts)
    if isinstance(node, ast.Compare):
        parts = [node.left, *node.comparators]
        return isinstance(node.ops[0], _COMPARISONS) and len(parts) == 2 and all(  # noqa: PLR2004 — its two sides
            _is_expression(one, types) and not isinstance(one, ast.Compare) for one in parts
        )  # fmt: skip
    constant = isinstance(node, ast.Constant) and type(node.value) in {int, float}
    return constant or _is_parameter(node, types, pa.float64())


def _has_parameter(node: ast.expr) -> bool:
    return any(isinstance(one, ast.Name) for one in ast.walk(node))
