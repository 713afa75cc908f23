"""Numbers and intervals: one spelling for each value and type."""

from __future__ import annotations

import math
import re

from sqlglot import exp

from compiler.canonical.facts import Facts

_FLOAT = re.compile(r"(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")

_INTERVAL = re.compile(r"(-?[0-9]{1,4}) ?([a-z]+?)s?", re.ASCII | re.IGNORECASE)
_UNITS = {
    "decade": (120, "month"),
    "year": (12, "month"),
    "month": (1, "month"),
    "week": (7, "day"),
    "day": (1, "day"),
    "hour": (3600, "second"),
    "minute": (60, "second"),
    "second": (1, "second"),
}
"""An interval is months, days and nanoseconds, which do not convert into one another."""


def spell_numbers(query: exp.Query, facts: Facts) -> exp.Query:
    """Write every number in the shortest form that is read as the same number of the same type.

    002 → 2;  1.50 → 1.5;  1e2 → 100.0;  .5 → 0.5

    The engine reads a number with a point or an exponent as the nearest double, as Python does.
    """
    for literal in facts.nodes(query, exp.Literal):
        if not literal.is_string:
            spelled = spelled_number(literal.name)
            if spelled != literal.name:
                literal.set("this", spelled)
    return query


def spell_intervals(query: exp.Query, facts: Facts) -> exp.Query:
    """Write an interval of one unit in months, days or seconds, as the engine holds it.

    INTERVAL '30 DAYS' → INTERVAL '30 day';  INTERVAL '1 year' → INTERVAL '12 month'

    A window's frame keeps its own: the engine reads those bounds by the type of the ordering key.
    """
    for interval in facts.nodes(query, exp.Interval):
        literal = interval.this
        found = _INTERVAL.fullmatch(literal.name) if isinstance(literal, exp.Literal) else None
        if found is None or interval.unit or interval.find_ancestor(exp.WindowSpec):
            continue
        factor, unit = _UNITS.get(found[2].lower(), (0, ""))
        if unit:
            literal.set("this", f"{int(found[1]) * factor} {unit}")
    return query


def spelled_number(text: str) -> str:
    """Return the shortest spelling of a number literal; of anything else its own."""
    if text.isascii() and text.isdigit():
        return text.lstrip("0") or "0"
    if _FLOAT.fullmatch(text) is None:
        return text
    value = float(text)
    return repr(value).replace("e+", "e") if math.isfinite(value) else text
