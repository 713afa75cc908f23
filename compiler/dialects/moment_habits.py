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


def formats(view: View) -> None:
    """to_char(d, 'YYYY') is 'YYYY' here, where formats are those of strftime."""
    for node in view.every(exp.Func):
        if function_name(node) not in {"to_char", "to_date", "to_timestamp", "date_format"}:
            continue
        parts = list(node.args.get("expressions") or [])
        if len(parts) != 2 or not (isinstance(parts[1], exp.Literal) and parts[1].is_string):  # noqa: PLR2004 — value, format
            continue
        format_ = parts[1].name
        if "%" in format_ or not re.search("[A-Za-z]", format_) or view.letter in "DB":
            continue
        written = ours(format_, view.letter)
        message = f"formats are those of strftime here; in {view.title} they are written otherwise"
        quoted = written.replace("'", "''") if written is not None else None
        view.replace("R044", parts[1], message, f"'{quoted}'" if quoted is not None else None, "write '%Y-%m-%d'")
