"""The possible meanings of a column without a table, by scoping rules and whatever schemas are known.

The build resolves names with SQLGlot's `qualify`, which stops at the first mistake and needs every schema. A check goes
on after mistakes and works without schemas; a meaning it cannot determine is "unsure".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from compiler.names.lexical import Names, Scope, from_items, is_semi_joined, item_name
from compiler.names.resolve import fold
from compiler.schema import INPUT_DB, Schema
from compiler.tree.walk import output_leaf

Kind = Literal["column", "output", "merged", "ambiguous", "unknown", "unsure"]
Columns = tuple[str, ...] | None
"""Names of columns; None if they are not known."""


@dataclass(frozen=True)
class Meaning:
    """The meaning of a bare column."""

    kind: Kind
    holders: tuple[exp.Expr, ...] = ()
    """The FROM items that have it; for "merged" from left to right, for "unsure" those that may have it."""
    distance: int = 0
    """How many queries further out they are."""
    known: tuple[str, ...] = ()
    """The columns it could have been, for a suggestion."""


@dataclass(frozen=True)
class _GivenNames:
    """Names in a SELECT: those given with AS, those of columns passed through, and its FROM items without a name."""

    aliases: set[str]
    plain: set[str]
    unnamed: list[exp.Expr]
    has_star: bool


@dataclass(frozen=True)
class Output:
    """An output column of a SELECT."""

    name: str | None
    """None if it has none."""
    item: exp.Expr
    """The item of the SELECT list that yields it."""
    source: exp.Expr | None = None
    """If that is a star: the FROM item; None if USING or NATURAL merged several."""
    number: int = 0
    """If that is a star: the position among the FROM item's columns."""
    replaced: exp.Expr | None = None
    """The expression that REPLACE puts there."""


