"""Timestamps that the engine's nanoseconds cannot hold: computed in microseconds, or an error, never another value.

The engine takes TIMESTAMP without a precision, and whatever it compares with text or a date, for nanoseconds, which end
in the years 1677 and 2262. Mostly it fails there; some functions yield NULL or the last moment there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.names.lexical import resolve_names
from compiler.schema import Schema
from compiler.sql import functions
from compiler.sql.dialect import parse
from compiler.sql.functions import ScalarFunction, function_name
from compiler.sql.zoneless import ZONELESS
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.positions import located, position
from compiler.tree.walk import find_all

if TYPE_CHECKING:
    from compiler.errors import SqlError

HINT = (
    "timestamps in nanoseconds end in the years 1677 and 2262: compute this in microseconds, with CAST(… AS "
    "TIMESTAMP(6)) instead of CAST(… AS TIMESTAMP) or to_timestamp(…), and around values in nanoseconds"
)
_HINT_TRUNCATING = (
    "timestamps in nanoseconds end in the years 1677 and 2262, and {0} computes this in them whatever it is given: "
    "CAST(… AS DATE) is the day, and make_date(extract(year FROM …), extract(month FROM …), 1) the month"
)

_KINDS = {exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ}
_DIGITS = {"to_timestamp": 6, "to_timestamp_seconds": 0, "to_timestamp_millis": 3, "to_timestamp_micros": 6}
_COARSE = {"s": 0, "ms": 3, "us": 6}
_TEXT = re.compile(
    r"\s*(\d{4}-\d\d-\d\d)(?:[ Tt](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?)?\s*(?:[Zz]|[+-]\d\d(?::?\d\d)?)?\s*\Z"
)
_FIRST, _LAST = "1677-09-21 00:12:44", "2262-04-11 23:47:16"
_COMPARISONS = (
    *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ),
    *(exp.Between, exp.In),
)
_MIXING = (exp.Binary, exp.Between, exp.In, exp.Case, exp.Func)
_FINE = {
    "millisecond": ("date", "timestamp<s", "timestamp<ms"),
    "microsecond": ("date", "timestamp<s", "timestamp<ms", "timestamp<us"),
}
_TRUNCATE = ("date_trunc", "datetrunc", "date_bin")
_TOUCHES_NANOSECONDS = (*_TRUNCATE, "to_unixtime", "to_char", "date_format", *_DIGITS)
_OVERFLOWS = (
    r"Overflow converting (?P<text>.+?) to Nanosecond",
    r"string '(?P<text>[^']+) is beyond date_bin'",
    r"The dates that can be represented as nanoseconds",
    r"Cannot cast (?:Date32|Date64|Timestamp\(\S+\)) value -?\d+ to Timestamp\(ns",
    r"Timestamp -?\d+ out of range",
    r"Timestamp out of range",
    r"overflows timestamp nanoseconds",
)


def is_beyond(text: str) -> bool:
    """Whether a text is a date or timestamp that nanoseconds cannot hold."""
    found = _TEXT.match(text)
    moment = f"{found[1]} {found[2] or '00:00'}" if found is not None else _FIRST
    return not _FIRST <= (moment if moment.count(":") == 2 else f"{moment}:00") <= _LAST  # noqa: PLR2004


def widen_literals(query: exp.Query) -> None:
    """TIMESTAMP '9999-12-31' → CAST('9999-12-31' AS TIMESTAMP(6)), in place; to_timestamp('9999-12-31') likewise.

    Only where the engine would fail: what it can hold keeps its type. Raises `SqlError` for digits that would be lost.
    """
    for literal in find_all(query, exp.Literal):
        if not literal.is_string or not is_beyond(literal.name):
            continue
        around = literal.parent
        if isinstance(around, exp.Cast) and around.to.this in _KINDS and not around.to.expressions:
            _require_digits(literal)
            around.to.set("expressions", [_precision(6)])
        elif isinstance(around, ScalarFunction) and len(around.expressions) == 1:
            digits = _DIGITS.get(function_name(around) or "")
            if digits is not None:
                _require_digits(literal)
                around.replace(_cast(literal.copy(), exp.DType.TIMESTAMP, digits))


def stay_in_range(query: exp.Query, facts: Facts) -> exp.Query:
    """Write a qualified query so that what is beyond nanoseconds is computed right, or fails; in place.

    With t in microseconds and d a date: t > '9999-01-01' → t > CAST('9999-01-01' AS TIMESTAMP(6)); t > d → t > CAST(d
    AS TIMESTAMP(6)). Where the engine would yield NULL (date_bin) or the last moment there is (to_timestamp of floats),
    an error is raised instead. What it truncates toward 1970 goes down one more.
    """
    if not facts.has(query, *_COMPARISONS, ScalarFunction, exp.TryCast):
        return query
    types = facts.types(query)
    for sides in list(_comparisons(query, facts)):
        _meet(sides, types)
    for call in list(_truncated_finely(query, facts)):
        if not any(functions.is_volatile(node) for node in find_all(call, exp.Func)):
            call.replace(_downwards(call, types))
    calls = facts.nodes(query, ScalarFunction)
    for call in [call for call in calls if function_name(call) in {"date_bin", "to_timestamp"}]:
        guarded = _guarded(call, types)
        if guarded is not None:
            call.replace(guarded)
    for cast in facts.nodes(query, exp.TryCast):
        if _wraps(cast, types):
            cast.set("this", exp.cast(_enclosed(cast.this), "DATE"))
    return query


def had_session_zone(tree: exp.Query, _facts: Facts) -> bool:
    """Whether a rule calls to_timestamp or its kin, to which the session's time zone was given once."""
    return any(function_name(call) in ZONELESS for call in find_all(tree, ScalarFunction))


