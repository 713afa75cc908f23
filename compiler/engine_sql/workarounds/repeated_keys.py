"""A fault of the engine where the ORDER BY of FIRST_VALUE, LAST_VALUE or DISTINCT ON has one key twice: it panics."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.sql.encode import encode


def drop_repeated_keys(query: exp.Query, facts: Facts) -> exp.Query:
    """FIRST_VALUE(x ORDER BY a, b, a DESC) → FIRST_VALUE(x ORDER BY a, b), in place: the first of the keys decides.

    SELECT DISTINCT ON (a, a) … ORDER BY a, a, b → SELECT DISTINCT ON (a) … ORDER BY a, b. DataFusion 55 drops the
    repeated key from the order of its groups alone, and then finds fewer keys than it sorts by.
    """
    for order in facts.nodes(query, exp.Order):
        if not isinstance(order.parent, exp.Window | exp.SetOperation):
            outputs = _outputs(order.parent)
            keys = [ordered.this for ordered in order.expressions]
            _keep_first(order, [outputs.get(key.name, key) if _is_output(key) else key for key in keys])
    for distinct in facts.nodes(query, exp.Distinct):
        on = distinct.args.get("on")
        if isinstance(on, exp.Tuple):
            _keep_first(on, on.expressions)
    return query


def _outputs(select: exp.Expr | None) -> dict[str, exp.Expr]:
    """Return the outputs of a SELECT by name and place."""
    items = select.selects if isinstance(select, exp.Select) else []
    by_place = {str(place): item.unalias() for place, item in enumerate(items, 1)}
    return by_place | {item.alias_or_name: item.unalias() for item in items}


def _is_output(key: exp.Expr) -> bool:
    return (isinstance(key, exp.Column) and not key.table) or (isinstance(key, exp.Literal) and key.is_int)


def _keep_first(node: exp.Expr, keys: list[exp.Expr]) -> None:
    """Drop the expressions of a node whose key an earlier one has."""
    first: dict[bytes, exp.Expr] = {}
    for key, item in zip(keys, node.expressions, strict=True):
        first.setdefault(encode(key), item)
    if len(first) < len(keys):
        node.set("expressions", list(first.values()))
