"""Aggregates that both engines compute alike, of groups and of windows.

An average of integers is a sum of floats in DataFusion. As long as that sum stays below 2 ** 53 no addition rounds, so
that the order of the rows does not matter; where it does not, the rule is run locally.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from compiler.spark.numbers import call, cast_to, or_fail, or_locally, quotient
from compiler.spark.refusal import RefusedError
from compiler.spark.types import (
    INTEGERS,
    MOST_DIGITS,
    QUOTIENT_DIGITS,
    SparkTypes,
    Write,
    decimal_of,
    decimal_type,
    is_exact,
    sum_type,
)

_EXACT_SUM = 1 << 53
"""Sums of integers up to this are floats, whatever their order."""
_MOST_ROWS = 1 << 31
"""Fewer integers of 32 bits than this have a sum of 64."""


def aggregate(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """Write an aggregate, with FILTER or without: `SUM(x) FILTER (WHERE c)` is that of `CASE WHEN c THEN x END`."""
    if isinstance(node, exp.Filter):
        condition: exp.Expr | None = write(node.expression.this)
        node = node.this
    else:
        condition = None

    def argument(one: exp.Expr) -> exp.Expr:
        found = write(one)
        return found if condition is None else exp.Case(ifs=[exp.If(this=condition.copy(), true=found)])

    if isinstance(node, exp.Count):
        return _count(node, types, argument, condition)
    if isinstance(node, exp.Avg):
        return _average(node, types, argument)
    if isinstance(node, exp.Sum):
        return _sum(node, types, argument)
    if isinstance(node, exp.Min | exp.Max):
        _require_plain(node)
        kind = types.of(node.this)
        if not is_exact(kind):
            raise RefusedError(f"{type(node).__name__.upper()} of {kind or 'an uncertain type'} is not known there")
        return type(node)(this=argument(node.this))
    raise RefusedError(f"FILTER of {type(node).__name__.upper()} is not known to mean the same there")


def is_wider_sum(item: exp.Expr, kind: str, types: SparkTypes) -> bool:
    """Whether an output is a SUM of decimals which DataFusion gives more digits.

    It does beside a COUNT(DISTINCT …), where it adds up sums: the type, and not the value, is then another.
    """
    own, other = decimal_of(types.of(item)), decimal_of(kind)
    if own is None or other is None or not isinstance(item.unalias(), exp.Sum):
        return False
    return own[1] == other[1] and own[0] < other[0]


def _average(node: exp.Expr, types: SparkTypes, argument: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """AVG of decimals, cut off, or of integers."""
    kind, own = types.of(node.this) or "", types.of(node)
    _require_plain(node)
    if kind in INTEGERS:
        return _mean(argument(node.this), kind)
    if decimal_of(kind) is None or own is None:
        raise RefusedError(f"AVG of {kind or 'an uncertain type'} is not known to mean the same there")
    total = sum_type(kind)
    counted = exp.Count(this=argument(node.this))
    return quotient(exp.Sum(this=argument(node.this)), counted, (total, "int64"), own, QUOTIENT_DIGITS)


def _mean(value: exp.Expr, kind: str) -> exp.Expr:
    """Return the mean of integers: where their sum is exact, in any order, a quotient of two floats."""
    wide = decimal_type(20, 0) if kind == "int64" else "int64"
    size = exp.Sum(this=call("abs", cast_to(value.copy(), wide)))
    counted = exp.Count(this=value.copy())
    is_sure: exp.Expr = exp.LTE(this=size, expression=cast_to(exp.Literal.string(str(_EXACT_SUM)), wide))
    if kind != "int64":
        few = exp.LT(this=counted.copy(), expression=cast_to(exp.Literal.string(str(_MOST_ROWS)), "int64"))
        is_sure = exp.and_(is_sure, few)
    is_empty = exp.EQ(this=counted.copy(), expression=exp.Literal.number(0))
    found = exp.Div(this=cast_to(exp.Sum(this=value), "float64"), expression=cast_to(counted, "float64"))
    return or_locally(found, exp.or_(is_empty, is_sure))


def _sum(node: exp.Expr, types: SparkTypes, argument: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    kind = types.of(node.this)
    _require_plain(node)
    decimal = decimal_of(kind)
    if not (kind in INTEGERS or decimal is not None):
        raise RefusedError(f"SUM of {kind or 'an uncertain type'} is not known to mean the same there")
    found = exp.Sum(this=argument(node.this))
    if decimal is None or decimal[0] + 10 <= MOST_DIGITS:
        return found
    return or_fail(found, exp.GT(this=exp.Count(this=argument(node.this)), expression=exp.Literal.number(0)))


def _count(
    node: exp.Expr, types: SparkTypes, argument: Callable[[exp.Expr], exp.Expr], condition: exp.Expr | None
) -> exp.Expr:
    counted = node.this
    if node.expressions:
        raise RefusedError("COUNT of several columns is not known to mean the same there")
    if isinstance(counted, exp.Star):
        if condition is None:
            return exp.Count(this=exp.Star())
        return exp.Count(this=exp.Case(ifs=[exp.If(this=condition, true=exp.Literal.number(1))]))
    if isinstance(counted, exp.Distinct):
        if len(counted.expressions) != 1 or not is_exact(types.of(counted.expressions[0])):
            raise RefusedError(
                "COUNT(DISTINCT …) of floats, or of several columns, is not known to mean the same there"
            )
        return exp.Count(this=exp.Distinct(expressions=[argument(counted.expressions[0])]))
    return exp.Count(this=argument(counted))


def _require_plain(node: exp.Expr) -> None:
    if any(value for key, value in node.args.items() if key != "this"):
        raise RefusedError(f"{type(node).__name__.upper()} of several arguments is not known there")