def may_have_binned_to_null(tree: exp.Query, facts: Facts) -> bool:
    """Whether a rule calls date_bin, which yielded NULL for what is beyond nanoseconds."""
    types = facts.types(tree)
    calls = (call for call in find_all(tree, ScalarFunction) if function_name(call) == "date_bin")
    return any(not _is_nanoseconds(call, types) for call in calls)


def may_have_truncated_upwards(tree: exp.Query, facts: Facts) -> bool:
    """Whether date_trunc to milliseconds or microseconds could have rounded up a moment before 1970."""
    types = facts.types(tree)
    return any(_is_finer(call, types) for call in _truncated_finely(tree, facts))


def may_have_wrapped_dates(tree: exp.Query, facts: Facts) -> bool:
    """Whether TRY_CAST of dates in milliseconds could have yielded another year."""
    types = facts.types(tree)
    return any(_wraps(cast, types) for cast in facts.nodes(tree, exp.TryCast))


def overflow(message: str, query: exp.Query, schemas: Mapping[str, Schema], authored: exp.Query) -> SqlError | None:
    """Return what the engine says of a timestamp that is out of range as a sentence at its place; None for others.

    query: the qualified query; authored: the one whose places are those of the author's text.
    """
    found = next((found for pattern in _OVERFLOWS if (found := re.search(pattern, message))), None)
    if found is None:
        return None
    value = found.groupdict().get("text")
    subject = f"the timestamp {value}" if value else "a timestamp"
    said = f"{subject} does not fit into nanoseconds, the unit in which the engine computes here"
    part = _suspect(query, schemas, authored) or authored
    truncating = function_name(part)
    hint = _HINT_TRUNCATING.format(truncating) if truncating in _TRUNCATE else HINT
    return located(part, said, hint=hint, code="execution")


def explained_overflow(message: str, meaning: str, schemas: Mapping[str, Schema], text: str | None) -> SqlError | None:
    """Return the same for a query that failed when it ran. meaning: as in `Compiled`; text: the author's, if SQL."""
    if not any(re.search(pattern, message) for pattern in _OVERFLOWS):
        return None

    def work() -> SqlError | None:
        query = parse(meaning)
        authored = query if text is None else parse(text)
        widen_literals(authored)
        return overflow(message, query, schemas, authored)

    return with_deep_stack(work)


def _suspect(query: exp.Query, schemas: Mapping[str, Schema], authored: exp.Query) -> exp.Expr | None:
    """Return the part of the author's text that most probably left the range of nanoseconds."""
    types = Types(resolve_names(query), schemas)
    kinds: dict[str, set[str]] = {}
    for column in find_all(query, exp.Column):
        if (kind := types.of(column)) is not None:
            kinds.setdefault(column.name, set()).add(kind)
    mixed = [node for node in find_all(authored, exp.Expr) if isinstance(node, _MIXING) and _mixes(node, kinds)]
    if mixed:
        return min(mixed, key=lambda node: sum(1 for _ in node.walk()))
    for node in find_all(authored, exp.Expr):
        is_cast = isinstance(node, exp.Cast) and node.to.this in _KINDS and not node.to.expressions
        if (is_cast or function_name(node) in _TOUCHES_NANOSECONDS) and position(node)[0] is not None:
            return node
    return next((node for node in find_all(authored, exp.Interval) if position(node)[0] is not None), None)


