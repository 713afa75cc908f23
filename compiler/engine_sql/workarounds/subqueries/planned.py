"""Subqueries that DataFusion 55 plans, and answers as the standard does; those stay as they are, and fast.

Each line of this was found by judging the engine by PostgreSQL, see tests/properties/test_subqueries.py.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.engine_sql.workarounds.subqueries.places import Place, Reading, body_of, is_subquery, tested
from compiler.engine_sql.workarounds.subqueries.spreading import is_total
from compiler.tree.conditions import conjuncts
from compiler.tree.walk import find_all, has

_FILTERS = ("where", "having")
_ROW_CLAUSES = ("limit", "offset", "qualify")


def is_planned_rightly(place: Place, reading: Reading) -> bool:
    """Whether the engine answers a subquery as the standard does."""
    node = place.node
    body = body_of(node)
    outer = reading.outer_columns(body)
    if isinstance(node, exp.Exists):
        if place.clause not in _FILTERS or _is_certain(body) or (outer and not _is_filtered(body, outer)):
            return False
        return _is_term(place) or _only_filters(body)
    if isinstance(node, exp.In):
        return _is_in_planned(place, body, outer)
    if isinstance(node, exp.Subquery):
        if not outer:
            return _has_one_row(body) or _may_be_null(body, reading)
        return _is_plain_total(body, outer) and _is_list_or_filter(place)
    return False  # ANY and ALL: it finds columns of the outer query in the inner one when they have one name


def is_lateral_planned(lateral: exp.Lateral, reading: Reading) -> bool:
    """Whether the engine answers a LATERAL derived table as the standard does."""
    body = lateral.this
    while isinstance(body, exp.Subquery):
        body = body.this
    if not isinstance(body, exp.Query):
        return True
    outer = reading.outer_columns(body)
    if not outer:
        return True
    if isinstance(body, exp.Select) and is_total(body):
        return _is_plain_total(body, outer)
    return _is_filtered(body, outer)


def is_filtering(place: Place) -> bool:
    """Whether NULL and FALSE are one at the place of a subquery: a term of a filter, be it of an OR or AND in it."""
    connectives = (exp.And, exp.Or, exp.Paren, exp.Where, exp.Having)
    return place.clause in _FILTERS and all(isinstance(one, connectives) for one in place.path)


def _is_in_planned(place: Place, body: exp.Query, outer: list[exp.Column]) -> bool:
    values = tested(place.node)
    if len(values) != 1 or any(is_subquery(one) for one in find_all(values[0], exp.Expr)):
        return False
    if outer and not _is_filtered(body, outer):
        return False
    if outer and isinstance(body, exp.Select) and is_total(body):
        return False
    if is_filtering(place):
        return _is_term(place) or _only_filters(body)
    negated = bool(place.path) and isinstance(place.path[-1], exp.Not)
    return negated and _is_term(place) and not outer and has(values[0], exp.Column)


def _is_term(place: Place) -> bool:
    """Whether a subquery, or NOT before it, is a term of a filter."""
    around = (exp.And, exp.Paren, exp.Where, exp.Having)
    path = place.path[:-1] if place.path and isinstance(place.path[-1], exp.Not) else place.path
    return place.clause in _FILTERS and all(isinstance(one, around) for one in path)


def _only_filters(body: exp.Query) -> bool:
    """Whether a query is a plain SELECT; of others the engine makes one name twice where it joins them with a mark."""
    clauses = ("distinct", "order", "group", *_ROW_CLAUSES)
    plain = isinstance(body, exp.Select) and not is_total(body) and not _has_windows(body)
    return plain and all(body.args.get(key) is None for key in clauses)


def _is_filtered(body: exp.Query, outer: list[exp.Column]) -> bool:
    """Whether a query reads what is around it in terms of its WHERE alone, and these only filter rows."""
    if not isinstance(body, exp.Select) or is_total(body):
        return False
    if any(body.args.get(key) is not None for key in (*_ROW_CLAUSES, "with_")) or _has_windows(body):
        return False
    group, distinct = body.args.get("group"), body.args.get("distinct")
    if group is not None and (group.args.get("all") or has(group, exp.Rollup, exp.Cube, exp.GroupingSets)):
        return False
    if distinct is not None and distinct.args.get("on") is not None:
        return False
    return _are_in_terms(body, outer)


def _are_in_terms(body: exp.Select, outer: list[exp.Column]) -> bool:
    where = body.args.get("where")
    terms = [term for term in conjuncts(where.this if where is not None else None) if not has(term, exp.Query)]
    inside = {id(one) for term in terms for one in find_all(term, exp.Column)}
    return all(id(one) in inside for one in outer)


def _is_plain_total(body: exp.Query, outer: list[exp.Column]) -> bool:
    """Whether a query is aggregates over the rows that columns around it equal, without HAVING."""
    if not isinstance(body, exp.Select) or not is_total(body) or not body.args.get("from_"):
        return False
    if any(body.args.get(key) is not None for key in (*_ROW_CLAUSES, "with_", "having", "distinct")):
        return False
    if _has_windows(body) or not _are_in_terms(body, outer):
        return False
    around = {id(one) for one in outer}
    for term in conjuncts(body.args["where"].this):
        columns = find_all(term, exp.Column)
        if not any(id(one) in around for one in columns):
            continue
        sides = [term.this, term.expression] if isinstance(term, exp.EQ) else []
        if len(sides) != len(columns) or not all(isinstance(side, exp.Column) for side in sides):
            return False
        if all(id(one) in around for one in columns):
            return False
    return True


def _has_windows(select: exp.Select) -> bool:
    return any(window.parent_select is select for window in find_all(select, exp.Window))


def _is_list_or_filter(place: Place) -> bool:
    """Whether a subquery is in WHERE, HAVING or, but in no call of an aggregate or window, in the SELECT list."""
    if place.clause in _FILTERS:
        return not any(isinstance(one, exp.AggFunc) for one in place.path)
    return place.clause == "expressions" and not any(isinstance(one, exp.AggFunc | exp.Window) for one in place.path)


def _is_certain(body: exp.Query) -> bool:
    """Whether a query aggregates without GROUP BY: the engine then looks for rows of what it reads."""
    return isinstance(body, exp.Select) and is_total(body)


def _has_one_row(body: exp.Query) -> bool:
    """Whether a query yields exactly one row, whatever it reads."""
    return (
        isinstance(body, exp.Select)
        and is_total(body)
        and all(body.args.get(key) is None for key in ("having", *_ROW_CLAUSES))
    )


def _may_be_null(body: exp.Expr, reading: Reading, place: int = 0) -> bool:
    """Whether the engine knows that what a query yields can be NULL; if it does not, a query without rows fails."""
    while isinstance(body, exp.Subquery):
        body = body.this
    if isinstance(body, exp.SetOperation):
        return not body.args.get("by_name") and _may_be_null(body.this, reading, place)
    return (
        isinstance(body, exp.Select)
        and place < len(body.selects)
        and _is_nullable(body.selects[place].unalias(), reading)
    )


def _is_nullable(value: exp.Expr, reading: Reading) -> bool:
    if isinstance(value, exp.Min | exp.Max | exp.Sum | exp.Avg):
        return True
    if isinstance(value, exp.Add | exp.Sub | exp.Mul | exp.Div):
        return _is_nullable(value.this, reading) or _is_nullable(value.expression, reading)
    if isinstance(value, exp.Paren | exp.Neg | exp.Cast):
        return _is_nullable(value.this, reading)
    owner = reading.owners.get(id(value)) if isinstance(value, exp.Column) and not value.args.get("db") else None
    if isinstance(owner, exp.Table) and owner.db:
        return True
    source = reading.ctes.get(id(owner), owner)
    if not isinstance(source, exp.Subquery | exp.CTE) or not isinstance(source.this, exp.Query):
        return False
    names = source.this.named_selects
    renamed = isinstance(source.args.get("alias"), exp.TableAlias) and source.args["alias"].columns
    return not renamed and value.name in names and _may_be_null(source.this, reading, names.index(value.name))
