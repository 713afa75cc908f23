"""Comparisons for Spark: of values of one type, and of numbers, dates and texts that both engines compare alike."""

from __future__ import annotations

import functools
from collections.abc import Callable

from sqlglot import exp

from compiler.spark import moments
from compiler.spark.alike import same
from compiler.spark.numbers import as_float, beside_float, cast_to, constant, float_as_decimal, is_tame, widened
from compiler.spark.refusal import RefusedError
from compiler.spark.types import (
    COUNTED,
    EXACT_DIGITS,
    INTEGERS,
    MOMENTS,
    MOST_DIGITS,
    SparkTypes,
    Write,
    as_decimal,
    decimal_of,
    is_exact,
)


def is_test(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`x IS NULL`, `x IS TRUE`, `x IS FALSE`."""
    if not isinstance(node.expression, exp.Null | exp.Boolean):
        raise RefusedError(f"{node.sql()} is not known to mean the same there")
    return same(node, types, write)


def comparison(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`a = b`, `a < b` and the like."""
    values = [node.this, node.expression]
    sides = _beside_floats(values, types, write) or _beside_moments(values, types, write)
    if sides is None:
        require_common_type(node, [node.this, node.expression], types)
        return same(node, types, write)
    return type(node)(this=sides[0], expression=sides[1])


def between(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`a BETWEEN b AND c`."""
    if node.args.get("symmetric"):
        raise RefusedError("BETWEEN SYMMETRIC is not known there")
    values = [node.this, node.args["low"], node.args["high"]]
    sides = _beside_floats(values, types, write) or _beside_moments(values, types, write)
    if sides is None:
        require_common_type(node, values, types)
        return same(node, types, write)
    return exp.Between(this=sides[0], low=sides[1], high=sides[2])


def membership(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`a IN (b, c)` and `a IN (SELECT …)`."""
    inner = node.args.get("query")
    if inner is not None:
        require_common_type(node, [node.this, inner], types, order=False)
        return exp.In(this=write(node.this), query=write(inner))
    sides = _beside_moments([node.this, *node.expressions], types, write)
    if sides is not None:
        return exp.In(this=sides[0], expressions=sides[1:])
    require_common_type(node, [node.this, *node.expressions], types)
    return same(node, types, write)


def nullif(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`nullif(a, b)`: of the type that both have together."""
    one, other = node.expressions
    kind = types.of(node)
    require_common_type(node, [one, other], types)
    if kind is None:
        raise RefusedError("nullif of several types is not known to mean the same there")
    found = write(one) if types.of(one) == kind else cast_to(write(one), kind)
    is_equal = exp.EQ(this=write(one), expression=write(other))
    return exp.Case(ifs=[exp.If(this=is_equal, true=exp.Null())], default=found)


def _beside_floats(values: list[exp.Expr], types: SparkTypes, write: Write) -> list[exp.Expr] | None:
    """Write values to compare that are floats, or a decimal and floats; None for others."""
    kinds = [types.of(one) or "" for one in values]
    if "float64" not in kinds or not all(is_tame(one, types) for one in values):
        return None
    wide = beside_float(kinds[0] if decimal_of(kinds[0]) else kinds[-1])
    first, *others = (decimal_of(kind) is not None for kind in kinds)
    if not (first or any(others)):
        return [_within(as_float, one, kind, write) for one, kind in zip(values, kinds, strict=True)]
    if wide is None or len(set(others)) > 1 or first == others[0] or set(kinds) & INTEGERS:
        return None

    def as_decimal_there(one: exp.Expr, node: exp.Expr, kind: str) -> exp.Expr:
        return float_as_decimal(node, wide, constant(one)) if kind == "float64" else widened(node, kind, wide)

    return [
        _within(functools.partial(as_decimal_there, one), one, kind, write)
        for one, kind in zip(values, kinds, strict=True)
    ]


def _within(change: Callable[[exp.Expr, str], exp.Expr], node: exp.Expr, kind: str, write: Write) -> exp.Expr:
    """Write a value that is changed; that of a subquery within it, so that it is written once."""
    found = write(node)
    if not (isinstance(found, exp.Subquery) and isinstance(found.this, exp.Select)):
        return change(found, kind)
    item = found.this.selects[0]
    item.replace(exp.alias_(change(item.unalias().copy(), kind), item.alias_or_name, quoted=True))
    return found


def _beside_moments(values: list[exp.Expr], types: SparkTypes, write: Write) -> list[exp.Expr] | None:
    """Write values to compare, timestamps or dates among them, and texts that are such; None for others."""
    kinds = [types.of(one) for one in values]
    own = next((kind for kind in kinds if kind in MOMENTS), None)
    if own is not None:
        found = [_as_timestamp(one, kind, own, write) for one, kind in zip(values, kinds, strict=True)]
    elif "date32" in kinds and "string" in kinds:
        found = [_as_day(one, kind, write) for one, kind in zip(values, kinds, strict=True)]
    else:
        return None
    written_out = [one for one in found if one is not None]
    return written_out if len(written_out) == len(found) else None


def _as_timestamp(node: exp.Expr, kind: str | None, wanted: str, write: Write) -> exp.Expr | None:
    text = moments.literal_moment(node) or moments.moment_text(node)
    if text is not None:
        return moments.moment(text, wanted)
    if kind == wanted or isinstance(node, exp.Null):
        return write(node)
    return cast_to(write(node), wanted) if kind == "date32" else None


def _as_day(node: exp.Expr, kind: str | None, write: Write) -> exp.Expr | None:
    text = moments.literal_day(node)
    if text is not None:
        return cast_to(exp.Literal.string(text), "date32")
    return write(node) if kind == "date32" or isinstance(node, exp.Null) else None


def require_common_type(node: exp.Expr, values: list[exp.Expr], types: SparkTypes, *, order: bool = True) -> None:
    """Raise `RefusedError` unless values are of one type, or are numbers that both engines compare exactly."""
    kinds = [types.of(one) for one in values if not isinstance(one, exp.Null)]
    if len(set(kinds)) <= 1 and all(map(is_exact, kinds)):
        return
    if order and all(kind in INTEGERS or kind == COUNTED for kind in kinds):
        return
    decimals = [(20, 0) if kind == COUNTED else as_decimal(kind) for kind in kinds]
    if order and all(one is not None for one in decimals):
        exact = [one for one in decimals if one is not None]
        if max(one[0] - one[1] for one in exact) + max(one[1] for one in exact) <= MOST_DIGITS:
            return
    if order and all(_is_small_decimal(kind) or _is_some_float(one) for kind, one in zip(kinds, values, strict=False)):
        return
    what = " and ".join(dict.fromkeys(str(kind or "an uncertain type") for kind in kinds))
    raise RefusedError(f"{type(node).__name__.upper()} of {what} is not known to mean the same there")


def _is_small_decimal(kind: str | None) -> bool:
    decimal = decimal_of(kind)
    return decimal is not None and decimal[0] <= EXACT_DIGITS and decimal[1] >= 0


def _is_some_float(node: exp.Expr) -> bool:
    """Whether it is a literal that is a float, with no more digits than floats keep."""
    if not isinstance(node, exp.Literal) or node.is_string or node.is_int:
        return False
    return node.name.replace(".", "").isdigit() and len(node.name) <= EXACT_DIGITS
