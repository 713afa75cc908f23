"""Partial results that are merged: aggregates, distinct rows, the first rows of an order.

One query within the rule holds every mention of the input, and is such a thing over rows that are made part by part.
A part yields a partial result of that query; the rule over the merged ones is what remains of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sqlglot import exp

from compiler.parts.aggregates import Aggregates
from compiler.parts.reading import PartQueries, PartQuery
from compiler.parts.rows import NotProvedError, Rows, agree_in_all_parts
from compiler.parts.rule import (
    Rule,
    break_ties,
    everything,
    free_name,
    is_exact,
    named,
    of_others,
    of_parts,
    without_unused_ctes,
)
from compiler.schema import Schema
from compiler.sql.encode import encode
from compiler.tree.selects import is_aggregated
from compiler.tree.walk import nodes

_END = ("order", "limit", "offset")


def merging_way(rule: Rule, query: exp.Query) -> PartQueries | None:
    """Return the way to make the product from partial results of a query within it; None if it has none.

    Raises `NotProvedError`, `SqlError`.
    """
    if query.args.get("fetch") is not None or (_is_limited(query) and query.args.get("order") is None):
        raise NotProvedError("takes any of the rows by LIMIT")
    distinct = query.args.get("distinct")
    find: Callable[[Rule, exp.Query], PartQueries]
    if isinstance(query, exp.Select) and is_aggregated(query):
        find = _of_groups
    elif (distinct and not _has_on(distinct)) or _is_looked_up(query):
        find = _of_distinct_rows
    elif isinstance(query, exp.Select) and _is_limited(query):
        find = _of_first_rows
    else:
        return None
    rule.require_independent(query)
    return find(rule, query)


def _of_groups(rule: Rule, select: exp.Query) -> PartQueries:
    """SELECT k, SUM(x) … GROUP BY k, whose partial results have a state for each aggregate."""
    assert isinstance(select, exp.Select)
    rows, _ = rule.reader.from_items(select)
    aggregates = Aggregates(rule, select)
    partial = aggregates.partial()
    each, rest = _partials(rule, select, partial.copy(), rest=rows.rest)
    _require_exact(each.schema, aggregates.keys, "groups by")
    aggregates.know({column.name: column.type for column in each.schema.columns})
    return _way(rule, select, rows, (each, rest), (partial, aggregates.merge(), aggregates.finish()))


def _of_distinct_rows(rule: Rule, query: exp.Query) -> PartQueries:
    """SELECT DISTINCT, UNION, EXCEPT and INTERSECT, whose rows are made distinct once more; x IN (SELECT …)."""
    rows = rule.reader.of(query, before_end=True)
    assert rows is not None
    partial = _without_end(query)
    if isinstance(partial, exp.Select):
        partial = partial.distinct(copy=False)
    each, rest = _partials(rule, query, partial.copy(), rest=rows.rest)
    _require_exact(each.schema, each.schema.names, "compares")
    alias = free_name(rule.tree)
    merge = everything(each.schema.columns, alias).distinct(copy=False)
    finish = merge.copy()
    _set_end(query, finish, _outputs(query), alias)
    return _way(rule, query, rows, (each, rest), (partial, merge, finish))


def _of_first_rows(rule: Rule, select: exp.Query) -> PartQueries:
    """SELECT … ORDER BY … LIMIT: the first rows of all are among the first of each part.

    Rows that tie are in the order of all columns, so that which are taken does not depend on the parts.
    """
    assert isinstance(select, exp.Select)
    rows = rule.reader.of(select, before_end=True)
    assert rows is not None
    outputs = _outputs(select)
    width = len(select.selects)
    partial = _without_end(select)
    for ordered in select.args["order"].expressions:
        code = encode(ordered.this)
        if code not in outputs:
            outputs[code] = f"~{len(outputs)}"
            partial.append("expressions", named(ordered.this.copy(), outputs[code]))
    partial.set("order", select.args["order"].copy())
    _take_first(partial, select)
    each, rest = _partials(rule, select, partial.copy(), rest=rows.rest)
    alias = free_name(rule.tree)
    merge = everything(each.schema.columns, alias)
    _set_end(select, merge, outputs, alias)
    _take_first(merge, select)
    finish = everything(each.schema.columns[:width], alias)
    _set_end(select, finish, outputs, alias)
    return _way(rule, select, rows, (each, rest), (partial, merge, finish))


def _way(
    rule: Rule,
    query: exp.Query,
    rows: Rows,
    partials: tuple[PartQuery, PartQuery | None],
    trees: tuple[exp.Query, exp.Query, exp.Query],
) -> PartQueries:
    """Return the way that works by a query's partial results. trees: of the partial result, the merge, the finish."""
    partial, merge, finish = trees
    each, rest = partials
    merged = rule.query(merge.copy(), each.schema)
    if merged.schema != each.schema:
        raise NotProvedError("has partial results of another type when they are merged")
    whole = _in_place(rule, query, finish)
    # The LIMIT of these is by a total order; the rule's own gets one from `Rule.product`.
    total = [tree for tree in (partial, merge, finish, whole) if tree.args.get("order") is not None]
    exact = all(
        rule.is_exact(tree, schema, total)
        for tree, schema in ((partial, None), (merge, each.schema), (whole, each.schema))
    )
    unshared = None if rows.unshared is None else tuple(sorted(rows.unshared))
    return PartQueries(each, rest, merged, rule.product(whole, each.schema), unshared, exact)


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


