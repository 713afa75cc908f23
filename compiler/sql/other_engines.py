"""What to write instead of a function that the engine does not have: the hint of the error."""

from __future__ import annotations

from functools import cache

from sqlglot.dialects.dialect import Dialect

from compiler.sql.foreign_calls import Row, rows
from compiler.sql.foreign_table import DIALECTS
from compiler.sql.functions import suggest

NO_COUNTERPART = "no function of the engine is known to do the same; docs/dialects.md lists what to write for others"


def function_hint(name: str, dialect: str | None = None) -> str | None:
    """Return what to write instead of an unknown function: its counterpart here, or a function of a similar name.

    dialect: the one that the project comes from, whose functions count first.
    """
    found = rows().get(name.lower(), ())
    own = [row for row in found if dialect is not None and row.speaks(dialect)]
    for row in (*own, *found):
        if not row.exact:
            return f"write {row.text}"
    if found:
        return f"write {_example((*own, *found)[0])}"
    if name.lower() in _elsewhere():
        return NO_COUNTERPART
    close = suggest(name)
    return f"did you mean '{close}'?" if close else None


def _example(row: Row) -> str:
    captured = "3" if any(one.number for one in row.parameters) else "…"
    return row.text.replace("{", "").replace("}", "").replace("#", captured)


@cache
def _elsewhere() -> frozenset[str]:
    """Return the functions that SQLGlot knows of the dialects, whose names are no misspellings of ours."""
    parsers = (Dialect.get_or_raise(dialect).parser_class for dialect in DIALECTS)
    return frozenset(str(name).lower() for parser in parsers for name in parser.FUNCTIONS)
