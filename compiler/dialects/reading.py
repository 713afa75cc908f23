"""A text as SQLGlot's own parser of a dialect reads it: the tree, with the place of each of its nodes.

SQLGlot notes the places of names alone. So each method of its parser that yields a node is wrapped by one that notes
from which token to which the node was read. Calls stay calls by name, as nothing is to be made of them here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ErrorLevel, ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from compiler.dialects.traced import Traced, line_and_column
from compiler.errors import SqlError
from compiler.sql.commas import misplaced_comma
from compiler.sql.dialect import DIALECT
from compiler.sql.foreign_table import TITLES
from compiler.sql.typed_literals import literals_first
from compiler.tree.big_stack import with_deep_stack

_FORMS = frozenset({"CAST", "TRY_CAST", "SAFE_CAST", "EXTRACT", "SUBSTRING", "TRIM", "POSITION", "OVERLAY"})
"""Calls with words between their arguments."""


def _noting(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def parse(self: Any, *arguments: Any, **named: Any) -> Any:
        start = self._index
        found = method(self, *arguments, **named)
        if isinstance(found, exp.Expr) and self._index > start:
            self.note(found, start, self._index - 1)
        return found

    return parse


@functools.cache
def _parser_class(spoken: type[Dialect]) -> Any:
    """Return SQLGlot's parser of a dialect, with the places of nodes noted; but for ours, with calls kept as calls."""
    base: Any = spoken.parser_class

    def note(self: Any, node: exp.Expr, start: int, end: int) -> None:
        known = self.places.get(id(node))
        if known is not None:
            start, end = min(start, known[1]), max(end, known[2])
        self.places[id(node)] = (node, start, end)

    members: dict[str, Any] = {
        method: _noting(getattr(base, method))
        for method in dir(base)
        if method.startswith("_parse_") and not method.startswith("_parse_wrapped") and callable(getattr(base, method))
    }
    members["note"] = note
    if spoken is not DIALECT:
        members["_parse_type"] = _noting(literals_first(base._parse_type))  # noqa: SLF001 — a parser is made of it
        members["FUNCTIONS"] = {}
        members["FUNCTION_PARSERS"] = {key: one for key, one in base.FUNCTION_PARSERS.items() if key in _FORMS}
    return type(f"Noting{base.__name__}", (base,), members)


@dataclass(frozen=True)
class Reading:
    """A text in a dialect: its tokens and tree. tree: also of what is no query, such as a PIVOT."""

    source: Traced
    dialect: str
    tokens: list[Token]
    tree: exp.Expr
    _places: dict[int, tuple[exp.Expr, int, int]]

    @property
    def text(self) -> str:
        """The text that was read."""
        return self.source.text

    def tokens_of(self, node: exp.Expr) -> tuple[int, int] | None:
        """Return the first and last token of a node; None for one that the parser made up."""
        found = [place for one in node.walk() if (place := self._own(one)) is not None]
        return (min(start for start, _ in found), max(end for _, end in found)) if found else None

    def _own(self, node: exp.Expr) -> tuple[int, int] | None:
        place = self._places.get(id(node))
        if place is not None:
            return place[1:]
        if not isinstance(node, exp.Identifier | exp.Literal):  # * of FROM t has the place that it has in a text "*"
            return None
        start = node._meta.get("start") if node._meta else None  # noqa: SLF001 — `.meta` would create a dict on every node
        at = self._starts.get(start) if start is not None else None
        return (at, at) if at is not None else None

    @functools.cached_property
    def _starts(self) -> dict[int, int]:
        return {token.start: number for number, token in enumerate(self.tokens)}

    def span(self, node: exp.Expr) -> tuple[int, int] | None:
        """Return the first character of a node and the one behind its last."""
        found = self.tokens_of(node)
        return (self.tokens[found[0]].start, self.tokens[found[1]].end + 1) if found is not None else None

    def error(self, node: exp.Expr | None, message: str, hint: str | None, original: str) -> SqlError:
        """Return an error at a node, or around it if it has no place of its own."""
        place = None
        while node is not None and place is None:
            place, node = self.span(node), node.parent
        return self.error_at(place[0] if place is not None else 0, message, hint, original)

    def error_at(self, offset: int, message: str, hint: str | None, original: str) -> SqlError:
        """Return an error at a character. original: the author's text."""
        line, column = line_and_column(original, self.source.origin(offset))
        return SqlError(message, line=line, column=column, hint=hint, code="foreign-sql")


def _parsed(spoken: Dialect, tokens: list[Token], text: str) -> tuple[exp.Expr | None, Any]:
    made = _parser_class(type(spoken))
    parser = made(dialect=spoken, error_level=ErrorLevel.IMMEDIATE, error_message_context=len(text))
    parser.places = {}
    return parser.parse(tokens, text)[0], parser.places


def reading_of_ours(source: Traced) -> Reading:
    """Return a text in our grammar, which can be parsed, as it is written: no sugar is expanded."""
    spoken = DIALECT()
    tokens = spoken.tokenize(source.text)
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    tree, places = with_deep_stack(lambda: _parsed(spoken, tokens, source.text))
    assert tree is not None
    return Reading(source, "", tokens, tree, places)


def read(source: Traced, dialect: str, original: str) -> Reading:
    """Read a text. original: the author's, for the places of errors. Raises `SqlError`."""
    spoken = Dialect.get_or_raise(dialect)
    text, title = source.text, TITLES[dialect]

    def refused(message: str, offset: int) -> SqlError:
        line, column = line_and_column(original, source.origin(offset))
        hint = "docs/dialects.md lists what to write for constructs of other dialects"
        return SqlError(
            f"cannot be read as {title}: {message}", line=line, column=column, hint=hint, code="foreign-sql"
        )

    try:
        tokens = spoken.tokenize(text)
    except TokenError as error:
        said = str(error.__cause__ or error).splitlines()[0]
        raise refused(said[:1].lower() + said[1:], max(0, (getattr(error, "start", 0) or 0))) from error
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    if not tokens:
        raise SqlError("this text contains no query", line=1, column=1, hint="a rule is one SELECT", code="empty")
    separator = next((token for token in tokens if token.token_type == TokenType.SEMICOLON), None)
    if separator is not None:
        raise refused("a second statement starts after this ;", separator.start)
    comma = misplaced_comma(tokens)
    if comma is not None:
        raise refused(comma[1], comma[0].start)

    try:
        tree, places = with_deep_stack(lambda: _parsed(spoken, tokens, text))
    except RecursionError:
        raise SqlError("nested too deeply", line=1, column=1, code="too-deep") from None
    except ParseError as error:
        facts = error.errors[0] if error.errors else {}
        said = str(facts.get("description") or error).splitlines()[0].rstrip(".").partition(" but got <Token")[0]
        offset = len(facts.get("start_context") or "")
        near = (str(facts.get("highlight") or "").splitlines() or [""])[0]
        raise refused(
            f"unexpected {near}" if said.startswith("Invalid expression") and near else said, offset
        ) from error
    if not isinstance(tree, exp.Query | exp.Pivot):
        raise refused("this is no query", tokens[0].start)
    return Reading(source, dialect, tokens, tree, places)
