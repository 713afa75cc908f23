"""Partial results of one query within a rule: what a part yields of it, how they are merged, what reads them.

The query is an aggregate, distinct rows, or the first rows of an order, over rows that are made part by part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from compiler.parts.aggregates import Aggregates
from compiler.parts.reading import PartQuery
from compiler.parts.rows import NotProvedError, Rows, agree_in_all_parts
from compiler.parts.rule import (
    Rule,
    break_ties,
    copied,
    everything,
    free_name,
    is_exact,
    named,
    of_parts,
)
from compiler.parts.sorting import outputs_of, set_end, with_sort_keys, without_end
from compiler.schema import Schema
from compiler.tree.selects import is_aggregated


@dataclass(frozen=True)
class PartialResult:
    """Partial results of `query`, which is a part of the rule's tree; `rows` is what is known of those that it is of.

    partial: the query of one, which may read other inputs beside the input; each: of one that is of a part. merge: from
    several to one. finish: takes the place of `query`. said: what is said of the reading. exact: whether no floats are
    added.
    """

    query: exp.Query
    rows: Rows
    partial: exp.Query
    each: PartQuery
    merge: exp.Query
    finish: exp.Query
    said: str
    exact: bool = True


Find = Callable[[Rule, exp.Query], PartialResult]


def partial_results(rule: Rule, query: exp.Query) -> Iterator[Find]:
    """Yield the ways to find partial results of a query that reads the input, best first.

    Each raises `NotProvedError`, also where the query refers to others around it, and `SqlError`.
    """
    rule.require_independent(query)
    distinct = query.args.get("distinct")
    if isinstance(query, exp.Select) and is_aggregated(query):
        if _is_limited(query) and query.args.get("order") is not None and not distinct:
            yield _of_first_rows  # if groups lie within parts
        yield _of_groups
    elif _has_on(distinct):
        return
    elif distinct or _is_looked_up(query):
        yield _of_distinct_rows
    elif isinstance(query, exp.Select) and _is_limited(query):
        yield _of_first_rows


def _of_groups(rule: Rule, select: exp.Query) -> PartialResult:
    """SELECT k, SUM(x) … GROUP BY k, whose partial results have a state for each aggregate."""
    assert isinstance(select, exp.Select)
    rows, _ = rule.reader.from_items(select)
    aggregates = Aggregates(rule, select)
    partial = aggregates.partial()
    each = _of_a_part(rule, select, partial)
    _require_exact(each.schema, aggregates.keys, "groups by")
    aggregates.know({column.name: column.type for column in each.schema.columns})
    said, exact = "Aggregates of its parts are merged", not aggregates.adds_floats
    return PartialResult(select, rows, partial, each, aggregates.merge(), aggregates.finish(), said, exact)


def _of_distinct_rows(rule: Rule, query: exp.Query) -> PartialResult:
    """SELECT DISTINCT, UNION, EXCEPT and INTERSECT, whose rows are made distinct once more; x IN (SELECT …)."""
    rows = rule.reader.of(query, before_end=True)
    assert rows is not None
    partial = without_end(query)
    if isinstance(partial, exp.Select):
        partial = partial.distinct(copy=False)
        for number, item in enumerate(partial.selects):
            if not isinstance(item, exp.Alias):  # EXISTS (SELECT 1 …)
                item.replace(named(copied(item), f"c{number}"))
    each = _of_a_part(rule, query, partial)
    _require_exact(each.schema, each.schema.names, "compares")
    alias = free_name(rule.tree)
    merge = everything(each.schema.columns, alias).distinct(copy=False)
    finish = copied(merge)
    set_end(query, finish, outputs_of(query), alias)
    said = "Distinct rows of its parts are made distinct together"
    return PartialResult(query, rows, partial, each, merge, finish, said)


def _of_first_rows(rule: Rule, select: exp.Query) -> PartialResult:
    """SELECT … ORDER BY … LIMIT: the first rows of all are among the first of each part.

    Rows that tie are in the order of all columns, so that which are taken does not depend on the parts.
    """
    assert isinstance(select, exp.Select)
    if select.args.get("order") is None:
        raise NotProvedError("takes any of the rows by LIMIT")
    rows = rule.reader.of(select, before_end=True)
    assert rows is not None
    width = len(select.selects)
    partial, outputs = with_sort_keys(select)
    partial.set("order", copied(select.args["order"]))
    _take_first(partial, select)
    each = _of_a_part(rule, select, partial)
    alias = free_name(rule.tree)
    merge = everything(each.schema.columns, alias)
    set_end(select, merge, outputs, alias)
    _take_first(merge, select)
    finish = everything(each.schema.columns[:width], alias)
    set_end(select, finish, outputs, alias)
    said = "The first rows are among the first of each part"
    return PartialResult(select, rows, partial, each, merge, finish, said)


def _of_a_part(rule: Rule, query: exp.Query, partial: exp.Query) -> PartQuery:
    """Give a partial result the CTEs that it reads, and return its query of a part."""
    ctes: list[exp.Expr] = list(rule.names.ctes)
    if not all(agree_in_all_parts(one, rule.reader) for one in [query, *ctes]):
        raise NotProvedError("takes from other inputs what can be other in every run")
    partial.set("with_", rule.visible_ctes(query))
    return rule.of_a_part(of_parts(partial))


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
