"""The check of a rule in another dialect: what has no counterpart here, then what is found in its translation.

Findings have their places in the author's text. They have no fix there: `rules translate --write` makes the rule one in
our SQL, whose findings have.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compiler.dialects.traced import Traced
from compiler.dialects.translation import Surroundings, located, parse_in, sketched, translation
from compiler.errors import SqlError
from compiler.lint.findings import Found, Lines
from compiler.names.resolve import bind_tables, outside_tables
from compiler.variables import literal

if TYPE_CHECKING:
    from compiler.lint.check import World

_OF_OUR_SQL = frozenset({"R001", "R005", "R007", "R016", "R018"})
"""Advice on how to write our SQL, which says nothing of a text in another."""
REFUSED = "R901"


def untranslated(text: str, world: World, dialect: str) -> tuple[Traced | None, tuple[Found, ...] | SqlError]:
    """Return the translation of a rule, or what has no counterpart in it, or the error of a text that cannot be read.

    A rule whose inputs are not all known is read, but not translated: then there is neither.
    """
    try:
        query = parse_in(source := sketched(text, dialect), text)
        resolve = world.resolve
        if resolve is None:
            return None, ()
        try:
            bind_tables(query, resolve, {one for one in world.names if resolve(one)})
        except SqlError as error:
            raise located(error, source, text) from None
        if any(table.name not in world.schemas.known for table in outside_tables(query)):
            return None, ()
        variables = {name: literal(value) for name, value in (world.variables or {}).items()}
        found = translation(text, dialect, Surroundings(world.schemas, resolve, variables, world.functions))
    except SqlError as error:
        return None, error
    wrong = tuple(Found(REFUSED, one.start, one.end, one.message, one.hint) for one in found.findings)
    return (None, wrong) if wrong else (found.source, ())


def in_author(found: tuple[Found, ...], source: Traced, text: str) -> tuple[Found, ...]:
    """Return what is found in a translation at the places of the author's text, without fixes and advice on style."""
    lines, kept = Lines(text), []
    for one in found:
        written = source.copied[one.start : one.start + 1]
        if one.code in _OF_OUR_SQL or (not all(written) and one.code < "R900"):
            continue
        start = source.origin(one.start)
        end = max(source.origin(max(one.start, one.end - 1)) + 1, start + 1)
        kept.append(replace(one, start=start, end=min(end, len(lines.text)), fix=None))
    return tuple(kept)
