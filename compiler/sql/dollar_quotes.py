"""Text between dollar quotes, $$it's$$ and $tag$it's$tag$, beside `$` that starts a project variable."""

from __future__ import annotations

import re

from sqlglot.tokenizer_core import TokenizerCore, TokenType

_QUOTE = re.compile(r"(?<![\w$])\$\w*\$")


class DollarQuotes(TokenizerCore):
    """SQLGlot's scanner of tokens, for which text between dollar quotes is a string.

    SQLGlot's own takes everything between two `$` for a tag, and so `$low+$high` for a text without an end.
    """

    __slots__ = ()

    def _scan_keywords(self) -> None:
        opening = closing_quote(self.sql, self._start)
        if opening is None:
            super()._scan_keywords()
            return
        quote, closing = opening
        if closing < 0:
            raise ValueError(f"the {quote} here is never closed")
        behind = closing + len(quote)
        while self._current < behind:  # one by one, which counts lines
            self._advance()
        self._add(TokenType.STRING, self.sql[self._start + len(quote) : closing])


def closing_quote(sql: str, start: int) -> tuple[str, int] | None:
    """Return the dollar quote that opens at a character, and where the one that closes it starts, or -1.

    None where no dollar quote opens.
    """
    quote = _QUOTE.match(sql, start)
    return (quote[0], sql.find(quote[0], quote.end())) if quote else None
