"""The numbers of internal names, computed at once for a query whose FROM items are all plain tables and subqueries.

`canonicalize_internal_names` gives the same numbers and knows more kinds of FROM items, but it builds SQLGlot's scopes
each time, which makes it the costliest step of all.
"""

from __future__ import annotations

from itertools import count

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.names.lexical import Names

Renaming = list[tuple[exp.Expr, str]]
"""Identifiers and their new names."""

_UNUSUAL = (exp.UDTF, exp.Pivot, exp.TableColumn, exp.JoinHint, exp.Comprehension)
_QUERIES = (exp.Select, exp.SetOperation)


def plain_numbers(query: exp.Query, facts: Facts) -> Renaming | None:
    """Return the number of each name of the query, in the order of its scopes; None if something is not plain."""
    if not facts.of(query, has_plain_sources):
        return None
    numbering = _Numbering(facts.names(query))
    numbering.visit(query, (), top=True)
    if numbering.visited < len(facts.nodes(query, *_QUERIES)):
        return None
    return numbering.renaming()


def has_plain_sources(query: exp.Query, facts: Facts) -> bool:
    """Whether all FROM items are tables and subqueries with bare aliases, all CTEs too, and every name is clear."""
    names = facts.names(query)
    if names.free or facts.has(query, *_UNUSUAL) or not isinstance(query, _QUERIES):
        return False
    if any(with_.recursive for with_ in facts.nodes(query, exp.With)):
        return False
    if any(operation.args.get("by_name") for operation in facts.nodes(query, exp.SetOperation)):
        return False
    if not all(isinstance(star.parent, exp.Count) for star in facts.nodes(query, exp.Star)):
        return False
    if any(column.args.get("db") for column in facts.nodes(query, exp.Column)):
        return False
    items = {id(item) for item in names.items}
    if not all(id(table) in items for table in facts.nodes(query, exp.Table)):
        return False
    for subquery in facts.nodes(query, exp.Subquery):
        if id(subquery) not in items and any(value for key, value in subquery.args.items() if key != "this"):
            return False
    return all(_is_plain_source(node) for node in (*names.items, *names.ctes))


class _Numbering:
    """Visits the queries from the inside out, in the order of SQLGlot's scopes."""

    def __init__(self, names: Names) -> None:
        self.visited = 0
        self._names = names
        self._targets = {id(table): cte for table, cte in names.tables}
        self._tables, self._columns = count(), count()
        self._labels: dict[int, str] = {}  # of FROM items and CTEs, by the node's id
        self._outputs: dict[int, dict[str, str]] = {}  # new names of columns, by the query's id and the old name
        self._renaming: Renaming = []

    def visit(self, query: exp.Expr, ctes: tuple[exp.CTE, ...], *, top: bool) -> None:
        """Number a query and its parts. ctes: those in scope. top: its columns are those of the whole query."""
        self.visited += 1
        with_ = query.args.get("with_")
        for cte in with_.expressions if with_ is not None else ():
            self.visit(cte.this, ctes, top=False)
            ctes = (*ctes, cte)
        columns, subqueries = _own(query)
        if isinstance(query, exp.SetOperation):
            left = query.this.unnest()
            self.visit(left, ctes, top=top)
            self.visit(query.expression.unnest(), ctes, top=False)
            outputs = self._outputs[id(left)]
        else:
            self._visit_items(query, ctes)
            for subquery in subqueries:
                self.visit(subquery, ctes, top=False)
            outputs = self._number_select(query, ctes, top=top)
        self._outputs[id(query)] = outputs
        self._renaming += [(column.this, outputs[column.name]) for column in columns if column.name in outputs]

    def renaming(self) -> Renaming | None:
        """Return the new name of each identifier."""
        found = self._renaming
        for table, cte in self._names.tables:
            found.append((table.this, self._labels[id(cte)]))
        for node in (*self._names.items, *self._names.ctes):
            found.append((node.args["alias"].this, self._labels[id(node)]))
        for reference in self._names.references:
            column, item = reference.column, reference.item
            found.append((column.args["table"], self._labels[id(item)]))
            body = self._targets[id(item)].this if id(item) in self._targets else item.this
            if id(body) in self._outputs:
                name = self._outputs[id(body)].get(column.name)
                if name is None:
                    return None
                found.append((column.this, name))
        return found

    def _visit_items(self, select: exp.Expr, ctes: tuple[exp.CTE, ...]) -> None:
        for item in _items(select):
            if isinstance(item, exp.Subquery):
                self.visit(item.this, ctes, top=False)

    def _number_select(self, select: exp.Expr, ctes: tuple[exp.CTE, ...], *, top: bool) -> dict[str, str]:
        for node in (*ctes, *_items(select)):
            if id(node) not in self._labels:
                self._labels[id(node)] = f"_t{next(self._tables)}"
        outputs: dict[str, str] = {}
        for output in select.expressions:
            if isinstance(output, exp.Alias):
                name = output.alias
                outputs[name] = name if top else f"_c{next(self._columns)}"
                if not top:
                    self._renaming.append((output.args["alias"], outputs[name]))
        return outputs


def _items(select: exp.Expr) -> list[exp.Expr]:
    from_ = select.args.get("from_")
    return [holder.this for holder in (*([from_] if from_ is not None else []), *(select.args.get("joins") or []))]


def _own(query: exp.Expr) -> tuple[list[exp.Column], list[exp.Expr]]:
    """Return the columns without a table and the subqueries of a query, except those in its CTEs and FROM items."""
    columns: list[exp.Column] = []
    subqueries: list[exp.Expr] = []
    pending = [query]
    while pending:
        node = pending.pop()
        if isinstance(node, exp.Column):
            if not node.args.get("table"):
                columns.append(node)
        elif isinstance(node, _QUERIES) and node is not query:
            subqueries.append(node)
        elif not isinstance(node, exp.CTE) and not (
            isinstance(node, exp.Subquery) and isinstance(node.parent, exp.From | exp.Join)
        ):
            for value in reversed(node.args.values()):
                if isinstance(value, exp.Expr):
                    pending.append(value)
                elif type(value) is list:
                    pending += [child for child in reversed(value) if isinstance(child, exp.Expr)]
    return columns, subqueries


def _is_plain_source(node: exp.Expr) -> bool:
    alias = node.args.get("alias")
    if not isinstance(alias, exp.TableAlias) or alias.columns or not isinstance(alias.this, exp.Identifier):
        return False
    if any(value for key, value in node.args.items() if key not in {"this", "db", "alias"}):
        return False
    return isinstance(node.this, exp.Identifier if isinstance(node, exp.Table) else _QUERIES)
