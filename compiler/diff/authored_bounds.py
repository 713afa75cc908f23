"""Bounds of whole numbers and days in the words of the author: the canonical form writes `n > 7` as `n >= 8`.

Sentences about edits show canonical trees. In those a comparison with a bound has one of two spellings; the one that
the author chose is in the rule's meaning, which keeps the text but for names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from sqlglot import exp

from compiler.errors import SqlError
from compiler.sql.dialect import parse
from compiler.tree.walk import find_all

Comparison = tuple[frozenset[str], type[exp.Expr], int | date]
"""The columns of an operand, how it is compared, and with what constant."""

_FLIPPED: dict[type[exp.Expr], type[exp.Expr]] = {exp.LT: exp.GT, exp.GT: exp.LT, exp.LTE: exp.GTE, exp.GTE: exp.LTE}
_NEGATED: dict[type[exp.Expr], type[exp.Expr]] = {exp.LT: exp.GTE, exp.GTE: exp.LT, exp.GT: exp.LTE, exp.LTE: exp.GT}
_NEIGHBOURS: dict[type[exp.Expr], tuple[type[exp.Expr], int]] = {
    exp.GT: (exp.GTE, 1), exp.GTE: (exp.GT, -1), exp.LT: (exp.LTE, -1), exp.LTE: (exp.LT, 1),
}  # fmt: skip
"""For each comparison the other one that means the same, and how far its bound is."""


def with_authored_bounds(trees: tuple[exp.Query, exp.Query], meanings: tuple[str, str]) -> tuple[exp.Query, exp.Query]:
    """Return two canonical trees with each bound as the author wrote it. meanings: of the rules, as text.

    n >= 8 → n > 7, where the meaning has n > 7 and no n >= 8. A bound that is in both trees and was written in two ways
    stays as it is, since that is no edit.
    """
    before, after = _spellings(trees[0], meanings[0]), _spellings(trees[1], meanings[1])
    for written in before.keys() & after.keys():
        if before[written] != after[written]:
            before[written] = after[written] = written
    return _respelt(trees[0].copy(), before), _respelt(trees[1].copy(), after)


def _spellings(tree: exp.Query, meaning: str) -> dict[Comparison, Comparison]:
    """Return the bounds of a canonical tree, each with the spelling of the author."""
    bounds = [(node, written) for node in find_all(tree, *_NEIGHBOURS) if (written := _read(node)) is not None]
    if not bounds:
        return {}
    try:
        authored = set(_authored(parse(meaning)))
    except SqlError:  # what an earlier version of the compiler read
        authored = set()
    found: dict[Comparison, Comparison] = {}
    for node, written in bounds:
        other = _neighbour(written)
        counts = not written[0] and isinstance(_operand(node), exp.Count)  # perhaps a column's name in the meaning
        is_authored = other in authored or (
            counts and other is not None and any(one[1:] == other[1:] for one in authored)
        )
        found[written] = other if other is not None and is_authored and written not in authored else written
    return found


def _respelt(tree: exp.Query, spellings: Mapping[Comparison, Comparison]) -> exp.Query:
    for node in list(find_all(tree, *_NEIGHBOURS)):
        written = _read(node)
        if written is not None and spellings[written] != written:
            _, operator, value = spellings[written]
            node.replace(operator(this=_operand(node).copy(), expression=_literal(value)))
    return tree


def _authored(meaning: exp.Query) -> Iterator[Comparison]:
    """Yield the comparisons of a rule, also as they are under NOT and in BETWEEN."""
    for node in find_all(meaning, *_NEIGHBOURS):
        found = _read(node)
        if found is not None:
            columns, operator, value = found
            yield found
            yield columns, _NEGATED[operator], value
    for node in find_all(meaning, exp.Between):
        for operator, side in ((exp.GTE, node.args["low"]), (exp.LTE, node.args["high"])):
            bound = _constant(side)
            if bound is not None:
                yield _columns(node.this), operator, bound
                yield _columns(node.this), _NEGATED[operator], bound


def _read(node: exp.Expr) -> Comparison | None:
    value = _constant(node.expression)
    if value is not None:
        return _columns(node.this), type(node), value
    value = _constant(node.this)
    return (_columns(node.expression), _FLIPPED[type(node)], value) if value is not None else None


def _operand(node: exp.Expr) -> exp.Expr:
    """Return what a comparison compares with a constant."""
    operand: exp.Expr = node.this if _constant(node.this) is None else node.expression
    return operand


def _neighbour(written: Comparison) -> Comparison | None:
    columns, operator, value = written
    other, step = _NEIGHBOURS[operator]
    if isinstance(value, int):
        return columns, other, value + step
    day = value.toordinal() + step
    return (columns, other, date.fromordinal(day)) if 1 <= day <= date.max.toordinal() else None


def _columns(operand: exp.Expr) -> frozenset[str]:
    return frozenset(column.name for column in find_all(operand, exp.Column))


def _constant(node: exp.Expr) -> int | date | None:
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Neg):
        value = _constant(node.this)
        return -value if isinstance(value, int) else None
    text = node.this if isinstance(node, exp.Cast) and node.args["to"].this == exp.DType.DATE else node
    if not isinstance(text, exp.Literal):
        return None
    if not text.is_string:
        return int(text.name) if text.is_int else None
    try:
        return date.fromisoformat(text.name)
    except ValueError:
        return None


def _literal(value: int | date) -> exp.Expr:
    if isinstance(value, date):
        day = exp.Literal.string(value.isoformat())
        return exp.Cast(this=day, to=exp.DataType(this=exp.DType.DATE, nested=False))
    number = exp.Literal.number(str(abs(value)))
    return exp.Neg(this=number) if value < 0 else number
