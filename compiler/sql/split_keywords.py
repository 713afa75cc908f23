"""Keywords of two words with a comment between them, which SQLGlot's scanner takes for two names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlglot.tokenizer_core import Token, TokenType

_QUOTED = frozenset({TokenType.IDENTIFIER, TokenType.STRING})


def joined(tokens: Iterable[Token], keywords: Mapping[str, TokenType]) -> list[Token]:
    """Return the tokens, in which GROUP /* a comment */ BY is one keyword, as GROUP BY is.

    keywords: the kinds of keywords, those of several words with a blank between them.
    """
    found: list[Token] = []
    for token in tokens:
        last = found[-1] if found else None
        kind = None
        if last is not None and last.comments and not {last.token_type, token.token_type} & _QUOTED:
            kind = keywords.get(f"{last.text} {token.text}".upper())
        if last is None or kind is None:
            found.append(token)
            continue
        text, comments = f"{last.text} {token.text}", [*last.comments, *token.comments]
        found[-1] = Token(kind, text, token.line, token.col, last.start, token.end, comments)
    return found
