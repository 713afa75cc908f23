"""Habits about dates and timestamps: sums with intervals, time zones, and formats."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.dialects.formats import ours
from compiler.dialects.view import View
from compiler.sql.functions import function_name


def date_and_interval(view: View) -> None:
    """A date with an interval is a date here, and a timestamp in DuckDB and PostgreSQL."""
    for node in view.every(exp.Add, exp.Sub):
        sides = [node.this, node.expression]
        kinds = [view.kind(side) for side in sides]
        if kinds == ["date", "date"] and view.letter in "BK" and view.settled is not None:
            message = f"a difference of dates is a number of days here; in {view.title} it is an interval"
            view.add("R033", node, message, "write datediff(a, b), or date_diff(a, b, DAY)")
            continue
        if sorted(str(kind) for kind in kinds) != ["date", "interval"]:
            continue
        date, interval = sides if kinds[0] == "date" else reversed(sides)
        interval = interval.unnest()
        whole_days = isinstance(interval, exp.Interval) and re.fullmatch(
            r"-?\d+ (day|week|month|year)s?", interval.this.name.lower()
        )
        if whole_days and (view.letter in "SK" or _is_cast_to_date(node)):
            continue
        x, place = view.extents.written(date), view.extents.of(date)
        message = f"a date with an interval stays a date here; in {view.title} it is a timestamp"
        if x is None or place is None:
            view.add("R033", node, message, "CAST(d AS TIMESTAMP) + …")
        else:
            view.add("R033", node, message, f"write CAST({x} AS TIMESTAMP(6))", (*place, f"CAST({x} AS TIMESTAMP(6))"))


def _is_cast_to_date(node: exp.Expr) -> bool:
    around = node.parent
    while isinstance(around, exp.Paren):
        around = around.parent
    return isinstance(around, exp.Cast) and around.args["to"].this == exp.DType.DATE


def time_zones(view: View) -> None:
    """The second AT TIME ZONE takes the time zone away elsewhere."""
    if view.letter not in "DPR":
        return
    for node in view.every(exp.AtTimeZone):
        if view.kind(node.this) == "tz":
            written = view.extents.written(node)
            message = f"AT TIME ZONE of a timestamp with a time zone keeps one here; {view.title} gives the local time"
            view.replace("R034", node, message, written and f"to_local_time({written})", "write to_local_time(…)")


def numbers_of_moments(view: View) -> None:
    """A timestamp cast to a number is the number of its own units here, and of seconds in Spark; and the other way."""
    for node in view.every(exp.Cast) if view.letter == "K" else ():
        kind, to = view.kind(node.this), node.args["to"]
        if kind in {"ts", "tz"} and to.is_type(*exp.DataType.NUMERIC_TYPES):
            x = view.extents.written(node.this)
            whole = to.is_type(exp.DType.BIGINT) and x is not None
            written = f"CAST(floor(extract(epoch FROM date_trunc('second', {x}))) AS BIGINT)" if whole else None
            message = "a timestamp is a number of microseconds here, and of seconds in Spark"
            view.replace("R046", node, message, written, "write extract(epoch FROM a), cast to the type")
        elif kind in {"float", "decimal"} and to.is_type(*exp.DataType.TEMPORAL_TYPES):
            message = "a number with a fraction is a timestamp in other units here than in Spark, which counts seconds"
            view.add("R046", node, message, "write to_timestamp(n) of whole seconds")


def formats(view: View) -> None:
    """to_char(d, 'YYYY') is 'YYYY' here, where formats are those of strftime."""
    for node in view.every(exp.Func):
        name = function_name(node)
        parts = list(node.args.get("expressions") or [])
        if name not in _FORMATTING or len(parts) != 2 or view.letter in "DB":  # noqa: PLR2004 — value, format
            continue
        value, format_ = parts
        constant = isinstance(format_, exp.Literal) and format_.is_string
        if view.settled is None and (not constant or "%" in format_.name):
            continue
        if name == "to_char" and view.kind(value) in _NUMBERS:
            message = f"to_char shows moments alone here, and in {view.title} numbers too"
            view.add("R044", node, message, "write CAST(n AS VARCHAR), or lpad(CAST(n AS VARCHAR), 5, '0')")
            continue
        message = f"formats are those of strftime here; in {view.title} they are written otherwise"
        if constant and not re.search("[A-Za-z%]", format_.name):
            continue
        written = ours(format_.name, view.letter, read=name not in _SHOWING) if constant else None
        place = view.extents.of(format_)
        if written is None or place is None:
            view.add("R044", node, message, "write '%Y-%m-%d'", part=format_)
        else:
            quoted = "'" + written.replace("'", "''") + "'"
            view.add("R044", node, message, f"write {quoted}", (*place, quoted), part=format_)


_SHOWING = frozenset({"to_char", "date_format"})
_FORMATTING = _SHOWING | {"to_date", "to_timestamp"}
_NUMBERS = frozenset({"int", "float", "decimal"})
