"""Habits about intervals and units of time: numbers times an interval, seconds of a difference, names of units."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.dialects.view import View
from compiler.sql.functions import function_name

_INTERVAL = re.compile(r"(-?\d+) ?([a-z]+)", re.IGNORECASE)
_UNITS = frozenset(
    {"microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year"}
)
_MOMENTS = frozenset({"date", "ts", "tz"})


def multiplied_intervals(view: View) -> None:
    """Write n * INTERVAL '1 day', which cannot be computed here."""
    if view.letter not in "DPR":
        return
    for node in view.every(exp.Mul):
        sides = [node.this, node.expression]
        literals = [side.unnest() for side in sides if isinstance(side.unnest(), exp.Interval)]
        numbers = [side for side in sides if view.kind(side) == "int"]
        if len(literals) != 1 or len(numbers) != 1:
            continue
        parts = _INTERVAL.fullmatch(literals[0].this.name)
        number = view.extents.operand(numbers[0])
        times = "" if parts is None or parts[1] == "1" else f" * {parts[1]}"
        text = f"CAST(CAST({number}{times} AS VARCHAR) || ' {parts[2]}' AS INTERVAL)" if parts and number else None
        message = f"a number times an interval cannot be computed here, as it is in {view.title}"
        view.replace(
            "R033", node, message, text, None if text else "write CAST(CAST(n AS VARCHAR) || ' day' AS INTERVAL)"
        )


def elapsed_seconds(view: View) -> None:
    """Write extract(epoch FROM a - b), which has no fraction here."""
    for node in view.every(exp.Func):
        parts = list(node.args.get("expressions") or []) if function_name(node) == "date_part" else []
        if len(parts) != 2 or parts[0].name != "epoch":  # noqa: PLR2004 — unit, moment
            continue
        difference = parts[1].unnest()
        if not isinstance(difference, exp.Sub):
            continue
        kinds = {view.kind(difference.this), view.kind(difference.expression)}
        if not kinds <= _MOMENTS or kinds == {"date"}:
            continue
        later, earlier = (view.extents.written(side) for side in (difference.this, difference.expression))
        written = f"extract(epoch FROM {later}) - extract(epoch FROM {earlier})" if later and earlier else None
        message = f"the seconds of a difference have no fraction here; in {view.title} they have"
        view.replace("R048", node, message, written, None if written else "subtract the seconds of both moments")


def units(view: View) -> None:
    """Write date_trunc('milliseconds', a) with the names that units have here."""
    for node in view.every(exp.Func):
        parts = list(node.args.get("expressions") or []) if function_name(node) == "date_trunc" else []
        if not parts or not isinstance(parts[0], exp.Literal) or view.letter not in "DPR":
            continue
        unit = parts[0].name.lower()
        if unit not in _UNITS and unit.removesuffix("s") in _UNITS:
            message = f"'{parts[0].name}' is no unit here, as it is in {view.title}"
            view.replace("R044", parts[0], message, f"'{unit.removesuffix('s')}'")
