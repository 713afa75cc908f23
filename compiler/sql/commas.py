"""Commas with nothing before them. SQLGlot's parsers read `a,, b` as `a, b`; no engine does.

A comma at the end of a list (`SELECT a, FROM t`) is no fault: DuckDB, BigQuery and Snowflake let it be, and generated
SQL is full of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from sqlglot.tokenizer_core import Token, TokenType

_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_KEYWORDS = frozenset({
    TokenType.SELECT, TokenType.DISTINCT, TokenType.FROM, TokenType.JOIN, TokenType.GROUP_BY, TokenType.ORDER_BY,
    TokenType.PARTITION_BY, TokenType.WHERE, TokenType.HAVING, TokenType.QUALIFY, TokenType.ON, TokenType.WITH,
})  # fmt: skip
"""Words after which a list or an expression begins, if they are not the name of a column: t.from."""


def misplaced_comma(tokens: Iterable[Token]) -> tuple[Token, str, str] | None:
    """Return the first comma with nothing before it, with what is wrong and a hint; None if there is none."""
    is_field = False
    for token, behind in pairwise(tokens):
        if behind.token_type == TokenType.COMMA:
            if token.token_type == TokenType.COMMA:
                return behind, "nothing is between this comma and the one before", "write one comma, or what is missing"
            if token.token_type in _OPENING or (token.token_type in _KEYWORDS and not is_field):
                message = f"nothing is between {token.text.upper()} and this comma"
                return behind, message, "remove the comma, or write what is missing"
        is_field = token.token_type == TokenType.DOT
    return None
