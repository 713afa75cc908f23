"""Numbers: one spelling for each value and type."""

from __future__ import annotations

import math
import re

from sqlglot import exp

from compiler.passes.facts import Facts

_FLOAT = re.compile(r"(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")


def spell_numbers(query: exp.Query, _facts: Facts) -> exp.Query:
    """Write every number in the shortest way that is read as the same number of the same type.

    002 → 2;  1.50 → 1.5;  1e2 → 100.0;  .5 → 0.5

    The engine reads a number with a point or an exponent as the nearest double, as Python does.
    """
    for literal in query.find_all(exp.Literal):
        if not literal.is_string:
            literal.set("this", _spelled(literal.name))
    return query


def _spelled(text: str) -> str:
    if text.isascii() and text.isdigit():
        return text.lstrip("0") or "0"
    if _FLOAT.fullmatch(text) is None:
        return text
    value = float(text)
    return repr(value).replace("e+", "e") if math.isfinite(value) else text
