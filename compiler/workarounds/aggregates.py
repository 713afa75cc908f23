"""Aggregates that have a row even where there is nothing to aggregate."""

from __future__ import annotations

from sqlglot import exp

from compiler.passes.facts import Facts
from compiler.prepare import MARK
from compiler.tree import find_all, has

_ALL_ROWS = str(2**63 - 1)
_HAVING = f"having{MARK}"
_AFTER_HAVING = ("distinct", "qualify", "order", "limit", "offset", "windows")


def filter_totals_last(query: exp.Query, facts: Facts) -> exp.Query:
    """SELECT COUNT(*) AS n FROM t HAVING p → SELECT n FROM (SELECT COUNT(*) AS n, p AS having …) WHERE having, in place.

    And (SELECT COUNT(*) AS n FROM t) AS q → (SELECT COUNT(*) AS n FROM t LIMIT 9223372036854775807) AS q where q is
    filtered. DataFusion 55 filters before it aggregates by what reads no column, such as the FALSE that q.k > 1 becomes
    where q.k is always 1: the row of a total is there all the same. It filters nothing before a LIMIT.
    """
    totals = [select for select in facts.nodes(query, exp.Select) if has_total(select)]
    if not totals:
        return query
    outward = _outward(query, facts)
    for select in totals[::-1]:
        if id(select) in outward:
            continue
        if select.args.get("having") is not None and not any(select.args.get(part) for part in _AFTER_HAVING):
            _filter_outside(select)
        elif _is_filtered(select) and select.args.get("limit") is None:
            select.set("limit", exp.Limit(expression=exp.Literal.number(_ALL_ROWS)))
    return query


def has_total(select: exp.Select) -> bool:
    """Whether a SELECT aggregates all its rows, and so has a row where there are none."""
    group = select.args.get("group")
    if group is None:
        places = [*select.selects, *(select.args[key] for key in ("having", "qualify", "order") if select.args.get(key))]
        return any(_is_own(call, select) for place in places for call in find_all(place, exp.AggFunc))
    return has(group, exp.GroupingSets, exp.Cube, exp.Rollup) or any(
        isinstance(key, exp.Tuple | exp.Paren) and not key.expressions for key in group.expressions
    )


def _is_own(call: exp.AggFunc, select: exp.Select) -> bool:
    node: exp.Expr = call
    if isinstance(call.parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls):
        node = call.parent
    return call.find_ancestor(exp.Select) is select and not isinstance(node.parent, exp.Window)


def _outward(query: exp.Query, facts: Facts) -> set[int]:
    """The SELECTs that read a table of an outer one, whose place the engine must find without a LIMIT."""
    found: set[int] = set()
    for reference in facts.names(query).references:
        select: exp.Select | None = reference.column.find_ancestor(exp.Select)
        for _ in range(reference.distance):
            while select is not None:
                found.add(id(select))
                if select.args.get("from_") is not None or select.args.get("joins"):
                    break
                select = select.find_ancestor(exp.Select)
            select = select.find_ancestor(exp.Select) if select is not None else None
    return found


def _is_filtered(select: exp.Select) -> bool:
    """Whether a SELECT is a derived table or CTE of a query that filters."""
    node: exp.Expr = select
    while isinstance(node.parent, exp.Subquery | exp.SetOperation) and not node.parent.args.get("alias"):
        node = node.parent
    if not isinstance(node.parent, exp.CTE | exp.Subquery):
        return False
    root = select.root()
    return any(outer is not select and _filters(outer) for outer in find_all(root, exp.Select))


def _filters(select: exp.Select) -> bool:
    joins = select.args.get("joins") or []
    return any(select.args.get(key) for key in ("where", "having", "qualify")) or any(join.args.get("on") for join in joins)


def _filter_outside(select: exp.Select) -> None:
    """Turn a SELECT with HAVING into one of a derived table, in place."""
    condition = select.args["having"].this
    names = [item.alias_or_name for item in select.selects]
    inner = exp.select(*select.selects, exp.alias_(condition, _HAVING, quoted=True), copy=False)
    for key in ("from_", "joins", "where", "group", "laterals"):
        value = select.args.get(key)
        select.set(key, None)
        inner.set(key, value)
    select.set("having", None)
    inner.set("limit", exp.Limit(expression=exp.Literal.number(_ALL_ROWS)))
    derived = exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier("totals", quoted=True)))
    columns = [exp.alias_(exp.column(name, table="totals", quoted=True), name, quoted=True) for name in names]
    select.set("expressions", columns)
    select.set("from_", exp.From(this=derived))
    select.set("where", exp.Where(this=exp.column(_HAVING, table="totals", quoted=True)))
