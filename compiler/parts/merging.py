"""Partial results that are merged: aggregates, DISTINCT, the first rows of an order.

One query within the rule holds every mention of the input, and is such a thing over rows that are made part by part.
A part yields a partial result of that query; the rule over the merged ones is what remains of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.parts.aggregates import Aggregates
from compiler.parts.reading import PartQueries, PartQuery
from compiler.parts.rows import NotProvedError, agree_in_all_parts
from compiler.parts.rule import (
    Rule,
    is_exact,
    of_others,
    of_parts,
    without_unused_ctes,
)
from compiler.tree.selects import is_aggregated
from compiler.tree.walk import nodes


def merging_way(rule: Rule, query: exp.Query) -> PartQueries | None:
    """Return the way to make the product from partial results of a query within it; None if it has none.

    Raises `NotProvedError`, `SqlError`.
    """
    if isinstance(query, exp.Select) and is_aggregated(query):
        rule.require_independent(query)
        return _of_groups(rule, query)
    return None


def _of_groups(rule: Rule, select: exp.Select) -> PartQueries:
    rows, _ = rule.reader.from_items(select)
    aggregates = Aggregates(rule, select)
    partial = aggregates.partial()
    each, rest = _partials(rule, select, partial, rest=rows.rest)
    for column in each.schema.columns:
        if column.name in aggregates.keys and not is_exact(column.type):
            raise NotProvedError("groups by floats or nested values, of which equal ones may differ in their bits")
    aggregates.know({column.name: column.type for column in each.schema.columns})
    merge = aggregates.merge()
    merged = rule.query(merge.copy(), each.schema)
    if merged.schema != each.schema:
        raise NotProvedError("has partial results of another type when they are merged")
    finish, total = _in_place(rule, select, aggregates.finish())
    exact = rule.is_exact(partial, None) and rule.is_exact(merge, each.schema)
    exact = exact and rule.is_exact(finish, each.schema, total)
    unshared = None if rows.unshared is None else tuple(sorted(rows.unshared))
    return PartQueries(each, rest, merged, rule.product(finish, each.schema), unshared, exact)


def _partials(rule: Rule, query: exp.Query, partial: exp.Query, *, rest: bool) -> tuple[PartQuery, PartQuery | None]:
    """Return the queries of a partial result of a part and of the other inputs alone."""
    if not agree_in_all_parts(query, rule.reader):
        raise NotProvedError("takes from other inputs what can be other in every run")
    partial.set("with_", rule.visible_ctes(query))
    each = rule.query(of_parts(partial))
    if not rest:
        return each, None
    others = of_others(partial)
    if any(rule.is_mention(table) for table in others.find_all(exp.Table)):
        raise NotProvedError("reads it beside other inputs in a way that is not taken apart")
    found = rule.query(others)
    if found.schema != each.schema:
        raise NotProvedError("combines it with rows of other types")
    return each, found


def _in_place(rule: Rule, query: exp.Query, finish: exp.Query) -> tuple[exp.Query, exp.Query | None]:
    """Return a copy of the rule with another query in the place of one, and what of it has a total order, if any."""
    if query is rule.tree:
        return finish, finish if finish.args.get("order") is not None else None
    place = next(number for number, node in enumerate(nodes(rule.tree)) if node is query)
    whole = rule.tree.copy()
    nodes(whole)[place].replace(finish)
    if any(rule.is_mention(table) for table in _tables_in_use(whole)):
        raise NotProvedError("reads it in several places")
    return whole, whole if whole.args.get("order") is not None else None


def _tables_in_use(query: exp.Query) -> Iterator[exp.Table]:
    yield from without_unused_ctes(query).find_all(exp.Table)
