"""The order of joined tables: by the query's use of each of them, independent of their names."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.item_keys import Owned, as_list, columns_of_items, item_keys
from compiler.canonical.joins import (
    is_inner,
    is_left_deep,
    items_of,
    joined_selects,
    row_order_is_open,
    where_terms,
)
from compiler.schema import INPUT_DB
from compiler.tree.walk import find_all

MOST_ITEMS = 64
"""A SELECT of more tables than this keeps its order."""


def order_inner_joins(query: exp.Query, facts: Facts) -> exp.Query:
    """Put cross-joined tables into one order, before those that are joined in other ways, which do not filter by them.

    FROM b LEFT JOIN c ON q CROSS JOIN a → FROM a CROSS JOIN b LEFT JOIN c ON q

    Inner joins are already cross joins (compiler.canonical.joins). Tables that the query uses alike stay as they
    are.
    """
    selects = [select for select in facts.of(query, joined_selects) if _is_sortable(select)]
    if not selects or not facts.of(query, row_order_is_open):
        return query
    owned, types = facts.of(query, columns_of_items), facts.types(query)
    for select in selects:
        joins: list[exp.Join] = select.args["joins"]
        crossed = [select.args["from_"].this, *(join.this for join in joins if is_inner(join))]
        others = [join for join in joins if not is_inner(join)]
        if len(crossed) > 1:
            keys = item_keys(select, crossed, owned, types)
            crossed.sort(key=lambda item: keys[id(item)])
            if select.args["from_"].this is not crossed[0]:
                select.args["from_"].set("this", crossed[0])
        others = _ordered(select, others, owned, types)
        items = [*crossed[1:], *(join.this for join in others)]
        if [id(join.this) for join in joins] != [id(item) for item in items] or any(
            join.kind != "CROSS" for join in joins if is_inner(join)
        ):
            select.set("joins", [*(exp.Join(this=item, kind="CROSS") for item in crossed[1:]), *others])
    return query


def order_full_join(query: exp.Query, facts: Facts) -> exp.Query:
    """Put the sides of a first FULL JOIN into one order: b FULL JOIN a ON p → a FULL JOIN b ON p."""
    selects = [select for select in facts.of(query, joined_selects) if _starts_full(select)]
    if not selects or not facts.of(query, row_order_is_open):
        return query
    owned = facts.of(query, columns_of_items)
    for select in selects:
        from_, join = select.args["from_"], select.args["joins"][0]
        left, right = from_.this, join.this
        if any(is_confused(query, select, [one], other, owned, facts) for one, other in ((left, right), (right, left))):
            continue
        keys = item_keys(select, [left, right], owned, facts.types(query))
        if keys[id(right)] < keys[id(left)]:
            from_.set("this", right)
            join.set("this", left)
    return query


def is_confused(
    query: exp.Query, select: exp.Select, before: list[exp.Expr], item: exp.Expr, owned: Owned, facts: Facts
) -> bool:
    """Whether the engine may take a filter on the tables before a FULL or RIGHT JOIN for one on the joined `item`.

    DataFusion 55 makes a RIGHT JOIN of a FULL JOIN where WHERE drops the rows without `item`, and moves what WHERE says
    of a column before a RIGHT JOIN to the column of that name in `item`, if there is one. Around a derived table any of
    its columns can be filtered.
    """
    schema = facts.schemas.get(item.name) if isinstance(item, exp.Table) and item.db == INPUT_DB else None
    harmless = {"joins", "expressions", "group", "order"} if select is query else {"joins"}
    for column in (column for table in before for column in owned.get(id(table), ())):
        part: exp.Expr = column
        while part.parent is not None and part.parent is not select:
            part = part.parent
        if part.arg_key not in harmless and (schema is None or column.name in schema.names):
            return True
    return False


def take_one_key(query: exp.Query, facts: Facts) -> exp.Query:
    """Read columns that WHERE makes equal from one of the tables, if equal values are the same value.

    SELECT b.k FROM a CROSS JOIN b WHERE a.k = b.k → SELECT a.k FROM a CROSS JOIN b WHERE a.k = b.k
    SELECT t.y FROM t WHERE t.x = t.y → SELECT t.x FROM t WHERE t.x = t.y
    """
    selects = [
        select
        for select in facts.nodes(query, exp.Select)
        if select.args.get("where") is not None and _is_readable(select) and _is_grouped_once(select)
    ]
    if not selects:
        return query
    types = facts.types(query)
    owned = facts.of(query, columns_of_items)
    for select in selects:
        _take_one_key(select, owned, types)
    return query


def _take_one_key(select: exp.Select, owned: Owned, types: Types) -> None:
    items = list(items_of(select))
    own = {id(column): item for item in items for column in owned.get(id(item), ())}
    groups = _equal_columns(select, own, types)
    if not groups:
        return
    free = [
        column
        for key in ("expressions", "group", "having", "order", "qualify")
        for node in as_list(select.args.get(key))
        for column in find_all(node, exp.Column)
        if id(column) in own
        and (id(own[id(column)]), column.name) in groups
        and not column.args.get("db")
        and column.find_ancestor(exp.Select) is select
    ]
    if not free:
        return
    keys = item_keys(select, items, owned, types, ignored={id(column) for column in free})
    aliases = {id(item): item.args["alias"].this for item in items}
    for column in free:
        ranked = sorted(groups[id(own[id(column)]), column.name], key=lambda member: (keys[member[0]], member[1]))
        item, name = ranked[0]
        # Of two tables that are used alike, only their order could decide, and it can change.
        if (item, name) != (id(own[id(column)]), column.name) and all(
            keys[other] != keys[item] for other, _ in ranked if other != item
        ):
            column.set("table", aliases[item].copy())
            column.set("this", exp.Identifier(this=name, quoted=True))


_Name = tuple[int, str]
"""A FROM item, by the node's id, and a column of it."""


