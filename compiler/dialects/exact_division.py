"""Divisions of integers that leave no remainder, as the table of foreign functions writes them: no habit applies."""

from __future__ import annotations

from sqlglot import exp

from compiler.dialects.extents import same
from compiler.sql.functions import function_name

_UNITS = {"week": "7", "hour": "3600", "minute": "60"}
"""Units → how many days or seconds they have."""


def has_no_remainder(division: exp.Expr) -> bool:
    """Whether the sides of a division make it exact whatever the values.

    (a - a % b) / b; (CAST(date_trunc('week', y) AS DATE) - CAST(date_trunc('week', x) AS DATE)) / 7
    """
    left, right = _bare(division.this), division.expression.unnest()
    if not isinstance(left, exp.Sub):
        return False
    rest = left.expression.unnest()
    if isinstance(rest, exp.Mod):
        return same(rest.this.unnest(), left.this.unnest()) and same(rest.expression.unnest(), right)
    unit = _common_unit(left)
    return unit is not None and isinstance(right, exp.Literal) and _UNITS.get(unit) == right.name


def has_no_fraction(node: exp.Expr) -> bool:
    """Whether a number is a whole one: the seconds between two moments that were truncated to one unit."""
    node = node.unnest()
    return isinstance(node, exp.Sub) and _common_unit(node) in {"hour", "minute", "second"}


def _common_unit(difference: exp.Sub) -> str | None:
    """Return the unit to which both sides of a difference were truncated."""
    unit = _truncated_to(difference.this)
    return unit if unit == _truncated_to(difference.expression) else None


def _bare(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Paren | exp.Cast):
        node = node.this
    return node


def _truncated_to(node: exp.Expr) -> str | None:
    """Return the unit of a truncated moment, as days if that is a week and as seconds else.

    extract(epoch FROM date_trunc('hour', x)) → hour; CAST(date_trunc('week', x) AS DATE) → week
    """
    node = _bare(node)
    in_seconds = False
    if isinstance(node, exp.Extract):
        in_seconds, node = node.name.lower() == "epoch", _bare(node.expression)
    elif function_name(node) == "date_part" and node.expressions:
        in_seconds, node = node.expressions[0].name.lower() == "epoch", _bare(node.expressions[-1])
    if function_name(node) != "date_trunc" or not node.expressions:
        return None
    unit: str = node.expressions[0].name.lower()
    return unit if in_seconds != (unit == "week") else None
