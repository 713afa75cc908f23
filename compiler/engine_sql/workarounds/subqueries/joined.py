"""Subqueries in ON, and LATERAL derived tables: each becomes an item of a FROM clause."""

from __future__ import annotations

from sqlglot import exp

from compiler.engine_sql.workarounds.subqueries.naming import (
    CODE,
    Fresh,
    aliased,
    column,
    conjunction,
    not_distinct,
    point,
    target,
)
from compiler.engine_sql.workarounds.subqueries.places import Place, Reading
from compiler.engine_sql.workarounds.subqueries.sources import (
    copied_sources,
    cross_commas,
    derived,
    mirror_right_joins,
    require_repeatable,
)
from compiler.engine_sql.workarounds.subqueries.spreading import Domain, Spreader
from compiler.names.lexical import item_name
from compiler.tree.conditions import conjuncts
from compiler.tree.positions import located
from compiler.tree.walk import find_all


def move_out_of_on(place: Place, reading: Reading, fresh: Fresh) -> None:
    """Move a subquery out of the ON of a join, in place. Raises `SqlError`.

    FROM a JOIN b ON p AND EXISTS (…) → FROM a JOIN b ON p WHERE EXISTS (…)
    FROM a LEFT JOIN b ON p AND EXISTS (… a.x … b.y …)
    → FROM a LEFT JOIN (SELECT b.y AS y, d.k AS k, EXISTS (… d.k … b.y …) AS m FROM b CROSS JOIN (domain) AS d) AS b
      ON p AND a.x IS NOT DISTINCT FROM b.k AND b.m

    The domain is the table of all distinct values of a.x.
    """
    select = place.select
    join = next(one for one in place.path if isinstance(one, exp.Join))
    joins = select.args.get("joins") or []
    number = next((number for number, one in enumerate(joins) if one is join), None)
    if number is None:
        raise _refused(place.node, "a subquery in ON within parentheses", "join without parentheses")
    if join.side == "RIGHT" and number == 0:
        mirror_right_joins(select)
    later = joins[number + 1 :]
    if join.side == "" and join.kind in {"", "INNER"} and not any(one.side in {"RIGHT", "FULL"} for one in later):
        terms = conjuncts(join.args["on"])
        moved = [term for term in terms if any(node is place.node for node in find_all(term, exp.Expr))]
        kept = [term for term in terms if not any(term is one for one in moved)]
        cross_commas(select)
        join.set("on", conjunction(kept) or exp.true())
        where = select.args.get("where")
        select.set(
            "where", exp.Where(this=conjunction([*conjuncts(where.this if where is not None else None), *moved]))
        )
        return
    _compute_beside(place, join, reading, fresh)


def _compute_beside(place: Place, join: exp.Join, reading: Reading, fresh: Fresh) -> None:
    select, node, item = place.select, place.node, join.this
    alias = item_name(item)
    if alias is None or item.args.get("joins") or not isinstance(item, exp.Table | exp.Subquery):
        raise _refused(node, "a subquery in ON of a join in parentheses", "join without parentheses")
    own = reading.own_columns(node, select)
    before = [one for one in own if reading.owners[id(one)] is not item]
    if before and join.side in {"RIGHT", "FULL"}:
        raise _refused(
            node,
            f"a subquery in ON of a {join.side} JOIN that reads its left side",
            "compute it in a CTE that is joined",
        )
    wanted = dict.fromkeys(
        target(one)[1] for one in find_all(reading.query, exp.Column) if reading.owners.get(id(one)) is item
    )
    inner_alias, mark = fresh.names(2)
    query = exp.Select(expressions=[aliased(column(inner_alias, name), name) for name in wanted])
    inner_item = item.copy()
    inner_item.set("alias", exp.TableAlias(this=exp.to_identifier(inner_alias, quoted=True), columns=_columns(item)))
    query.set("from_", exp.From(this=inner_item))
    terms: list[exp.Expr] = []
    passed: dict[tuple[str, str], str] = {}
    domain = fresh.name()
    for one in before:
        passed.setdefault(target(one), fresh.name())
    if passed:
        cross_commas(select)
        values = copied_sources(_before(select, join), {source for source, _ in passed}, [])
        require_repeatable(values, node)
        values.set("expressions", [aliased(column(*source), name) for source, name in passed.items()])
        values.set("distinct", exp.Distinct())
        query.set("joins", [exp.Join(this=derived(values, domain), kind="CROSS")])
        for name in passed.values():
            query.append("expressions", aliased(column(domain, name), name))
        terms = not_distinct((column(*source), column(alias, name)) for source, name in passed.items())
    own_ids = {id(one): target(one) for one in before}
    for one in own:
        if id(one) in own_ids:
            point(one, domain, passed[own_ids[id(one)]])
        else:
            point(one, inner_alias, target(one)[1])
    node.replace(column(alias, mark))
    query.append("expressions", aliased(node, mark))
    join.set("this", derived(query, alias))
    join.set("on", conjunction([*conjuncts(join.args["on"]), *terms]))


def flatten_lateral(lateral: exp.Lateral, select: exp.Select, reading: Reading, fresh: Fresh) -> None:
    """FROM a LEFT JOIN LATERAL (… a.x …) AS l ON p → FROM a LEFT JOIN (…) AS l ON p AND a.x IS NOT DISTINCT FROM l.k.

    In place. The derived table holds the rows for all values of a.x, k. Raises `SqlError`.
    """
    join = lateral.parent
    joins = select.args.get("joins") or []
    if not isinstance(join, exp.Join) or not any(one is join for one in joins) or join.side in {"RIGHT", "FULL"}:
        raise _refused(
            lateral, "LATERAL here", "write it after the tables that it reads, as CROSS or LEFT JOIN LATERAL"
        )
    cross_commas(select)
    body = lateral.this
    alias = lateral.args["alias"]
    passed: dict[tuple[str, str], str] = {}
    outer = fresh.name()
    own = reading.own_columns(body, select)
    sources = [target(one) for one in own]
    for source in sources:
        passed.setdefault(source, fresh.name())
    query = copied_sources(_before(select, join), {source for source, _ in passed}, [])
    require_repeatable(query, lateral)
    query.set("expressions", [aliased(column(*source), name) for source, name in passed.items()])
    query.set("distinct", exp.Distinct())
    for one, source in zip(own, sources, strict=True):
        point(one, outer, passed[source])
    domain = Domain(query, tuple(passed.values()), outer)
    spread = Spreader(domain, fresh).spread(body)
    item = exp.Subquery(this=spread, alias=alias)
    if alias.columns:
        alias.set("columns", [*(exp.to_identifier(key, quoted=True) for key in domain.keys), *alias.columns])
    terms = not_distinct((column(*source), column(alias.name, name)) for source, name in passed.items())
    join.set("this", item)
    join.set("on", conjunction([*conjuncts(join.args.get("on")), *terms]))
    if join.kind == "CROSS":
        join.set("kind", None)


def _before(select: exp.Select, join: exp.Join) -> exp.Select:
    """Return a copy of the FROM clause up to a join."""
    joins: list[exp.Join] = select.args.get("joins") or []
    number = next(number for number, one in enumerate(joins) if one is join)
    return exp.Select(from_=select.args["from_"].copy(), joins=[one.copy() for one in joins[:number]])


def _columns(item: exp.Expr) -> list[exp.Expr]:
    alias = item.args.get("alias")
    return [name.copy() for name in alias.columns] if isinstance(alias, exp.TableAlias) else []


def _refused(at: exp.Expr, what: str, hint: str) -> Exception:
    return located(at, f"the engine cannot run {what}", hint=hint, code=CODE)
