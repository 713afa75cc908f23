"""A fault of the engine where ORDER BY, or a SELECT with UNNEST, reads a column whose name an output has, too."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.canonical.item_keys import Owned, columns_of_items
from compiler.engine_sql.workarounds.join_names import recursive_references, rename_columns, unused_number
from compiler.names.lexical import from_items, item_name
from compiler.tree.selects import own_nodes
from compiler.tree.walk import find_all


def set_apart_ordered_columns(query: exp.Query, facts: Facts) -> exp.Query:
    """SELECT p.r AS a FROM v AS p ORDER BY p.a → SELECT p.r AS a FROM (SELECT v.a AS "a~0" …) AS p ORDER BY p."a~0".

    SELECT -p.a AS a, unnest(p.l) AS l … likewise. In place. DataFusion 55 adds the column that it sorts by, and those
    that it needs beside UNNEST, to the outputs, and then finds two of that name.
    """
    unnests = facts.has(query, *exp.SET_RETURNING_FUNCTIONS)
    concerned = [
        select
        for select in facts.nodes(query, exp.Select)
        if select.args.get("order") or (unnests and _unnests(select))
    ]
    if not concerned:
        return query
    clashes: list[tuple[exp.Expr, set[str]]] = []
    owned = facts.of(query, columns_of_items)
    for select in concerned:
        hidden = _hidden_columns(select)
        for item in from_items(select)[0] if hidden else ():
            names = {column.parts[1].name for column in owned.get(id(item), ()) if id(column) in hidden}
            if names:
                clashes.append((item, names))
    return _renamed(query, facts, owned, clashes) if clashes else query


def _hidden_columns(select: exp.Select) -> set[int]:
    """Return the columns of ORDER BY, or beside UNNEST, that are no outputs and have an output's name."""
    outputs = {item.alias_or_name: item.unalias() for item in select.selects}
    selected = [value for value in outputs.values() if isinstance(value, exp.Column)]
    order = select.args.get("order")
    if _unnests(select):
        selected = [value for name, value in outputs.items() if isinstance(value, exp.Column) and value.name == name]
    parts = [*([order] if order is not None else []), *(select.selects if _unnests(select) else ())]
    return {
        id(column)
        for part in parts
        for column in find_all(part, exp.Column)
        if column.table and column.parts[1].name in outputs and column not in selected
    }


def _unnests(select: exp.Select) -> bool:
    return any(True for item in select.selects for _ in own_nodes(item, *exp.SET_RETURNING_FUNCTIONS))


def _renamed(query: exp.Query, facts: Facts, owned: Owned, clashes: list[tuple[exp.Expr, set[str]]]) -> exp.Query:
    recursive = recursive_references(query, facts)
    taken = {column.name for columns in owned.values() for column in columns}
    number = 0
    for item, names in clashes:
        if (
            id(item) in recursive
            or not isinstance(item, exp.Table | exp.Subquery | exp.Values)
            or item_name(item) is None
        ):
            continue
        number = unused_number(names, taken, number)
        rename_columns(item, owned[id(item)], names, number)
        number += 1
    return query
