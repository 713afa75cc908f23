"""The allow list: each kind of expression that both engines compute alike, and how it is written for Spark.

Whatever is not in `ALLOWED` or `FUNCTIONS` is refused by name. Each entry is there because
`tests/services/test_spark_translation.py` runs it on both engines over values that go wrong easily, and compares.

Spark runs with `spark.sql.ansi.enabled` off: integers then wrap around on overflow, as DataFusion's do. What that mode
would turn into NULL, where DataFusion fails (a lossy cast, a division by zero), is not on the list.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from compiler.spark.types import (
    EXACT_DIGITS,
    INTEGERS,
    MOST_DIGITS,
    SparkTypes,
    as_decimal,
    decimal_of,
    decimal_type,
    is_exact,
)
from compiler.sql.functions import function_name

Write = Callable[[exp.Expr], exp.Expr]
_SQL_TYPES = {
    "int8": "TINYINT", "int16": "SMALLINT", "int32": "INT", "int64": "BIGINT", "float64": "DOUBLE",
    "string": "STRING", "bool": "BOOLEAN", "date32": "DATE",
}  # fmt: skip
OVERFLOW = "a decimal has more than 38 digits"
_RANKS = ("int8", "int16", "int32", "int64")


class RefusedError(Exception):
    """A query that is not known to mean the same to Spark; the message says why, as the end of a sentence."""


def cast_to(node: exp.Expr, kind: str) -> exp.Expr:
    """Return a cast as Spark spells it."""
    decimal = decimal_of(kind)
    name = f"DECIMAL({decimal[0]}, {decimal[1]})" if decimal is not None else _SQL_TYPES[kind]
    return exp.Cast(this=node, to=exp.DataType.build(name, dialect="spark"))


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
    if types.of(node) is None:
        raise RefusedError(f"the type of column {node.name} is not one that both engines have")
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


def _common(node: exp.Expr, values: list[exp.Expr], types: SparkTypes, *, order: bool = True) -> None:
    """Raise `RefusedError` unless values are of one type, or are numbers that both engines compare exactly."""
    kinds = [types.of(one) for one in values if not isinstance(one, exp.Null)]
    if len(set(kinds)) <= 1 and all(map(is_exact, kinds)):
        return
    if order and all(kind in INTEGERS for kind in kinds):
        return
    decimals = [as_decimal(kind) for kind in kinds]
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
    _common(node, [node.this, node.expression], types)
    return _same(node, types, write)


def _between(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    if node.args.get("symmetric"):
        raise RefusedError("BETWEEN SYMMETRIC is not known there")
    _common(node, [node.this, node.args["low"], node.args["high"]], types)
    return _same(node, types, write)


def _arithmetic(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`n + m` of integers, decimals or floats. Decimals that need more than 38 digits have no certain type."""
    kind = types.of(node)
    if kind is None:
        left, right = types.of(node.this), types.of(node.expression)
        raise RefusedError(f"{type(node).__name__.upper()} of {left} and {right} is not known to mean the same there")
    sides = [write(node.this), write(node.expression)]
    if decimal_of(kind) is not None:
        sides = [
            _with_digits(one, types.of(side)) for one, side in zip(sides, (node.this, node.expression), strict=True)
        ]
    found = type(node)(this=sides[0], expression=sides[1])
    if (decimal_of(kind) or (0, 0))[0] < MOST_DIGITS:
        return exp.Paren(this=found)
    are_there = [exp.Not(this=exp.Is(this=exp.Paren(this=one.copy()), expression=exp.Null())) for one in sides]
    return _or_fail(found, exp.and_(*are_there))


def _or_fail(found: exp.Expr, is_due: exp.Expr) -> exp.Expr:
    """Return a decimal that is NULL where it has too many digits; that fails where a value is due."""
    is_null = exp.Is(this=exp.Paren(this=found.copy()), expression=exp.Null())
    error = exp.Anonymous(this="raise_error", expressions=[exp.Literal.string(OVERFLOW)])
    branch = exp.If(this=exp.and_(is_null, is_due), true=error)
    return exp.Paren(this=exp.Case(ifs=[branch], default=found))


def _with_digits(node: exp.Expr, kind: str | None) -> exp.Expr:
    """Return an integer as a decimal of the digits that DataFusion gives it."""
    digits = as_decimal(kind)
    return cast_to(node, decimal_type(digits[0], 0)) if kind in INTEGERS and digits is not None else node


