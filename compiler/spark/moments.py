"""Dates and timestamps: their literals, parts, beginnings and casts, and what intervals do to them.

Timestamps are those of microseconds, without a time zone or in UTC. Spark truncates only those with a zone; in that of
the session, UTC, both have the same digits.
"""

from __future__ import annotations

import datetime
import re

from sqlglot import exp

from compiler.spark.numbers import call, cast_to, or_fail
from compiler.spark.refusal import RefusedError
from compiler.spark.types import MOMENTS, TIMESTAMP, ZONED, SparkTypes, Write
from compiler.sql.functions import function_name

_DAYS = {"day": ("date_add", 1), "week": ("date_add", 7), "month": ("add_months", 1), "year": ("add_months", 12)}
_MONTHS = {"month": 1, "year": 12}
_MICROSECONDS = {"second": 10**6, "minute": 60 * 10**6, "hour": 3600 * 10**6, "day": 86_400 * 10**6,
                 "week": 7 * 86_400 * 10**6}  # fmt: skip
_MOST_DAYS = 100_000
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TEXT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?)?")
_PARTS = {
    "year": ("year", 0), "quarter": ("quarter", 0), "month": ("month", 0), "week": ("weekofyear", 0), "day": ("day", 0),
    "doy": ("dayofyear", 0), "dow": ("dayofweek", -1), "isodow": ("weekday", 1),
}  # fmt: skip
"""Functions of Spark's, and what has to be added to them."""
_TIMES = {"hour": ("hour", 0), "minute": ("minute", 0), "second": ("second", 0)}
_DAYS_KNOWN = (-96_465_292, 95_026_236)
_MOMENTS_KNOWN = (-8_334_601_228_800_000_000, 8_210_266_876_799_999_999)
"""The days of the years -262143 to 262142, and the microseconds: DataFusion knows no parts of others."""
_BEGINNINGS = frozenset(
    {"year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond"}
)
_OF_DAYS = frozenset({"year", "quarter", "month", "week"})
_NO_DATE = "a day that is in no calendar"


