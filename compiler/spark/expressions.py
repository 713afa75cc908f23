"""The allow list: each kind of expression that both engines compute alike, and how it is written for Spark.

Whatever is not in `ALLOWED` or `FUNCTIONS` is refused by name. Each entry is there because
`tests/services/test_spark_translation.py` runs it on both engines over values that go wrong easily, and compares.

Spark runs with `spark.sql.ansi.enabled` off: integers then wrap around on overflow, as DataFusion's do. What that mode
would turn into NULL, where DataFusion fails (a lossy cast, a division by zero), is not on the list.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from compiler.spark import moments
from compiler.spark.aggregates import aggregate
from compiler.spark.numbers import (
    as_float,
    beside_float,
    call,
    cast_to,
    constant,
    float_as_decimal,
    float_quotient,
    is_tame,
    is_there,
    may_be_float,
    or_fail,
    quotient,
    widened,
)
from compiler.spark.refusal import RefusedError
from compiler.spark.texts import TEXTS
from compiler.spark.types import (
    COUNTED,
    EXACT_DIGITS,
    INTEGERS,
    MOMENTS,
    MOST_DIGITS,
    Entry,
    SparkTypes,
    Write,
    as_decimal,
    decimal_of,
    decimal_type,
    is_exact,
    is_known,
)
from compiler.spark.windows import window
from compiler.sql.functions import function_name

_PLAIN_SCALE = 6
_RANKS = ("int8", "int16", "int32", "int64")


def written(node: exp.Expr, types: SparkTypes, query: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Return an expression for Spark. query: writes a query within. Raises `RefusedError`."""
    write = ALLOWED.get(type(node))
    if write is not None:
        return write(node, types, lambda one: written(one, types, query))
    name = function_name(node) or ""
    if name in FUNCTIONS:
        return FUNCTIONS[name](node, types, lambda one: written(one, types, query))
    if isinstance(node, exp.Subquery):
        return exp.Subquery(this=query(node.this))
    if isinstance(node, exp.Exists):
        return exp.Exists(this=query(node.this))
    shown = f"the function {name}" if name else f"the construct {type(node).__name__.upper()}"
    raise RefusedError(f"{shown} is not known to mean the same there")


