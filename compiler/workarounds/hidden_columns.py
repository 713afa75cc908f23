"""A fault of the engine where ORDER BY reads a column of a table that has the name of an output."""

from __future__ import annotations

from collections import defaultdict

from sqlglot import exp

from compiler.lexical import item_name
from compiler.passes.facts import Facts
from compiler.passes.item_keys import columns_of_items
from compiler.tree import find_all
from compiler.unnamed import MARK
from compiler.workarounds.join_names import recursive_references, rename_columns


def set_apart_hidden_columns(query: exp.Query, facts: Facts) -> exp.Query:
    """Give a column another name where an output has its own, and ORDER BY reads the column, in place.

    SELECT p.r AS a FROM v AS p ORDER BY p.a
    → SELECT p.r AS a FROM (SELECT p.r AS r, p.a AS "a~0" FROM v AS p) AS p ORDER BY p."a~0"

    DataFusion 55 adds the column to the outputs until the rows are in order, and then takes both names for one.
    """
    orders = [order for order in facts.nodes(query, exp.Order) if isinstance(order.parent, exp.Select)]
    hidden = {id(column): column for order in orders for column in _hidden(order)}
    if not hidden:
        return query
    owned = columns_of_items(query, facts)
    recursive = recursive_references(query, facts)
    taken = {column.name for columns in owned.values() for column in columns}
    clashing: dict[int, set[str]] = defaultdict(set)
    for key, columns in owned.items():
        clashing[key] = {column.parts[1].name for column in columns if id(column) in hidden}
    number = 0
    for item in facts.names(query).items:
        names = clashing.get(id(item))
        if not names or id(item) in recursive or not isinstance(item, exp.Table | exp.Subquery):
            continue
        if item_name(item) is None:
            continue
        while any(f"{name}{MARK}{number}" in taken for name in names):
            number += 1
        rename_columns(item, owned[id(item)], names, number)
        number += 1
    return query


def _hidden(order: exp.Order) -> list[exp.Column]:
    """Return the columns of tables in ORDER BY whose names are those of other outputs."""
    select = order.parent
    assert isinstance(select, exp.Select)
    outputs = {
        item.alias
        for item in select.selects
        if isinstance(item, exp.Alias) and not (isinstance(item.this, exp.Column) and item.this.name == item.alias)
    }
    return [column for column in find_all(order, exp.Column) if column.table and column.parts[1].name in outputs]
