"""Arithmetic of which the two engines have other rules: quotients, averages, decimals beside floats.

Quotients of decimals are cut off by DataFusion, and rounded by Spark: here they are made of integers. A decimal that is
compared with a float is compared by DataFusion as a decimal of `_FLOAT_SCALE` digits, and as a float by Spark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from sqlglot import exp

from compiler.spark.refusal import LOCALLY, RefusedError
from compiler.spark.types import (
    COUNTED,
    EXACT_DIGITS,
    INTEGERS,
    MOST_DIGITS,
    TIMESTAMP,
    ZONED,
    SparkTypes,
    as_decimal,
    decimal_of,
    decimal_type,
    is_exact,
)
from compiler.sql.functions import function_name

SQL_TYPES = {
    "int8": "TINYINT", "int16": "SMALLINT", "int32": "INT", "int64": "BIGINT", "float64": "DOUBLE",
    "string": "STRING", "bool": "BOOLEAN", "date32": "DATE", TIMESTAMP: "TIMESTAMP_NTZ", ZONED: "TIMESTAMP",
    COUNTED: "BIGINT",
}  # fmt: skip
TOO_WIDE = "a decimal has more than 38 digits"
NO_QUOTIENT = "a division by zero, or a decimal of more than 38 digits"
_FLOAT_DIGITS, _FLOAT_SCALE = 30, 15
"""As decimals, floats have so many digits for DataFusion, so many of them behind the point."""
_SIGNED_DIGITS = 34
"""More digits of a decimal Spark rounds off where it changes the sign, without a word."""
_IS_NEGATIVE, _UNSIGNED = "CAST(v AS STRING) LIKE '-%'", "SUBSTRING(CAST(v AS STRING), 2)"
_EXACT_POWER = 22
"""The highest power of ten that a float is."""
_TAME = 1e100
"""Products of decimals and a few literals between its inverse and this are neither infinite nor cut off to zero."""
_SPLIT = 2.0**40


def sql_type(kind: str) -> str:
    """Return a type as Spark spells it."""
    decimal = decimal_of(kind)
    return f"DECIMAL({decimal[0]}, {decimal[1]})" if decimal is not None else SQL_TYPES[kind]


def cast_to(node: exp.Expr, kind: str) -> exp.Expr:
    """Return a cast as Spark spells it."""
    return exp.Cast(this=node, to=exp.DataType.build(sql_type(kind), dialect="spark"))


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """Return a call of a function of Spark's."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def or_fail(found: exp.Expr, is_due: exp.Expr, message: str = TOO_WIDE) -> exp.Expr:
    """Return a value that is NULL where Spark cannot compute it; that fails where one is due."""
    error = call("raise_error", exp.Literal.string(message))
    return call("coalesce", found, exp.Case(ifs=[exp.If(this=is_due, true=error)]))


def or_locally(found: exp.Expr, is_sure: exp.Expr) -> exp.Expr:
    """Return a value where it is surely that of both engines; where it is not, the query fails with `LOCALLY`."""
    return exp.Case(ifs=[exp.If(this=is_sure, true=found)], default=call("raise_error", exp.Literal.string(LOCALLY)))


def is_there(*nodes: exp.Expr) -> exp.Expr:
    """Return whether values are not NULL."""
    return exp.and_(*(exp.Not(this=exp.Is(this=exp.Paren(this=one.copy()), expression=exp.Null())) for one in nodes))


def quotient(left: exp.Expr, right: exp.Expr, kinds: tuple[str, str], kind: str, more: int | None = None) -> exp.Expr:
    """Return a quotient of decimals, cut off. Fails where it is of a division by zero.

    left, right: written, of the types `kinds`, integers among them. kind: of the quotient.
    more: the power of ten by which its digits are moved; by default that of a division.
    """
    (_, left_scale), (_, right_scale) = as_decimal(kinds[0]) or (0, 0), as_decimal(kinds[1]) or (0, 0)
    _, scale = decimal_of(kind) or (0, 0)
    power = 10 ** (scale - left_scale + right_scale if more is None else more)
    moved = exp.Mul(this=_unscaled(left, kinds[0]), expression=cast_to(exp.Literal.string(str(power)), _integer(power)))
    whole = _bound(
        {"n": cast_to(moved, decimal_type(MOST_DIGITS, 0)), "m": _unscaled(right, kinds[1])},
        "CAST(CAST(n - n % m AS STRING) || 'E-6' AS DECIMAL(38, 6)) / m",  # a quotient has six digits at least
    )
    text = exp.DPipe(this=cast_to(whole, "string"), expression=exp.Literal.string(f"E{6 - scale}"), safe=True)
    return or_fail(cast_to(exp.Paren(this=text), kind), is_there(left, right), NO_QUOTIENT)


def as_float(node: exp.Expr, kind: str) -> exp.Expr:
    """Return an integer or a decimal as the float nearest to its digits, divided by the power of ten of its scale."""
    decimal = decimal_of(kind)
    if decimal is None or decimal[0] <= EXACT_DIGITS:
        return node if kind == "float64" else cast_to(node, "float64")
    digits = cast_to(_unscaled(node, kind), "float64")
    return exp.Paren(this=exp.Div(this=digits, expression=cast_to(exp.Literal.string(f"1E{decimal[1]}"), "float64")))