def _same(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """Write the parts of an expression that is spelled alike."""
    del types
    return type(node)(**{key: _each(value, write) for key, value in node.args.items()})


def _each(value: Any, write: Write) -> Any:
    if isinstance(value, list):
        return [_each(one, write) for one in value]
    return write(value) if isinstance(value, exp.Expr) else value


def _column(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    del write
    kind = types.of(node)
    if not is_known(kind) or (kind == COUNTED and types.is_input(node)):
        raise RefusedError(f"the type of column {node.name}{f', {kind},' if kind else ''} is not one of both engines")
    return node.copy()


def _literal(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    del write
    kind = types.of(node)
    if kind is None:
        raise RefusedError(f"the number {node.name} is too large")
    if kind == "string":
        return exp.Literal.string(node.name)
    return cast_to(exp.Literal.string(node.name), kind)


def _is(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    if not isinstance(node.expression, exp.Null | exp.Boolean):
        raise RefusedError(f"{node.sql()} is not known to mean the same there")
    return _same(node, types, write)


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


def _common(node: exp.Expr, values: list[exp.Expr], types: SparkTypes, *, order: bool = True) -> None:
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


def _comparison(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    values = [node.this, node.expression]
    sides = _beside_floats(values, types, write) or _beside_moments(values, types, write)
    if sides is None:
        _common(node, [node.this, node.expression], types)
        return _same(node, types, write)
    return type(node)(this=sides[0], expression=sides[1])


def _between(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    if node.args.get("symmetric"):
        raise RefusedError("BETWEEN SYMMETRIC is not known there")
    values = [node.this, node.args["low"], node.args["high"]]
    sides = _beside_floats(values, types, write) or _beside_moments(values, types, write)
    if sides is None:
        _common(node, values, types)
        return _same(node, types, write)
    return exp.Between(this=sides[0], low=sides[1], high=sides[2])


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


def _arithmetic(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
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


def _mixed(node: exp.Expr, types: SparkTypes) -> str:
    left, right = (types.of(one) or "an uncertain type" for one in (node.this, node.expression))
    return f"{type(node).__name__.upper()} of {left} and {right} is not known to mean the same there"


def _with_digits(node: exp.Expr, kind: str | None) -> exp.Expr:
    """Return an integer as a decimal of the digits that DataFusion gives it."""
    digits = (20, 0) if kind == COUNTED else as_decimal(kind)
    return cast_to(node, decimal_type(digits[0], 0)) if decimal_of(kind) is None and digits is not None else node


def _division(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
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


def _remainder(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`n % 2` of integers by a positive literal: by zero DataFusion fails, and Spark yields NULL."""
    divisor, kind = node.expression, types.of(node.this)
    if not (isinstance(divisor, exp.Literal) and divisor.is_int and int(divisor.name) > 0 and kind in INTEGERS):
        raise RefusedError(
            "a remainder of a division by what may be zero, or of other numbers than integers, is others' there"
        )
    return cast_to(exp.Paren(this=exp.Mod(this=write(node.this), expression=write(divisor))), types.of(node) or "")


def _negation(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    if types.of(node) is None:
        raise RefusedError("the minus of what is no number is not known there")
    return exp.Paren(this=exp.Neg(this=write(node.this)))


def _concatenation(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    if types.of(node) != "string":
        raise RefusedError("|| of other values than strings is not known to mean the same there")
    return exp.Paren(this=exp.DPipe(this=write(node.this), expression=write(node.expression), safe=True))


def _like(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    pattern = node.expression
    if types.of(node.this) != "string" or not (isinstance(pattern, exp.Literal) and "\\" not in pattern.name):
        raise RefusedError("LIKE is only known to mean the same with a pattern that is written out, without \\")
    return _same(node, types, write)


def _in(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    inner = node.args.get("query")
    if inner is not None:
        _common(node, [node.this, inner], types, order=False)
        return exp.In(this=write(node.this), query=write(inner))
    sides = _beside_moments([node.this, *node.expressions], types, write)
    if sides is not None:
        return exp.In(this=sides[0], expressions=sides[1:])
    _common(node, [node.this, *node.expressions], types)
    return _same(node, types, write)


def _case(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    kind = types.of(node)
    if kind is None:
        raise RefusedError(f"{type(node).__name__.upper()} of several types is not known to mean the same there")

    def value(one: exp.Expr) -> exp.Expr:
        return write(one) if isinstance(one, exp.Null) or types.of(one) == kind else cast_to(write(one), kind)

    if isinstance(node, exp.Coalesce):
        return exp.Coalesce(this=value(node.this), expressions=[value(one) for one in node.expressions])
    if node.this is not None:
        for branch in node.args["ifs"]:
            _common(node, [node.this, branch.this], types)
    branches = [exp.If(this=write(one.this), true=value(one.args["true"])) for one in node.args["ifs"]]
    operand, default = node.args.get("this"), node.args.get("default")
    found = exp.Case(ifs=branches, this=write(operand) if operand is not None else None)
    if default is not None:
        found.set("default", value(default))
    return found


def _cast(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
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


def _abs(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`abs` of decimals: that of the least integer is no integer."""
    (value,) = node.expressions
    if decimal_of(types.of(value)) is None:
        raise RefusedError(f"abs of {types.of(value) or 'an uncertain type'} is not known to mean the same there")
    return call("abs", write(value))


def _nullif(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`nullif(a, b)`: of the type that both have together."""
    one, other = node.expressions
    kind = types.of(node)
    _common(node, [one, other], types)
    if kind is None:
        raise RefusedError("nullif of several types is not known to mean the same there")
    found = write(one) if types.of(one) == kind else cast_to(write(one), kind)
    is_equal = exp.EQ(this=write(one), expression=write(other))
    return exp.Case(ifs=[exp.If(this=is_equal, true=exp.Null())], default=found)


def _grouping(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`grouping(c)` of one column of a ROLLUP."""
    del types
    if len(node.expressions) != 1:
        raise RefusedError("grouping of several columns is not known to mean the same there")
    return cast_to(call("grouping", write(node.expressions[0])), "int32")


ALLOWED: Mapping[type[exp.Expr], Entry] = {
    exp.Column: _column, exp.Literal: _literal, exp.Null: _same, exp.Boolean: _same, exp.Paren: _same,
    exp.And: _same, exp.Or: _same, exp.Not: _same, exp.Is: _is, exp.Between: _between, exp.In: _in, exp.Like: _like,
    exp.EQ: _comparison, exp.NEQ: _comparison, exp.LT: _comparison, exp.LTE: _comparison, exp.GT: _comparison,
    exp.GTE: _comparison, exp.NullSafeEQ: _comparison, exp.NullSafeNEQ: _comparison,
    exp.Add: _arithmetic, exp.Sub: _arithmetic, exp.Mul: _arithmetic, exp.Div: _division, exp.Mod: _remainder,
    exp.Neg: _negation, exp.DPipe: _concatenation, exp.Coalesce: _case, exp.Case: _case, exp.If: _same,
    exp.Cast: _cast, exp.Sum: aggregate, exp.Avg: aggregate, exp.Min: aggregate, exp.Max: aggregate,
    exp.Count: aggregate, exp.Filter: aggregate, exp.Window: window,
}  # fmt: skip
FUNCTIONS: Mapping[str, Entry] = {
    **TEXTS, "date_part": moments.date_part, "date_trunc": moments.date_trunc, "make_date": moments.make_date,
    "grouping": _grouping, "abs": _abs, "nullif": _nullif,
}  # fmt: skip
"""Functions of the engine, by their names there."""
