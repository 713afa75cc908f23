"""The words of a query that mean something else in a rule, whatever it reads: clocks, chance, names of columns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from compiler.lint.findings import Edit

NOW, TODAY, LOCAL = "now", "today", "now_local"
"""Variables that take the place of clocks."""

_CLOCKS = {
    "current_timestamp": NOW, "now": NOW, "transaction_timestamp": NOW, "statement_timestamp": NOW,
    "clock_timestamp": NOW, "get_current_timestamp": NOW, "current_date": TODAY, "today": TODAY, "curdate": TODAY,
    "localtimestamp": LOCAL, "current_localtimestamp": LOCAL, "getdate": LOCAL, "sysdate": LOCAL,
}  # fmt: skip
_BARE_CLOCKS = frozenset({"current_timestamp", "current_date", "localtimestamp"})
_BEFORE_TABLES = frozenset({TokenType.FROM, TokenType.JOIN, TokenType.LATERAL})
_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
_DATEADD = 7
"""Words from AS to the unit in what dbt.dateadd makes."""
_CHANCE = frozenset({"random", "rand", "uuid", "gen_random_uuid", "gen_random_bytes", "nextval", "setseed"})


@dataclass
class Rewritten:
    """A query in plain names. reads: names of tables. notes: what was changed; risks: what that may change.

    clocks: variables in place of clocks; variables: those of the project. chance: whether its rows differ from run to
    run.
    """

    text: str
    reads: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    risks: list[str] = field(default_factory=list)
    clocks: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    chance: bool = False


class QueryWords:
    """A text by its tokens, while it is edited. removed: what is taken out, as start and end."""

    def __init__(self, text: str, tokens: list[Token], *, keeps_case: bool) -> None:
        self.text, self.tokens, self.keeps_case = text, tokens, keeps_case
        self.edits: list[Edit] = []
        self.removed: list[tuple[int, int]] = []
        self.result = Rewritten("")

    def _is_removed(self, place: int) -> bool:
        return any(start <= place < end for start, end in self.removed)

    def _matching(self, number: int) -> int:
        depth = 0
        while True:
            kind = self.tokens[number].token_type
            depth += (kind == TokenType.L_PAREN) - (kind == TokenType.R_PAREN)
            if depth == 0:
                return number
            number += 1

    def _clocks(self) -> None:
        """now() → $now, current_date → $today."""
        used: set[str] = set()
        for number, token in enumerate(self.tokens):
            word = token.text.lower()
            if token.token_type in (TokenType.IDENTIFIER, TokenType.STRING) or self._is_removed(token.start):
                continue
            before = self.tokens[number - 1].token_type if number else None
            called = number + 2 < len(self.tokens) and self.tokens[number + 1].token_type == TokenType.L_PAREN
            empty = called and self.tokens[number + 2].token_type == TokenType.R_PAREN
            if word in _CHANCE and called:
                self.result.chance = True
            if word not in _CLOCKS or before in (TokenType.DOT, TokenType.ALIAS):
                continue
            if not (empty or (word in _BARE_CLOCKS and not called)):
                continue
            end = self.tokens[number + 2].end + 1 if empty else token.end + 1
            self.edits.append(Edit(token.start, end, f"${_CLOCKS[word]}"))
            used.add(_CLOCKS[word])
        self.result.clocks = frozenset(used)
        if used:
            written = ", ".join(f"${one}" for one in sorted(used))
            self.result.notes.append(f"the clock is the variable {written} of rules.toml")
            self.result.risks.append(f"{written}: rows stay those of that moment until the variable is set to another")
        if self.result.chance:
            self.result.notes.append("volatile = true: it draws random numbers, so it runs in every build")

    def _table_functions(self, dialect: str) -> None:
        """FROM range(3) → FROM range(3) AS range(range): the column has the name that it has there without one.

        In BigQuery and Spark such a name means something else.
        """
        if dialect not in ("duckdb", "postgres", "redshift"):
            return
        for number, token in enumerate(self.tokens[:-1]):
            name = token.text.lower()
            before = self.tokens[number - 1].token_type if number else None
            called = self.tokens[number + 1].token_type == TokenType.L_PAREN
            if name not in ("range", "generate_series", "unnest") or not called or before not in _BEFORE_TABLES:
                continue
            end = self._matching(number + 1)
            rest = [*self.tokens[end + 1 : end + 4], None, None, None]
            after = rest[1:] if rest[0] is not None and rest[0].token_type == TokenType.ALIAS else rest
            alias = after[0]
            place = self.tokens[end].end + 1
            if alias is None or alias.token_type not in (TokenType.VAR, TokenType.IDENTIFIER):
                self.edits.append(Edit(place, place, f" AS {name}({name})"))
            elif after[1] is None or after[1].token_type != TokenType.L_PAREN:
                column = alias.text if self.keeps_case else name
                self.edits.append(Edit(alias.end + 1, alias.end + 1, f"({column})"))

    def _products_of_intervals(self) -> None:
        """CAST(2 AS BIGINT) * INTERVAL 1 MONTH, which dbt.dateadd makes for DuckDB → INTERVAL '2 MONTH'."""
        for number, token in enumerate(self.tokens):
            if token.text.lower() != "cast" or self._is_removed(token.start) or number + 1 >= len(self.tokens):
                continue
            if self.tokens[number + 1].token_type != TokenType.L_PAREN:
                continue
            close = self._matching(number + 1)
            words = [one.text.lower() for one in self.tokens[close - 2 : close + 5]]
            if len(words) != _DATEADD or words[:6] != ["as", "bigint", ")", "*", "interval", "1"]:
                continue
            inner = self.text[self.tokens[number + 2].start : self.tokens[close - 3].end + 1]
            last = self.tokens[close + 4]
            unit = self.text[last.start : last.end + 1]
            whole = re.fullmatch(r"-?\s*\d+", inner)
            written = f"INTERVAL '{inner} {unit}'" if whole else f"INTERVAL ({inner}) {unit}"
            self.edits.append(Edit(token.start, last.end + 1, written))

    def _outputs(self, select: exp.Select) -> None:
        """SELECT 1 FROM t → SELECT 1 AS column_1 FROM t; of a join, whose names may repeat, SELECT 1 AS failing."""
        first = self._top_level(TokenType.SELECT)
        if first is None:
            return
        ends, depth, number = list[int](), 0, first + 1
        while number < len(self.tokens):
            kind = self.tokens[number].token_type
            depth += (kind in _OPENING) - (kind in _CLOSING)
            if depth == 0 and kind in (TokenType.COMMA, TokenType.FROM):
                ends.append(number - 1)
                if kind == TokenType.FROM:
                    break
            number += 1
        plain = not any(select.args.get(one) for one in ("distinct", "group", "order", "qualify"))
        stars = any(one.is_star for one in select.expressions)
        counting = any(one.find(exp.AggFunc) for one in select.expressions)
        if plain and stars and not counting and select.args.get("joins") and ends:
            self.edits.append(Edit(self.tokens[first + 1].start, self.tokens[ends[-1]].end + 1, "1 AS failing"))
            return
        for index, (item, end) in enumerate(zip(select.expressions, ends, strict=False)):
            if len(ends) == len(select.expressions) and not (item.is_star or isinstance(item, exp.Alias | exp.Column)):
                place = self.tokens[end].end + 1
                self.edits.append(Edit(place, place, f" AS column_{index + 1}"))

    def _top_level(self, kind: TokenType) -> int | None:
        """Return the first token of a kind that is in no parentheses and not removed."""
        depth = 0
        for number, token in enumerate(self.tokens):
            depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
            if depth == 0 and token.token_type == kind and not self._is_removed(token.start):
                return number
        return None