def _mixes(node: exp.Expr, kinds: Mapping[str, set[str]]) -> bool:
    """Whether a part of the author's text holds timestamps in nanoseconds and others, or dates."""
    held = {kind for column in find_all(node, exp.Column) for kind in kinds.get(column.name, ())}
    held |= {"timestamp<us>" for cast in find_all(node, exp.Cast) if cast.to.this in _KINDS and cast.to.expressions}
    in_nanoseconds = any(kind.startswith("timestamp<ns") for kind in held)
    return in_nanoseconds and any(_is_coarse(kind) or kind == "date32" for kind in held)


def _truncated_finely(query: exp.Query, facts: Facts) -> Iterator[ScalarFunction]:
    """Yield the calls of date_trunc to a part of a second. The engine refuses those of other than two arguments."""
    calls = (call for call in facts.nodes(query, ScalarFunction) if function_name(call) in {"date_trunc", "datetrunc"})
    two = (call for call in calls if len(call.expressions) == len(("unit", "value")))
    yield from (call for call in two if call.expressions[0].name.lower() in _FINE)


def _is_finer(call: ScalarFunction, types: Types) -> bool:
    """Whether a value that is truncated may have more digits than are left of it."""
    unit, value = call.expressions
    kind = types.of(value)
    return kind is None or not kind.startswith(_FINE[unit.name.lower()])


def _downwards(call: ScalarFunction, types: Types) -> exp.Expr:
    """date_trunc('millisecond', t) → the same, but one millisecond less where that is after t.

    The engine truncates single values toward 1970: constants, and columns of which the statistics of a file know that
    they have one value. Others it truncates downwards.
    """
    if not _is_finer(call, types):
        return call
    unit, value = call.expressions
    step = exp.Interval(this=exp.Literal.string(f"1 {unit.name.lower()}"))
    is_after = exp.GT(this=call.copy(), expression=_enclosed(value))
    less = exp.Sub(this=call.copy(), expression=step)
    return exp.Case(ifs=[exp.If(this=is_after, true=less)], default=call.copy())


def _comparisons(query: exp.Query, facts: Facts) -> Iterator[list[exp.Expr]]:
    """Yield the sides of every comparison, BETWEEN and IN of a list."""
    for node in facts.nodes(query, *_COMPARISONS):
        if isinstance(node, exp.Between):
            yield [node.this, node.args["low"], node.args["high"]]
        elif isinstance(node, exp.In):
            if node.expressions:
                yield [node.this, *node.expressions]
        elif not isinstance(node.expression, exp.Any | exp.All):
            yield [node.this, node.expression]


def _meet(sides: list[exp.Expr], types: Types) -> bool:
    """Give the sides of a comparison the unit of a coarse timestamp among them; not if one is in nanoseconds."""
    kinds = [types.of(side) for side in sides]
    coarse = [kind for kind in kinds if kind is not None and _is_coarse(kind)]
    if not coarse or any(kind is not None and kind.startswith("timestamp<ns") for kind in kinds):
        return False
    digits = max(_COARSE[re.split(r"[<,>]", kind)[1]] for kind in coarse)
    kind = exp.DType.TIMESTAMPTZ if any("," in kind for kind in coarse) else exp.DType.TIMESTAMP
    texts = [bare for side in sides if isinstance(bare := side.unnest(), exp.Literal) and bare.is_string]
    beyond = any(is_beyond(text.name) for text in texts)
    changed = False
    for side, known in zip(sides, kinds, strict=True):
        bare = side.unnest()
        if known == "date32":
            bare.replace(_cast(bare.copy(), kind, digits))
        elif beyond and bare in texts:
            _require_digits(bare)
            bare.replace(_cast(bare.copy(), kind, 6))
        else:
            continue
        changed = True
    return changed


def _guarded(call: ScalarFunction, types: Types) -> exp.Expr | None:
    name = function_name(call) or ""
    arguments = call.expressions
    if any(functions.is_volatile(node) for one in arguments for node in find_all(one, exp.Func)):
        return None
    if name == "date_bin" and len(arguments) > 1 and not _is_nanoseconds(call, types):
        return _or_fail(call, arguments)
    if name == "to_timestamp" and len(arguments) == 1 and types.of(arguments[0]) in {None, "float32", "float64"}:
        return _or_overflow(call, is_float=types.of(arguments[0]) is not None)
    return None


