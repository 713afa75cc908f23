"""Whether our grammar groups the operators of a text as a dialect's parser does: || and + differ, and ^, and NOT."""

from __future__ import annotations

from sqlglot import exp

from compiler.dialects.reading import Reading, reading_of_ours
from compiler.dialects.traced import Traced
from compiler.sql.foreign_table import TITLES

_GROUPED = (
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.DPipe, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Not,
    exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.Like, exp.ILike, exp.Between, exp.And, exp.Or,
)  # fmt: skip


_BITWISE = (exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseLeftShift, exp.BitwiseRightShift)
_ONE_LEVEL = frozenset({"duckdb", "postgres", "redshift"})
"""The dialects in which & does not bind more tightly than |, as SQLGlot has it."""


def require_same_grouping(reading: Reading, source: Traced, original: str) -> None:
    """Raise `SqlError` at the first operator whose operands are others here. source: the text in our grammar."""
    theirs = _groups(reading)
    ours = _groups(reading_of_ours(source))
    for node in reading.tree.find_all(*_BITWISE):
        mixed = any(isinstance(one, _BITWISE) and type(one) is not type(node) for one in (node.this, node.expression))
        if mixed and reading.dialect in _ONE_LEVEL:
            message = f"{TITLES[reading.dialect]} takes these operators from left to right"
            raise reading.error(node, message, "write parentheses", original)
    for place in sorted(theirs.keys() - ours.keys()):
        message = f"{TITLES[reading.dialect]} groups the operators of this expression in another way than we do"
        raise reading.error(theirs[place], message, "write parentheses", original)


def _groups(reading: Reading) -> dict[tuple[int, int], exp.Expr]:
    """Return the operations of a text, by the places of their first and last tokens in the author's text."""
    found: dict[tuple[int, int], exp.Expr] = {}
    for node in reading.tree.find_all(*_GROUPED):
        if isinstance(node, exp.And | exp.Or) and type(node.parent) is type(node):
            continue
        place = reading.tokens_of(node)
        if place is None or isinstance(node.this, exp.Exists):
            continue
        first, last = (reading.source.origin(reading.tokens[number].start) for number in place)
        found[first, last] = node
    return found
