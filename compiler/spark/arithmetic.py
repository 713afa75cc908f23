"""Arithmetic for Spark, over integers, decimals, floats, dates and timestamps."""

from __future__ import annotations

from sqlglot import exp

from compiler.spark import moments
from compiler.spark.numbers import (
    absolute_decimal,
    as_float,
    cast_to,
    constant,
    float_quotient,
    is_tame,
    is_there,
    may_be_float,
    negated,
    or_fail,
    quotient,
)
from compiler.spark.refusal import RefusedError
from compiler.spark.types import (
    COUNTED,
    INTEGERS,
    MOMENTS,
    MOST_DIGITS,
    SparkTypes,
    Write,
    as_decimal,
    decimal_of,
    decimal_type,
)


def arithmetic(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`n + m` of integers, decimals or floats. Decimals that need more than 38 digits have no certain type."""
    kind = types.of(node)
    if kind == "date32" or kind in MOMENTS:
        return moments.moved(node, write(node.this), kind)
    if kind is None:
        raise RefusedError(_mixed(node, types))
    if kind == "int64" and types.of(node.this) == "date32":
        return moments.days_between(write(node.this), write(node.expression))
    sides = [write(node.this), write(node.expression)]
    kinds = [types.of(node.this) or "", types.of(node.expression) or ""]
    if kind == "float64":
        if not all(map(may_be_float, kinds)):
            raise RefusedError(_mixed(node, types))
        sides = [as_float(one, side) for one, side in zip(sides, kinds, strict=True)]
    if decimal_of(kind) is not None:
        sides = [_with_digits(one, side) for one, side in zip(sides, kinds, strict=True)]
    found = type(node)(this=sides[0], expression=sides[1])
    if (decimal_of(kind) or (0, 0))[0] < MOST_DIGITS:
        return exp.Paren(this=found)
    return or_fail(found, is_there(*sides))


def _with_digits(node: exp.Expr, kind: str | None) -> exp.Expr:
    """Return an integer as a decimal of the digits that DataFusion gives it."""
    digits = (20, 0) if kind == COUNTED else as_decimal(kind)
    return cast_to(node, decimal_type(digits[0], 0)) if decimal_of(kind) is None and digits is not None else node


def division(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`n / 2` of integers by a positive literal, quotients of decimals, and of floats by what is not -0.0."""
    divisor, kind = node.expression, types.of(node) or ""
    kinds = types.of(node.this) or "", types.of(divisor) or ""
    if decimal_of(kind) is not None:
        return quotient(write(node.this), write(divisor), kinds, kind)
    if kind == "float64" and all(map(may_be_float, kinds)) and is_tame(divisor, types):
        sides = [as_float(write(one), side) for one, side in zip((node.this, divisor), kinds, strict=True)]
        return float_quotient(sides[0], sides[1], is_positive=(constant(divisor) or 0.0) > 0)
    if not (isinstance(divisor, exp.Literal) and divisor.is_int and int(divisor.name) > 0 and kinds[0] in INTEGERS):
        raise RefusedError(
            f"a division of {kinds[0] or 'an uncertain type'} by what may be zero has other results there"
        )
    return cast_to(exp.Paren(this=exp.IntDiv(this=write(node.this), expression=write(divisor))), kind)


def remainder(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`n % 2` of integers by a positive literal: by zero DataFusion fails, and Spark yields NULL."""
    divisor, kind = node.expression, types.of(node.this)
    if not (isinstance(divisor, exp.Literal) and divisor.is_int and int(divisor.name) > 0 and kind in INTEGERS):
        raise RefusedError(
            "a remainder of a division by what may be zero, or of other numbers than integers, is others' there"
        )
    return cast_to(exp.Paren(this=exp.Mod(this=write(node.this), expression=write(divisor))), types.of(node) or "")


def negation(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`-n` of a number."""
    kind = types.of(node)
    if kind is None:
        raise RefusedError("the minus of what is no number is not known there")
    return negated(write(node.this), kind)


def absolute(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`abs` of decimals: that of the least integer is no integer."""
    (value,) = node.expressions
    kind = types.of(value)
    if kind is None or decimal_of(kind) is None:
        raise RefusedError(f"abs of {kind or 'an uncertain type'} is not known to mean the same there")
    return absolute_decimal(write(value), kind)


def _mixed(node: exp.Expr, types: SparkTypes) -> str:
    left, right = (types.of(one) or "an uncertain type" for one in (node.this, node.expression))
    return f"{type(node).__name__.upper()} of {left} and {right} is not known to mean the same there"
