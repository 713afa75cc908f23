"""Turn the subqueries that the engine would answer wrongly, or cannot plan, into joins, outermost first."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.engine_sql.workarounds.subqueries.grouped import part
from compiler.engine_sql.workarounds.subqueries.joined import flatten_lateral, move_out_of_on
from compiler.engine_sql.workarounds.subqueries.marks import mark
from compiler.engine_sql.workarounds.subqueries.naming import CODE, Fresh
from compiler.engine_sql.workarounds.subqueries.places import Place, Reading, places, tested
from compiler.engine_sql.workarounds.subqueries.planned import is_lateral_planned, is_planned_rightly
from compiler.tree.positions import located
from compiler.tree.walk import find_all

_ORDER = {"joins": 0, "group": 1}
"""The clauses whose subqueries are rewritten first: what is grouped by, and joined, is there for the others to read."""
_STEPS = 50
"""So many for each subquery: one is moved, parted and spread, and copied with what it is joined to."""


def unnest_subqueries(query: exp.Query, facts: Facts) -> exp.Query:
    """Join what subqueries ask for, in place, where DataFusion 55 does not answer them as the standard does.

    SELECT t.k FROM t WHERE t.a IN (SELECT u.b FROM u) IS NULL
    → SELECT t.k FROM t
      LEFT JOIN (SELECT DISTINCT r.b AS v FROM (SELECT u.b FROM u) AS r WHERE NOT r.b IS NULL) AS m ON m.v = t.a
      CROSS JOIN (SELECT COUNT(*) AS n, COUNT(r.b) AS f FROM (SELECT u.b FROM u) AS r) AS c
      WHERE CASE WHEN NOT m.v IS NULL THEN TRUE WHEN c.n > 0 AND (t.a IS NULL OR c.f < c.n) THEN NULL
        ELSE FALSE END IS NULL

    The engine takes NULL for FALSE in NOT IN with a constant, and in IN within an expression; finds no row where a
    subquery aggregates and reads none; takes inner columns for outer ones in ANY and ALL. It cannot plan subqueries in
    SELECT lists, in ON and in arguments of aggregates, nor such as read what is around them by an inequality, two
    levels further out, in derived tables, under UNION or LIMIT. Raises `SqlError` where this cannot mend it either.
    """
    if not facts.has(query, exp.In, exp.Exists, exp.Any, exp.All, exp.Lateral, exp.Subquery):
        return query
    found = places(query)
    steps = (len(found) + len(find_all(query, exp.Lateral))) * _STEPS
    fresh = Fresh(query) if steps else None
    while fresh is not None and _step(query, facts, fresh):
        steps -= 1
        if not steps:
            at = found[0].node if found else query
            hint = "compute part of them in a CTE that is joined"
            raise located(at, "these subqueries are nested too deeply to be joined", hint=hint, code=CODE)
    return query


def _step(query: exp.Query, facts: Facts, fresh: Fresh) -> bool:
    """Rewrite one subquery; return whether there was one to rewrite."""
    found, laterals = places(query), find_all(query, exp.Lateral)
    if not found and not laterals:
        return False
    reading = Reading(query, facts.schemas)
    for lateral in laterals:
        select = lateral.find_ancestor(exp.Select)
        if select is not None and not is_lateral_planned(lateral, reading):
            flatten_lateral(lateral, select, reading, fresh)
            return True
    wrong = [place for place in found if not is_planned_rightly(place, reading)]
    if not wrong:
        return False
    _rewrite(_first(wrong), reading, fresh)
    return True


def _first(wrong: list[Place]) -> Place:
    """Return what has to be rewritten first: of one of the outermost SELECTs ON and GROUP BY, then what is compared."""
    select = wrong[0].select
    own = [place for place in wrong if place.select is select]
    first = min(own, key=lambda place: _ORDER.get(place.clause, len(_ORDER)))
    while True:
        within = {id(node) for value in tested(first.node) for node in find_all(value, exp.Expr)}
        compared = next((place for place in own if id(place.node) in within), None)
        if compared is None:
            return first
        first = compared


def _rewrite(place: Place, reading: Reading, fresh: Fresh) -> None:
    if place.clause == "joins":
        move_out_of_on(place, reading, fresh)
    elif place.after_grouping:
        part(place.select, reading, fresh)
    else:
        mark(place, reading, fresh)
