"""An expression as one short line for people: names as they were written, inner queries left out."""

from __future__ import annotations

import re

from sqlglot import exp
from sqlglot.errors import ErrorLevel

from compiler.names.qualify_fixups import as_written
from compiler.sql.dialect import DIALECT

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_LONGEST = 240
_AROUND = 60
"""Characters of unchanged text that are shown on each side of a change."""


class _Generator(DIALECT.Generator):
    def identifier_sql(self, expression: exp.Identifier) -> str:
        name = as_written(expression.name)
        return name if _PLAIN.fullmatch(name) else exp.Identifier(this=name, quoted=True).sql(dialect=DIALECT)

    def select_sql(self, _: exp.Select) -> str:
        return "SELECT …"

    def set_operations(self, _: exp.SetOperation) -> str:
        return "SELECT …"


def brief(node: exp.Expr) -> str:
    """Return an expression of an executed form in one line, cut with … if it is long; see `in_one_line`.

    "o"."amount" > (SELECT AVG("p"."amount") FROM …) → o.amount > (SELECT …)
    """
    return cut(in_one_line(node))


def in_one_line(node: exp.Expr) -> str:
    """Return an expression of an executed form in one line, whole except for inner queries.

    The generator works on `node` itself, because copies would cost more than all the rest; it may leave it changed.
    """
    generator = _Generator(dialect=DIALECT, identify=False, comments=False, unsupported_level=ErrorLevel.IGNORE)
    return " ".join(generator.generate(node, copy=False).split())


def cut(text: str) -> str:
    """Return a text, cut with … if it is long."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def change(before: str, after: str) -> str:
    """Return "before → after"; of long texts only the part in which they differ, with some context."""
    if max(len(before), len(after)) <= _LONGEST:
        return f"{before} → {after}"
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    return f"{_part(before, start, end)} → {_part(after, start, end)}"


def _alike(one: str, other: str) -> int:
    """Return the length of the common prefix of two texts."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (left, right) in pairs if left != right), min(len(one), len(other)))


def _part(text: str, start: int, end: int) -> str:
    """Return the part of a text from a word before `start` to a word within the last `end` characters."""
    first = max(0, start - _AROUND)
    first = text.find(" ", first, start) + 1 if first else 0
    last = min(len(text), len(text) - end + _AROUND)
    last = text.rfind(" ", len(text) - end, last) if last < len(text) else last
    last = len(text) - end if last < 0 else last
    return cut(f"{'… ' if first else ''}{text[first:last]}{' …' if last < len(text) else ''}")
