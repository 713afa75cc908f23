"""What a query's rows and each of its columns are made of, as digests: two versions of a rule are compared by them.

Equal `rows` mean that two queries keep the same rows, whatever columns they show of them; an equal digest of a column,
that it then holds the same values. A column is what it is made of in the inputs, so neither aliases nor columns that
a subquery shows besides take part (as in a Merkle tree, each digest covers those below it). Linear in the tree.

The walk is not shared with `compiler.analysis.lineage`: only its dispatch of a dozen lines is alike, and the two differ
in what a recursive CTE, a lateral, a modifier and an unknown node mean.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from compiler.analysis.shape_digests import Shape
from compiler.analysis.traits import depends_on_row_order, shows_row_order
from compiler.analysis.types import Types
from compiler.fingerprint import digest_of
from compiler.names.lexical import from_items, resolve_names
from compiler.schema import INPUT_DB
from compiler.sql.encode import dump
from compiler.tree.selects import ROWS_OF_A_SET, is_aggregated, is_key_of_all, yields_rows
from compiler.tree.walk import find_all, has


def shape(tree: exp.Query, inputs: tuple[str, ...], types: Types, *, volatile: bool) -> Shape:
    """Return the shape of a canonical tree. inputs: by position; types: of the tree's expressions."""
    found = _Shapes(tree, inputs, types).of(tree)
    return Shape(
        rows=found.rows,
        columns={column.name: column.digest for column in found.columns},
        open=frozenset(column.name for column in found.columns if column.open),
        open_rows=found.open or volatile,
        in_order=_is_in_order(tree),
    )


def _is_in_order(tree: exp.Expr) -> bool:
    """Whether a query only filters and computes row by row: whatever else it did could move rows."""
    if not isinstance(tree, exp.Select) or {key for key, value in tree.args.items() if value} - _ROW_BY_ROW:
        return False
    from_ = tree.args.get("from_")
    if from_ is None or any(_may_move_rows(part) for part in (*tree.selects, tree.args.get("where"))):
        return False
    item = from_.this
    if isinstance(item, exp.Subquery):
        return _is_in_order(item.this)
    return isinstance(item, exp.Table) and item.db == INPUT_DB


def _may_move_rows(node: exp.Expr | None) -> bool:
    kinds = (exp.Query, exp.Window, exp.AggFunc, *ROWS_OF_A_SET)
    return node is not None and has(node, *kinds)


@dataclass(frozen=True)
class _Column:
    name: str
    digest: str
    open: bool


@dataclass(frozen=True)
class _Relation:
    """A query or FROM item. whole: what a column is that `columns` does not hold."""

    rows: str
    columns: tuple[_Column, ...]
    open: bool
    whole: Callable[[str], str] | None = None

    def column(self, name: str) -> tuple[str, bool]:
        for column in self.columns:
            if column.name == name:
                return column.digest, column.open
        return (self.whole(name) if self.whole is not None else _digest(["unknown", name])), False


_ROW_BY_ROW = {"expressions", "from_", "where"}
_HANDLED = {"expressions", "from_", "joins", "where", "distinct", "with_", "order"}
_SYMMETRIC = (exp.And, exp.Or, exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ)
"""Whose sides the canonical form puts into an order in which aliases take part."""