class Sight:
    """Resolves the bare columns of one bound, unqualified query."""

    def __init__(self, names: Names, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas
        self._ctes = {id(table): cte for table, cte in names.tables}
        self._columns: dict[int, Columns] = {}
        self._sets: dict[int, frozenset[str]] = {}
        self._given: dict[int, _GivenNames] = {}

    def meaning(self, column: exp.Column, scopes: tuple[Scope, ...]) -> Meaning:
        """Return the meaning of `column` if the aliases `scopes` are in scope, innermost query first."""
        name = fold(column.this)
        query, clause = _clause(column)
        if isinstance(query, exp.SetOperation):
            return Meaning("output")
        assert isinstance(query, exp.Select)
        given = self._given_names(query)
        aliased = name in given.aliases
        if clause == "order" and (aliased or name in given.plain or given.has_star):
            return Meaning("output")
        found = self._in_tables(name, query, scopes)
        if aliased and clause != "joins" and found.kind in {"unknown", "unsure"}:
            return Meaning("output")
        guessed = found.kind == "column" and self.columns(found.holders[0]) is None
        if aliased and clause not in ("where", "joins") and (guessed or found.kind == "ambiguous"):
            return Meaning("output")
        return found

    def columns(self, item: exp.Expr) -> Columns:
        """Return the columns of a FROM item."""
        if id(item) not in self._columns:
            self._columns[id(item)] = None  # the columns of a CTE that reads itself are unknown until they are computed
            self._columns[id(item)] = self._columns_of(item)
        return self._columns[id(item)]

    def outputs(self, query: exp.Expr) -> Columns:
        """Return the output columns of a query that have names."""
        leaf = output_leaf(query)
        found = self.select_outputs(leaf) if leaf is not None else None
        return tuple(output.name for output in found if output.name is not None) if found is not None else None

    def select_outputs(self, select: exp.Select) -> list[Output] | None:
        """Return the output columns of a SELECT, its stars expanded; None if they are not known."""
        found: list[Output] = []
        for item in select.selects:
            if item.is_star:
                expanded = self._star_outputs(select, item)
                if expanded is None:
                    return None
                found += expanded
            elif isinstance(item, exp.Explode):
                return None  # unnest of a struct yields as many columns as it has fields
            else:
                found.append(Output(_output_name(item), item))
        return found

    def _star_outputs(self, select: exp.Select, item: exp.Expr) -> list[Output] | None:
        star = item.this if isinstance(item, exp.Column) else item
        items, joins = from_items(select)
        seen = [one for one in items if not is_semi_joined(one)]
        if isinstance(item, exp.Column):
            covered = [one for one in seen if item_name(one) == fold(item.args["table"])]
        else:
            covered = seen
        if not isinstance(star, exp.Star) or not covered or any(self.columns(one) is None for one in covered):
            return None
        if any(join.method == "NATURAL" and self.columns(join.this) is None for join in joins):
            return None
        replaced = {
            fold(one.args["alias"]): one.this for one in star.args.get("replace") or [] if one.args.get("alias")
        }
        dropped = {name for one in star.args.get("except_") or [] if (name := _output_name(one)) is not None}
        merged, emitted = self._merged_names(seen), set[str]()
        found: list[Output] = []
        for one in covered:
            for number, name in enumerate(self.columns(one) or ()):
                shared = name in merged and one in merged[name]
                if name in dropped or (shared and name in emitted):
                    continue
                if shared:
                    emitted.add(name)
                found.append(Output(name, item, None if shared else one, number, replaced.get(name)))
        return found

    def _merged_names(self, items: list[exp.Expr]) -> dict[str, list[exp.Expr]]:
        """Return the columns that USING or NATURAL merged, with the FROM items that share them."""
        found: dict[str, list[exp.Expr]] = {}
        for place, item in enumerate(items):
            join = item.parent
            if not isinstance(join, exp.Join) or join.this is not item:
                continue
            before = items[:place]
            names = {fold(name) for name in join.args.get("using") or [] if isinstance(name, exp.Identifier)}
            if join.method == "NATURAL":  # columns of a table that is not known may be any
                open_ = any(self.columns(one) is None for one in before)
                names |= {
                    name for name in self.columns(item) or () if open_ or any(self._has(one, name) for one in before)
                }
            for name in names:
                holders = found.setdefault(name, [one for one in before if self._has(one, name)])
                holders.append(item)
        return found

    def star(self, select: exp.Select, item: exp.Expr) -> list[tuple[exp.Expr, tuple[str, ...]]] | None:
        """Return the FROM items that a star covers, with their columns; None if that is not known."""
        star = item.this if isinstance(item, exp.Column) else item
        items, joins = from_items(select)
        if isinstance(item, exp.Column):
            items = [one for one in items if item_name(one) == fold(item.args["table"])]
        elif any(join.args.get("using") or join.method or join.kind in {"SEMI", "ANTI"} for join in joins):
            return None
        if not isinstance(star, exp.Star) or any(star.args.values()) or not items:
            return None
        found: list[tuple[exp.Expr, tuple[str, ...]]] = []
        for one in items:
            columns = self.columns(one)
            if columns is None:
                return None
            found.append((one, columns))
        return found

    def _given_names(self, select: exp.Select) -> _GivenNames:
        if id(select) not in self._given:  # computed once, not for each column
            aliases = {fold(item.args["alias"]) for item in select.selects if isinstance(item, exp.Alias)}
            plain = {fold(item.this) for item in select.selects if isinstance(item, exp.Column) and not item.is_star}
            items, _ = from_items(select)
            unnamed = [item for item in items if item_name(item) is None]
            star = any(item.is_star for item in select.selects)
            self._given[id(select)] = _GivenNames(aliases, plain, unnamed, has_star=star)
        return self._given[id(select)]

    def _in_tables(self, name: str, select: exp.Select, scopes: tuple[Scope, ...]) -> Meaning:
        unsure: list[exp.Expr] = []
        seen: list[exp.Expr] = []
        for distance, scope in enumerate(scopes):
            items = self._items(scope, select, distance)
            merged = self._merged_names(items).get(name)
            holders = [item for item in items if self._has(item, name)]
            open_ = [item for item in items if self.columns(item) is None]
            seen += items
            if merged is not None:
                kept = [one for one in merged if not _is_dropped(one)]
                return Meaning("merged", tuple(kept), distance)
            if len(holders) > 1:
                return Meaning("ambiguous", tuple(holders), distance)
            if holders and not open_ and not unsure:
                return Meaning("column", tuple(holders), distance)
            unsure += [*holders, *open_]
            if holders:
                break
        if len(unsure) == 1 and len(scopes) == 1:
            return Meaning("column", tuple(unsure))
        if unsure:
            return Meaning("unsure", tuple(unsure))
        return Meaning(
            "unknown", known=tuple(dict.fromkeys(name for item in seen for name in self.columns(item) or ()))
        )

    def _has(self, item: exp.Expr, name: str) -> bool:
        if id(item) not in self._sets:
            self._sets[id(item)] = frozenset(self.columns(item) or ())
        return name in self._sets[id(item)]

    def _items(self, scope: Scope, select: exp.Select, distance: int) -> list[exp.Expr]:
        items = list(scope.values())
        if distance == 0:
            items += self._given_names(select).unnamed
        return items

    def _columns_of(self, item: exp.Expr) -> Columns:
        alias = item.args.get("alias")
        if isinstance(alias, exp.TableAlias) and alias.columns:
            return tuple(fold(column) for column in alias.columns)
        if id(item) in self._ctes:
            cte = self._ctes[id(item)]
            columns = cte.args["alias"].columns
            return tuple(fold(column) for column in columns) if columns else self.outputs(cte.this)
        if isinstance(item, exp.Table):
            bound = item.db == INPUT_DB and item.name in self._schemas
            return self._schemas[item.name].names if bound else None
        body = item.this if isinstance(item, exp.Lateral) else item
        if isinstance(body, exp.Subquery) and isinstance(body.this, exp.Query):
            return self.outputs(body.this)
        return None


def _is_dropped(item: exp.Expr) -> bool:
    """Whether a FROM item only filters, so that none of its columns is left after its join."""
    return isinstance(item.parent, exp.Join) and item.parent.kind in {"SEMI", "ANTI"}


def _output_name(item: exp.Expr) -> str | None:
    """Return the name that an item of a SELECT list gives to its output."""
    if isinstance(item, exp.Alias):
        return fold(item.args["alias"])
    if isinstance(item, exp.Identifier):
        return fold(item)
    return fold(item.this) if isinstance(item, exp.Column) and isinstance(item.this, exp.Identifier) else None


def _clause(column: exp.Expr) -> tuple[exp.Expr, str]:
    """Return the query that a column belongs to, and its clause; a clause around parentheses is of the query within."""
    node = column
    while (holder := node.parent) is not None and not isinstance(holder, exp.Select | exp.SetOperation):
        if isinstance(holder, exp.Subquery) and node.arg_key in {"order", "limit", "offset"}:
            return holder.unnest(), node.arg_key
        node = holder
    assert holder is not None
    return holder, node.arg_key or ""
