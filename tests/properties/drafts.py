"""A random query as a tree to change: qualified, no two names alike, no parentheses, and a choice of places in it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TypeVar

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.form import rendered
from compiler.canonical.merging import has_exact_equalities
from compiler.canonical.names import set_apart
from compiler.canonical.predicate_facts import kind, one_kind
from compiler.canonical.predicates import drop_parens
from compiler.compiled import Compiled
from compiler.schema import INPUT_DB, Schema
from compiler.sql.dialect import parse

T = TypeVar("T")
Node = TypeVar("Node", bound=exp.Expr)
COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
PREDICATES = (*COMPARISONS, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.And,
              exp.Or, exp.Not, exp.Exists)  # fmt: skip
ROWS_OF_ONE = ("expressions", "from_", "joins", "where")


class Draft:
    """A copy of a query that one rewrite or mutation changes in place; `change` says whether it found a place."""

    def __init__(self, tree: exp.Query, schemas: dict[str, Schema], rng: random.Random, *, row_order: bool) -> None:
        self.holder = exp.Subquery(this=tree)
        self.schemas = schemas
        self.rng = rng
        self.row_order = row_order
        self.changed = False

    @property
    def tree(self) -> exp.Query:
        tree = self.holder.this
        assert isinstance(tree, exp.Query)
        return tree

    @tree.setter
    def tree(self, tree: exp.Query) -> None:
        self.holder.set("this", tree)

    @cached_property
    def types(self) -> Types:
        return Facts(self.schemas).types(self.tree)

    def find(self, *kinds: type[exp.Expr], where: Callable[[exp.Expr], bool] | None = None) -> list[exp.Expr]:
        """Every node of these kinds that may be spelled otherwise without its SELECT being refused."""
        return [node for node in self.tree.find_all(*kinds) if (where is None or where(node)) and is_free(node)]

    def pick(self, nodes: Iterable[T]) -> T | None:
        listed = list(nodes)
        return self.rng.choice(listed) if listed else None

    def selects(self, where: Callable[[exp.Select], bool] | None = None) -> list[exp.Select]:
        return [select for select in self.tree.find_all(exp.Select) if where is None or where(select)]

    def kind(self, node: exp.Expr) -> str | None:
        return kind(self.types, node)

    def one_kind(self, *nodes: exp.Expr) -> bool:
        return one_kind(self.types, nodes)

    def one_type(self, *nodes: exp.Expr) -> bool:
        found = {None if isinstance(node, exp.Null) else self.types.of(node) for node in nodes}
        return len(found) == 1 and None not in found

    def exact(self, condition: exp.Expr) -> bool:
        return has_exact_equalities(condition, self.types)

    def put(self, node: exp.Expr, new: exp.Expr) -> None:
        node.replace(new)
        self.changed = True


class Drafts:
    """Drafts of one query, one after the other, each of the query itself and not of the draft before."""

    def __init__(
        self, authored: str, tree: exp.Query, schemas: dict[str, Schema], seed: int, *, row_order: bool
    ) -> None:
        self.authored = authored
        self.text = text_of(tree)
        self.rng = random.Random(seed)
        self._fresh = lambda: Draft(tree.copy(), schemas, self.rng, row_order=row_order)
        self._draft = self._fresh()

    def changed_by(self, change: Callable[[Draft], None]) -> str | None:
        """Return the text after a change, None where it finds no place."""
        change(self._draft)
        if not self._draft.changed:
            return None
        after = text_of(self._draft.tree)
        self._draft = self._fresh()
        return None if after == self.text else after


def is_free(node: exp.Expr) -> bool:
    """Whether a node may change its spelling: a key of GROUP BY, and what repeats one, has to stay as it is."""
    below, above = node, node.parent
    while above is not None:
        if isinstance(above, exp.AggFunc | exp.Where | exp.Join):
            return True
        if isinstance(above, exp.Group | exp.Ordered | exp.Limit | exp.Offset | exp.WindowSpec):
            return False
        if isinstance(above, exp.Select):
            return above.args.get("group") is None or below.arg_key not in {"expressions", "having", "qualify"}
        if isinstance(above, exp.Query):
            return True
        below, above = above, above.parent
    return True


def draft_tree(compiled: Compiled) -> exp.Query | None:
    """Return a qualified query, without what is done to it for the engine, as a tree to draft from.

    None for a recursive one.
    """
    tree = parse(compiled.meaning)
    if any(with_.recursive for with_ in tree.find_all(exp.With)):
        return None
    facts = Facts({})
    tree = drop_parens(tree, facts)
    set_apart(tree, facts)
    return tree


def text_of(tree: exp.Query) -> str:
    """Return a draft as the text of a rule, whose inputs are plain names."""
    copy = tree.copy()
    for table in copy.find_all(exp.Table):
        if table.db == INPUT_DB:
            table.set("db", None)
    return rendered(copy)


def is_plain(select: exp.Expr, more: tuple[str, ...] = ()) -> bool:
    """Whether a query is a SELECT of FROM, joins and WHERE alone, whose items are computed row by row."""
    if not isinstance(select, exp.Select) or select.args.get("from_") is None:
        return False
    if any(value and key not in (*ROWS_OF_ONE, *more) for key, value in select.args.items()):
        return False
    return not any(own(item, exp.AggFunc, exp.Window) for item in select.selects)


def joins_plainly(select: exp.Select) -> bool:
    """Whether a SELECT may have one more join behind its others, each of which keeps the rows of its left side."""
    joins: list[exp.Join] = select.args.get("joins") or []
    return all(
        join.side in {"", "LEFT"} and not join.method and not join.args.get("using")
        and (join.args.get("on") is not None or join.kind == "CROSS")
        for join in joins
    )  # fmt: skip


def own(root: exp.Expr, *kinds: type[Node]) -> list[Node]:
    """The nodes of these kinds in `root` that belong to no subquery in it."""
    home = root if isinstance(root, exp.Query) else owner(root)
    return [node for node in root.find_all(*kinds) if owner(node) is home]


def owner(node: exp.Expr) -> exp.Expr | None:
    """The query that a node stands in."""
    above = node.parent
    while above is not None and not isinstance(above, exp.Query):
        above = above.parent
    while isinstance(above, exp.Subquery):
        above = above.parent
    return above


def tables_of(node: exp.Expr) -> set[str]:
    return {column.table for column in node.find_all(exp.Column)}


def items_of(select: exp.Select) -> list[exp.Expr]:
    return [select.args["from_"].this, *(join.this for join in select.args.get("joins") or [])]


def terms_of(condition: exp.Expr | None) -> list[exp.Expr]:
    """The terms of a conjunction."""
    if condition is None:
        return []
    if isinstance(condition, exp.And):
        return [*terms_of(condition.this), *terms_of(condition.expression)]
    return [condition]


def where_terms(select: exp.Select) -> list[exp.Expr]:
    where = select.args.get("where")
    return terms_of(where.this) if where is not None else []


def set_where(select: exp.Select, terms: list[exp.Expr]) -> None:
    """Give a SELECT these terms as its WHERE."""
    select.set("where", exp.Where(this=joined(exp.And, terms)) if terms else None)


def joined(connective: type[exp.Connector], terms: list[exp.Expr]) -> exp.Expr:
    copies = [term.copy() for term in terms]
    chain = copies[0]
    for term in copies[1:]:
        chain = connective(this=chain, expression=term)
    return chain


def filters(draft: Draft) -> list[exp.Expr]:
    """The terms of the conjunctions that filter rows, where NULL is FALSE."""
    return [term for select in draft.selects() for term in where_terms(select)]


def name(text: str) -> exp.Identifier:
    return exp.to_identifier(text, quoted=True)


def column(text: str, table: str | None = None) -> exp.Column:
    return exp.Column(this=name(text), table=name(table) if table else None)


def table_alias(text: str) -> exp.TableAlias:
    return exp.TableAlias(this=name(text))


def leftmost(query: exp.Expr) -> exp.Select | None:
    """The SELECT that names the columns of a query."""
    while not isinstance(query, exp.Select):
        if not isinstance(query, exp.SetOperation | exp.Subquery):
            return None
        query = query.this
    return query
