"""What to write instead of a function that the engine does not have: the hint of the error."""

from __future__ import annotations

from functools import cache

from sqlglot.dialects.dialect import Dialect

from compiler.sql.foreign_calls import Row, rows
from compiler.sql.foreign_table import DIALECTS
from compiler.sql.functions import suggest

NO_COUNTERPART = "the engine has no function that is known to do the same; docs/dialects.md lists what to write for others"


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
    text = row.text.replace("{", "").replace("}", "")
    return text.replace("#", "3") if "INTERVAL" in row.text or any(one.number for one in row.parameters) else text.replace("#", "…")


@cache
def _elsewhere() -> frozenset[str]:
    """Return the functions that SQLGlot knows of the dialects: a name that one of them has is no misspelling of ours."""
    return frozenset(
        str(name).lower() for dialect in DIALECTS for name in Dialect.get_or_raise(dialect).parser_class.FUNCTIONS
    )
