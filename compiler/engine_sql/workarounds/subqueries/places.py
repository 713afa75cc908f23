"""The places of a query's subqueries, and the columns that each of them reads from the queries around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.engine_sql.workarounds.subqueries.naming import owners
from compiler.engine_sql.workarounds.subqueries.spreading import is_total, wrapped_call
from compiler.names.lexical import Names, from_items, resolve_names
from compiler.schema import Schema
from compiler.tree.walk import find_all

QUANTIFIED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_NO_VALUE = (
    exp.From,
    exp.Join,
    exp.In,
    exp.Any,
    exp.All,
    exp.SetOperation,
    exp.Lateral,
    exp.CTE,
    exp.Subquery,
    exp.Exists,
)
_OUTER_CLAUSES = ("expressions", "having", "qualify", "order", "distinct", "windows")
"""What a grouped SELECT evaluates once for each group."""


@dataclass(frozen=True)
class Place:
    """A subquery: its node, the SELECT that it is part of, and the clause of that.

    path: the nodes between, from the clause down.
    """

    node: exp.Expr
    select: exp.Select
    clause: str
    path: tuple[exp.Expr, ...]

    @property
    def after_grouping(self) -> bool:
        """Whether it is asked for once for each group, not for each row."""
        group = self.select.args.get("group")
        if self.clause not in _OUTER_CLAUSES or (group is not None and group.args.get("all")):
            return False
        if group is None and not is_total(self.select):
            return False
        return not any(isinstance(one, exp.AggFunc) and not _is_windowed(one) for one in self.path)


class Reading:
    """What the names of a query mean, as it is at the moment: ask for another one when it has changed."""

    def __init__(self, query: exp.Query, schemas: Mapping[str, Schema]) -> None:
        self.query = query
        self.names: Names = resolve_names(query)
        self.types = Types(self.names, schemas)
        self.owners = owners(self.names)
        self.ctes = {id(table): cte for table, cte in self.names.tables}

    def outer_columns(self, body: exp.Expr) -> list[exp.Column]:
        """Return the columns in a subquery that belong to a query around it."""
        inside = {id(item) for select in find_all(body, exp.Select) for item in from_items(select)[0]}
        return [
            one
            for one in find_all(body, exp.Column)
            if id(one) in self.owners and id(self.owners[id(one)]) not in inside
        ]

    def own_columns(self, tree: exp.Expr, select: exp.Select) -> list[exp.Column]:
        """Return the columns in a tree that are of a FROM item of one SELECT."""
        own = {id(item) for item in from_items(select)[0]}
        return [one for one in find_all(tree, exp.Column) if id(self.owners.get(id(one))) in own]


def places(query: exp.Query) -> list[Place]:
    """Return the places of all subqueries in expressions, the outermost first."""
    nodes = find_all(query, exp.In, exp.Exists, exp.Subquery, *QUANTIFIED)
    return [place for node in nodes if is_subquery(node) and (place := _place(node)) is not None]


def is_subquery(node: exp.Expr) -> bool:
    """Whether a node asks a query for a value: IN, EXISTS, op ANY, op ALL, or a scalar subquery."""
    if isinstance(node, exp.In):
        return node.args.get("query") is not None
    if isinstance(node, exp.Exists):
        return isinstance(node.this, exp.Query)
    if isinstance(node, exp.Subquery):
        parent = node.parent
        as_value = not isinstance(parent, _NO_VALUE) or (isinstance(parent, exp.In) and node.arg_key == "this")
        return as_value and parent is not None and isinstance(node.this, exp.Query)
    quantifier = node.expression
    return isinstance(quantifier, exp.Any | exp.All) and isinstance(quantifier.this, exp.Query)


def body_of(node: exp.Expr) -> exp.Query:
    """Return the query of a subquery, without parentheses."""
    body: exp.Expr = node
    if isinstance(node, exp.In):
        body = node.args["query"]
    elif isinstance(node, QUANTIFIED):
        body = node.expression.this
    elif isinstance(node, exp.Exists):
        body = node.this
    while isinstance(body, exp.Subquery):
        body = body.this
    assert isinstance(body, exp.Query)
    return body


def tested(node: exp.Expr) -> list[exp.Expr]:
    """Return the values that are compared with the rows of a subquery: none for EXISTS and a scalar subquery."""
    if not isinstance(node, exp.In | exp.Binary):
        return []
    value = node.this.unnest() if isinstance(node.this, exp.Paren) else node.this
    return list(value.expressions) if isinstance(value, exp.Tuple) else [value]


def _place(node: exp.Expr) -> Place | None:
    path: list[exp.Expr] = []
    around = node
    while around.parent is not None and not isinstance(around.parent, exp.Select):
        if isinstance(around.parent, exp.Query) and not isinstance(around.parent, exp.Subquery):
            return None  # ORDER BY of a set operation
        around = around.parent
        path.append(around)
    if not isinstance(around.parent, exp.Select):
        return None
    return Place(node, around.parent, str(around.arg_key), tuple(reversed(path)))


def _is_windowed(call: exp.Expr) -> bool:
    around = wrapped_call(call)
    return isinstance(around.parent, exp.Window) and around.parent.this is around
