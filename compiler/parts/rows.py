"""Whether a query makes its rows part by part: f(X₁ ⊎ X₂) = f(X₁) ⊎ f(X₂) for one input X, the others being whole.

The proof follows the tree from the tables outwards. Every row of such a query comes from one row of X, so it also
keeps, for each output that is a plain column of X, which one that is: where no two parts share a value of it, groups
and windows by it lie within a part. What is not proved raises `NotProvedError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from compiler.analysis.traits import shows_row_order
from compiler.names.lexical import Names, is_parenthesised
from compiler.schema import INPUT_DB
from compiler.tree.selects import is_aggregated, own_nodes
from compiler.tree.walk import nodes

EACH, REST = "parts: each", "parts: rest"
"""Notes on a UNION ALL: which of its branches a part, and the other inputs alone, need."""

_CLAUSES = frozenset({
    "expressions", "from_", "joins", "where", "group", "having", "qualify", "windows", "distinct", "order", "limit",
    "offset", "fetch", "with_", "laterals",
})  # fmt: skip
_LIMITS = ("limit", "offset", "fetch")
_TABLE = frozenset({"this", "db", "alias"})


class NotProvedError(Exception):
    """Why a query is not proved to work by parts: a clause whose subject is the rule."""


@dataclass(frozen=True)
class Rows:
    """What is known of a query that makes its rows part by part.

    unshared: the columns of X of which one has to be in no two parts with the same value; None if that is not needed.
    origins: of its outputs, those that are a column of X. rest: whether it has rows that no row of X takes part in.
    """

    unshared: frozenset[str] | None
    origins: Mapping[str, str]
    rest: bool = False

    def provided(self, columns: frozenset[str], why: str) -> Rows:
        """Return the same on the condition that one of the columns, too, is shared by no two parts."""
        both = columns if self.unshared is None else self.unshared & columns
        if not both or self.rest:
            raise NotProvedError(why)
        return replace(self, unshared=both)


class Reader:
    """One query as a reader of one of its inputs. `exact`: the columns of X whose equality is that of their bits."""

    def __init__(self, query: exp.Query, table: str, names: Names, exact: frozenset[str]) -> None:
        self._table, self._exact = table, exact
        self._owners = {id(reference.column): reference.item for reference in names.references}
        self._ctes = {id(item): cte for item, cte in names.tables}
        self._recursive = {id(node) for cte in names.ctes if _is_recursive(cte) for node in nodes(cte)}
        self._reading = self._mark(query)

    def reads(self, node: exp.Expr) -> bool:
        """Whether a part of the query reads X."""
        return id(node) in self._reading

    def is_in_recursion(self, query: exp.Expr) -> bool:
        """Whether a query is a part of a recursive CTE."""
        return id(query) in self._recursive

    def of(self, query: exp.Expr, *, before_end: bool = False) -> Rows | None:
        """Return what is known of the rows of a query, None if it does not read X; an ORDER BY of it does not count.

        before_end: of those before its own DISTINCT (not DISTINCT ON) and LIMIT. Raises `NotProvedError`.
        """
        if not self.reads(query):
            return None
        if self.is_in_recursion(query):
            raise NotProvedError("reads it in a recursive CTE")
        if isinstance(query, exp.Subquery) and isinstance(query.this, exp.Query):
            _require_only(query, {"this", "alias"})
            return self.of(query.this)
        if not before_end and any(query.args.get(part) is not None for part in _LIMITS):
            raise NotProvedError("takes some of the rows by LIMIT")
        if isinstance(query, exp.SetOperation):
            return self._set_operation(query, distinct=not before_end)
        if isinstance(query, exp.Select):
            return self._select(query, distinct=not before_end)
        raise NotProvedError("reads it in a query of another kind")

    def origin(self, column: exp.Expr, items: Mapping[int, Mapping[str, str]]) -> str | None:
        """Return the column of X that an expression of a SELECT is; items: by id, those that have columns of X."""
        item = self._owners.get(id(column))
        if item is None or not isinstance(column, exp.Column) or column.args.get("db"):
            return None
        return items.get(id(item), {}).get(column.name)

    def owner(self, column: exp.Expr) -> exp.Expr | None:
        """Return the FROM item that a column is of."""
        return self._owners.get(id(column))

    def from_items(self, select: exp.Select) -> tuple[Rows, dict[int, Mapping[str, str]]]:
        """Return what is known of the rows that FROM and WHERE yield; and the columns of X of the items, by id.

        The origins of these rows are those of the item that reads X. Raises `NotProvedError`.
        """
        unknown = {key for key, value in select.args.items() if value} - _CLAUSES
        if unknown:
            raise NotProvedError("has a clause whose effect on parts is not known")
        for clause in _CLAUSES - {"with_", "from_", "joins"}:
            value = select.args.get(clause)
            for child in value if isinstance(value, list) else (value,):
                if isinstance(child, exp.Expr) and self.reads(child):
                    raise NotProvedError("reads it in a subquery of an expression")
        from_ = select.args.get("from_")
        if from_ is None:
            raise NotProvedError("reads it in a subquery of an expression")
        left = self._item(from_.this)
        item = from_.this
        for join in select.args.get("joins") or []:
            if any(isinstance(part, exp.Expr) and self.reads(part) for part in (join.args.get("on"),)):
                raise NotProvedError("reads it in a subquery of a join's condition")
            right = self._item(join.this)
            if right is not None:
                if left is not None:
                    raise NotProvedError("joins it with itself")
                item = join.this
            left = self._joined(join, left, right)
        if left is None:
            raise NotProvedError("reads it in a subquery of an expression")
        return left, {id(item): left.origins}

    def _joined(self, join: exp.Join, left: Rows | None, right: Rows | None) -> Rows | None:
        if left is None and right is None:
            return None
        side, kind = join.side or "", join.kind or ""
        unknown = {key for key, value in join.args.items() if value} - {"this", "on", "side", "kind"}
        if unknown or kind not in {"", "INNER", "CROSS", "OUTER", "SEMI", "ANTI"}:
            raise NotProvedError("joins it in a way whose effect on parts is not known")
        if kind in {"SEMI", "ANTI"}:
            if side == "RIGHT" or right is not None:
                raise NotProvedError(f"looks its rows up by a {kind} JOIN, for rows of another table")
        elif side == "FULL" or (side == "LEFT" and right is not None) or (side == "RIGHT" and left is not None):
            raise NotProvedError(
                f"keeps the rows of the other side of a {side} JOIN, whether this one has a match or not"
            )
        elif side not in {"", "LEFT", "RIGHT"}:
            raise NotProvedError("joins it in a way whose effect on parts is not known")
        return left or right

    def _item(self, item: exp.Expr) -> Rows | None:
        if not self.reads(item):
            return None
        if isinstance(item, exp.Table):
            if {key for key, value in item.args.items() if value} - _TABLE:
                raise NotProvedError("reads a part of the table alone")
            alias = item.args.get("alias")
            renamed = isinstance(alias, exp.TableAlias) and bool(alias.columns)
            if item.db == INPUT_DB:
                return Rows(None, {} if renamed else {name: name for name in self._exact})
            cte = self._ctes[id(item)]
            if id(item) in self._recursive or _is_recursive(cte):
                raise NotProvedError("reads it in a recursive CTE")
            rows = self.of(cte.this)
            assert rows is not None
            return replace(rows, origins={}) if renamed or cte.args["alias"].columns else rows
        if isinstance(item, exp.Subquery) and not is_parenthesised(item) and not item.args.get("joins"):
            rows = self.of(item)
            assert rows is not None
            return replace(rows, origins={}) if item.args["alias"].columns else rows
        raise NotProvedError("reads it in a FROM item of another kind")

    def _select(self, select: exp.Select, *, distinct: bool) -> Rows:
        rows, items = self.from_items(select)
        if is_aggregated(select):
            rows = rows.provided(self._group_keys(select, items), _grouped(select))
        for window in _windows(select):
            keys = window.args.get("partition_by") or []
            rows = rows.provided(self._columns(keys, items), "has a window over all of its rows, or by other columns")
        origins = {
            item.alias_or_name: origin for item in select.selects if (origin := self.origin(item.unalias(), items))
        }
        if distinct and select.args.get("distinct") is not None:
            on = select.args["distinct"].args.get("on")
            keys = on.expressions if isinstance(on, exp.Tuple) else [on] if on is not None else []
            columns = self._columns(keys, items) if on is not None else frozenset(origins.values())
            rows = rows.provided(columns, "drops rows that are equal in different parts")
        return replace(rows, origins={} if rows.rest else origins)

    def _set_operation(self, query: exp.SetOperation, *, distinct: bool) -> Rows:
        if query.args.get("by_name"):
            raise NotProvedError("combines it with others BY NAME")
        left, right = self.of(query.this), self.of(query.expression)
        if isinstance(query, exp.Union):
            rows = self._union(query, left, right)
        else:
            word = "EXCEPT" if isinstance(query, exp.Except) else "INTERSECT"
            if right is not None or left is None:
                raise NotProvedError(f"looks its rows up by {word}, for rows of another query")
            if not query.args.get("distinct"):
                raise NotProvedError(f"counts copies of its rows by {word} ALL")
            rows = left
        if distinct and query.args.get("distinct"):
            rows = rows.provided(frozenset(rows.origins.values()), "drops rows that are equal in different parts")
        return rows

    def _union(self, query: exp.Union, left: Rows | None, right: Rows | None) -> Rows:
        sides = {"this": left, "expression": right}
        query.meta[EACH] = [side for side, rows in sides.items() if rows is not None]
        query.meta[REST] = [side for side, rows in sides.items() if rows is None or rows.rest]
        if left is None or right is None:
            one = left or right
            assert one is not None
            return replace(one, origins={}, rest=True)
        unshared = left.unshared if right.unshared is None else right.unshared
        if left.unshared is not None and right.unshared is not None:
            unshared = left.unshared & right.unshared
            if not unshared:
                raise NotProvedError("combines queries that need other columns to be apart")
        places = {name: place for place, name in enumerate(query.expression.named_selects)}
        others = {places[name]: origin for name, origin in right.origins.items() if name in places}
        origins = {
            name: left.origins[name]
            for place, name in enumerate(query.this.named_selects)
            if name in left.origins and others.get(place) == left.origins[name]
        }
        rest = left.rest or right.rest
        return Rows(unshared, {} if rest else origins, rest)

    def _group_keys(self, select: exp.Select, items: Mapping[int, Mapping[str, str]]) -> frozenset[str]:
        group = select.args.get("group")
        if group is None or {key for key, value in group.args.items() if value} != {"expressions"}:
            return frozenset()
        if any(isinstance(key, exp.Rollup | exp.Cube | exp.GroupingSets) for key in group.expressions):
            return frozenset()
        return self._columns(group.expressions, items)

    def _columns(self, keys: list[exp.Expr], items: Mapping[int, Mapping[str, str]]) -> frozenset[str]:
        return frozenset(origin for key in keys if (origin := self.origin(key.unnest(), items)))

    def _mark(self, query: exp.Query) -> set[int]:
        """Return the nodes within which X is read, also by way of a CTE."""
        marked: set[int] = set()

        def mark(node: exp.Expr | None) -> None:
            while node is not None and id(node) not in marked:
                marked.add(id(node))
                node = node.parent

        tables = [node for node in nodes(query) if isinstance(node, exp.Table)]
        for table in tables:
            if table.db == INPUT_DB and table.name == self._table:
                mark(table)
        before = -1
        while len(marked) != before:
            before = len(marked)
            for table in tables:
                cte = self._ctes.get(id(table))
                if cte is not None and id(cte) in marked:
                    mark(table)
        return marked


def agree_in_all_parts(query: exp.Expr, reader: Reader) -> bool:
    """Whether what a query takes from the other inputs is the same in every run: no order of rows shows there."""
    for node in nodes(query):
        if shows_row_order(node):
            around = node.find_ancestor(exp.Query)
            while isinstance(around, exp.Subquery):
                around = around.find_ancestor(exp.Query)
            if around is None or not reader.reads(around):
                return False
    return True


def _windows(select: exp.Select) -> Iterator[exp.Window]:
    """Yield the windows of a SELECT; those with a name are in its WINDOW clause."""
    named = {id(window) for window in select.args.get("windows") or []}
    parts = [*select.selects, *(select.args.get(key) for key in ("qualify", "order", "windows"))]
    for part in parts:
        for node in part if isinstance(part, list) else [part]:
            if isinstance(node, exp.Expr):
                for window in own_nodes(node, exp.Window):
                    if isinstance(window, exp.Window) and (id(window) in named or not window.args.get("alias")):
                        yield window


def _grouped(select: exp.Select) -> str:
    return "aggregates all rows" if select.args.get("group") is None else "groups rows of different parts"


def _is_recursive(cte: exp.CTE) -> bool:
    with_ = cte.parent
    return isinstance(with_, exp.With) and bool(with_.recursive)


def _require_only(node: exp.Expr, known: set[str]) -> None:
    if {key for key, value in node.args.items() if value} - known:
        raise NotProvedError("has a clause whose effect on parts is not known")
