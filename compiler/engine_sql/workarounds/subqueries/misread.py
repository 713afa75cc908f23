"""Rules with subqueries that an earlier version may have computed wrongly, by their canonical tree."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.engine_sql.workarounds.join_conditions import may_join_null_safe
from compiler.engine_sql.workarounds.subqueries.places import QUANTIFIED, Place, Reading, body_of, places, tested
from compiler.engine_sql.workarounds.subqueries.planned import is_filtering, is_lateral_planned, is_planned_rightly
from compiler.engine_sql.workarounds.subqueries.spreading import is_total
from compiler.tree.conditions import conjuncts
from compiler.tree.walk import find_all


def may_have_misread_subqueries(tree: exp.Query, facts: Facts) -> bool:
    """Whether a subquery may have been answered wrongly; what failed left no table behind.

    Wrong were: ANY and ALL; IN where NULL is not FALSE; EXISTS and IN over an aggregate; a scalar subquery whose
    missing row was not NULL. `t.k = ANY (SELECT t.k FROM u AS t)` too, which shared its fingerprint with an IN and with
    an EXISTS of columns of one name: their tables may be its.
    """
    if not facts.has(tree, exp.In, exp.Exists, exp.Any, exp.All, exp.Subquery):
        return False
    found = places(tree)
    reading = Reading(tree, facts.schemas) if found else None
    return reading is not None and any(_may_be_wrong(place, reading) or _may_capture(place, reading) for place in found)


def may_have_lost_nulls(tree: exp.Query, facts: Facts) -> bool:
    """Whether a query beside a further join may have been executed as a join by IS NOT DISTINCT FROM.

    An author may have written such a join, and so does `unnest_subqueries`; see `key_null_safe_joins`.
    """
    if may_join_null_safe(tree, facts) and len(facts.nodes(tree, exp.Join)) > 1:
        return True
    if not facts.has(tree, exp.Join):
        return False
    laterals, found = facts.nodes(tree, exp.Lateral), places(tree)
    if not laterals and not found:
        return False
    reading = Reading(tree, facts.schemas)
    planned = (is_lateral_planned(lateral, reading) for lateral in laterals)
    return not all(planned) or not all(is_planned_rightly(place, reading) for place in found)


def _may_be_wrong(place: Place, reading: Reading) -> bool:
    node = place.node
    if isinstance(node, QUANTIFIED):
        return True
    if is_planned_rightly(place, reading):
        return False
    body = body_of(node)
    total = isinstance(body, exp.Select) and is_total(body)
    if isinstance(node, exp.Exists):
        return total
    return isinstance(node, exp.Subquery) or total or not is_filtering(place)


def _may_capture(place: Place, reading: Reading) -> bool:
    """Whether a subquery may have been = ANY over a column that has the name of the one before it."""
    body = body_of(place.node)
    if not isinstance(body, exp.Select) or not isinstance(place.node, exp.In | exp.Exists):
        return False
    if isinstance(place.node, exp.In):
        values, items = tested(place.node), [item.unalias() for item in body.selects]
        pairs = list(zip(values, items, strict=False))
    else:
        where = body.args.get("where")
        terms = conjuncts(where.this if where is not None else None)
        outer = {id(one) for one in reading.outer_columns(body)}
        pairs = [
            (term.this, term.expression)
            for term in terms
            if isinstance(term, exp.EQ) and len({id(one) in outer for one in find_all(term, exp.Column)}) > 1
        ]
    return any(
        isinstance(one, exp.Column) and isinstance(other, exp.Column) and one.name == other.name for one, other in pairs
    )
