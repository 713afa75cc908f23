"""The places of names in the text of a rule, and what each of them means: for editors. No text raises an error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlglot import exp
from sqlglot.errors import SqlglotError

from compiler.errors import SqlError
from compiler.lint.check import MOST_FIXED, World, bind_known
from compiler.lint.findings import token_span
from compiler.names.lexical import item_name, resolve_names
from compiler.names.name_meaning import Sight
from compiler.names.qualify_fixups import without_parentheses
from compiler.names.resolve import fold
from compiler.schema import Schema
from compiler.sql.dialect import DIALECT, parse, variable_name
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.nesting import is_huge, require_depth
from compiler.tree.walk import find_all, output_leaf


class Symbol(NamedTuple):
    """What a name means. kind: "table" (a source or product), "column", "cte", "alias", "local" or "variable".

    owner: of a column its table, by the project's name; of what is local to one text the offset of its definition.
    """

    kind: str
    owner: str
    name: str


class Occurrence(NamedTuple):
    """A name from character `start` up to `end`. defines: whether it gives the name, and does not only use it.

    passed: of a column that a SELECT list passes on under its own name, so that it is both.
    """

    start: int
    end: int
    symbol: Symbol
    defines: bool = False
    passed: bool = False


class Alias(NamedTuple):
    """A FROM item: the name by which its columns are called, and these; None if they are not known."""

    name: str
    columns: tuple[str, ...] | None
    table: str | None
    """The source or product that it is."""


class Made(NamedTuple):
    """What an output column is made of: the expression, and the columns of sources and products in it."""

    expression: str
    columns: tuple[Symbol, ...]


class Outline(NamedTuple):
    """The names in a text: where they are, the CTEs with the spans of their names, and the FROM items."""

    occurrences: tuple[Occurrence, ...]
    ctes: tuple[tuple[str, int, int], ...]
    aliases: tuple[Alias, ...]
    made: dict[Symbol, tuple[str, tuple[Symbol, ...]]]
    """Output columns of the rule, its CTEs and derived tables: the expression, and the columns in it."""

    def made_of(self, symbol: Symbol) -> Made | None:
        """Return what an output column is made of, through the CTEs and derived tables of the text."""
        if symbol not in self.made:
            return None
        expression, columns = self.made[symbol]
        found: dict[Symbol, None] = {}
        pending, seen = list(columns), {symbol}
        while pending:
            one = pending.pop(0)
            if one in seen:
                continue
            seen.add(one)
            if one.kind == "local":
                pending += self.made.get(one, ("", ()))[1]
            else:
                found[one] = None
        return Made(expression, tuple(found))

    def at(self, offset: int) -> list[Occurrence]:
        """Return what is at a character, or just before it; uses before definitions."""
        found = [one for one in self.occurrences if one.start <= offset <= one.end]
        return sorted(found, key=lambda one: (one.end == offset, one.defines))


def outline(text: str, world: World, product: str) -> Outline | None:
    """Return the names in the text of a rule; None for a text that cannot be parsed, or is too large.

    world: the project around it. product: the name of the rule.
    """
    if len(text) > MOST_FIXED:  # to parse it takes seconds, and an editor asks at each key
        return None
    try:
        return with_deep_stack(lambda: _Outliner(text, world, product).outline())
    except (SqlError, SqlglotError, RecursionError):
        return None


def joined(outlines: Iterable[Outline | None]) -> Outline:
    """Return the names of several queries of one text."""
    found = [one for one in outlines if one is not None]
    return Outline(
        tuple(each for one in found for each in one.occurrences),
        tuple(each for one in found for each in one.ctes),
        tuple(each for one in found for each in one.aliases),
        {symbol: made for one in found for symbol, made in one.made.items()},
    )


class _Outliner:
    def __init__(self, text: str, world: World, product: str) -> None:
        query = without_parentheses(parse(text), derive=False)
        require_depth(query)
        if is_huge(query):
            raise RecursionError
        self._query, self._product = query, product
        bind_known(query, world)
        self._names = resolve_names(query)
        schemas: dict[str, Schema] = world.schemas.known
        self._sight = Sight(self._names, schemas)
        self._resolve = world.resolve or (lambda name: name)
        self._ctes = {id(table): cte for table, cte in self._names.tables}
        self._found: dict[Occurrence, None] = {}
        self._made: list[tuple[Symbol, exp.Expr]] = []
        self._meant: dict[int, Symbol] = {}
        self._outputs_of: dict[int, Symbol] = {}
        """Queries, and leaves of set operations that name their outputs → what an output without a name would be."""

    def outline(self) -> Outline:
        names = self._names
        for cte in names.ctes:
            symbol = _cte(cte)
            self._add(cte.args["alias"].this, symbol, defines=True)
            self._outputs(cte.this, "local", symbol.owner, cte.args["alias"].columns)
        for item in names.items:
            self._item(item)
        self._outputs(self._query, "column", self._product, [])
        for reference in names.references:
            parts = reference.column.parts
            self._add(parts[0], self._alias(reference.item))
            self._column(reference.column, parts[1], reference.item)
        for column, scopes in names.bare:
            meaning = self._sight.meaning(column, scopes)
            if meaning.kind in {"column", "merged"} and meaning.holders:
                self._column(column, column.this, meaning.holders[0])
            elif meaning.kind == "output":
                self._output(column)
        for node in find_all(self._query, exp.Parameter):
            name = variable_name(node)
            if name is not None and "start" in node.meta:
                start = node.meta["start"] - 1
                self._found[Occurrence(start, start + 1 + len(name), Symbol("variable", "", name))] = None
        ctes = tuple((fold(cte.args["alias"].this), *_span(cte.args["alias"].this)) for cte in names.ctes)
        aliases = [self._known_alias(item) for item in names.items]
        occurrences = tuple(sorted(self._found, key=lambda one: (one.start, one.end)))
        made = {symbol: (item.sql(dialect=DIALECT, comments=False), self._in(item)) for symbol, item in self._made}
        return Outline(occurrences, ctes, tuple(one for one in aliases if one is not None), made)

    def _in(self, item: exp.Expr) -> tuple[Symbol, ...]:
        """Return the columns in an expression, in order."""
        columns = (self._meant.get(id(column)) for column in find_all(item, exp.Column))
        return tuple(dict.fromkeys(one for one in columns if one is not None))

    def _known_alias(self, item: exp.Expr) -> Alias | None:
        name = item_name(item)
        if name is None:
            return None
        table = self._table(item)
        return Alias(name, self._sight.columns(item), table.name if table is not None else None)

    def _item(self, item: exp.Expr) -> None:
        if isinstance(item, exp.Table) and isinstance(item.this, exp.Identifier):
            cte, table = self._ctes.get(id(item)), self._table(item)
            if cte is not None:
                self._add(item.this, _cte(cte))
            elif table is not None:
                self._add(item.this, table)
        alias = item.args.get("alias")
        if isinstance(alias, exp.TableAlias) and isinstance(alias.this, exp.Identifier):
            self._add(alias.this, self._alias(item), defines=True)
        if isinstance(item, exp.Subquery) and isinstance(item.this, exp.Query):
            self._outputs(item.this, "local", self._alias(item).owner, alias.columns if alias is not None else [])

    def _table(self, item: exp.Expr) -> Symbol | None:
        """Return the source or product that a FROM item is."""
        if not isinstance(item, exp.Table) or not isinstance(item.this, exp.Identifier) or id(item) in self._ctes:
            return None
        name = item.name if item.args.get("db") else self._resolve(fold(item.this))
        return Symbol("table", "", name) if name is not None else None

    def _alias(self, item: exp.Expr) -> Symbol:
        """Return what the name before a column means: an alias, or the table itself if it has none."""
        alias = item.args.get("alias")
        identifier = alias.this if isinstance(alias, exp.TableAlias) else None
        if isinstance(identifier, exp.Identifier) and token_span(identifier) is not None:
            return Symbol("alias", str(_span(identifier)[0]), fold(identifier))
        cte, table = self._ctes.get(id(item)), self._table(item)
        if cte is not None:
            return _cte(cte)
        return table or Symbol("alias", "", item_name(item) or "")

    def _column(self, column: exp.Column, identifier: exp.Expr, item: exp.Expr) -> None:
        if not isinstance(identifier, exp.Identifier):
            return
        symbol = self._column_symbol(fold(identifier), item)
        if symbol is not None:
            self._meant[id(column)] = symbol
            self._add(identifier, symbol)

    def _column_symbol(self, name: str, item: exp.Expr) -> Symbol | None:
        cte, table = self._ctes.get(id(item)), self._table(item)
        if cte is not None:
            return Symbol("local", _cte(cte).owner, name)
        if table is not None:
            return Symbol("column", table.name, name)
        return Symbol("local", self._alias(item).owner, name) if isinstance(item, exp.Subquery) else None

    def _output(self, column: exp.Column) -> None:
        """Note a use of an output column, in ORDER BY and the like."""
        unnamed = self._outputs_of.get(id(column.find_ancestor(exp.Query)))
        if unnamed is not None:
            self._add(column.this, unnamed._replace(name=fold(column.this)))

    def _outputs(self, query: exp.Expr, kind: str, owner: str, given: list[exp.Expr]) -> None:
        """Note where the output columns of a query get their names. given: names in an alias, which replace them."""
        for identifier in given:
            if isinstance(identifier, exp.Identifier):
                self._add(identifier, Symbol(kind, owner, fold(identifier)), defines=True)
        leaf = output_leaf(query)
        if not given:
            self._outputs_of |= {id(one): Symbol(kind, owner, "") for one in (query, leaf) if one is not None}
        for item in leaf.selects if leaf is not None and not given else ():
            if isinstance(item, exp.Alias):
                identifier, passed = item.args["alias"], False
            elif isinstance(item, exp.Column) and not item.is_star:
                identifier, passed = item.this, True
            else:
                continue
            if isinstance(identifier, exp.Identifier):
                symbol = Symbol(kind, owner, fold(identifier))
                self._made.append((symbol, item.unalias()))
                self._add(identifier, symbol, defines=True, passed=passed)

    def _add(self, node: exp.Expr, symbol: Symbol, *, defines: bool = False, passed: bool = False) -> None:
        place = token_span(node)
        if place is not None:
            self._found[Occurrence(*place, symbol, defines, passed)] = None


def _cte(cte: exp.CTE) -> Symbol:
    identifier = cte.args["alias"].this
    return Symbol("cte", str(_span(identifier)[0]), fold(identifier))


def _span(node: exp.Expr) -> tuple[int, int]:
    return token_span(node) or (0, 0)
