"""The ways to make a product from partial results, which are merged: of one query within the rule, or of several.

Every mention of the input is in one of these queries. Each of their partial results is a row set of its own in one
table, with the number of the query; the rule over the merged ones is what remains of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from compiler.parts.partial_results import PartialResult, partial_results
from compiler.parts.reading import PARTIALS, PartQueries, PartQuery
from compiler.parts.rows import NotProvedError
from compiler.parts.rule import (
    Rule,
    break_ties,
    copied,
    keeps_bits,
    named,
    of_others,
    of_parts,
    partials_table,
    without_unused_ctes,
)
from compiler.schema import INPUT_DB, Schema
from compiler.tree.walk import find_all, nodes

_QUERY = "query"
"""The column with the number of the query that a partial result is of."""
_OWN = "partial"
"""What the rows of one query are called where they are put together and taken apart."""
_MOST = 24
"""Queries whose partial results are made together."""


def merging_ways(rule: Rule, query: exp.Query) -> Iterator[tuple[str, PartQueries] | NotProvedError]:
    """Yield the ways to make the product from partial results of a query within it, and what is said of them.

    Where there is none, yield why. Raises `SqlError`.
    """
    try:
        for find in partial_results(rule, query):
            try:
                found = find(rule, query)
                yield found.said, _way(rule, [found], _in_place(rule, found))
            except NotProvedError as why:
                yield why
    except NotProvedError as why:
        yield why


def merging_way_of_several(rule: Rule) -> tuple[str, PartQueries]:
    """Return the way by partial results of several queries, and what is said of it. Raises `NotProvedError`.

    SELECT k, SUM(x) / (SELECT SUM(x) FROM t) … FROM t GROUP BY k: the query within another is taken first, so that
    what is left of it, which reads partial results, is a constant to the other.
    """
    found: list[PartialResult] = []
    reason = NotProvedError("reads it in several places")
    while rule.mentions():
        for query in find_all(rule.tree, exp.Query):
            if not rule.reader.reads(query) or isinstance(query, exp.Subquery):
                continue
            try:
                one = _alone(rule, query)
            except NotProvedError as why:
                reason = why
                continue
            if one is not None:
                break
        else:
            raise reason
        if len(found) == _MOST:
            raise NotProvedError("reads it in too many places")
        for tree in (one.merge, one.finish):
            _read_own(tree, len(found), one.each.schema)
        found.append(one)
        rule = rule.with_tree(_in_place(rule, one))
    return "Results of its parts are merged, of several queries", _way(rule, found, rule.tree)


def _alone(rule: Rule, query: exp.Query) -> PartialResult | None:
    """Return partial results of a query that are made of the parts of the input alone. Raises `NotProvedError`."""
    for find in partial_results(rule, query):
        found = find(rule, query)
        if found.rows.unshared is None:
            if found.rows.rest:
                raise NotProvedError("reads it in several places, some of them beside other inputs")
            return found
    return None


def _way(rule: Rule, found: Sequence[PartialResult], whole: exp.Query) -> PartQueries:
    """Return the way that works by partial results. whole: the rule over them. Raises `NotProvedError`, `SqlError`."""
    if len(found) > 1:
        each_of: exp.Query | None = _united([of_parts(one.partial) for one in found])
        partial, merge = _united([one.partial for one in found]), _united([one.merge for one in found])
    else:
        partial, each_of, merge = found[0].partial, None, found[0].merge
    if any(map(rule.is_mention, whole.find_all(exp.Table))):
        raise NotProvedError("reads it in several places")
    each = found[0].each if each_of is None else rule.query(each_of)
    rest = _rest(rule, partial, each.schema) if found[0].rows.rest else None
    merged = rule.query(copied(merge), each.schema)
    if merged.schema != each.schema:
        raise NotProvedError("has partial results of another type when they are merged")
    # The LIMIT of these is by a total order; the rule's own gets one from `Rule.product`.
    trees = (partial, merge, whole)
    total = {
        id(node)
        for tree in (*trees, *(one.finish for one in found))
        for node in (tree, *(one for one in find_all(merge, exp.Select)), *find_all(partial, exp.Select))
        if node.args.get("order") is not None
    }
    exact = all(one.exact for one in found) and all(
        rule.is_exact(tree, schema, total)
        for tree, schema in ((partial, None), (merge, each.schema), (whole, each.schema))
    )
    unshared = None
    if found[0].rows.unshared is not None:
        unshared = tuple(sorted(found[0].rows.unshared))
        exact = exact and keeps_bits(each.schema)
    return PartQueries(each, rest, merged, rule.product(whole, each.schema), unshared, exact)


def _rest(rule: Rule, partial: exp.Query, schema: Schema) -> PartQuery:
    others = of_others(partial)
    if any(rule.is_mention(table) for table in others.find_all(exp.Table)):
        raise NotProvedError("reads it beside other inputs in a way that is not taken apart")
    found = rule.query(others)
    if found.schema != schema:
        raise NotProvedError("combines it with rows of other types")
    return found


def _united(queries: Sequence[exp.Query]) -> exp.Query:
    """Return one table of the rows of several queries, each with its number and columns of its own.

    SELECT 0 AS query, k0 AS "0.k0" FROM (…) UNION ALL BY NAME SELECT 1 AS query, k0 AS "1.k0" FROM (…)
    """
    selects: list[exp.Query] = []
    for number, query in enumerate(queries):
        names = query.named_selects
        select = exp.select(named(exp.Literal.number(number), _QUERY), copy=False)
        for name in names:
            column = exp.column(name, table=_OWN, quoted=True)
            select.append("expressions", named(column, f"{number}.{name}"))
        inner = copied(query)
        alias = exp.TableAlias(this=exp.to_identifier(_OWN, quoted=True))
        select.set("from_", exp.From(this=exp.Subquery(this=inner, alias=alias)))
        selects.append(select)
    whole, *others = selects
    for other in others:
        whole = exp.Union(this=whole, expression=other, distinct=False, by_name=True)
    return whole


def _read_own(tree: exp.Query, number: int, schema: Schema) -> None:
    """Let a query read its own rows and columns of the table of `_united`, in place."""
    for table in find_all(tree, exp.Table):
        alias = table.args.get("alias")
        if table.db != INPUT_DB or table.name != PARTIALS or alias is None or alias.name == _OWN:
            continue
        inner = partials_table(_OWN)
        select = exp.Select(from_=exp.From(this=inner))
        for column in schema.columns:
            value = exp.column(f"{number}.{column.name}", table=_OWN, quoted=True)
            select.append("expressions", named(value, column.name))
        test = exp.EQ(this=exp.column(_QUERY, table=_OWN, quoted=True), expression=exp.Literal.number(number))
        select.set("where", exp.Where(this=test))
        table.replace(exp.Subquery(this=select, alias=copied(alias)))


def _in_place(rule: Rule, found: PartialResult) -> exp.Query:
    """Return a copy of the rule with what reads partial results, without ties, in the place of a query."""
    if found.query is rule.tree:
        return found.finish
    if found.finish.args.get("limit") is not None and found.finish.args.get("order") is not None:
        break_ties(found.finish)
    place = next(number for number, node in enumerate(nodes(rule.tree)) if node is found.query)
    whole = copied(rule.tree)
    nodes(whole)[place].replace(found.finish)
    return without_unused_ctes(whole)