def _in_place(rule: Rule, query: exp.Query, finish: exp.Query) -> exp.Query:
    """Return a copy of the rule with another query, in which ties are broken, in the place of one."""
    if query is rule.tree:
        return finish
    if _is_limited(finish):
        break_ties(finish)
    place = next(number for number, node in enumerate(nodes(rule.tree)) if node is query)
    whole = rule.tree.copy()
    nodes(whole)[place].replace(finish)
    if any(rule.is_mention(table) for table in _tables_in_use(whole)):
        raise NotProvedError("reads it in several places")
    return whole


def _tables_in_use(query: exp.Query) -> Iterator[exp.Table]:
    yield from without_unused_ctes(query).find_all(exp.Table)


def _require_exact(schema: Schema, names: Mapping[str, object] | tuple[str, ...], what: str) -> None:
    for column in schema.columns:
        if column.name in names and not is_exact(column.type):
            raise NotProvedError(f"{what} floats or nested values, of which equal ones may differ in their bits")


def _has_on(distinct: object) -> bool:
    return isinstance(distinct, exp.Distinct) and distinct.args.get("on") is not None


def _is_looked_up(query: exp.Query) -> bool:
    """Whether only which rows a query has matters, and not how often: it is in IN or EXISTS."""
    around = query.parent
    while isinstance(around, exp.Subquery):
        around = around.parent
    return isinstance(around, exp.In | exp.Exists) and not _is_limited(query)


def _is_limited(query: exp.Query) -> bool:
    return query.args.get("limit") is not None or query.args.get("offset") is not None


def _without_end(query: exp.Query) -> exp.Query:
    copy = query.copy()
    for part in _END:
        copy.set(part, None)
    return copy


def _outputs(query: exp.Query) -> dict[bytes, str]:
    """Return the outputs of a query by the expressions that ORDER BY may have for them."""
    found = {encode(exp.column(name, quoted=True)): name for name in query.named_selects}
    if isinstance(query, exp.Select):
        found = {**{encode(item.unalias()): item.alias_or_name for item in query.selects}, **found}
    return found


def _set_end(query: exp.Query, other: exp.Query, outputs: Mapping[bytes, str], alias: str) -> None:
    """Give another query, of the rows of one, its ORDER BY and LIMIT."""
    for part in ("limit", "offset"):
        if query.args.get(part) is not None:
            other.set(part, query.args[part].copy())
    order = query.args.get("order")
    if order is None:
        return
    order = order.copy()
    for ordered in order.expressions:
        name = outputs.get(encode(ordered.this))
        if name is None:
            raise NotProvedError("sorts distinct rows by what it does not yield")
        ordered.set("this", exp.column(name, table=alias, quoted=True))
    other.set("order", order)


def _take_first(query: exp.Query, select: exp.Select) -> None:
    """Let a query yield only the rows of which a SELECT can take some, in a total order, in place."""
    most = 0
    for part in ("limit", "offset"):
        clause = select.args.get(part)
        value = clause.expression if clause is not None else None
        if part == "limit" or value is not None:
            if not isinstance(value, exp.Literal) or not value.is_int:
                raise NotProvedError("takes a number of rows that is not written as a number")
            most += int(value.name)
    break_ties(query)
    query.set("offset", None)
    query.set("limit", exp.Limit(expression=exp.Literal.number(most)))
