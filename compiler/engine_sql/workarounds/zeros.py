"""Faults of the engine in comparing 0.0 with -0.0, which are equal."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.analysis.floats import Floats
from compiler.canonical.facts import Facts
from compiler.sql.functions import ScalarFunction, function_name
from compiler.tree.walk import nodes


def equate_zeros(query: exp.Query, facts: Facts) -> exp.Query:
    """`x IN (0.0, y)`, `CASE x WHEN y` → the same of x + 0.0 and y + 0.0, in place, if x is a float.

        PARTITION BY x        → PARTITION BY x - -0.0
        COUNT(DISTINCT x)     → COUNT(DISTINCT x + 0.0), as the engine may count without a GROUP BY; likewise AVG
        x = 0.0 OR x = 1.0 …  → x + 0.0 = 0.0 OR …, as the engine makes an IN of it
        NULLIF(x, y)          → CASE WHEN x = y THEN NULL ELSE x END

    DataFusion 55 distinguishes -0.0 from 0.0 in these, but not in `=`, GROUP BY, DISTINCT and joins. The sum
    of -0.0 and 0.0 is 0.0; of NaN it keeps the bits, and of any other value the value.
    """
    floats = Floats(facts.names(query), facts.schemas)
    for node in reversed(zero_comparisons(query, facts)):  # inner ones first: what is around them is made of them
        if isinstance(node, ScalarFunction):
            value, other = node.expressions
            equal = exp.EQ(this=_operand(value.copy()), expression=_operand(other))
            node.replace(exp.Case(ifs=[exp.If(this=equal, true=exp.Null())], default=value))
            continue
        for value in list(_compared(node)):
            if not _is_plain(value):
                _normalise(value, floats)
    return query


def zero_comparisons(query: exp.Query, facts: Facts) -> list[exp.Expr]:
    """Return the nodes in which the engine may meet 0.0 and -0.0 and distinguishes them, those within others last."""
    found = facts.nodes(query, exp.In, exp.EQ, exp.NEQ, exp.Case, exp.Window, exp.Distinct, ScalarFunction)
    candidates = [node for node in found if any(True for _ in _compared(node))]
    if not candidates:
        return []
    floats = Floats(facts.names(query), facts.schemas)
    return [node for node in candidates if _concerns(node, floats)]


def _concerns(node: exp.Expr, floats: Floats) -> bool:
    values = list(_compared(node))
    if isinstance(node, exp.Window | exp.Distinct):
        return any(floats.is_float(value) for value in values)
    # Neither a decimal nor a literal without a sign is ever -0.0.
    signed = any(floats.is_float(value) and not isinstance(value, exp.Literal) for value in values)
    if not signed or not all(floats.is_number(value) for value in values):
        return False
    return sum(not _is_plain(value) for value in values) > 1


def _compared(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the values that a node compares for equality, without a set of rows among them."""
    if isinstance(node, exp.In):
        if node.expressions and node.args.get("query") is None:
            yield node.this
            yield from node.expressions
    elif isinstance(node, exp.EQ | exp.NEQ):  # of two columns, the engine compares them as it should
        sides = (node.this, node.expression)
        if any(_is_constant(side) and not _is_plain(side) for side in sides):
            yield from sides
    elif isinstance(node, exp.Case):
        if node.this is not None:
            yield node.this
            yield from (branch.this for branch in node.args["ifs"])
    elif isinstance(node, exp.Window):
        yield from node.args.get("partition_by") or []
    elif isinstance(node, exp.Distinct):
        if isinstance(node.parent, exp.Count | exp.Avg):
            yield from node.expressions
    elif function_name(node) == "nullif" and len(node.expressions) == 2:  # noqa: PLR2004
        yield from node.expressions


def _is_plain(value: exp.Expr) -> bool:
    """Whether a value certainly is no zero: a number, a text or NULL."""
    inner = value.this if isinstance(value, exp.Neg) else value
    if isinstance(inner, exp.Null):
        return True
    return isinstance(inner, exp.Literal) and (inner.is_string or float(inner.name) != 0)


def _is_constant(value: exp.Expr) -> bool:
    return not any(isinstance(node, exp.Column | exp.Query | exp.AggFunc | exp.Window) for node in nodes(value))


def _normalise(value: exp.Expr, floats: Floats) -> None:
    """Put `value + 0.0` in the place of a value, of the same type if it is a float.

    For a window it is `value - -0.0`, which is the same: where x + 0.0 = 0.0 holds, the engine reads x + (x + 0.0) in
    x + 0.0, and then fails to find the order that a window over it needs.
    """
    windowed = isinstance(value.parent, exp.Window)
    if isinstance(value.parent, exp.Window | exp.Distinct) and not floats.is_float(value):
        return
    zero: exp.Expr = exp.Literal.number("0.0")
    kind = floats.of(value)
    if kind == "float32":
        zero = exp.cast(zero, "REAL")
    stand_in = exp.Placeholder()
    value.replace(stand_in)
    if windowed:
        stand_in.replace(exp.Sub(this=_operand(value), expression=exp.Neg(this=zero)))
    else:
        stand_in.replace(exp.Add(this=_operand(value), expression=zero))


def _operand(value: exp.Expr) -> exp.Expr:
    plain = (exp.Column, exp.Literal, exp.Paren, exp.Func, exp.Cast)
    return value if isinstance(value, plain) else exp.Paren(this=value)