def may_be_float(kind: str | None) -> bool:
    """Whether both engines convert a type to floats alike."""
    decimal = decimal_of(kind)
    return kind in INTEGERS or kind == "float64" or (decimal is not None and 0 <= decimal[1] <= _EXACT_POWER)


def constant(node: exp.Expr) -> float | None:
    """Return the value of arithmetic with literals, a float among them; None for everything else."""
    found = _constant(node)
    return found if isinstance(found, float) and math.isfinite(found) else None


def _constant(node: exp.Expr) -> float | int | None:
    if isinstance(node, exp.Paren):
        return _constant(node.this)
    if isinstance(node, exp.Literal) and not node.is_string:
        return int(node.name) if node.is_int else float(node.name)
    if isinstance(node, exp.Neg):
        inner = _constant(node.this)
        return None if inner is None else -inner
    if not isinstance(node, exp.Add | exp.Sub | exp.Mul):
        return None
    left, right = _constant(node.this), _constant(node.expression)
    if left is None or right is None or not (isinstance(left, float) or isinstance(right, float)):
        return None
    left, right = float(left), float(right)
    return left + right if isinstance(node, exp.Add) else left - right if isinstance(node, exp.Sub) else left * right


def is_tame(node: exp.Expr, types: SparkTypes) -> bool:
    """Whether a float is certainly finite and not -0.0, so that both engines order it alike.

    That is so of integers and decimals, of sums of such, and of what is multiplied or divided by a positive literal.
    """
    if isinstance(node, exp.Paren | exp.Alias):
        return is_tame(node.this, types)
    kind = types.of(node)
    if kind in INTEGERS or decimal_of(kind) is not None:
        return may_be_float(kind)
    value = constant(node)
    if value is not None:
        return 1 / _TAME < value < _TAME
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select):
        return is_tame(node.this.selects[0].unalias(), types)
    if isinstance(node, exp.Filter | exp.Window):
        return is_tame(node.this, types)
    if function_name(node) == "date_part":
        return kind == "float64"
    if isinstance(node, exp.Avg):
        return types.of(node.this) in INTEGERS
    if isinstance(node, exp.Cast):
        return kind == "float64" and types.of(node.this) != "string" and is_tame(node.this, types)
    if isinstance(node, exp.Add | exp.Sub):
        return is_tame(node.this, types) and is_tame(node.expression, types)
    if isinstance(node, exp.Mul | exp.Div):
        sides = [node.this, node.expression]
        scales = [one for one in (sides if isinstance(node, exp.Mul) else sides[1:]) if _is_positive(one)]
        return bool(scales) and all(is_tame(one, types) for one in sides)
    return False


def is_certain(node: exp.Expr, types: SparkTypes) -> bool:
    """Whether rows may be compared, grouped and sorted by an expression: both engines have its values in one order."""
    while isinstance(node, exp.Paren | exp.Alias | exp.Filter | exp.Window):
        node = node.this
    return is_exact(types.of(node)) or (isinstance(node, exp.Avg) and is_tame(node, types))


def _is_positive(node: exp.Expr) -> bool:
    value = _constant(node)
    return value is not None and 1 / _TAME < value < _TAME


def beside_float(kind: str) -> str | None:
    """Return the type in which a decimal is compared with a float; None if it is not known."""
    precision, scale = decimal_of(kind) or (0, 0)
    after = max(scale, _FLOAT_SCALE)
    before = max(precision - scale, _FLOAT_DIGITS - _FLOAT_SCALE)
    return decimal_type(min(before + after, MOST_DIGITS), after) if 0 <= after <= _EXACT_POWER else None


def widened(node: exp.Expr, before: str, kind: str) -> exp.Expr:
    """Return a decimal, or an integer, with more digits; fails if it has too many. before: its type."""
    (digits, scale), (most, after) = as_decimal(before) or (0, 0), decimal_of(kind) or (0, 0)
    found = cast_to(node, kind)
    return found if digits - scale <= most - after else or_fail(found, is_there(node))


def float_as_decimal(node: exp.Expr, kind: str, value: float | None) -> exp.Expr:
    """Return a tame float as a decimal, rounded as DataFusion does: half away from zero, once it is multiplied.

    value: of a constant. A float is taken apart into integers, as Spark would convert its shortest text. One too large
    for that may not be too large for the local engine, to which it is left.
    """
    _, scale = decimal_of(kind) or (0, 0)
    if value is not None:
        moved = abs(value) * 10.0**scale
        whole = math.floor(moved) + (1 if moved - math.floor(moved) >= 0.5 else 0)  # noqa: PLR2004 — a half
        return cast_to(exp.Literal.string(f"{'-' if value < 0 else ''}{whole}E-{scale}"), kind)
    given = exp.column("f")
    power = cast_to(exp.Literal.string(f"1E{scale}"), "float64")
    digits = _bound({"v": _bound({"v": call("abs", exp.Mul(this=given, expression=power))}, _ROUNDED)}, _EXACT)
    is_negative = exp.LT(this=given.copy(), expression=_zero())
    sign = exp.Case(ifs=[exp.If(this=is_negative, true=exp.Literal.string("-"))], default=exp.Literal.string(""))
    text = call("concat", sign, cast_to(digits, "string"), exp.Literal.string(f"E-{scale}"))
    return _bound({"f": node}, or_fail(cast_to(text, kind), is_there(given), LOCALLY))


