"""Queries that others wrote: SQL of another dialect, and SQLGlot expressions → the text that means the same here.

SQLGlot translates. What it is known to translate wrongly is refused: formats of dates, which every engine writes in
its own way.
"""

from __future__ import annotations

import difflib

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ErrorLevel, SqlglotError, UnsupportedError

from compiler.errors import SqlError
from compiler.sql.dialect import DIALECT
from compiler.sql.typed_literals import mended_parser

_FORMATTED = (exp.TimeToStr, exp.StrToTime, exp.StrToDate, exp.ToChar, exp.StrToUnix, exp.UnixToStr, exp.TsOrDsToDate,
              exp.ParseDatetime, exp.ParseTime)  # fmt: skip


def translated(query: str | exp.Expr, dialect: str | None) -> str:
    """Return the text of a query in our SQL. dialect: by SQLGlot's name; None for a text that is ours already.

    Raises `SqlError` for what is no query, cannot be read, or has no counterpart.
    """
    if isinstance(query, str):
        if dialect is None:
            return query
        tree = _read(query, dialect)
    else:
        tree = query
    if not isinstance(tree, exp.Query):
        raise SqlError("this is no query", hint="a rule is one SELECT", code="not-a-query")
    formatted = next(tree.find_all(*_FORMATTED), None)
    if formatted is not None and formatted.args.get("format") is not None:
        message = f"the format {formatted.args['format']} of a date is not translated"
        raise SqlError(message, hint="write this part in our own SQL: to_char(d, '%Y-%m-%d')", code="foreign-sql")
    try:
        return tree.sql(dialect=DIALECT, unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        raise SqlError(f"has no counterpart here: {str(error).splitlines()[0]}", code="foreign-sql") from error


def _read(text: str, dialect: str) -> exp.Expr:
    known = sorted(name for name in Dialect.classes if name)
    if dialect.lower() not in known:
        close = difflib.get_close_matches(dialect.lower(), known, n=1, cutoff=0.5)
        hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"
        raise SqlError(f"unknown dialect '{dialect}'", hint=hint, code="foreign-sql")
    try:
        spoken = Dialect.get_or_raise(dialect.lower())
        parser = mended_parser(spoken.parser_class)(dialect=spoken, error_level=ErrorLevel.IMMEDIATE)
        found: list[exp.Expr | None] = parser.parse(spoken.tokenize(text), text)
    except SqlglotError as error:
        facts = (getattr(error, "errors", None) or [{}])[0]
        said = str(facts.get("description") or error).splitlines()[0].rstrip(".")
        place = {"line": facts["line"], "column": facts.get("col") or 1} if facts.get("line") else {}
        raise SqlError(f"cannot be read as {dialect}: {said}", code="foreign-sql", **place) from error
    if len(found) != 1 or found[0] is None:
        raise SqlError("a rule is one query", code="several-statements")
    return found[0]
