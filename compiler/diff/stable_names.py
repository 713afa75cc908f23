"""Names that an edit elsewhere does not change: two versions of a canonical tree are compared under these.

The canonical form numbers its internal names, so one more table or column renumbers all that follow. Here a table is
named after the inputs it is made from, and a column of a subquery after its content. A change of it then shows at each
place that reads it, as a change of the name there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlglot import exp

from compiler.fingerprint import digest_of
from compiler.names.lexical import Names, resolve_names
from compiler.schema import INPUT_DB
from compiler.sql.encode import dump
from compiler.tree.walk import find_all

_SYMMETRIC = (exp.And, exp.Or, exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ)
"""Operators whose sides the canonical form orders partly by internal names."""
_DIGITS = 16
_TABLE_PARTS = ("table", "db", "catalog")
"""The argument with the table's name, for a column of two, three or four parts."""


def with_stable_names(query: exp.Query, called: Mapping[int, str] = MappingProxyType({})) -> Names:
    """Rename FROM items, CTEs and the columns of inner queries, in place; return the meaning of the names.

    query: canonical, with the names of its inputs. The names of its own outputs stay. called: what some inputs are to
    be called in these names, by the number of the table in the order of the text; the tables themselves stay.

    SELECT _t1._c0 AS a FROM (SELECT _t0.b AS _c0 FROM "input"."t" AS _t0) AS _t1
    → SELECT "t 0 0"."3f2a…" AS a FROM (SELECT "t 1 0".b AS "3f2a…" FROM "input"."t" AS "t 1 0") AS "t 0 0"
    """
    names = resolve_names(query)
    read = [table for table in find_all(query, exp.Table, depth_first=True) if table.db == INPUT_DB]
    _name_tables(names, {id(table): called.get(number, table.name) for number, table in enumerate(read)})
    _Columns(query, names).rename()
    return names


def is_recursive(cte: exp.Expr) -> bool:
    """Whether a CTE may read itself."""
    return isinstance(cte.parent, exp.With) and bool(cte.parent.args.get("recursive"))


def derived_query(item: exp.Expr) -> exp.Query | None:
    """Return the query of a derived table or a CTE whose columns are read by their own names, else None."""
    if not isinstance(item, exp.Subquery | exp.CTE) or not isinstance(item.this, exp.Select | exp.SetOperation):
        return None
    alias = item.args.get("alias")
    if isinstance(alias, exp.TableAlias) and alias.args.get("columns"):
        return None
    plain = not is_recursive(item) if isinstance(item, exp.CTE) else isinstance(item.parent, exp.From | exp.Join)
    return item.this if plain else None


def leaf_queries(query: exp.Expr) -> list[exp.Select]:
    """Return the SELECTs of a set operation, whose outputs are one another's by position; of a SELECT, itself."""
    found: list[exp.Select] = []
    pending = [query]
    while pending:
        node = pending.pop()
        if isinstance(node, exp.SetOperation):
            pending += [node.expression, node.this]
        elif isinstance(node, exp.Subquery):
            pending.append(node.this)
        elif isinstance(node, exp.Select):
            found.append(node)
    return found


