"""An AST as bytes and back: fingerprints hash them, the index stores them, `diff` reads them.

A node is `[class name, {argument: value, …}]` in compact JSON with sorted keys. Comments, positions and every other
`meta` stay out, and so does an argument that is None, False or an empty list: SQLGlot itself leaves such arguments out
or sets them as it happens to parse. False is kept if it has a meaning: in a required argument (FALSE itself, and
the flag that distinguishes 1 from '1') and in UNION ALL, which is a union that is not distinct.
(`hash()` and `==` of SQLGlot ignore case on some nodes, and are seeded.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

import compiler.sql.functions as own_nodes

_INTERNAL = re.compile(r"_[tc]\d+")
"""The names that compiler.canonical.names gives to tables and columns."""
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def encode(node: exp.Expr) -> bytes:
    """Return the canonical bytes of a tree. Equal bytes mean equal trees, names and literals to the letter."""
    return _JSON.encode(dump(node)).encode()


def decode(data: bytes) -> exp.Expr:
    """Return the tree that `encode` wrote."""
    node = _load(json.loads(data))
    assert isinstance(node, exp.Expr)
    return node


def blind_key(node: exp.Expr) -> str:
    """Return a sort key of `node` that is independent of internal names and inputs' names."""
    return _JSON.encode(dump(node, _blinded))


def dump(value: Any, replace: Callable[[exp.Expr], Any] | None = None) -> Any:
    """Return a tree as plain JSON data; if `replace` returns a value for a node, it takes the node's place."""
    if isinstance(value, exp.Expr):
        other = replace(value) if replace is not None else None
        if other is not None:
            return other
        arguments: dict[str, Any] = {}
        for key, item in value.args.items():
            if isinstance(item, exp.Expr):
                arguments[key] = dump(item, replace)
            elif type(item) is str or item is True:
                arguments[key] = item
            elif not _absent(item) or (item is False and _tells(value, key)):
                arguments[key] = dump(item, replace)
        return [type(value).__name__, arguments]
    if isinstance(value, list):
        return [dump(item, replace) for item in value]
    if isinstance(value, exp.DType):
        return {"$": value.name}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    raise TypeError(f"cannot encode {type(value).__name__}")


def _blinded(node: exp.Expr) -> Any:
    if isinstance(node, exp.Column) and node.table:
        return ["Column", {"this": dump(node.this, _blinded)}]
    if isinstance(node, exp.Identifier) and _INTERNAL.fullmatch(node.this):
        return ["Identifier", {}]
    if isinstance(node, exp.Table | exp.TableAlias):
        return [type(node).__name__, {}]
    return None


def _absent(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, list) and not value)


def _tells(node: exp.Expr, key: str) -> bool:
    """Whether False and no value at all differ for an argument."""
    return node.arg_types.get(key, False) or (key == "distinct" and isinstance(node, exp.SetOperation))


def _load(value: Any) -> Any:
    if isinstance(value, dict):
        return exp.DType[value["$"]]
    if not isinstance(value, list):
        return value
    if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict) and "$" not in value[1]:  # noqa: PLR2004 — [class, arguments]
        name, arguments = value
        node = getattr(exp, name, None) or getattr(own_nodes, name)
        if not (isinstance(node, type) and issubclass(node, exp.Expr)):  # the index is data: it names no other classes
            raise ValueError(f"{name} is not a class of nodes")
        return node(**{key: _load(item) for key, item in arguments.items()})
    return [_load(item) for item in value]
