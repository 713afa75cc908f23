"""Constants in one spelling, as the engine reads them: dates for texts, whole numbers for doubles, moments in full."""

from __future__ import annotations

import re
from datetime import datetime

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.predicate_facts import is_constant, is_date

_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_EXACT_DIGITS = 15
"""Decimals of as many digits are different doubles if they are different, and in the same order."""
_DECIMAL = re.compile(r"decimal128<([0-9]+), ?[0-9]+>")
_WHOLE = re.compile(r"([1-9][0-9]{0,14})\.0")
_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ T]([0-9]{2}:[0-9]{2}:[0-9]{2}))?")
_YEARS = range(1700, 2200)
"""Moments in nanoseconds go from 1677 to 2262."""


def spell_dates(query: exp.Query, facts: Facts) -> exp.Query:
    """Write a text that is compared with a date as the date that the engine reads in it.

    t.d < '2024-01-10' → t.d < DATE '2024-01-10'
    """
    types: Types | None = None
    for node in facts.nodes(query, *_COMPARED):
        for text, other in ((node.this, node.expression), (node.expression, node.this)):
            if not (isinstance(text, exp.Literal) and text.is_string) or is_constant(other):
                continue
            day = exp.Cast(this=text.copy(), to=exp.DataType(this=exp.DType.DATE, nested=False))
            if is_date(day):
                types = types or facts.types(query)
                if types.of(other) == "date32":
                    text.replace(day)
    return query


def spell_whole_numbers(query: exp.Query, facts: Facts) -> exp.Query:
    """Write a whole number without a point if it is compared with a double or a decimal.

    t.x > 2.0 → t.x > 2

    The engine compares a decimal with 2 as decimals and with 2.0 as doubles, which are the same up to 15 digits.
    """
    types: Types | None = None
    for node in facts.nodes(query, *_COMPARED):
        for side, other in ((node.this, node.expression), (node.expression, node.this)):
            number = side.this if isinstance(side, exp.Neg) else side
            if not isinstance(number, exp.Literal) or number.is_string or is_constant(other):
                continue
            found = _WHOLE.fullmatch(number.name)
            if found is not None:
                types = types or facts.types(query)
                if _compares_alike(types.of(other) or ""):
                    number.set("this", found[1])
    return query


def spell_moments(query: exp.Query, facts: Facts) -> exp.Query:
    """Write a moment with its time of day.

    TIMESTAMP '2024-01-10', TIMESTAMP '2024-01-10T00:00:00' → TIMESTAMP '2024-01-10 00:00:00'
    """
    for cast in facts.nodes(query, exp.Cast):
        moment = moment_of(cast)
        if moment is not None and cast.this.name != str(moment):
            cast.this.set("this", str(moment))
    return query


def moment_of(node: exp.Expr) -> datetime | None:
    """Return the moment of a literal of a timestamp without a time zone; None of any other node or spelling."""
    if type(node) is not exp.Cast or node.to.this is not exp.DType.TIMESTAMP or node.to.expressions:
        return None
    return read_moment(node.this) if not node.args.get("format") else None


def read_moment(text: exp.Expr) -> datetime | None:
    """Return the moment that the engine reads in a text that is one, to the second, in all its types of timestamps."""
    if not isinstance(text, exp.Literal) or not text.is_string or not text.name.isascii():
        return None
    found = _MOMENT.fullmatch(text.name)
    try:
        moment = datetime.fromisoformat(f"{found[1]} {found[2] or '00:00:00'}") if found is not None else None
    except ValueError:
        return None
    return moment if moment is not None and moment.year in _YEARS else None


def _compares_alike(kind: str) -> bool:
    digits = _DECIMAL.fullmatch(kind)
    return kind == "float64" or (digits is not None and int(digits[1]) <= _EXACT_DIGITS)