def moved(node: exp.Expr, moment: exp.Expr, kind: str) -> exp.Expr:
    """Write `day + INTERVAL '3 month'`, of whole days, weeks, months or years; of timestamps hours and less, too.

    node: the sum; moment: its written left side, of type `kind`. Raises `RefusedError`.
    """
    interval = node.args["expression"]
    amount, _, unit = str(interval.this.name if interval.this is not None else "").partition(" ")
    unit = (unit or str(interval.args.get("unit") or "")).lower().removesuffix("s")
    known = _DAYS if kind == "date32" else _MONTHS.keys() | _MICROSECONDS.keys()
    count = int(amount) if amount.removeprefix("-").isdigit() else None
    if unit not in known or count is None:
        raise RefusedError("of intervals only whole numbers of one unit are known to mean the same there")
    if isinstance(node, exp.Sub):
        count = -count
    function, factor = _DAYS.get(unit, ("", 0))
    if abs(count * max(factor, 1)) > _MOST_DAYS:
        raise RefusedError("so long an interval is not known to mean the same there")
    if kind == "date32":
        return call(function, moment, exp.Literal.number(str(count * factor)))
    if unit in _MONTHS:
        length: exp.Expr = call("make_ym_interval", exp.Literal.number("0"), exp.Literal.number(str(count * factor)))
    else:
        seconds = exp.Literal.number(str(count * _MICROSECONDS[unit] // 10**6))
        length = call("make_dt_interval", *[exp.Literal.number("0") for _ in range(3)], seconds)
    return exp.Paren(this=exp.Add(this=moment, expression=length))


def literal_moment(node: exp.Expr) -> str | None:
    """Return the text of a literal timestamp of four digits of years and at most microseconds; None for all else."""
    if not isinstance(node, exp.Cast) or node.to.this is not exp.DType.TIMESTAMP:
        return None
    return moment_text(node.this)


def moment_text(text: exp.Expr) -> str | None:
    """Return how Spark spells a timestamp that is written out as a string; None for all else."""
    found = _TEXT.fullmatch(text.name) if isinstance(text, exp.Literal) and text.is_string else None
    if found is None or not text.name.isascii():
        return None
    try:
        moment = datetime.datetime.fromisoformat(f"{found[1]} {found[2] or '00:00:00'}.{(found[3] or '0'):0<6}")
    except ValueError:
        return None
    return moment.isoformat(" ", "microseconds")


def literal_day(text: exp.Expr) -> str | None:
    """Return how Spark spells a date that is written out as a string; None for all else."""
    if not (isinstance(text, exp.Literal) and text.is_string and _DAY.fullmatch(text.name)):
        return None
    try:
        return datetime.date.fromisoformat(text.name).isoformat()
    except ValueError:
        return None


def moment(text: str, kind: str) -> exp.Expr:
    """Return a timestamp that is written out. kind: its type."""
    return cast_to(exp.Literal.string(text), kind)


def date_part(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`EXTRACT(year FROM d)` of dates and timestamps: NULL beyond the years that DataFusion has names for."""
    part, value = node.expressions
    name, kind = part.name.lower(), types.of(value)
    if kind != "date32" and kind not in MOMENTS:
        raise RefusedError(f"parts of {kind or 'an uncertain type'} are not known to mean the same there")
    if name == "epoch":
        divisor, factor = (86_400, exp.Mul) if kind == "date32" else (10**6, exp.Div)
        count = cast_to(_count(write(value), kind), "float64")
        return exp.Paren(this=factor(this=count, expression=cast_to(exp.Literal.string(str(divisor)), "float64")))
    spark, more = {**_PARTS, **(_TIMES if kind in MOMENTS else {})}.get(name, ("", 0))
    if not spark:
        raise RefusedError(f"the part '{part.name}' of a date or timestamp is not known to mean the same there")
    found = call(spark, write(value))
    shifted = exp.Add(this=found, expression=exp.Literal.number(str(more))) if more else found
    first, last = (exp.Literal.number(str(one)) for one in (_DAYS_KNOWN if kind == "date32" else _MOMENTS_KNOWN))
    is_known = exp.Between(this=_count(write(value), kind), low=first, high=last)
    return exp.Case(ifs=[exp.If(this=is_known, true=shifted)])


def days_between(one: exp.Expr, other: exp.Expr) -> exp.Expr:
    """Write a difference of two dates, in days."""
    sides = [cast_to(call("unix_date", side), "int64") for side in (one, other)]
    return exp.Paren(this=exp.Sub(this=sides[0], expression=sides[1]))


def _count(value: exp.Expr, kind: str | None) -> exp.Expr:
    """Return the days of a date, or the microseconds of a timestamp, since 1970."""
    if kind == "date32":
        return call("unix_date", value)
    return call("unix_micros", value if kind == ZONED else cast_to(value, ZONED))


def date_trunc(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`date_trunc('month', t)` of timestamps."""
    unit, value = node.expressions
    kind = types.of(value)
    if not (isinstance(unit, exp.Literal) and unit.name.lower() in _BEGINNINGS) or kind not in MOMENTS:
        raise RefusedError(f"date_trunc of {kind or 'an uncertain type'} is not known to mean the same there")
    found = call("date_trunc", exp.Literal.string(unit.name.upper()), write(value))
    return cast_to(found, kind)


def make_date(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`make_date(y, m, d)`: what is no day fails, where Spark has NULL."""
    if len(node.expressions) != 3 or not all(_is_small(one, types) for one in node.expressions):  # noqa: PLR2004
        raise RefusedError("make_date is only known to mean the same of integers of 32 bits")
    values = [cast_to(write(one), "int32") for one in node.expressions]
    there = exp.and_(*(exp.Not(this=exp.Is(this=one.copy(), expression=exp.Null())) for one in values))
    return or_fail(call("make_date", *values), there, _NO_DATE)


def _is_small(node: exp.Expr, types: SparkTypes) -> bool:
    is_literal = isinstance(node, exp.Literal) and node.is_int and int(node.name) <= _MOST_DAYS
    return is_literal or types.of(node) in {"int8", "int16", "int32"}


def cast(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr | None:
    """Write a cast from or to dates and timestamps; None for others. Raises `RefusedError`."""
    value, kind, target = node.this, types.of(node.this), types.of(node)
    if target == "date32" and isinstance(value, exp.Literal) and value.is_string:
        day = literal_day(value)
        if day is None:
            raise RefusedError(f"the date '{value.name}' is not written as YYYY-MM-DD")
        return cast_to(exp.Literal.string(day), "date32")
    if isinstance(value, exp.Literal) and (found := literal_moment(node)) is not None:
        return moment(found, TIMESTAMP)
    if target == "date32" and function_name(value.unnest()) == "date_trunc":
        unit, day_of = value.unnest().expressions
        if types.of(day_of) == "date32" and isinstance(unit, exp.Literal) and unit.name.lower() in _OF_DAYS:
            return call("trunc", write(day_of), exp.Literal.string(unit.name.upper()))
    if kind in MOMENTS and target == "string":
        return _shown(write(value), kind)
    if kind == "date32" and target == "string":
        return cast_to(write(value), "string")
    if (kind == "date32" and target in MOMENTS) or (kind in MOMENTS and (target == "date32" or target in MOMENTS)):
        return cast_to(write(value), target or "")
    return None


def _shown(value: exp.Expr, kind: str | None) -> exp.Expr:
    """Return a timestamp as text: without a fraction where there is none, else with three digits of it or with six."""
    fraction = call("pmod", _count(value.copy(), kind), exp.Literal.number(str(10**6)))

    def ends(digits: int) -> exp.Expr:
        rest = call("pmod", fraction.copy(), exp.Literal.number(str(10 ** (6 - digits))))
        return exp.EQ(this=rest, expression=exp.Literal.number("0"))

    def written(form: str) -> exp.Expr:
        return call("date_format", value.copy(), exp.Literal.string(form))

    tail = exp.Case(
        ifs=[
            exp.If(this=ends(0), true=exp.Literal.string("")),
            exp.If(this=ends(3), true=written(".SSS")),
        ],
        default=written(".SSSSSS"),
    )
    zone = exp.Literal.string("Z" if kind == ZONED else "")
    return call("concat", written("yyyy-MM-dd'T'HH:mm:ss"), tail, zone)
