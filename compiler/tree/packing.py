"""Trees as plain data, to be sent to another process: that takes a fifth of the time in which a text is parsed."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

Packed = list[tuple[type[exp.Expr], dict[str, Any], "dict[str, Any] | None", "list[str] | None"]]
"""The nodes of a tree, breadth first: class, arguments, positions, comments. In place of an argument that is a node,
which is one of the next, there is `_NODE`."""

_NODE = ...
_PLAIN = frozenset({str, int, bool, type(None), exp.DType})


def packed(tree: exp.Expr) -> Packed | None:
    """Return a tree as data; None for one that holds more than nodes, words and numbers, which parsing alone makes."""
    found, nodes = [], [tree]
    for node in nodes:
        if node._type is not None:  # noqa: SLF001 — `type` would also tell that of a cast
            return None
        arguments: dict[str, Any] = {}
        for key, value in node.args.items():
            if isinstance(value, exp.Expr):
                arguments[key] = _NODE
                nodes.append(value)
            elif type(value) is list:
                items = arguments[key] = []
                for one in value:
                    is_node = isinstance(one, exp.Expr)
                    if is_node:
                        nodes.append(one)
                    elif type(one) not in _PLAIN:
                        return None
                    items.append(_NODE if is_node else one)
            elif type(value) in _PLAIN:
                arguments[key] = value
            else:
                return None
        found.append((type(node), arguments, node._meta, node.comments))  # noqa: SLF001 — `meta` would make one
    return found


def unpacked(rows: Packed) -> exp.Expr:
    """Return the tree of which `packed` returned this, which is consumed."""
    kinds = iter(rows)
    root = _node(next(kinds), None, None, None)
    nodes = [root]
    for node in nodes:
        arguments = node.args
        for key, value in arguments.items():
            if value is _NODE:
                child = arguments[key] = _node(next(kinds), node, key, None)
                nodes.append(child)
            elif type(value) is list:
                for index, one in enumerate(value):
                    if one is _NODE:
                        child = value[index] = _node(next(kinds), node, key, index)
                        nodes.append(child)
    return root


def _node(
    row: tuple[type[exp.Expr], dict[str, Any], dict[str, Any] | None, list[str] | None],
    parent: exp.Expr | None,
    key: str | None,
    index: int | None,
) -> exp.Expr:
    """Return a node whose arguments are still to be put in, past the constructor, which looks at each of them."""
    kind, arguments, meta, comments = row
    node = object.__new__(kind)
    node.args, node._meta, node.comments = arguments, meta, comments
    node.parent, node.arg_key, node.index = parent, key, index
    node._type = node._hash = None
    return node
