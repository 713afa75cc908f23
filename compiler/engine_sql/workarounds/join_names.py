"""Faults of the engine where two joined tables have a column of one name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.canonical.item_keys import Owned, columns_of_items
from compiler.names.lexical import from_items, item_name
from compiler.names.unaliased_tables import MARK

_MOST_LEAVES = 2
"""Of one inner join the engine keeps the columns apart; beyond it a filter passes through a table that has both."""


def set_apart_joined_names(query: exp.Query, facts: Facts) -> exp.Query:
    """FROM a RIGHT JOIN b ON a.k = b.k → FROM (SELECT a.k AS "k~0" FROM a) AS a RIGHT JOIN (…) AS b ON …, in place.

    DataFusion 55 hands filters down to Parquet files by the names of columns: WHERE a.x IS NULL above a RIGHT or FULL
    JOIN, and what it learns while it joins or keeps the first rows (dynamic filters), reach another table's column of
    that name, and choose its row groups. It is the same with the columns of subqueries, which it joins, too.
    """
    if not _is_exposed(query, facts):
        return query
    owned = facts.of(query, columns_of_items)
    recursive = recursive_references(query, facts)
    taken = {column.name for columns in owned.values() for column in columns}
    number = 0
    for items in _joined_items(query, facts):
        clashing = _clashing(items, owned)
        for item in items:
            columns = owned.get(id(item), [])
            if not any(_name(column) in clashing for column in columns) or id(item) in recursive:
                continue
            if not isinstance(item, exp.Table | exp.Subquery) or item_name(item) is None:
                continue
            number = unused_number(clashing, taken, number)
            rename_columns(item, columns, clashing, number)
            number += 1
    return query


def may_have_confused_names(tree: exp.Query, facts: Facts) -> bool:
    """Whether a filter may have reached another column of its name, whatever the author's names were."""
    return _is_exposed(tree, facts) and any(True for _ in _joined_items(tree, facts))


def _is_exposed(query: exp.Query, facts: Facts) -> bool:
    """Whether a filter may pass a join on its way to a file."""
    if facts.has(query, exp.Limit, exp.Fetch) or any(
        join.side in {"RIGHT", "FULL"} for join in facts.nodes(query, exp.Join)
    ):
        return True
    selects = facts.nodes(query, exp.Select)
    leaves = sum(not isinstance(item, exp.Subquery) for select in selects for item in from_items(select)[0])
    return leaves > _MOST_LEAVES


def _joined_items(query: exp.Query, facts: Facts) -> Iterator[list[exp.Expr]]:
    """Yield the FROM items that one join brings together: of a SELECT and of the subqueries in its expressions."""
    groups: dict[int, list[exp.Expr]] = {}
    home: dict[int, int] = {}
    for select in facts.nodes(query, exp.Select):  # outermost first
        outer = _enclosing(select)
        group = home.get(id(outer), id(select)) if outer is not None else id(select)
        home[id(select)] = group
        groups.setdefault(group, []).extend(from_items(select)[0])
    for items in groups.values():
        if len(items) > 1:
            yield items


def _enclosing(select: exp.Select) -> exp.Select | None:
    """Return the SELECT that has a subquery in an expression; None for derived tables, CTEs and the outermost."""
    node: exp.Expr = select
    parent = select.parent
    while isinstance(parent, exp.SetOperation | exp.Subquery):
        node, parent = parent, parent.parent
    if parent is None or isinstance(parent, exp.CTE | exp.From | exp.Join | exp.Lateral | exp.Union):
        return None
    return node.find_ancestor(exp.Select)


def _clashing(items: list[exp.Expr], owned: Owned) -> set[str]:
    """Return the names of columns that are read of several of the FROM items."""
    counts = Counter(name for item in items for name in {_name(column) for column in owned.get(id(item), [])})
    return {name for name, count in counts.items() if count > 1}


def _name(column: exp.Column) -> str:
    """Return the name of the item's column that a node reads, be it for one of its fields."""
    return column.parts[1].name


def recursive_references(query: exp.Query, facts: Facts) -> set[int]:
    """The FROM items in a recursive CTE that refer to itself, which the engine wants bare."""
    found = set()
    for table, cte in facts.names(query).tables:
        node: exp.Expr | None = table
        while node is not None and node is not cte:
            node = node.parent
        if node is cte:
            found.add(id(table))
    return found


def unused_number(names: set[str], taken: set[str], number: int) -> int:
    """Return the first number from `number` on with which none of the names is taken."""
    while any(_new(name, names, number) in taken for name in names):
        number += 1
    return number


def rename_columns(item: exp.Expr, columns: list[exp.Column], clashing: set[str], number: int) -> None:
    """Give a FROM item other names for some of its columns, and those columns to all that reads them."""
    name = item_name(item)
    assert name is not None
    read = list(dict.fromkeys(_name(column) for column in columns))
    joins = item.args.get("joins")
    item.set("joins", None)
    selected = [
        exp.alias_(exp.column(one, table=name, quoted=True), _new(one, clashing, number), quoted=True) for one in read
    ]
    for column in columns:
        part = column.parts[1]
        part.set("this", _new(part.name, clashing, number))
    inner = exp.select(*selected, copy=False)
    alias = exp.TableAlias(this=exp.to_identifier(name, quoted=True))
    item.replace(exp.Subquery(this=inner, alias=alias, joins=joins))
    inner.set("from_", exp.From(this=item))  # the same node, as it can hold others that are yet to come


def _new(name: str, clashing: set[str], number: int) -> str:
    return f"{name}{MARK}{number}" if name in clashing else name
