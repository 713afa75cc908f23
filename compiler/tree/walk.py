"""Walking and copying trees, which is most of what compiling costs: SQLGlot's own are generators within generators.

They return lists, so the nodes found stay the same when the tree changes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TypeVar

from sqlglot import exp

E = TypeVar("E", bound=exp.Expr)

LEAVES = frozenset({exp.Identifier, exp.Literal, exp.Boolean, exp.Null})
"""Most of the nodes of a tree; they have no nodes below them."""


def children(node: exp.Expr) -> list[exp.Expr]:
    """Return the nodes directly below one, without the leaves that hold only a name, value or word."""
    found: list[exp.Expr] = []
    for value in node.args.values():
        if isinstance(value, exp.Expr):
            if type(value) not in LEAVES:
                found.append(value)
        elif type(value) is list:
            found += [child for child in value if isinstance(child, exp.Expr) and type(child) not in LEAVES]
    return found


def nodes(tree: exp.Expr) -> list[exp.Expr]:
    """Return every node of a tree, breadth first, in the order of `walk`."""
    found = [tree]
    for node in found:
        if type(node) not in LEAVES:
            for value in node.args.values():
                if isinstance(value, exp.Expr):
                    found.append(value)
                elif type(value) is list:
                    found += [child for child in value if isinstance(child, exp.Expr)]
    return found


def nodes_in_order(tree: exp.Expr) -> list[exp.Expr]:
    """Return every node of a tree, depth first: in the order of its text."""
    found: list[exp.Expr] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        found.append(node)
        if type(node) not in LEAVES:
            for value in reversed(node.args.values()):
                if isinstance(value, exp.Expr):
                    pending.append(value)
                elif type(value) is list:
                    pending += [child for child in reversed(value) if isinstance(child, exp.Expr)]
    return found


def find_all(tree: exp.Expr, *kinds: type[E], depth_first: bool = False) -> list[E]:
    """Return the nodes of some kinds, by default breadth first."""
    if depth_first:
        return [node for node in nodes_in_order(tree) if isinstance(node, kinds)]
    return [node for node in _nodes_that_may_be(tree, kinds) if isinstance(node, kinds)]


def has(tree: exp.Expr, *kinds: type[exp.Expr]) -> bool:
    """Whether a tree contains a node of one of the kinds."""
    return any(isinstance(node, kinds) for node in _nodes_that_may_be(tree, kinds))


def _nodes_that_may_be(tree: exp.Expr, kinds: tuple[type[exp.Expr], ...]) -> list[exp.Expr]:
    """Return the nodes of a tree, breadth first, without the leaves below its root unless they can be of a kind.

    It does what `children` does, whose calls would take a third as long again.
    """
    if _are_leaves(kinds):
        return nodes(tree)
    found = [tree]
    for node in found:
        for value in node.args.values():
            if isinstance(value, exp.Expr):
                if type(value) not in LEAVES:
                    found.append(value)
            elif type(value) is list:
                found += [child for child in value if isinstance(child, exp.Expr) and type(child) not in LEAVES]
    return found


@functools.cache
def _are_leaves(kinds: tuple[type[exp.Expr], ...]) -> bool:
    """Whether a leaf can be of one of the kinds."""
    return any(issubclass(leaf, kinds) for leaf in LEAVES)


def stands_in(node: exp.Expr | None, holder: exp.Expr) -> bool:
    """Whether a node is somewhere within another, or is that."""
    while node is not None and node is not holder:
        node = node.parent
    return node is holder


def is_bare_subquery(node: exp.Expr) -> bool:
    """Whether a node is only parentheses around a query."""
    return isinstance(node, exp.Subquery) and all(not value for key, value in node.args.items() if key != "this")


def is_comma(join: exp.Join) -> bool:
    """Whether a join is written as a comma."""
    return not any(join.args.get(key) for key in ("kind", "side", "method", "on", "using"))


def output_leaf(query: exp.Expr) -> exp.Select | None:
    """Return the SELECT that names the query's outputs: the left-most branch of set operations."""
    node: exp.Expr = query
    while not isinstance(node, exp.Select):
        if not isinstance(node, exp.SetOperation | exp.Subquery):
            return None
        node = node.this
    return node


def branches(query: exp.Expr) -> Iterator[exp.Select]:
    """Yield the SELECTs that set operations combine in a query, from left to right; for other nodes, none."""
    pending = [query]
    while pending:
        node = pending.pop()
        if isinstance(node, exp.Select):
            yield node
        elif isinstance(node, exp.SetOperation):
            pending += [node.expression, node.this]
        elif isinstance(node, exp.Subquery):
            pending.append(node.this)


def bare_copy(tree: E, *, positions: bool = False) -> E:
    """Return a copy of a tree without comments and types, and by default without positions."""
    root = _blank(tree, None, None, None)
    pending: list[tuple[exp.Expr, exp.Expr]] = [(tree, root)]
    for node, copy in pending:
        arguments = copy.args
        if positions and node._meta is not None:  # noqa: SLF001 — `meta` would make one for each node
            copy.meta.update(node._meta)  # noqa: SLF001
        for key, value in node.args.items():
            if isinstance(value, exp.Expr):
                child = arguments[key] = _blank(value, copy, key, None)
                pending.append((value, child))
            elif type(value) is list:
                children = arguments[key] = []
                for index, one in enumerate(value):
                    if isinstance(one, exp.Expr):
                        child = _blank(one, copy, key, index)
                        children.append(child)
                        pending.append((one, child))
                    else:
                        children.append(one)
            else:
                arguments[key] = value
    return root


def _blank(model: E, parent: exp.Expr | None, key: str | None, index: int | None) -> E:
    """Return a node of the model's class without arguments, bypassing the constructors, whose generality is costly."""
    node = object.__new__(type(model))
    node.args = {}
    node.parent, node.arg_key, node.index = parent, key, index
    node.comments = node._type = node._meta = node._hash = None
    return node