def _equal_columns(select: exp.Select, own: Mapping[int, exp.Expr], types: Types) -> dict[_Name, set[_Name]]:
    """Return the equalities of WHERE: each column with those that have its value, itself included."""
    groups: dict[_Name, set[_Name]] = {}
    for term in where_terms(select):
        sides = (term.this, term.expression) if isinstance(term, exp.EQ) else ()
        if not sides or not all(isinstance(side, exp.Column) and id(side) in own for side in sides):
            continue
        if not types.is_exact(sides[0]) or types.of(sides[0]) != types.of(sides[1]):
            continue
        if any(side.args.get("db") for side in sides):
            continue
        first, second = ((id(own[id(side)]), side.name) for side in sides)
        merged = groups.get(first, {first}) | groups.get(second, {second})
        groups |= dict.fromkeys(merged, merged)
    return groups


def _is_sortable(select: exp.Select) -> bool:
    items = 1 + len(select.args["joins"])
    nested = any(not isinstance(item, exp.Table) and not isinstance(item.this, exp.Query) for item in items_of(select))
    crossed = all(join.args.get("on") is None for join in select.args["joins"] if is_inner(join))
    return items <= MOST_ITEMS and not nested and crossed and is_left_deep(select)


def _is_readable(select: exp.Select) -> bool:
    """Whether a SELECT has one table or derived table, or several that may be put in order."""
    if select.args.get("joins"):
        return _is_sortable(select)
    from_ = select.args.get("from_")
    if from_ is None or not isinstance(from_.this, exp.Table | exp.Subquery) or select.args.get("laterals"):
        return False
    return isinstance(from_.this.args.get("alias"), exp.TableAlias)


def _is_grouped_once(select: exp.Select) -> bool:
    """Whether there are no grouping sets, in which one of two equal keys can be NULL."""
    group = select.args.get("group")
    if group is None:
        return True
    others = any(value for key, value in group.args.items() if key != "expressions")
    return not others and all(isinstance(key, exp.Column) for key in group.expressions)


def _starts_full(select: exp.Select) -> bool:
    join = select.args["joins"][0]
    plain = [select.args["from_"].this, join.this]
    if join.side != "FULL" or join.kind or join.method or join.args.get("on") is None or join.args.get("using"):
        return False
    if any(_is_comma(other) for other in select.args["joins"]) or select.args.get("laterals"):
        return False
    return all(
        isinstance(item, exp.Table | exp.Subquery)
        and isinstance(item.this, exp.Identifier | exp.Query)
        and isinstance(item.args.get("alias"), exp.TableAlias)
        and not item.args.get("joins")
        for item in plain
    )


def _is_comma(join: exp.Join) -> bool:
    return not any(join.args.get(key) for key in ("kind", "side", "method", "on", "using"))


def _ordered(select: exp.Select, joins: list[exp.Join], owned: Owned, types: Types) -> list[exp.Join]:
    """Order LEFT joins, each after those whose columns it joins by. Semi-joins keep everything where it is."""
    if len(joins) < 2 or any(join.kind for join in joins):  # noqa: PLR2004 — nothing to order
        return joins
    owners = {id(column): id(join) for join in joins for column in owned.get(id(join.this), ())}
    keys = item_keys(select, [join.this for join in joins], owned, types)
    needs = {
        id(join): {owners[id(column)] for column in join.args["on"].find_all(exp.Column) if id(column) in owners}
        - {id(join)}
        for join in joins
    }
    ordered: list[exp.Join] = []
    done: set[int] = set()
    waiting = sorted(joins, key=lambda join: keys[id(join.this)])
    while waiting:
        ready = next(join for join in waiting if needs[id(join)] <= done)
        waiting = [join for join in waiting if join is not ready]
        ordered.append(ready)
        done.add(id(ready))
    return ordered
