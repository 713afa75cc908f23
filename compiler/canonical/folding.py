"""Expressions of literals alone, computed as the engine computes them: exactly, or not at all."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, timedelta

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.compared_constants import moment_of
from compiler.canonical.facts import Facts
from compiler.canonical.literals import spelled_number
from compiler.canonical.predicate_facts import is_constant, is_date
from compiler.sql.functions import ScalarFunction

_BIGINT = range(-(2**63) + 1, 2**63)
_EXACT = 2**53
"""Integers up to here are the same number as doubles."""
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
FOLDED_IN = (
    *_ARITHMETIC, *_COMPARED, exp.Alias, exp.Between, exp.In, exp.If, exp.Case, exp.Coalesce, exp.DPipe, exp.Is,
    exp.Neg, exp.And, exp.Or, exp.Not, exp.Where, exp.Having, exp.Join, exp.NullSafeEQ, exp.NullSafeNEQ,
)  # fmt: skip
"""Where a literal may replace what yields it: in ORDER BY and GROUP BY it is a position, and the type of a function's
result can depend on whether an argument is a literal."""
_COMPARE: dict[type[exp.Expr], Callable[[object, object], bool]] = {
    exp.EQ: lambda a, b: a == b,
    exp.NEQ: lambda a, b: a != b,
    exp.LT: lambda a, b: a < b,  # type: ignore[operator]
    exp.LTE: lambda a, b: a <= b,  # type: ignore[operator]
    exp.GT: lambda a, b: a > b,  # type: ignore[operator]
    exp.GTE: lambda a, b: a >= b,  # type: ignore[operator]
}
_INTERVAL = re.compile(r"(-?[0-9]{1,5}) (day|month|second)")
_LAST_SAFE_DAY = 28
"""Every month has a day of this number."""


def fold_literals(query: exp.Query, facts: Facts) -> exp.Query:
    """Compute what is made of literals alone.

    7 / 2 → 3;  1.0 - 0.2 → 0.8;  'a' || 'b' → 'ab';  1 < 2 → TRUE;  1 IS NULL → FALSE;  CAST(3 AS BIGINT) → 3;
    - -3 → 3;  DATE '2024-01-31' - INTERVAL '30 day' → DATE '2024-01-01';  likewise of a TIMESTAMP

    Sums and products of integers are those of compiler.canonical.arithmetic. What would overflow, divide by zero or be
    a zero that might have a sign stays.
    """
    kinds = (exp.Div, exp.Mod, exp.Add, exp.Sub, exp.Mul, *_COMPARED, exp.Is, exp.Neg, exp.Cast, exp.DPipe, exp.Not)
    for node in facts.nodes(query, *kinds)[::-1]:
        if isinstance(node.parent, FOLDED_IN) and (folded := _folded(node)) is not None:
            node.replace(folded)
    return query


def join_texts(query: exp.Query, facts: Facts) -> exp.Query:
    """Write neighbouring literals of a concatenation as one.

    s || '-' || 'x' → s || '-x';  concat(s, '-', 'x') → concat(s, '-x')

    Of a list, || appends; so only where the first operand certainly is no list.
    """
    types: Types | None = None
    for node in facts.nodes(query, exp.DPipe)[::-1]:
        inner, last = node.this, node.expression
        if not isinstance(inner, exp.DPipe) or not _is_text(last) or not _is_text(inner.expression):
            continue
        types = types or facts.types(query)
        if types.of(inner.this) == "string":
            node.set("this", inner.this)
            node.set("expression", exp.Literal.string(inner.expression.name + last.name))
    for call in facts.nodes(query, ScalarFunction):
        if str(call.name).lower() != "concat" or not any(map(_is_text, call.expressions)):
            continue
        joined: list[exp.Expr] = []
        for argument in call.expressions:
            if joined and _is_text(argument) and _is_text(joined[-1]):
                joined[-1] = exp.Literal.string(joined[-1].name + argument.name)
            else:
                joined.append(argument)
        if len(joined) < len(call.expressions):
            types = types or facts.types(query)
            if all(types.of(argument) == "string" for argument in call.expressions):
                call.set("expressions", joined)
    return query


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and node.is_string


def truth_of(comparison: type[exp.Expr], left: exp.Expr, right: exp.Expr) -> bool | None:
    """Return what a comparison of two literals yields; None if they are not of one kind, or NULL."""
    first, second = _comparable(left), _comparable(right)
    if first is None or second is None or type(first) is not type(second):
        return None
    return _COMPARE[comparison](first, second)


def _folded(node: exp.Expr) -> exp.Expr | None:
    if isinstance(node, _COMPARED):
        truth = truth_of(type(node), node.this, node.expression)
        return None if truth is None else exp.Boolean(this=truth)
    if isinstance(node, exp.Is):
        return _is(node)
    if isinstance(node, exp.Not):
        return exp.Boolean(this=not node.this.this) if isinstance(node.this, exp.Boolean) else None
    if isinstance(node, exp.DPipe):
        texts = [side for side in (node.this, node.expression) if isinstance(side, exp.Literal) and side.is_string]
        return exp.Literal.string(texts[0].name + texts[1].name) if len(texts) == 2 else None  # noqa: PLR2004 — two sides
    if isinstance(node, exp.Neg):
        inner = node.this
        return inner.this if isinstance(inner, exp.Neg) and isinstance(inner.this, exp.Literal) else None
    if isinstance(node, exp.Cast):
        return _cast(node)
    if isinstance(node.expression, exp.Interval):
        return _shifted(node)
    left, right = _number(node.this), _number(node.expression)
    if left is None or right is None:
        return None
    if isinstance(left, int) and isinstance(right, int):
        return _whole(node, left, right)
    return _double(node, left, right)


def _is(node: exp.Is) -> exp.Expr | None:
    value, wanted = node.this, node.expression
    if not is_constant(value) or not isinstance(wanted, exp.Null | exp.Boolean):
        return None
    if isinstance(wanted, exp.Null):
        return exp.Boolean(this=isinstance(value, exp.Null)) if _is_certain(value) else None
    if isinstance(value, exp.Boolean | exp.Null):
        return exp.Boolean(this=isinstance(value, exp.Boolean) and bool(value.this) == bool(wanted.this))
    return None


def _is_certain(value: exp.Expr) -> bool:
    """Whether a constant is computed without fail: a cast is only of a valid date."""
    return not isinstance(value, exp.Cast) or is_date(value)


def _cast(node: exp.Cast) -> exp.Expr | None:
    """Drop a cast of a literal to the type that it has anyway."""
    value = node.this
    if type(node) is not exp.Cast or node.to.expressions or node.args.get("format"):
        return None
    if isinstance(value, exp.Literal) and value.is_string:
        return value if node.to.this in (exp.DType.VARCHAR, exp.DType.TEXT) else None
    number = _number(value)
    if isinstance(number, int):
        return value if node.to.this is exp.DType.BIGINT else None
    return value if isinstance(number, float) and node.to.this is exp.DType.DOUBLE else None


def _whole(node: exp.Expr, left: int, right: int) -> exp.Expr | None:
    if not isinstance(node, exp.Div | exp.Mod) or right == 0:
        return None
    quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    return _literal(quotient if isinstance(node, exp.Div) else left - quotient * right)


def _double(node: exp.Expr, left: float, right: float) -> exp.Expr | None:
    if any(isinstance(side, int) and abs(side) > _EXACT for side in (left, right)):
        return None
    first, second = float(left), float(right)
    if isinstance(node, exp.Add):
        result = first + second
    elif isinstance(node, exp.Sub):
        result = first - second
    elif isinstance(node, exp.Mul):
        result = first * second
    elif isinstance(node, exp.Div) and second:
        result = first / second
    else:
        return None
    return _literal(result) if math.isfinite(result) and result else None


def _shifted(node: exp.Expr) -> exp.Expr | None:
    """Return the date or moment that is some days or months from another; months only where no day has to give way."""
    found = _INTERVAL.fullmatch(node.expression.this.name) if isinstance(node.expression.this, exp.Literal) else None
    if found is None or node.expression.args.get("unit") or not isinstance(node, exp.Add | exp.Sub):
        return None
    moment = moment_of(node.this)
    if moment is None and (not is_date(node.this) or found[2] == "second"):
        return None
    day: date = moment or date.fromisoformat(node.this.this.name)
    count = int(found[1]) * (-1 if isinstance(node, exp.Sub) else 1)
    try:
        if found[2] != "month":
            day += timedelta(**{f"{found[2]}s": count})
        elif day.day <= _LAST_SAFE_DAY:
            years, month = divmod(day.month - 1 + count, 12)
            day = day.replace(year=day.year + years, month=month + 1)
        else:
            return None
    except (OverflowError, ValueError):
        return None
    kind = exp.DType.DATE if moment is None else exp.DType.TIMESTAMP
    shifted = exp.Cast(this=exp.Literal.string(str(day)), to=exp.DataType(this=kind, nested=False))
    return shifted if moment is None or moment_of(shifted) is not None else None


def _literal(value: float) -> exp.Expr | None:
    if isinstance(value, int) and value not in _BIGINT:
        return None
    text = str(abs(value)) if isinstance(value, int) else spelled_number(repr(abs(value)))
    number = exp.Literal.number(text)
    return exp.Neg(this=number) if value < 0 else number


def _number(node: exp.Expr) -> int | float | None:
    """Return the value of a number that the engine reads as a bigint or as a double."""
    sign, literal = (-1, node.this) if isinstance(node, exp.Neg) else (1, node)
    if not isinstance(literal, exp.Literal) or literal.is_string:
        return None
    if literal.is_int:
        return sign * int(literal.name) if int(literal.name) in _BIGINT else None
    try:
        value = float(literal.name)
    except ValueError:
        return None
    return sign * value if math.isfinite(value) else None


def _comparable(node: exp.Expr) -> object:
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Literal) and node.is_string:
        return node.name.encode()
    if is_date(node):
        return date.fromisoformat(node.this.name)
    number = _number(node)
    return number if isinstance(number, int) else None
