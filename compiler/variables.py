"""Project variables as SQL literals."""

from __future__ import annotations

import datetime
import math

from sqlglot import exp

from compiler.errors import SqlError

Value = int | float | str | bool | datetime.date | datetime.datetime
"""The value of a project variable, as TOML types it."""


def literal(value: Value) -> exp.Expr:
    """Return a project variable's value as a typed SQL literal."""
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, int | float):
        if isinstance(value, float) and not math.isfinite(value):
            raise SqlError(f"a variable cannot be {value}", code="variable-type")
        number = exp.Literal.number(repr(abs(value)))
        return exp.Neg(this=number) if math.copysign(1, value) < 0 else number
    if isinstance(value, str):
        return exp.Literal.string(value)
    if isinstance(value, datetime.datetime):
        kind = "TIMESTAMP" if value.tzinfo is None else "TIMESTAMPTZ"
        return exp.cast(exp.Literal.string(value.isoformat(sep=" ")), kind)
    return exp.cast(exp.Literal.string(value.isoformat()), "DATE")
