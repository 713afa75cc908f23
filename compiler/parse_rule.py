"""What the text of a rule says by itself: the tables, variables and functions that it names.

Rules are parsed first, by this module, and ordered by what they name; then `compiler/compile.py` compiles them, inputs
first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlglot import exp

from compiler.compiled import Parsed
from compiler.errors import SqlError
from compiler.names.resolve import bind_tables, table_names, variable_names
from compiler.sql.dialect import parse
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.nesting import require_depth
from compiler.tree.walk import find_all


def parse_rule(text: str, dialect: str | None = None) -> Parsed:
    """Parse a rule's text. dialect: the one it is in, see `Options`. Raises `SqlError`."""
    return with_deep_stack(lambda: parsed_of(parse_written(text, dialect)))


def parsed_of(query: exp.Query) -> Parsed:
    """Return what `parse_rule` says of a tree that `parse_written` has made. Raises `SqlError`."""
    require_depth(query)
    called = {str(call.name).lower() for call in find_all(query, exp.Anonymous)}
    return Parsed(tuple(table_names(query)), tuple(variable_names(query)), tuple(sorted(called)))


def parse_written(text: str, dialect: str | None) -> exp.Query:
    """Return the tree of a rule's text, which may be in another dialect: its names are right, not what it means.

    Raises `SqlError`.
    """
    if dialect is None:
        return parse(text)
    from compiler.dialects.translation import parse_in, sketched  # only rules in other dialects pay for it

    return parse_in(sketched(text, dialect), text)


def require_inputs(text: str, dialect: str | None, resolve: Callable[[str], str | None], known: Iterable[str]) -> None:
    """Raise `SqlError` where a text names a table that `resolve` does not know."""
    if dialect is None:
        return bind_tables(parse(text), resolve, known)
    from compiler.dialects.translation import located, parse_in, sketched

    source = sketched(text, dialect)
    try:
        return bind_tables(parse_in(source, text), resolve, known)
    except SqlError as error:
        raise located(error, source, text) from None
