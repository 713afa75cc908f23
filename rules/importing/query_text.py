"""The text of a query, so edited that it reads plain names: relation names, file locations, inlined CTEs, clocks, case.

The text is read by SQLGlot in the dialect of its project, and edited at the places of its tokens, so that strings,
comments and layout stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlglot import exp
from sqlglot import parse as parse_all
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from compiler.lint.edits import apply
from compiler.lint.findings import Edit
from compiler.tree.big_stack import with_deep_stack
from rules.importing.naming import SENSITIVE, Names

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


class CannotReadError(Exception):
    """The text of a query that cannot be edited; the message says why."""


@dataclass
class Rewritten:
    """A query in plain names. reads: names of tables. notes: what was changed; risks: what that may change.

    clocks: variables that it uses. chance: whether its rows differ from run to run.
    """

    text: str
    reads: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    risks: list[str] = field(default_factory=list)
    clocks: frozenset[str] = frozenset()
    chance: bool = False


@dataclass(frozen=True)
class Reading:
    """What queries are read with. location: gives the source of files that SQL names; unknown: of another relation."""

    dialect: str
    names: Names
    location: Callable[[str], str | None]
    unknown: Callable[[tuple[str, ...]], str | None]
    inlined: frozenset[str] = frozenset()


def rewrite(text: str, reading: Reading, *, rows_only: bool = False) -> Rewritten:
    """Return a query with the plain names of what it reads. Raises `CannotReadError`.

    rows_only: nobody reads its columns, so they may have other names: each needs one of its own.
    """
    text = text.strip()
    try:
        return with_deep_stack(lambda: _Query(text, reading).rewritten(rows_only=rows_only))
    except SqlglotError as error:
        raise CannotReadError(_first_line(str(error))) from error
    except RecursionError as error:
        raise CannotReadError("nested too deeply") from error


def _first_line(message: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", message).strip().split("\n")[0].rstrip(".:")


class _Query:
    """One query while it is edited."""

    def __init__(self, text: str, reading: Reading) -> None:
        self.reading = reading
        dialect = Dialect.get_or_raise(reading.dialect)
        tokens = list(dialect.tokenize(text))
        self.edits: list[Edit] = []
        while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
            last = tokens.pop()
            self.edits.append(Edit(last.start, last.end + 1, ""))
        self.text, self.tokens = text, tokens
        statements = [one for one in parse_all(text, read=dialect) if not isinstance(one, exp.Semicolon | None)]
        if len(statements) != 1 or not isinstance(statements[0], exp.Query):
            raise CannotReadError("it is not a single query")
        self.query: exp.Query = statements[0]
        self.at = {token.start: number for number, token in enumerate(tokens)}
        self.result = Rewritten("")
        self.reads: dict[str, None] = {}
        self.bridges: dict[str, str] = {}
        self.removed: list[tuple[int, int]] = []

    def rewritten(self, *, rows_only: bool) -> Rewritten:
        self._inlined()
        self._qualifiers()
        for table, ctes in list(_tables(self.query, self._fold, self.reading.inlined)):
            self._table(table, ctes)
        self._clocks()
        self._case()
        self._table_functions()
        self._products_of_intervals()
        if rows_only and isinstance(self.query, exp.Select):
            self._outputs(self.query)
        self._bridge()
        kept = [one for one in self.edits if not self._is_removed(one.start)]
        kept += [Edit(start, end, "") for start, end in self.removed]
        self.result.text = re.sub(r"\n([ \t]*\n){2,}", "\n\n", apply(self.text, kept)).strip()
        self.result.reads = tuple(self.reads)
        return self.result

    def _fold(self, identifier: exp.Identifier) -> str:
        name = str(identifier.this)
        return name if identifier.quoted and self.reading.dialect in SENSITIVE else name.lower()

    def _is_removed(self, place: int) -> bool:
        return any(start <= place < end for start, end in self.removed)

    def _inlined(self) -> None:
        """WITH __dbt__cte__x AS (…) SELECT … → SELECT …: x is a rule of its own."""
        with_ = self.query.args.get("with_")
        ctes = with_.expressions if with_ is not None else []
        own = [one for one in ctes if self._fold(one.args["alias"].this) in self.reading.inlined]
        if not own:
            return
        places = {one.args["alias"].this.meta["start"] for one in own}
        for start in places:
            number = self.at[start]
            end = self._closing(number)
            if self.tokens[end + 1].token_type == TokenType.COMMA:
                end += 1
            stop = self.tokens[end].end + 1
            self.removed.append((start, stop))
        if len(own) == len(ctes):
            first = min(places)
            self.removed.append((self.tokens[self.at[first] - 1].start, first))
        elif self.tokens[self.at[max(places)] - 1].token_type == TokenType.COMMA and self._is_last(max(places)):
            comma = self.tokens[self.at[max(places)] - 1]
            self.removed.append((comma.start, comma.end + 1))

    def _is_last(self, start: int) -> bool:
        with_ = self.query.args["with_"]
        return bool(with_.expressions[-1].args["alias"].this.meta["start"] == start)

    def _closing(self, number: int) -> int:
        """Return the token that closes the first parenthesis of a CTE's body, from the token of its name."""
        while self.tokens[number].token_type != TokenType.ALIAS:
            number += 1
        while self.tokens[number].token_type != TokenType.L_PAREN:
            number += 1
        return self._matching(number)

    def _matching(self, number: int) -> int:
        depth = 0
        while True:
            kind = self.tokens[number].token_type
            depth += (kind == TokenType.L_PAREN) - (kind == TokenType.R_PAREN)
            if depth == 0:
                return number
            number += 1

    def _qualifiers(self) -> None:
        """Name columns by the table's name alone: "shop"."main"."orders".id → "orders".id."""
        for column in self.query.find_all(exp.Column):
            parts = [column.args.get(one) for one in ("catalog", "db")]
            written = [one for one in parts if isinstance(one, exp.Identifier) and "start" in one.meta]
            table = column.args.get("table")
            if written and isinstance(table, exp.Identifier) and "start" in table.meta:
                self.edits.append(Edit(written[0].meta["start"], table.meta["start"], ""))
        self.used = {self._fold(one.args["table"]) for one in self.query.find_all(exp.Column) if one.args.get("table")}
        stars = (one for one in self.query.find_all(exp.Column) if isinstance(one.this, exp.Star))
        self.used |= {self._fold(one.args["table"]) for one in stars if one.args.get("table")}

    def _table(self, table: exp.Table, ctes: frozenset[str]) -> None:
        if not isinstance(table.this, exp.Identifier):
            self._function(table)
            return
        parts = [one for one in (table.args.get("catalog"), table.args.get("db"), table.this) if one is not None]
        if any(not isinstance(one, exp.Identifier) or "start" not in one.meta for one in parts):
            raise CannotReadError(f"a table's name cannot be found in its text: {table.sql()}")
        start, end = parts[0].meta["start"], parts[-1].meta["end"] + 1
        if self._is_removed(start):
            return
        written = tuple(str(one.this) for one in parts)
        found = self.reading.names.find(written)
        name = self.reading.names.by_id[found] if found is not None else None
        if name is None and len(written) == 1 and self.text[start] == "'":
            name = self.reading.location(self.text[start:end])
        name = name or self.reading.unknown(written)
        if name is None:
            raise CannotReadError(f"it reads {'.'.join(written)}, which is no table of the project")
        self._name(table, name, written[-1], (start, end), ctes)

    def _name(self, table: exp.Table, name: str, former: str, place: tuple[int, int], ctes: frozenset[str]) -> None:
        """Write the plain name at a place; `former`: the name that columns are qualified with where it has no alias."""
        self.reads[name] = None
        text = name
        if name in ctes:
            text = self.bridges.setdefault(name, self._unused(f"{name}_table", ctes))
            self.result.notes.append(f"the table {name} is read as {text}, beside the CTE of its name")
        if not table.alias and former.lower() in {one.lower() for one in self.used} and former.lower() != text:
            text = f"{text} AS {former if re.fullmatch('[a-z_][a-z0-9_]*', former) else _quoted(former.lower())}"
        self.edits.append(Edit(*place, text))

    def _unused(self, name: str, ctes: frozenset[str]) -> str:
        known = {*ctes, *self.reading.names.by_id.values(), *self.bridges.values()}
        while name in known:
            name += "_"
        return name

    def _function(self, table: exp.Table) -> None:
        """FROM read_parquet('data/x.parquet') → FROM x, where files are a source."""
        start = table.this.meta.get("start")
        if start is None or start not in self.at or not isinstance(table.this, exp.Func):
            return
        number = self.at[start]
        if self.tokens[number + 1].token_type != TokenType.L_PAREN:
            return
        end = self.tokens[self._matching(number + 1)].end + 1
        name = self.reading.location(self.text[start:end])
        if name is not None and not self._is_removed(start):
            self._name(table, name, name, (start, end), frozenset())

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

    def _case(self) -> None:
        """Spell names in one way where the warehouse does not distinguish them by case: "Total" → "total"."""
        if self.reading.dialect in SENSITIVE:
            return
        lowered = []
        edited = {place for one in self.edits for place in range(one.start, one.end)}
        for token in self.tokens:
            if token.token_type != TokenType.IDENTIFIER or token.start in edited or self._is_removed(token.start):
                continue
            name = "".join(one.lower() if one.isascii() else one for one in token.text)
            if name != token.text:
                quote = self.text[token.start]
                self.edits.append(Edit(token.start, token.end + 1, f"{quote}{name.replace(quote, quote * 2)}{quote}"))
                lowered.append(token.text)
        if lowered:
            shown = ", ".join(dict.fromkeys(lowered))
            self.result.notes.append(f"quoted names are in lower case: {shown}")

    def _table_functions(self) -> None:
        """FROM range(3) → FROM range(3) AS range(range): the column has the name that it has there without one."""
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
                column = alias.text if self.reading.dialect in SENSITIVE else name
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

    def _bridge(self) -> None:
        """WITH orders AS (…) SELECT … FROM orders: give the table a second name before the CTE takes its own."""
        if not self.bridges:
            return
        ctes = ", ".join(f"{new} AS (SELECT * FROM {name})" for name, new in self.bridges.items())
        first = next(one for one in self.tokens if not self._is_removed(one.start))
        if first.token_type == TokenType.WITH:
            number = self.at[first.start] + 1
            recursive = self.tokens[number].token_type == TokenType.RECURSIVE
            place = self.tokens[number + recursive].start
            self.edits.append(Edit(place, place, f"{ctes}, "))
        else:
            self.edits.append(Edit(first.start, first.start, f"WITH {ctes}\n"))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _tables(
    node: exp.Expr,
    fold: Callable[[exp.Identifier], str],
    inlined: frozenset[str],
    ctes: frozenset[str] = frozenset(),
) -> Iterator[tuple[exp.Table, frozenset[str]]]:
    """Yield the tables that are none of the query's CTEs, each with the CTEs in scope, in SQL's order of scoping."""
    with_ = node.args.get("with_")
    if isinstance(with_, exp.With):
        for cte in with_.expressions:
            name = fold(cte.args["alias"].this)
            inner = ctes | {name} if with_.args.get("recursive") else ctes
            yield from _tables(cte.this, fold, inlined, inner)
            ctes |= {name} - inlined
    if isinstance(node, exp.Table):
        alone = not (node.args.get("db") or node.args.get("catalog"))
        if not (alone and isinstance(node.this, exp.Identifier) and fold(node.this) in ctes):
            yield node, ctes
    for key, value in node.args.items():
        for child in (value if isinstance(value, list) else [value]) if key != "with_" else ():
            if isinstance(child, exp.Expr):
                yield from _tables(child, fold, inlined, ctes)
