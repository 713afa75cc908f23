"""Casts for Spark: those that lose nothing."""

from __future__ import annotations

from sqlglot import exp

from compiler.spark import moments
from compiler.spark.numbers import as_float, cast_to, may_be_float, widened
from compiler.spark.refusal import RefusedError
from compiler.spark.types import COUNTED, INTEGERS, SparkTypes, Write, as_decimal, decimal_of, is_known

_PLAIN_SCALE = 6
_RANKS = ("int8", "int16", "int32", "int64")


def cast(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """A cast that loses nothing: there is no value on which it could fail."""
    assert isinstance(node, exp.Cast)
    kind, target = types.of(node.this), types.of(node)
    of_moment = moments.cast(node, types, write)
    if of_moment is not None:
        return of_moment
    if kind is not None and target == "float64" and may_be_float(kind):
        return as_float(write(node.this), kind)
    if kind is not None and target is not None and _may_only_be_too_wide(kind, target):
        return widened(write(node.this), kind, target)
    if kind == "string" == target:
        return write(node.this)
    if kind == "bool" and (target == "string" or target in INTEGERS):
        return cast_to(write(node.this), target or "")
    if kind is None or target is None or not _is_lossless(kind, target):
        raise RefusedError(f"CAST of {kind or 'an uncertain type'} to {target or node.to.sql()} may lose something")
    return cast_to(write(node.this), target)


def _is_lossless(kind: str, target: str) -> bool:
    if (
        (kind == target and is_known(kind))
        or (kind in INTEGERS and target == "string")
        or (kind, target) == (COUNTED, "int64")
    ):
        return True
    if target == "string":  # from seven digits behind the point on Spark writes some with an exponent
        return 0 <= (decimal_of(kind) or (0, -1))[1] <= _PLAIN_SCALE
    if kind in INTEGERS and target in INTEGERS:
        return _RANKS.index(kind) <= _RANKS.index(target)
    before, after = as_decimal(kind), decimal_of(target)
    return (
        before is not None
        and after is not None
        and before[1] <= after[1]
        and before[0] - before[1] <= after[0] - after[1]
    )


def _may_only_be_too_wide(kind: str, target: str) -> bool:
    """Whether a cast to a decimal fails for lack of digits before the point, and loses nothing else."""
    before, after = as_decimal(kind), decimal_of(target)
    return before is not None and after is not None and before[1] <= after[1] and not _is_lossless(kind, target)
