"""SQL in rules in Python: the queries of `rules.sql("SELECT …")`, where their text is in the file as it is meant.

The file is read and never run. A query is given as the whole text of the file with all else blank, so that a place in
one is that place in the other.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPENING = re.compile(r"[rRuU]?(\"\"\"|'''|\"|')")
_NOT_A_LINE_END = re.compile(r"[^\n]")


class Embedded(NamedTuple):
    """A query from character `start` up to `end`. alone: whether it reads tables of the project alone."""

    text: str
    start: int
    end: int
    alone: bool


def embedded(text: str) -> list[Embedded]:
    """Return the queries in a Python file; none if it cannot be parsed.

    A text with escapes, one put together of several, and one in another dialect are left out.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    names = _names_of_sql(tree)
    starts = [0]
    for line in text.split("\n"):  # as Python counts lines in a text that was read with one kind of line end
        starts.append(starts[-1] + len(line) + 1)
    found = []
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and call.args and _called(call.func) in names):
            continue
        given = {keyword.arg for keyword in call.keywords}
        place = _place(text, starts, call.args[0]) if "dialect" not in given else None
        if place is not None:
            start, end = place
            before, after = (_NOT_A_LINE_END.sub(" ", part) for part in (text[:start], text[end:]))
            found.append(Embedded(f"{before}{text[start:end]}{after}", start, end, not given))
    return sorted(found, key=lambda one: one.start)


def embedded_at(text: str, offset: int) -> Embedded | None:
    """Return the query that a character of a Python file is in."""
    return next((one for one in embedded(text) if one.start <= offset <= one.end), None)


def _names_of_sql(tree: ast.Module) -> set[str]:
    """Return the words by which a file calls `rules.sql`."""
    return set(_imported(tree))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"{one.asname or one.name}.sql" for one in node.names if one.name == "rules")
        elif isinstance(node, ast.ImportFrom) and node.module == "rules" and not node.level:
            yield from (one.asname or one.name for one in node.names if one.name == "sql")


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return f"{function.value.id}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


def _place(text: str, starts: list[int], argument: ast.expr) -> tuple[int, int] | None:
    """Return where the inside of a literal is; None unless it is there, character for character, as it is meant."""
    if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
        return None
    if argument.end_lineno is None or argument.end_col_offset is None or argument.end_lineno >= len(starts):
        return None
    start = _offset(text, starts, argument.lineno, argument.col_offset)
    end = _offset(text, starts, argument.end_lineno, argument.end_col_offset)
    opening = _OPENING.match(text, start, end)
    if opening is None:
        return None
    inside = opening.end(), end - len(opening[1])
    return inside if text[slice(*inside)] == argument.value else None


def _offset(text: str, starts: list[int], line: int, column: int) -> int:
    """Return a character. column: in bytes of UTF-8, as `ast` has it."""
    start = starts[line - 1]
    written = text[start : starts[line] - 1]
    return start + len(written.encode()[:column].decode(errors="ignore"))