def _division(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`n / 2` of integers by a positive literal: by zero DataFusion fails, and Spark yields NULL."""
    divisor, kind = node.expression, types.of(node.this)
    is_safe = isinstance(divisor, exp.Literal) and divisor.is_int and int(divisor.name) > 0
    if not (is_safe and kind in INTEGERS):
        raise RefusedError("a division by what may be zero, or of other numbers than integers, has other results there")
    operator = exp.IntDiv if isinstance(node, exp.Div) else exp.Mod
    return cast_to(exp.Paren(this=operator(this=write(node.this), expression=write(divisor))), types.of(node) or "")


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
    _common(node, [node.this, *node.expressions], types)
    return _same(node, types, write)


def _case(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    if types.of(node) is None:
        raise RefusedError(f"{type(node).__name__.upper()} of several types is not known to mean the same there")
    if isinstance(node, exp.Case) and node.this is not None:
        for branch in node.args["ifs"]:
            _common(node, [node.this, branch.this], types)
    return _same(node, types, write)


def _cast(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """A cast that loses nothing: there is no value on which it could fail."""
    assert isinstance(node, exp.Cast)
    kind, target = types.of(node.this), types.of(node)
    if isinstance(node.this, exp.Literal) and node.this.is_string and target == "date32":
        try:
            day = datetime.date.fromisoformat(node.this.name)
        except ValueError:
            raise RefusedError(f"the date '{node.this.name}' is not written as YYYY-MM-DD") from None
        return cast_to(exp.Literal.string(day.isoformat()), "date32")
    if kind is None or target is None or not _is_lossless(kind, target):
        raise RefusedError(f"CAST of {kind or 'an uncertain type'} to {target or node.to.sql()} may lose something")
    return cast_to(write(node.this), target)


def _is_lossless(kind: str, target: str) -> bool:
    if kind == target or (kind in INTEGERS and target == "string"):
        return True
    if kind in INTEGERS and target in INTEGERS:
        return _RANKS.index(kind) <= _RANKS.index(target)
    if target == "float64":
        return kind in INTEGERS or _is_small_decimal(kind)
    before, after = as_decimal(kind), decimal_of(target)
    return (
        before is not None
        and after is not None
        and before[1] <= after[1]
        and before[0] - before[1] <= after[0] - after[1]
    )


def _aggregate(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    kind, is_sum = types.of(node.this), isinstance(node, exp.Sum)
    if set(node.args) - {"this"} and any(node.args.get(key) for key in set(node.args) - {"this"}):
        raise RefusedError(f"{type(node).__name__.upper()} of several arguments is not known there")
    decimal = decimal_of(kind)
    if is_sum and not (kind in INTEGERS or decimal is not None):
        raise RefusedError(f"SUM of {kind or 'an uncertain type'} is not known to mean the same there")
    if not is_exact(kind):
        raise RefusedError(f"{type(node).__name__.upper()} of {kind or 'an uncertain type'} is not known there")
    found = type(node)(this=write(node.this))
    if not (is_sum and decimal is not None and decimal[0] + 10 > MOST_DIGITS):
        return found
    if isinstance(node.parent, exp.Filter | exp.Window):
        raise RefusedError("SUM of so wide decimals with FILTER is not known to mean the same there")
    counted = exp.Count(this=write(node.this))
    return _or_fail(found, exp.GT(this=counted, expression=exp.Literal.number(0)))


def _count(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    counted = node.this
    if node.expressions:
        raise RefusedError("COUNT of several columns is not known to mean the same there")
    if isinstance(counted, exp.Star):
        return exp.Count(this=exp.Star())
    if isinstance(counted, exp.Distinct):
        if len(counted.expressions) != 1 or not is_exact(types.of(counted.expressions[0])):
            raise RefusedError(
                "COUNT(DISTINCT …) of floats, or of several columns, is not known to mean the same there"
            )
        return exp.Count(this=exp.Distinct(expressions=[write(counted.expressions[0])]))
    return exp.Count(this=write(counted))


def _filtered(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    del types
    return exp.Filter(this=write(node.this), expression=exp.Where(this=write(node.expression.this)))


def _length(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    (text,) = node.expressions
    if types.of(text) != "string":
        raise RefusedError("the length of what is no string is not known there")
    return exp.Anonymous(this="char_length", expressions=[write(text)])


def _substr(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    text, *numbers = node.expressions
    if types.of(text) != "string" or not all(
        isinstance(one, exp.Literal) and one.is_int and least <= int(one.name) < 1 << 31
        for one, least in zip(numbers, (1, 0), strict=False)
    ):
        raise RefusedError("substr is only known to mean the same with numbers that are written out, from 1 on")
    written_out = [exp.Literal.number(one.name) for one in numbers]
    return exp.Anonymous(this="substring", expressions=[write(text), *written_out])


def _affix(spark: str) -> Callable[[exp.Expr, SparkTypes, Write], exp.Expr]:
    def write_affix(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
        if [types.of(one) for one in node.expressions] != ["string", "string"]:
            raise RefusedError(f"{spark} of other values than strings is not known there")
        return exp.Anonymous(this=spark, expressions=[write(one) for one in node.expressions])

    return write_affix


def _date_part(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    part, day = node.expressions
    if part.name not in {"year", "month", "day"} or types.of(day) != "date32":
        raise RefusedError("of parts of dates only year, month and day of a DATE are known to mean the same there")
    return exp.Anonymous(this=part.name, expressions=[write(day)])


Entry = Callable[[exp.Expr, SparkTypes, Write], exp.Expr]
ALLOWED: Mapping[type[exp.Expr], Entry] = {
    exp.Column: _column, exp.Literal: _literal, exp.Null: _same, exp.Boolean: _same, exp.Paren: _same,
    exp.And: _same, exp.Or: _same, exp.Not: _same, exp.Is: _is, exp.Between: _between, exp.In: _in, exp.Like: _like,
    exp.EQ: _comparison, exp.NEQ: _comparison, exp.LT: _comparison, exp.LTE: _comparison, exp.GT: _comparison,
    exp.GTE: _comparison, exp.NullSafeEQ: _comparison, exp.NullSafeNEQ: _comparison,
    exp.Add: _arithmetic, exp.Sub: _arithmetic, exp.Mul: _arithmetic, exp.Div: _division, exp.Mod: _division,
    exp.Neg: _negation, exp.DPipe: _concatenation, exp.Coalesce: _case, exp.Case: _case, exp.If: _same,
    exp.Cast: _cast, exp.Sum: _aggregate, exp.Min: _aggregate, exp.Max: _aggregate, exp.Count: _count,
    exp.Filter: _filtered,
}  # fmt: skip
FUNCTIONS: Mapping[str, Entry] = {
    "char_length": _length, "character_length": _length, "length": _length, "substr": _substr, "substring": _substr,
    "starts_with": _affix("startswith"), "ends_with": _affix("endswith"), "date_part": _date_part,
}  # fmt: skip
"""Functions of the engine, by their names there."""
