"""What a fix has written, recognised in a text that says nothing of it: a call within it is not to be fixed again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from sqlglot import exp

from compiler.dialects.extents import fragment, same
from compiler.sql.foreign_calls import Row, meanings, rows
from compiler.sql.functions import function_name

_ANCESTORS = 12
"""How far above a call the expression may be that a fix made around it."""
_STANDS_FOR = "argument_"
"""The names of columns that stand for arguments in the text of a row."""


def is_own_work(node: exp.Expr, dialect: str) -> bool:
    """Whether a call is a part of what a row of the tables writes for another call of this dialect.

    It is not where it is one of that call's arguments: those are the author's.
    """
    name = function_name(node)
    templates = _templates(dialect).get(name or "", ())
    around = node.parent  # a row that only renames a call writes one that the author may have written
    for _ in range(_ANCESTORS if templates else 0):
        if around is None or isinstance(around, exp.Query):
            return False
        for template in templates:
            written: list[exp.Expr] = []
            if _fits(template, around, {}, written) and any(one is node for one in written):
                return True
        around = around.parent
    return False


@cache
def _templates(dialect: str) -> dict[str, tuple[exp.Expr, ...]]:
    """Return what exact rows of a dialect write, by the names of the functions in it, with columns for arguments."""
    found: dict[str, list[exp.Expr]] = {}
    for row in _exact(dialect):
        text = row.text
        for parameter in row.parameters:
            text = text.replace(f"{{{parameter.letter}}}", _STANDS_FOR + parameter.letter)
        template = fragment(text)
        if template is None:
            continue
        for name in {function_name(one) or "" for one in template.find_all(exp.Func)}:
            found.setdefault(name, []).append(template)
    return {name: tuple(templates) for name, templates in found.items()}


def _exact(dialect: str) -> Iterator[Row]:
    for same_name in (*rows().values(), *meanings().values()):
        yield from (row for row in same_name if row.exact and row.speaks(dialect))


def _fits(template: exp.Expr, node: exp.Expr, bound: dict[str, exp.Expr], written: list[exp.Expr]) -> bool:
    """Whether an expression is a template with arguments; bound: those, by letter; written: what is of the template."""
    if isinstance(template, exp.Column) and template.name.startswith(_STANDS_FOR):
        value = node.unnest()
        return same(bound.setdefault(template.name, value), value)
    if isinstance(template, exp.Literal) and "#" in template.name:
        around = ".*".join(re.escape(part) for part in template.name.split("#"))
        return isinstance(node, exp.Literal) and re.fullmatch(around, node.name, re.DOTALL) is not None
    if type(template) is not type(node):
        return False
    written.append(node)
    for key in {*template.args, *node.args}:
        one, other = template.args.get(key), node.args.get(key)
        if not _fit(one, other, bound, written):
            return False
    return True


def _fit(one: object, other: object, bound: dict[str, exp.Expr], written: list[exp.Expr]) -> bool:
    if isinstance(one, exp.Expr) and isinstance(other, exp.Expr):
        return _fits(one, other, bound, written)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_fit(*pair, bound, written) for pair in zip(one, other, strict=True))
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    return one == other or (not one and not other)
