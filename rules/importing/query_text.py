"""The text of a query, so edited that it reads plain names: relation names, file locations, inlined CTEs, clocks, case.

The text is read by SQLGlot in the dialect of its project, and edited at the places of its tokens, so that strings,
comments and layout stay as they are.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sqlglot import exp
from sqlglot import parse as parse_all
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from compiler.lint.edits import apply
from compiler.lint.findings import Edit
from compiler.lint.quoting import in_sql
from compiler.tree.big_stack import with_deep_stack
from rules.importing.naming import CAPITAL, SENSITIVE, Names
from rules.importing.origin import VariableValue
from rules.importing.query_words import QueryWords, Rewritten


class CannotReadError(Exception):
    """The text of a query that cannot be edited; the message says why."""


@dataclass(frozen=True)
class Reading:
    """What queries are read with. location: gives the source of files that SQL names; unknown: of another relation."""

    dialect: str
    names: Names
    location: Callable[[str], str | None]
    unknown: Callable[[tuple[str, ...]], str | None]
    inlined: frozenset[str] = frozenset()


def rewrite(text: str, reading: Reading, *, rows_only: bool = False, values: Iterable[VariableValue] = ()) -> Rewritten:
    """Return a query with the plain names of what it reads. Raises `CannotReadError`.

    rows_only: nobody reads its columns, so they may have other names: each needs one of its own. values: in the text,
    to be read from variables.
    """
    blank = len(text) - len(text.lstrip())
    text = text.strip()
    places = [one._replace(start=one.start - blank, end=one.end - blank) for one in values]
    try:
        return with_deep_stack(lambda: _Query(text, reading).rewritten(places, rows_only=rows_only))
    except SqlglotError as error:
        raise CannotReadError(_first_line(str(error))) from error
    except RecursionError as error:
        raise CannotReadError("nested too deeply") from error


def _first_line(message: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", message).strip().split("\n")[0].rstrip(".:")


class _Query(QueryWords):
    """One query while it is edited."""

    def __init__(self, text: str, reading: Reading) -> None:
        self.reading = reading
        dialect = Dialect.get_or_raise(reading.dialect)
        tokens = list(dialect.tokenize(text))
        edits: list[Edit] = []
        while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
            last = tokens.pop()
            edits.append(Edit(last.start, last.end + 1, ""))
        super().__init__(text, tokens, keeps_case=reading.dialect in SENSITIVE)
        self.edits = edits
        statements = [one for one in parse_all(text, read=dialect) if not isinstance(one, exp.Semicolon | None)]
        if len(statements) != 1:
            raise CannotReadError("it is not a single query")
        if not isinstance(statements[0], exp.Query):
            kind = "UNPIVOT" if statements[0].args.get("unpivot") else statements[0].key.upper()
            raise CannotReadError(f"the statement {kind} is no query here")
        self.query: exp.Query = statements[0]
        self.at = {token.start: number for number, token in enumerate(tokens)}
        self.reads: dict[str, None] = {}
        self.bridges: dict[str, str] = {}

    def rewritten(self, values: Iterable[VariableValue], *, rows_only: bool) -> Rewritten:
        self._inlined()
        self._qualifiers()
        for table, ctes in list(_tables(self.query, self._fold, self.reading.inlined)):
            self._table(table, ctes)
        self._clocks()
        self._variables(values)
        self._case()
        self._table_functions(self.reading.dialect)
        self._products_of_intervals()
        if rows_only and isinstance(self.query, exp.Select):
            self._outputs(self.query)
        self._bridge()
        kept = [one for one in self.edits if not self._is_removed(one.start)]
        kept += [Edit(start, end, "") for start, end in self.removed]
        kept += self._blank_lines()
        self.result.text = apply(self.text, kept).strip()
        self.result.reads = tuple(self.reads)
        return self.result

    def _variables(self, values: Iterable[VariableValue]) -> None:
        """WHERE minutes < 15 → WHERE minutes < $no_show, where 15 is the value of that variable."""
        found: set[str] = set()
        for one in values:
            token = self.tokens[self.at[one.start]] if one.start in self.at else None
            if token is None or token.end + 1 != one.end or self._is_removed(one.start):
                continue
            if token.token_type in (TokenType.STRING, TokenType.NUMBER):
                self.edits.append(Edit(one.start, one.end, f"${one.name}"))
                found.add(one.name)
        self.result.variables = frozenset(found)

    def _blank_lines(self) -> Iterator[Edit]:
        """Yield edits that leave one blank line of those that Jinja leaves between words."""
        for before, after in itertools.pairwise(self.tokens):
            for found in re.finditer(r"\n([ \t]*\n){2,}", self.text[before.end + 1 : after.start]):
                start = before.end + 1
                yield Edit(start + found.start(), start + found.end(), "\n\n")

    def _fold(self, identifier: exp.Identifier) -> str:
        name = str(identifier.this)
        return name if identifier.quoted and self.reading.dialect in SENSITIVE else name.lower()

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
        self._name(table, name, self._fold(table.this), (start, end), ctes)

    def _name(self, table: exp.Table, name: str, former: str, place: tuple[int, int], ctes: frozenset[str]) -> None:
        """Write the plain name at a place; `former`: the name that columns are qualified with where it has no alias."""
        self.reads[name] = None
        new = name
        if name in ctes:
            new = self.bridges.setdefault(name, self._unused(f"{name}_table", ctes))
            self.result.notes.append(f"the table {name} is read as {new}, beside the CTE of its name")
        text = self._written(new)
        if not table.alias and former in self.used and former != new:
            text = f"{text} AS {self._written(former)}"
        self.edits.append(Edit(*place, text))

    def _written(self, name: str) -> str:
        """Return a name as the query's dialect has it: "order", or `order`."""
        is_plain = in_sql(name) == name
        return name if is_plain else exp.to_identifier(name, quoted=True).sql(dialect=self.reading.dialect)

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

    def _case(self) -> None:
        """Spell names in one way where the warehouse does not distinguish them by case: "Total" → "total"."""
        if self.reading.dialect in SENSITIVE:
            return
        if self.reading.dialect in CAPITAL:
            self._require_one_case()
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

    def _require_one_case(self) -> None:
        """Refuse to sort by a name that is another one there than the query's own: SELECT 9 - id AS "id" … ORDER BY ID.

        Elsewhere two such names are two columns of one name here, which no rule may have. Raises `CannotReadError`.
        """
        order = self.query.args.get("order")
        outputs = {one.args["alias"] for one in self.query.selects if isinstance(one, exp.Alias)}
        quoted = {str(one.this) for one in outputs if isinstance(one, exp.Identifier) and one.quoted}
        for column in order.find_all(exp.Column) if isinstance(order, exp.Order) else ():
            if not isinstance(column.this, exp.Identifier) or column.table:
                continue
            name = str(column.this.this)
            meant = name if column.this.quoted else name.upper()
            other = next((one for one in quoted if one != meant and one.lower() == meant.lower()), None)
            if other is not None:
                said = f"it sorts by {meant}, and has {other} as well, which differs by case alone"
                raise CannotReadError(f"{said}: names are in lower case here")

    def _bridge(self) -> None:
        """WITH orders AS (…) SELECT … FROM orders: give the table a second name before the CTE takes its own."""
        if not self.bridges:
            return
        ctes = ", ".join(f"{new} AS (SELECT * FROM {self._written(name)})" for name, new in self.bridges.items())
        first = next(one for one in self.tokens if not self._is_removed(one.start))
        if first.token_type == TokenType.WITH:
            number = self.at[first.start] + 1
            number += self.tokens[number].token_type == TokenType.RECURSIVE
            while self._is_removed(self.tokens[number].start):
                number += 1
            place = self.tokens[number].start
            self.edits.append(Edit(place, place, f"{ctes}, "))
        else:
            self.edits.append(Edit(first.start, first.start, f"WITH {ctes}\n"))


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