def _or_fail(call: ScalarFunction, arguments: list[exp.Expr]) -> exp.Expr:
    """date_bin(i, t) → the same, but an error where it is NULL and neither i nor t is."""
    given = [exp.Not(this=exp.Is(this=_enclosed(one), expression=exp.Null())) for one in arguments]
    lost = exp.and_(exp.Is(this=call.copy(), expression=exp.Null()), *given, copy=False)
    said: exp.Expr = exp.DPipe(
        this=exp.cast(_enclosed(arguments[1]), "VARCHAR"), expression=exp.Literal.string(" is beyond date_bin")
    )
    if not any(one.find(exp.Column) for one in arguments):  # the engine would compute what fails when it plans
        chance = exp.cast(ScalarFunction(this="random", expressions=[]), "VARCHAR")
        nothing = ScalarFunction(this="left", expressions=[chance, exp.Literal.number(0)])
        said = exp.DPipe(this=said, expression=nothing)
    failing = exp.Is(this=exp.cast(exp.Paren(this=said), "BIGINT"), expression=exp.Null())
    raised = exp.Case(ifs=[exp.If(this=failing, true=exp.Null())], default=call.copy())
    return exp.Case(ifs=[exp.If(this=lost, true=raised)], default=call.copy())


def _or_overflow(call: ScalarFunction, *, is_float: bool) -> exp.Expr:
    """to_timestamp(x) → the same, but an error where it is the first or last moment there is: floats end there.

    NaN is an error too, where x is known to be a float: the engine makes 1970 of it.
    """
    day = exp.Interval(this=exp.Literal.string("1 day"))
    last, first = (_nanoseconds(end) for end in ("9223372036854775807", "-9223372036854775807"))
    later = exp.If(this=exp.EQ(this=call.copy(), expression=last), true=exp.Add(this=call.copy(), expression=day))
    earlier = exp.If(
        this=exp.LTE(this=call.copy(), expression=first), true=exp.Sub(this=call.copy(), expression=day.copy())
    )
    ifs = [later, earlier]
    if is_float:
        never = exp.Add(this=call.copy(), expression=exp.Interval(this=exp.Literal.string("300 years")))
        ifs.append(exp.If(this=ScalarFunction(this="isnan", expressions=[call.expressions[0].copy()]), true=never))
    return exp.Case(ifs=ifs, default=call.copy())


def _wraps(cast: exp.Cast, types: Types) -> bool:
    """Whether the engine's TRY_CAST of dates in milliseconds to nanoseconds wraps around."""
    return cast.to.this in _KINDS and not cast.to.expressions and types.of(cast.this) == "date64"


def _nanoseconds(count: str) -> exp.Expr:
    number: exp.Expr = exp.Literal.number(count.lstrip("-"))
    ticks = exp.Neg(this=number) if count.startswith("-") else number
    return ScalarFunction(this="arrow_cast", expressions=[ticks, exp.Literal.string("Timestamp(Nanosecond, None)")])


def _enclosed(node: exp.Expr) -> exp.Expr:
    return exp.Paren(this=node.copy()) if isinstance(node, exp.Binary | exp.Unary | exp.Predicate) else node.copy()


def _cast(value: exp.Expr, kind: exp.DType, digits: int) -> exp.Cast:
    return exp.Cast(this=value, to=exp.DataType(this=kind, expressions=[_precision(digits)]))


def _precision(digits: int) -> exp.DataTypeParam:
    return exp.DataTypeParam(this=exp.Literal.number(str(digits)))


def _require_digits(literal: exp.Expr) -> None:
    found = _TEXT.match(literal.name)
    if found is not None and (found[3] or "")[6:].strip("0"):
        message = f"the timestamp '{literal.name}' has digits beyond microseconds, which its year leaves no room for"
        raise located(literal, message, hint="write at most six digits after the seconds", code="type")


def _is_coarse(kind: str) -> bool:
    return kind.startswith(("timestamp<s", "timestamp<ms", "timestamp<us"))


def _is_nanoseconds(call: exp.Expr, types: Types) -> bool:
    kind = types.of(call.expressions[1]) if len(call.expressions) > 1 else None
    return kind is not None and kind.startswith("timestamp<ns")