_ROUNDED = (
    "CASE WHEN v < CAST('4503599627370496' AS DOUBLE) THEN CAST(CAST(v AS BIGINT) AS DOUBLE) + CASE WHEN "
    "v - CAST(CAST(v AS BIGINT) AS DOUBLE) >= CAST('0.5' AS DOUBLE) THEN CAST('1' AS DOUBLE) ELSE CAST('0' AS DOUBLE) "
    "END ELSE v END"
)
_HIGH = f"CAST(FLOOR(v / CAST('{_SPLIT}' AS DOUBLE)) AS DOUBLE)"
_EXACT = (
    f"CASE WHEN v < CAST('9.0E27' AS DOUBLE) THEN CAST(CAST(FLOOR(v / CAST('{_SPLIT}' AS DOUBLE)) AS BIGINT) AS "
    f"DECIMAL(20, 0)) * CAST('{int(_SPLIT)}' AS DECIMAL(13, 0)) + CAST(CAST(v - {_HIGH} * "
    f"CAST('{_SPLIT}' AS DOUBLE) AS BIGINT) AS DECIMAL(20, 0)) END"
)
"""An integer of less than 93 bits, of its two halves."""


def negated(node: exp.Expr, kind: str) -> exp.Expr:
    """Return the minus of a number. That of a decimal with more than 34 digits is one of its text."""
    if _rounds(kind):
        text = f"CASE WHEN {_IS_NEGATIVE} THEN {_UNSIGNED} ELSE CONCAT('-', CAST(v AS STRING)) END"
        return _bound({"v": node}, f"CAST({text} AS {sql_type(kind)})")
    return exp.Paren(this=exp.Neg(this=node))


def absolute_decimal(node: exp.Expr, kind: str) -> exp.Expr:
    """Return a decimal without its sign."""
    if _rounds(kind):
        return _bound({"v": node}, f"CASE WHEN {_IS_NEGATIVE} THEN CAST({_UNSIGNED} AS {sql_type(kind)}) ELSE v END")
    return call("abs", node)


def _rounds(kind: str) -> bool:
    """Whether Spark rounds a decimal where it changes the sign: by Scala's BigDecimal, whose results have 34 digits."""
    return (decimal_of(kind) or (0, 0))[0] > _SIGNED_DIGITS


def float_quotient(left: exp.Expr, right: exp.Expr, *, is_positive: bool) -> exp.Expr:
    """Return a quotient of floats; by zero it is infinite or NaN, which Spark has as NULL. right: not -0.0."""
    plain = exp.Div(this=left, expression=right)
    if is_positive:
        return exp.Paren(this=plain)
    infinite = exp.Mul(this=left.copy(), expression=cast_to(exp.Literal.string("Infinity"), "float64"))
    is_zero = exp.EQ(this=right.copy(), expression=_zero())
    return exp.Paren(this=exp.Case(ifs=[exp.If(this=is_zero, true=infinite)], default=plain))


def _unscaled(node: exp.Expr, kind: str) -> exp.Expr:
    """Return the digits of a decimal as an integer of 38 digits. Spark moves a point only where digits are left.

    As text a decimal may be 1.2E-9: all its digits, and a power of ten that its scale says, too.
    """
    decimal = decimal_of(kind)
    if decimal is None or not decimal[1]:
        return cast_to(node, decimal_type(MOST_DIGITS, 0))
    shown = call("substring_index", cast_to(node, "string"), exp.Literal.string("E"), exp.Literal.number(1))
    text = call("replace", shown, exp.Literal.string("."), exp.Literal.string(""))
    return cast_to(text, decimal_type(MOST_DIGITS, 0))


def _bound(values: Mapping[str, exp.Expr], body: str | exp.Expr) -> exp.Expr:
    """Write each value once, however often the body names it. Raises `RefusedError`."""
    if any(value.find(exp.Query) for value in values.values()):
        raise RefusedError("arithmetic that needs a subquery more than once is not known there")
    arrays = [call("array", value) for value in values.values()]
    names = [exp.to_identifier(name) for name in values]
    lambda_ = exp.Lambda(this=exp.maybe_parse(body, dialect="spark"), expressions=names)
    for column in list(lambda_.this.find_all(exp.Column)):
        if column.name in values:
            column.replace(exp.to_identifier(column.name))
    made = call("transform" if len(names) == 1 else "zip_with", *arrays, lambda_)
    return call("element_at", made, exp.Literal.number(1))


def _integer(power: int) -> str:
    return decimal_type(len(str(power)), 0)


def _zero() -> exp.Expr:
    return cast_to(exp.Literal.string("0"), "float64")