class Keys:
    """Digests of trees, equal for those that differ at most in the order of the sides of AND, OR and comparisons.

    Each node is digested once, with everything below it in its state when first met: the tree may change afterwards.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[exp.Expr, str]] = {}  # with the node, so that no other gets its place in memory

    def of(self, node: exp.Expr) -> str:
        """Return the digest of a node and everything below it."""
        if id(node) not in self._known:
            made_of: Any
            if isinstance(node, _SYMMETRIC):
                sides = node.flatten() if isinstance(node, exp.Connector) else (node.this, node.expression)
                made_of = [type(node).__name__, *sorted(map(self.of, sides))]
            else:
                made_of = dump(node, lambda inner: None if inner is node else self.of(inner))
            self._known[id(node)] = node, digest_of(repr(made_of).encode())[:_DIGITS]
        return self._known[id(node)][1]


def _name_tables(names: Names, read: Mapping[int, str]) -> None:
    """Name each FROM item by the inputs below it, its depth, and a number if that is not enough."""
    ctes = {id(table): id(cte) for table, cte in names.tables}
    inputs: dict[int, frozenset[str]] = {id(cte): frozenset() for cte in names.ctes}  # as its own body sees it

    def inputs_of(node: exp.Expr) -> frozenset[str]:
        tables = list(map(id, find_all(node, exp.Table)))
        own = {read[table] for table in tables if table in read}
        return frozenset(own.union(*(inputs[ctes[table]] for table in tables if table in ctes)))

    for cte in names.ctes:
        inputs[id(cte)] = inputs_of(cte)
    labels: dict[int, str] = {}
    seen: Counter[tuple[int, str]] = Counter()
    for item in names.items:
        made_of = " ".join(sorted(inputs_of(item)))
        place = (id(item.find_ancestor(exp.Select)), made_of)
        labels[id(item)] = f"{made_of} {_depth(item)} {seen[place]}"
        seen[place] += 1
    for reference in names.references:
        part = _TABLE_PARTS[len(reference.column.parts) - 2]
        reference.column.set(part, _identifier(labels[id(reference.item)]))
    for item in names.items:
        alias = item.args.get("alias")
        if isinstance(alias, exp.TableAlias) and alias.this is not None:
            alias.set("this", _identifier(labels[id(item)]))
    known: Counter[str] = Counter()
    for cte in names.ctes:
        made_of = " ".join(sorted(inputs[id(cte)]))
        label = _identifier(f"with {made_of} {known[made_of]}")
        known[made_of] += 1
        cte.args["alias"].set("this", label)
        for table in (table for table, meant in names.tables if meant is cte):
            table.set("this", label.copy())


def _depth(item: exp.Expr) -> int:
    depth = -1
    node = item.parent
    while node is not None:
        depth += isinstance(node, exp.Select)
        node = node.parent
    return depth


class _Columns:
    """Renames the outputs of inner queries, first those from which others are made."""

    def __init__(self, query: exp.Query, names: Names) -> None:
        self._query = query
        self._names = names
        self._readers: dict[int, list[exp.Column]] = defaultdict(list)
        ctes = {id(table): cte for table, cte in names.tables}
        self._items = [(item, ctes.get(id(item), item)) for item in names.items]
        for reference in names.references:
            made_by = ctes.get(id(reference.item), reference.item)
            self._readers[id(made_by)].append(reference.column)
        self._bare: dict[int, list[exp.Column]] = defaultdict(list)
        for column, _ in names.bare:
            owner = column.find_ancestor(exp.Select, exp.SetOperation)
            if owner is not None:
                self._bare[id(owner)].append(column)
        self._done: set[int] = set()

    def rename(self) -> None:
        for one in (*self._names.ctes, *self._names.items):
            self._visit(one)
        outputs = set(map(id, leaf_queries(self._query)))
        for select in find_all(self._query, exp.Select):  # the rest are subqueries in expressions
            if id(select) not in self._done and id(select) not in outputs and not _by_name(select):
                self._apply(select, [select], [f"p{number}" for number in range(len(select.selects))], [])

    def _visit(self, item: exp.Expr) -> None:
        query = derived_query(item)
        if query is None or id(item) in self._done:
            return
        self._done.add(id(item))
        within = {id(node) for node in find_all(query, exp.Table, exp.Subquery)}
        for inner, made_by in self._items:
            if id(inner) in within:
                self._visit(made_by)
        leaves = leaf_queries(query)
        if not leaves or any(_by_name(leaf) for leaf in leaves):
            return
        if isinstance(query, exp.Select):
            made_of = [Keys().of(output.unalias()) for output in query.selects]
        else:
            made_of = [f"p{number}" for number in range(len(leaves[0].selects))]
        self._apply(query, leaves, made_of, self._readers[id(item)])

    def _apply(self, query: exp.Query, leaves: list[exp.Select], renamed: list[str], readers: list[exp.Column]) -> None:
        """Give the outputs of a query other names, by position, wherever they are read."""
        self._done |= set(map(id, leaves))
        if any(len(leaf.selects) != len(renamed) for leaf in leaves):
            return
        new = dict(zip((output.alias_or_name for output in leaves[0].selects), renamed, strict=True))
        owners = {id(query), *map(id, leaves)}
        read = [column.parts[1] for column in readers]
        read += [column.parts[0] for owner in owners for column in self._bare[owner]]
        for part in read:
            if part.name in new:
                part.replace(_identifier(new[part.name]))
        for leaf in leaves:
            for output, name in zip(leaf.selects, renamed, strict=True):
                if isinstance(output, exp.Alias):
                    output.set("alias", _identifier(name))
                else:
                    output.replace(exp.Alias(this=output.copy(), alias=_identifier(name)))


def _by_name(select: exp.Select) -> bool:
    """Whether a SELECT is a branch whose outputs are matched by their names."""
    node = select.parent
    while isinstance(node, exp.SetOperation | exp.Subquery):
        if isinstance(node, exp.SetOperation) and node.args.get("by_name"):
            return True
        node = node.parent
    return False


def _identifier(name: str) -> exp.Identifier:
    return exp.Identifier(this=name, quoted=True)
