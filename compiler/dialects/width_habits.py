"""Habits about how many bits a number has: shifts beyond them, and the hexadecimal text of a negative one."""

from __future__ import annotations

from sqlglot import exp

from compiler.dialects.view import View
from compiler.sql.functions import function_name

_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_CASTS = {exp.DType.TINYINT: 8, exp.DType.SMALLINT: 16, exp.DType.INT: 32, exp.DType.BIGINT: 64}
_MOST_INT = 2**31
_LONG = 64
_SIDES = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor)


def bits(view: View, node: exp.Expr) -> int | None:
    """Return how many bits an integer has in the dialect, where a number of ten digits or fewer is an INT.

    None where it is not known.
    """
    if isinstance(node, exp.Paren | exp.Neg | exp.BitwiseLeftShift | exp.BitwiseRightShift):
        return bits(view, node.this)
    if isinstance(node, exp.Literal):
        return (32 if int(node.name) < _MOST_INT else _LONG) if node.is_int else None
    if isinstance(node, exp.Cast):
        return _CASTS.get(node.to.this)
    if isinstance(node, exp.Column):
        return _BITS.get(view.type_of(node) or "")
    if isinstance(node, exp.Count):
        return _LONG
    if isinstance(node, _SIDES):
        return _widest(view, [node.this, node.expression])
    if isinstance(node, exp.Case):
        default = node.args.get("default")
        values = [*(branch.args["true"] for branch in node.args["ifs"]), *([] if default is None else [default])]
        return _widest(view, values)
    return None


def _widest(view: View, values: list[exp.Expr]) -> int | None:
    found = [bits(view, value) for value in values]
    known = [one for one in found if one is not None]
    return max(known) if known and len(known) == len(found) else None


def shifts(view: View) -> None:
    """3 << -1 and 3 << 33 are those of a BIGINT here; PostgreSQL shifts an INT within 32 bits, and DuckDB to 0."""
    for node in view.every(exp.BitwiseLeftShift, exp.BitwiseRightShift):
        left, count = node.this, node.expression.unnest()
        to_left = isinstance(node, exp.BitwiseLeftShift)
        by = int(count.name) if isinstance(count, exp.Literal) and count.is_int else None
        width = bits(view, left)
        if view.letter == "D" and to_left:
            continue  # what does not fit is an error there
        if view.letter == "B":
            _of_bigquery(view, node, by)
            continue
        fits = by is not None and width is not None and by < width
        if fits and (not to_left or width == _LONG or _stays_short(left, by)):
            continue
        message = f"a shift is one of 64 bits here; {view.title} has another value beyond those of the number"
        view.add("R046", node, message, "shift CAST(n AS BIGINT) by a number from 0 to 63")


def _stays_short(left: exp.Expr, by: int | None) -> bool:
    return isinstance(left, exp.Literal) and by is not None and int(left.name) << by < _MOST_INT


def _of_bigquery(view: View, node: exp.Expr, by: int | None) -> None:
    """A shift to the right fills up with zeros in BigQuery, and with the sign here."""
    message = "a shift is one of 64 bits here, and keeps the sign; BigQuery fills up with zeros"
    if by is None or by >= _LONG:
        view.add("R046", node, message, "shift by a number from 0 to 63")
    elif by and isinstance(node, exp.BitwiseRightShift):
        whole = view.extents.written(node)
        view.replace("R046", node, message, f"({whole}) & {2 ** (_LONG - by) - 1}" if whole else None)


def hexadecimal(view: View) -> None:
    """to_hex(-1) has 16 digits here, and 8 in PostgreSQL, where it is an INT."""
    for node in view.every(exp.Func) if view.letter == "P" else ():
        arguments = list(node.args.get("expressions") or [])
        if function_name(node) != "to_hex" or len(arguments) != 1:
            continue
        value = arguments[0].unnest()
        width = bits(view, value)
        if width == _LONG or isinstance(value, exp.Literal):
            continue
        n = view.extents.operand(value)
        message = "to_hex of a negative number has the digits of a BIGINT here, and of an INT in PostgreSQL"
        written = f"to_hex(CASE WHEN {n} < 0 THEN CAST({n} AS BIGINT) + {2**32} ELSE {n} END)"
        view.replace("R046", node, message, written if n and width else None, "write to_hex(CAST(n AS BIGINT))")
