"""Reads DATE '2024-01-31'::text as a date that is cast to text. SQLGlot casts the text, and makes a date of that."""

# ruff: noqa: SLF001 — these are methods of parsers in all but name

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sqlglot import exp
from sqlglot.parser import TIME_ZONE_RE
from sqlglot.tokenizer_core import TokenType

_WORDS = frozenset({"LOCAL", "PRECISION", "TIME", "VARYING", "WITH", "WITHOUT", "ZONE"})
"""What follows the first word of a type: TIMESTAMP WITHOUT TIME ZONE, DOUBLE PRECISION."""
_ZONED = {exp.DType.TIMESTAMP: exp.DType.TIMESTAMPTZ, exp.DType.TIME: exp.DType.TIMETZ}


def typed_literal(parser: Any) -> exp.Expr | None:
    """Read a literal with its type, and the casts behind it, where a parser is: DATE '2024-01-31'::text.

    Return None for anything else; the parser then stays where it is.
    """
    if not _stands_before_text(parser):
        return None
    start = parser._index
    kind = parser._parse_types(check_func=True, allow_identifiers=False)
    if not isinstance(kind, exp.DataType) or parser._curr.token_type != TokenType.STRING:
        parser._retreat(start)
        return None
    literal = parser._parse_primary()
    if not isinstance(literal, exp.Literal):  # 'a' 'b' is read otherwise
        parser._retreat(start)
        return None
    if parser.ZONE_AWARE_TIMESTAMP_CONSTRUCTOR and TIME_ZONE_RE.search(literal.name) and kind.this in _ZONED:
        kind = _ZONED[kind.this].into_expr()
    make = parser.TYPE_LITERAL_PARSERS.get(kind.this)
    made = make(parser, literal, kind) if make else parser.expression(exp.Cast(this=literal, to=kind))
    read: exp.Expr | None = parser._parse_column_ops(made)
    return read


def _stands_before_text(parser: Any) -> bool:
    """Whether a type that is not nested and then a text begin at a parser's token."""
    first = parser._curr.token_type
    if first not in parser.TYPE_TOKENS or first in parser.NESTED_TYPE_TOKENS or first == TokenType.INTERVAL:
        return False
    at, tokens = parser._index + 1, parser._tokens
    while at < len(tokens) and tokens[at].token_type != TokenType.STRING:
        token = tokens[at]
        sized = token.token_type in {TokenType.L_PAREN, TokenType.NUMBER, TokenType.COMMA, TokenType.R_PAREN}
        if not sized and token.text.upper() not in _WORDS:
            return False
        at += 1
    return bool(at < len(tokens))


def literals_first(parse_type: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method `_parse_type` of a parser of SQLGlot, mended."""

    @functools.wraps(parse_type)
    def parse(self: Any, *arguments: Any, **named: Any) -> Any:
        return typed_literal(self) or parse_type(self, *arguments, **named)

    return parse


@functools.cache
def mended_parser(parser: type[Any]) -> Any:
    """Return a parser of SQLGlot that reads such literals as its dialect does."""
    return type(parser.__name__, (parser,), {"_parse_type": literals_first(parser._parse_type)})
