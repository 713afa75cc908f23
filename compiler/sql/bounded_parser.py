"""SQLGlot's Postgres parser, bounded for every text: no loop spins, and nothing is parsed over and over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp
from sqlglot.parsers.postgres import PostgresParser

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlglot.tokenizer_core import Token, TokenType

_LOOKS = 1_000_000
_LOOKS_AT_EACH = 10_000
"""The most fruitless looks at a token, on average, besides `_LOOKS`. An honest query needs 200."""


class BoundedParser(PostgresParser):
    """SQLGlot's Postgres parser, bounded."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._looks = 0
        self._treats_nulls = True
        self._joins: dict[tuple[int, bool, bool, int], tuple[exp.Join, int]] = {}

    def reset(self) -> None:
        """Forget the last text."""
        super().reset()
        self._looks = 0
        self._joins = {}

    def parse(self, raw_tokens: list[Token], sql: str) -> list[exp.Expr | None]:
        """As SQLGlot; once for each text it checks whether calls in it may have IGNORE NULLS."""
        self._treats_nulls = any(token.text.upper() == "NULLS" for token in raw_tokens)
        return super().parse(raw_tokens, sql)

    def _match(self, token_type: TokenType, advance: bool = True, expression: exp.Expr | None = None) -> bool:  # noqa: FBT001, FBT002 — SQLGlot's signature
        """As SQLGlot; a text that makes it look at tokens again and again without end is an error.

        SQLGlot tries everything at a token through this method. So this ends loops that do not advance, and
        alternatives within alternatives whose number is exponential.
        """
        if self._curr.token_type == token_type:
            if advance:
                self._advance()
            self._add_comments(expression)
            return True
        self._looks += 1
        if self._looks > _LOOKS and self._looks > _LOOKS_AT_EACH * self._tokens_size:
            self.raise_error("This text is too entangled to be parsed")
        return False

    def _parse_join(
        self,
        skip_join_token: bool = False,  # noqa: FBT001, FBT002 — SQLGlot's signature
        parse_bracket: bool = False,  # noqa: FBT001, FBT002 — SQLGlot's signature
        alias_tokens: Collection[TokenType] | None = None,
    ) -> exp.Join | None:
        """As SQLGlot, but each join is parsed once.

        After a JOIN without ON it checks whether the joins that follow are nested, as in a JOIN b JOIN c ON … ON …, and
        parses them again if they are not: twice for each JOIN, so 2ⁿ times in a row of n.
        """
        start = (self._index, skip_join_token, parse_bracket, id(alias_tokens))
        known = self._joins.get(start)
        if known is not None:
            join, end = known
            self._retreat(end)
            return join
        parsed = super()._parse_join(skip_join_token, parse_bracket, alias_tokens)
        if parsed is not None:
            self._joins[start] = parsed, self._index
        return parsed
