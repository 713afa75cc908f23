"""Bounds: what the comparisons of one operand with constants let through is a set of values, written in one way.

A term of AND or OR that compares an operand with constants is NULL if the operand is, and otherwise says whether the
value is in a set. So a conjunction of such terms is their intersection, and a disjunction the complement of the
intersection of the complements, in three-valued logic too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.compared_constants import moment_of, read_moment
from compiler.canonical.facts import Facts
from compiler.canonical.predicate_facts import chained, is_constant, is_date, kind, looks_up_bits, roots, terms_of
from compiler.sql.encode import encode
from compiler.tree.walk import has

Value = Any
"""An integer, a day as its number, a text as the bytes by which the engine compares it, or a number as a fraction:
those of one operand are of one type, and so can be compared."""

_LEAST, _MOST = -(2**63) + 1, 2**63 - 1
_FIRST_DAY, _LAST_DAY = date.min.toordinal(), date.max.toordinal()
LIMITS = {"int": (_LEAST, _MOST), "date": (_FIRST_DAY, _LAST_DAY)}
"""Kinds in which each value has a next one, and the least and the greatest that can be written."""
_ORDERS = (exp.LT, exp.LTE, exp.GT, exp.GTE)
_FLIPPED: dict[type[exp.Expr], type[exp.Expr]] = {exp.LT: exp.GT, exp.GT: exp.LT, exp.LTE: exp.GTE, exp.GTE: exp.LTE}
NEGATED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.LT: exp.GTE, exp.GTE: exp.LT, exp.GT: exp.LTE, exp.LTE: exp.GT, exp.EQ: exp.NEQ, exp.NEQ: exp.EQ,
}  # fmt: skip
_EXCLUDED: dict[type[exp.Expr], tuple[type[exp.Expr], int]] = {exp.GTE: (exp.GT, -1), exp.LTE: (exp.LT, 1)}
"""For each comparison that includes its bound the one that excludes it, and how far that bound is from it."""
IN_ORDER = {"number", "moment", "text"}
"""Kinds of which nothing is known but the order: floats and decimals, timestamps, texts compared with timestamps."""
_DIGITS = 15
"""Numbers of as many digits are the same number as an integer, as a decimal and as a double."""


def spell_whole_bounds(query: exp.Query, facts: Facts) -> exp.Query:
    """Write the bound of a comparison with whole numbers or days as authors do: the rounder of two that are the same.

    COUNT(*) >= 2 → COUNT(*) > 1;  t.n > 99 → t.n >= 100;  t.d <= DATE '2023-12-31' → t.d < DATE '2024-01-01'
    """
    types: Types | None = None
    for node in facts.nodes(query, *_ORDERS):
        types = types or facts.types(query)
        test = test_of(node, types)
        if test is not None and test.kind in LIMITS:
            whole = _whole((test.operator, test.values), test.kind)
            if _rounder(whole, test.kind) != (test.operator, test.values):
                node.replace(_spelled(test.operand, whole, test.kind))
    return query


def merge_bounds(query: exp.Query, facts: Facts) -> exp.Query:
    """Keep of the terms that compare one operand with constants what they come to.

    a > 10 AND a > 5 → a > 10;  a > 3 AND a <> 1 → a >= 4;  a IN (1, 3) AND a > 2 → a = 3;  a < 3 OR a = 3 → a <= 3;
    a >= 3 AND a <= 3 → a = 3;  a > 5 AND a < 3 → a <> a;  x > 1.5 AND x > 0.5 → x > 1.5
    """
    chains = roots(query, facts, exp.And, exp.Or)
    if not chains or facts.of(query, looks_up_bits):
        return query
    types = facts.types(query)
    for root in chains:
        _merge(root, types)
    return query


@dataclass(frozen=True)
class Test:
    """A term that lets through the values of `operand` that are `operator` one of the constants; `term`: its node."""

    term: exp.Expr
    operand: exp.Expr
    operator: type[exp.Expr]
    values: tuple[Value, ...]
    kind: str


_Bound = tuple[type[exp.Expr], tuple[Value, ...]]
"""A comparison and its constants; EQ and NEQ have any number of them, in order."""


@dataclass
class ValueSet:
    """Values between two bounds, each included or not, without some; or, if `members` is known, just these."""

    discrete: tuple[int, int] | None
    low: tuple[Value, bool] | None = None
    high: tuple[Value, bool] | None = None
    members: set[Value] | None = None
    holes: set[Value] = field(default_factory=set)

    def restrict(self, operator: type[exp.Expr], values: tuple[Value, ...]) -> None:
        """Keep what passes one more test."""
        if operator is exp.EQ:
            self.members = set(values) if self.members is None else self.members & set(values)
        elif operator is exp.NEQ:
            self.holes |= set(values)
        elif operator in (exp.GT, exp.GTE):
            bound = (values[0], operator is exp.GTE)
            if self.low is None or _above(bound, self.low):
                self.low = bound
        else:
            bound = (values[0], operator is exp.LTE)
            if self.high is None or _below(bound, self.high):
                self.high = bound

    def bounds(self) -> list[_Bound] | None:
        """Return the fewest tests that let these values through, each in one form; None if there are no values."""
        if self.members is None:
            self._tighten()
            if self.low is not None and self.high is not None:
                (low, low_in), (high, high_in) = self.low, self.high
                if low > high or (low == high and not (low_in and high_in)):
                    return None
                if low == high:
                    self.members = {low}
        if self.members is not None:
            left = tuple(sorted(value for value in self.members if self._holds(value)))
            return [(exp.EQ, left)] if left else None
        found: list[_Bound] = []
        if self.low is not None:
            found.append((exp.GTE if self.low[1] else exp.GT, (self.low[0],)))
        if self.high is not None:
            found.append((exp.LTE if self.high[1] else exp.LT, (self.high[0],)))
        holes = tuple(sorted(hole for hole in self.holes if self._is_within(hole)))
        return [*found, (exp.NEQ, holes)] if holes else found

    def _tighten(self) -> None:
        """Move bounds past the values that are left out."""
        if self.discrete is not None:
            least, most = self.discrete
            if self.low is not None and not self.low[1] and self.low[0] < most:
                self.low = (self.low[0] + 1, True)
            if self.high is not None and not self.high[1] and self.high[0] > least:
                self.high = (self.high[0] - 1, True)
            while self.low is not None and self.low[1] and self.low[0] in self.holes and self.low[0] < most:
                self.low = (self.low[0] + 1, True)
            while self.high is not None and self.high[1] and self.high[0] in self.holes and self.high[0] > least:
                self.high = (self.high[0] - 1, True)
        if self.low is not None and self.low[0] in self.holes:
            self.low = (self.low[0], False)
        if self.high is not None and self.high[0] in self.holes:
            self.high = (self.high[0], False)

    def _is_within(self, value: Value) -> bool:
        above = self.low is None or value > self.low[0] or (value == self.low[0] and self.low[1])
        below = self.high is None or value < self.high[0] or (value == self.high[0] and self.high[1])
        return above and below

    def _holds(self, value: Value) -> bool:
        return value not in self.holes and self._is_within(value)


def _above(bound: tuple[Value, bool], other: tuple[Value, bool]) -> bool:
    return bound[0] > other[0] or (bound[0] == other[0] and not bound[1])


def _below(bound: tuple[Value, bool], other: tuple[Value, bool]) -> bool:
    return bound[0] < other[0] or (bound[0] == other[0] and not bound[1])


def _merge(root: exp.Expr, types: Types) -> None:
    terms = list(terms_of(root, type(root)))
    tests = [test for term in terms if (test := test_of(term, types)) is not None]
    groups: dict[tuple[bytes, str], list[Test]] = {}
    for test in tests if len(tests) > 1 else ():
        groups.setdefault((encode(test.operand), test.kind), []).append(test)
    merged: dict[int, list[exp.Expr]] = {}
    for group in groups.values():
        if len(group) > 1:
            merged |= _number_terms(group, root) if group[0].kind in IN_ORDER else _set_terms(group, root)
    if not merged:
        return
    kept = [one for term in terms for one in merged.get(id(term), [term])]
    slot = exp.Null()
    root.replace(slot)
    slot.replace(chained(type(root), kept))


def _set_terms(group: list[Test], root: exp.Expr) -> dict[int, list[exp.Expr]]:
    """Return what takes the place of each term of a group; nothing if all stay as they are."""
    negated = isinstance(root, exp.Or)
    first = group[0]
    found = ValueSet(LIMITS.get(first.kind))
    for test in group:
        found.restrict(NEGATED[test.operator] if negated else test.operator, test.values)
    bounds = found.bounds()
    if bounds is None or not bounds:
        # No value passes, or every one: NULL is NULL all the same.
        if not isinstance(first.operand, exp.Column):
            return {}
        comparison: type[exp.Expr] = exp.EQ if (bounds is None) == negated else exp.NEQ
        new = [comparison(this=first.operand.copy(), expression=first.operand.copy())]
    else:
        wanted = [(NEGATED[operator], values) if negated else (operator, values) for operator, values in bounds]
        wanted = [_rounder(_whole(one, first.kind), first.kind) for one in wanted]
        if sorted((one.operator.__name__, one.values) for one in group) == sorted(
            (operator.__name__, values) for operator, values in wanted
        ):
            return {}
        new = [_spelled(first.operand, one, first.kind) for one in wanted]
    return {id(test.term): new if test is first else [] for test in group}


def _number_terms(group: list[Test], root: exp.Expr) -> dict[int, list[exp.Expr]]:
    """Drop the bounds of a number or moment that another one makes superfluous, if the two differ as numbers."""
    dropped: dict[int, list[exp.Expr]] = {}
    for upward in (True, False):
        side = [test for test in group if (test.operator in (exp.GT, exp.GTE)) == upward]
        if len(side) < 2:  # noqa: PLR2004 — nothing to compare
            continue
        values = [test.values[0] for test in side]
        of_all = isinstance(root, exp.And)
        decisive = max(values) if upward == of_all else min(values)
        kept = next(test for test in side if test.values[0] == decisive)
        for test in side:
            narrow, wide = (kept, test) if of_all else (test, kept)
            if test.values[0] != decisive and is_certainly_narrower(narrow, wide):
                dropped[id(test.term)] = []
    return dropped


def is_certainly_narrower(narrow: Test, wide: Test) -> bool:
    """Whether a bound that is narrower as a number certainly is: the engine may round both to one number."""
    return narrow.operator in (exp.GT, exp.LT) or wide.operator in (exp.GTE, exp.LTE)


def _whole(bound: _Bound, kind_: str) -> _Bound:
    """Include the bound of a whole number or a day."""
    operator, values = bound
    if kind_ in LIMITS and operator in (exp.LT, exp.GT):
        least, most = LIMITS[kind_]
        value = values[0]
        assert isinstance(value, int)
        if operator is exp.GT and value < most:
            return exp.GTE, (value + 1,)
        if operator is exp.LT and value > least:
            return exp.LTE, (value - 1,)
    return bound


def test_of(term: exp.Expr, types: Types) -> Test | None:
    """Read a term as a comparison of an operand with constants of its kind."""
    if isinstance(term, exp.Not) and isinstance(term.this, exp.In):
        test = test_of(term.this, types)
        return None if test is None else Test(term, test.operand, exp.NEQ, test.values, test.kind)
    if isinstance(term, exp.In):
        items = term.expressions
        if not items or any(term.args.get(key) for key in ("query", "unnest", "field")):
            return None
        return _test(term, term.this, exp.EQ, items, types)
    if isinstance(term, (*_ORDERS, exp.EQ, exp.NEQ)):
        if is_constant(term.expression):
            return _test(term, term.this, type(term), [term.expression], types)
        if is_constant(term.this):
            return _test(term, term.expression, _FLIPPED.get(type(term), type(term)), [term.this], types)
    return None


def _test(
    term: exp.Expr, operand: exp.Expr, operator: type[exp.Expr], items: list[exp.Expr], types: Types
) -> Test | None:
    if is_constant(operand) or not all(map(is_constant, items)) or has(operand, exp.Query):
        return None
    found = kind(types, operand)
    if found in {"int", "date", "string"}:
        values = [_value(item, found) for item in items]
        known = sorted({value for value in values if value is not None})
        return Test(term, operand, operator, tuple(known), found) if None not in values else None
    if operator in _ORDERS and (types.of(operand) or "").startswith(("float32", "float64", "decimal128")):
        number = _number(items[0])
        return None if number is None else Test(term, operand, operator, (number,), "number")
    if (
        operator in _ORDERS
        and (types.of(operand) or "").startswith("timestamp")
        and "," not in (types.of(operand) or "")
    ):
        # Of one form only: the engine compares texts in the unit of the operand, timestamps in their own.
        text = read_moment(items[0])
        moment = text or moment_of(items[0])
        return None if moment is None else Test(term, operand, operator, (moment,), "text" if text else "moment")
    return None


def _value(node: exp.Expr, kind_: str) -> Value | None:
    if kind_ == "date":
        return date.fromisoformat(node.this.name).toordinal() if is_date(node) else None
    if kind_ == "string":
        return node.name.encode() if isinstance(node, exp.Literal) and node.is_string else None
    sign, literal = (-1, node.this) if isinstance(node, exp.Neg) else (1, node)
    if isinstance(literal, exp.Literal) and not literal.is_string and literal.is_int:
        value = sign * int(literal.name)
        return value if _LEAST <= value <= _MOST else None
    return None


def _number(node: exp.Expr) -> Fraction | None:
    sign, literal = (-1, node.this) if isinstance(node, exp.Neg) else (1, node)
    if not isinstance(literal, exp.Literal) or literal.is_string:
        return None
    text = literal.name
    plain = text.replace(".", "", 1)
    return sign * Fraction(text) if plain.isdecimal() and plain.isascii() and len(plain) <= _DIGITS else None


def _rounder(bound: _Bound, kind_: str) -> _Bound:
    """Return an included bound of whole numbers or days, or the one next to it, excluded, if that is rounder."""
    operator, values = bound
    if kind_ not in LIMITS or operator not in _EXCLUDED:
        return bound
    least, most = LIMITS[kind_]
    excluded, step = _EXCLUDED[operator]
    other = values[0] + step
    if not least <= other <= most or _roundness(other, kind_) < _roundness(values[0], kind_):
        return bound
    if kind_ == "date" and _roundness(other, kind_) == _roundness(values[0], kind_):
        return bound
    return excluded, (other,)


def _roundness(value: int, kind_: str) -> tuple[bool | int, ...]:
    if kind_ == "date":
        day = date.fromordinal(value)
        return day.day == 1 and day.month == 1, day.day == 1
    digits = str(abs(value))
    return value == 0, len(digits) - len(digits.rstrip("0")), value % 5 == 0, value == 1, value % 2 == 0


def _spelled(operand: exp.Expr, bound: _Bound, kind_: str) -> exp.Expr:
    operator, values = _rounder(bound, kind_)
    items = sorted((_literal(value, kind_) for value in values), key=encode)
    if len(items) == 1:
        return operator(this=operand.copy(), expression=items[0])
    among = exp.In(this=operand.copy(), expressions=items)
    return exp.Not(this=among) if operator is exp.NEQ else among


def _literal(value: Value, kind_: str) -> exp.Expr:
    if isinstance(value, bytes):
        return exp.Literal.string(value.decode())
    if kind_ == "date":
        day = exp.Literal.string(date.fromordinal(value).isoformat())
        return exp.Cast(this=day, to=exp.DataType(this=exp.DType.DATE, nested=False))
    number = exp.Literal.number(str(abs(value)))
    return exp.Neg(this=number) if value < 0 else number