class _Shapes:
    def __init__(self, tree: exp.Query, inputs: tuple[str, ...], types: Types) -> None:
        names = resolve_names(tree)
        self._inputs = inputs
        self._types = types
        self._items = {id(reference.column): reference.item for reference in names.references}
        self._ctes = {id(table): cte for table, cte in names.tables}
        self._recursive = {
            id(cte) for cte in names.ctes if isinstance(cte.parent, exp.With) and cte.parent.args.get("recursive")
        }
        self._known: dict[int, _Relation] = {}
        self._open: dict[int, bool] = {}
        self._labels: dict[int, str] = {}

    def of(self, node: exp.Expr) -> _Relation:
        if id(node) not in self._known:
            self._known[id(node)] = self._relation(node)
        return self._known[id(node)]

    def _relation(self, node: exp.Expr) -> _Relation:
        if isinstance(node, exp.Select):
            return self._select(node)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node)
        if isinstance(node, exp.Table) and id(node) in self._ctes:
            return _renamed(self._cte(self._ctes[id(node)]), node)
        if isinstance(node, exp.Table) and node.db == INPUT_DB:
            name = self._inputs[int(node.name)]
            return _Relation(_digest(["input", name]), (), open=False, whole=lambda column: _digest([name, column]))
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
            modifiers = {key for key, value in node.args.items() if value and key not in {"this", "alias", "joins"}}
            return _renamed(self._opaque(node) if modifiers else self.of(node.this), node)
        return self._opaque(node)

    def _cte(self, cte: exp.CTE) -> _Relation:
        if id(cte) not in self._known:
            if id(cte) in self._recursive:
                self._known[id(cte)] = _Relation("itself", (), open=False)  # as its own body sees it
                self._known[id(cte)] = self._opaque(cte)
            else:
                self._known[id(cte)] = _renamed(self.of(cte.this), cte)
        return self._known[id(cte)]

    def _opaque(self, node: exp.Expr) -> _Relation:
        """What is not looked into: any change of it is one of its rows."""
        rows = _digest(dump(node, self._replaced_outside))
        read = [self._cte(self._ctes[id(table)]) for table in find_all(node, exp.Table) if id(table) in self._ctes]
        is_open = depends_on_row_order(node, self._types) or any(cte.open or _any_open(cte) for cte in read)
        return _Relation(rows, (), is_open, lambda column: _digest([rows, column]))

    def _replaced_outside(self, node: exp.Expr) -> Any:
        if isinstance(node, exp.Table) and id(node) in self._ctes:
            cte = self._cte(self._ctes[id(node)])
            return ["cte", cte.rows, [[column.name, column.digest] for column in cte.columns], node.alias]
        if isinstance(node, exp.Table) and node.db == INPUT_DB:
            return ["input", self._inputs[int(node.name)], node.alias]
        # A column of a FROM item that has a label comes from a query around this one.
        return self._replaced(node) if isinstance(node, exp.Column) else None

    def _set_operation(self, operation: exp.SetOperation) -> _Relation:
        sides = [self.of(operation.left), self.of(operation.right)]
        rest = {
            key: dump(value, self._replaced)
            for key, value in operation.args.items()
            if value and key not in {"this", "expression", "with_"}
        }
        everything = [[side.rows, [column.digest for column in side.columns]] for side in sides]
        rows = _digest([type(operation).__name__, everything, rest])
        is_open = any(side.open or _any_open(side) for side in sides)
        is_open = is_open or self._is_open(operation)
        names = [column.name for column in sides[0].columns]
        return _Relation(rows, tuple(_Column(name, _digest([rows, name]), is_open) for name in names), is_open)

    def _select(self, select: exp.Select) -> _Relation:
        parts: dict[str, Any] = {"from": self._from(select)}
        columns = tuple(
            _Column(item.alias_or_name, self._expression(item.unalias()), self._is_open(item))
            for item in select.selects
        )
        shown = {column.name: column.digest for column in columns}
        where = select.args.get("where")
        parts["where"] = sorted(self._expression(term) for term in _terms(where.this)) if where is not None else []
        group = select.args.get("group")
        parts["aggregated"] = is_aggregated(select)
        order = select.args.get("order")
        if order is not None:
            parts["order"] = [self._key(key, shown) for key in order.expressions]
        distinct = select.args.get("distinct")
        if distinct is not None:
            parts["distinct"] = [self._expression(distinct), *shown.values()]
        for key, value in select.args.items():
            if key not in _HANDLED and value:
                parts[key] = dump(value, self._replaced)
        if group is not None and any(isinstance(key, exp.Literal) for key in group.expressions):
            parts["ordinals"] = list(shown.values())
        keys = [one.digest for item, one in zip(select.selects, columns, strict=True) if is_key_of_all(select, item)]
        if keys:
            parts["keys of all"] = keys
        parts["sets"] = [
            column.digest for item, column in zip(select.selects, columns, strict=True) if yields_rows(item)
        ]
        inner = [self.of(item) for item in from_items(select)[0]]
        is_open = any(item.open for item in inner) or self._rows_are_open(select)
        return _Relation(_digest(parts), columns, is_open)

    def _from(self, select: exp.Select) -> list[Any]:
        """Describe the FROM items, which get labels here: tables joined crosswise first come in any order."""
        items, _ = from_items(select)
        seen: Counter[str] = Counter()
        for item in items:
            rows = self.of(item).rows
            self._labels[id(item)] = _digest([rows, seen[rows]])
            seen[rows] += 1
        joins: list[exp.Join] = select.args.get("joins") or []
        nested = len(items) != len(joins) + (1 if select.args.get("from_") is not None else 0)
        if nested:
            return [dump([select.args.get("from_"), *joins], self._replaced)]
        crossed = [self._labels[id(item)] for item in items[:1]]
        others: list[Any] = []
        for join in joins:
            arguments = {key: value for key, value in join.args.items() if value and key not in {"this", "on"}}
            on = join.args.get("on")
            if arguments == {"kind": "CROSS"} and on is None and not others:
                crossed.append(self._labels[id(join.this)])
                continue
            terms = sorted(self._expression(term) for term in _terms(on)) if on is not None else []
            others.append([self._labels[id(join.this)], dump(list(arguments.values()), self._replaced), terms])
        return [sorted(crossed), others]

    def _key(self, key: exp.Expr, shown: Mapping[str, str]) -> Any:
        """Describe a key of ORDER BY, which may be an output column's name or position."""
        node = key.this if isinstance(key, exp.Ordered) else key
        if isinstance(node, exp.Column) and id(node) not in self._items:
            return [shown.get(node.name, node.name), dump([key.args.get("desc"), key.args.get("nulls_first")])]
        if isinstance(node, exp.Literal):
            return [self._expression(key), *shown.values()]
        return self._expression(key)

    def _expression(self, node: exp.Expr) -> str:
        return _digest(dump(node, self._replaced))

    def _replaced(self, node: exp.Expr) -> Any:
        if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
            inner = self.of(node)
            return ["query", inner.rows, [column.digest for column in inner.columns]]
        if isinstance(node, _SYMMETRIC):
            terms = node.flatten() if isinstance(node, exp.Connector) else (node.this, node.expression)
            return [type(node).__name__, sorted(map(self._expression, terms))]
        if isinstance(node, exp.Column):
            item = self._items.get(id(node))
            if item is not None and id(item) in self._labels:
                rest = [part.name for part in node.parts[2:]]
                return ["column", self._labels[id(item)], self.of(item).column(node.parts[1].name)[0], rest]
        if id(node) in self._labels:
            return ["item", self._labels[id(node)]]
        return None

    def _is_open(self, node: exp.Expr) -> bool:
        if isinstance(node, exp.SetOperation):  # by its parts, once each, as hundreds may be nested
            if id(node) not in self._open:
                self._open[id(node)] = shows_row_order(node) or any(map(self._is_open_within, node.iter_expressions()))
            return self._open[id(node)]
        if depends_on_row_order(node, self._types):
            return True
        for column in find_all(node, exp.Column):
            item = self._items.get(id(column))
            if item is not None and id(item) in self._known and self.of(item).column(column.parts[1].name)[1]:
                return True
        return any(self.of(query).open for query in find_all(node, exp.Select) if query is not node)

    def _is_open_within(self, node: exp.Expr) -> bool:
        return self._is_open(node) or (isinstance(node, exp.Select) and self.of(node).open)

    def _rows_are_open(self, select: exp.Select) -> bool:
        deciding = [value for key, value in select.args.items() if key not in {"expressions", "with_", "from_"}]
        nodes = [node for value in deciding for node in (value if isinstance(value, list) else [value])]
        if select.args.get("distinct") is not None:
            nodes += select.selects
        return any(isinstance(node, exp.Expr) and self._is_open(node) for node in nodes)


def _any_open(relation: _Relation) -> bool:
    return any(column.open for column in relation.columns)


def _renamed(relation: _Relation, item: exp.Expr) -> _Relation:
    """Give columns the names of an alias with a column list: FROM (…) AS q(a, b)."""
    alias = item.args.get("alias")
    listed = [name.name for name in alias.args.get("columns") or []] if isinstance(alias, exp.TableAlias) else []
    if not listed:
        return relation
    whole = relation.whole
    if whole is not None:
        return _Relation(relation.rows, (), relation.open, lambda column: _digest([whole(column), listed]))
    columns = tuple(
        _Column(listed[index] if index < len(listed) else column.name, column.digest, column.open)
        for index, column in enumerate(relation.columns)
    )
    return _Relation(relation.rows, columns, relation.open)


def _terms(node: exp.Expr) -> list[exp.Expr]:
    return list(node.flatten()) if isinstance(node, exp.And) else [node]


def _digest(data: Any) -> str:
    return digest_of(json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode())
