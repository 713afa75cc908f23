"""The answers of a subquery for all rows around it at once, as a derived table that is joined to the SELECT."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from compiler.engine_sql.workarounds.subqueries.naming import (
    PREFIX,
    Fresh,
    aliased,
    column,
    conjunction,
    not_distinct,
    point,
    target,
)
from compiler.engine_sql.workarounds.subqueries.outputs import name_outputs
from compiler.engine_sql.workarounds.subqueries.places import Place, Reading, body_of
from compiler.engine_sql.workarounds.subqueries.sources import copied_sources, cross_commas, derived, require_repeatable
from compiler.engine_sql.workarounds.subqueries.spreading import Domain, Spreader
from compiler.sql import functions
from compiler.tree.conditions import conjuncts
from compiler.tree.walk import find_all, has


class Answers:
    """The answers of a subquery for all rows of the SELECT around it; the subquery is consumed.

    query: yields `keys`, and `outputs` under these names. outer: what the keys equal, as the SELECT sees it.
    """

    def __init__(self, place: Place, reading: Reading, fresh: Fresh) -> None:
        self._place = place
        self._fresh = fresh
        self._filters = _filters(place, reading)
        body = body_of(place.node)
        self.outputs = fresh.names(len(body.named_selects))
        alias = fresh.name()
        passed: dict[tuple[str, str], str] = {}
        for one in reading.own_columns(body, place.select):
            source = target(one)
            point(one, alias, passed.setdefault(source, fresh.name()))
        self.outer: list[exp.Expr] = [column(*source) for source in passed]
        self.keys = list(passed.values())
        query = exp.Subquery(this=body.pop()) if body.parent is not None else exp.Subquery(this=body)
        name_outputs(query.this, self.outputs)
        self.query: exp.Query = query.this
        if self.keys:
            domain = Domain(self.domain_of(self.outer, self.keys), tuple(self.keys), alias)
            self.query = Spreader(domain, fresh).spread(self.query)

    def domain_of(self, values: Sequence[exp.Expr], names: Sequence[str]) -> exp.Select:
        """Return SELECT DISTINCT values AS names over the rows that the subquery is asked for."""
        aliases = {one.parts[0].name for value in values for one in find_all(value, exp.Column)}
        select = self._place.select
        query = exp.Select()
        if aliases:  # what is constant needs no rows
            query = copied_sources(select, aliases, self._filters)
            require_repeatable(query, self._place.node)
        pairs = zip(values, names, strict=True)
        query.set("expressions", [aliased(value.copy(), name) for value, name in pairs])
        query.set("distinct", exp.Distinct())
        return query

    def join(
        self, query: exp.Select, keys: Sequence[tuple[exp.Expr, str]], further: Sequence[tuple[exp.Expr, str]] = ()
    ) -> str:
        """Join a derived table to the SELECT where its columns are `keys`; return its alias.

        keys: values and the columns that are not distinct from them; further: the same, that are equal.
        """
        alias, select = self._fresh.name(), self._place.select
        cross_commas(select)
        if select.args.get("from_") is None:
            one = exp.Select(expressions=[aliased(exp.Literal.number(1), self._fresh.name())])
            select.set("from_", exp.From(this=derived(one, self._fresh.name())))
        terms = not_distinct((value.copy(), column(alias, name)) for value, name in keys)
        terms += [exp.EQ(this=column(alias, name), expression=value.copy()) for value, name in further]
        item = derived(query, alias)
        if terms:
            select.append("joins", exp.Join(this=item, side="LEFT", on=conjunction(terms)))
        else:
            select.append("joins", exp.Join(this=item, kind="CROSS"))
        return alias

    def own_keys(self) -> list[tuple[exp.Expr, str]]:
        """Return what the keys equal in the SELECT, each with its key."""
        return list(zip(self.outer, self.keys, strict=True))

    def select(self, items: Sequence[exp.Expr], rows: str, *, grouped: bool) -> exp.Select:
        """Return SELECT keys, items FROM query AS rows, with GROUP BY keys if grouped, else DISTINCT."""
        keys: list[exp.Expr] = [column(rows, key) for key in self.keys]
        query = exp.Select(
            expressions=[*(aliased(key, key.name) for key in keys), *items],
            from_=exp.From(this=derived(self.query.copy(), rows)),
        )
        if not grouped:
            query.set("distinct", exp.Distinct())
        elif keys:
            query.set("group", exp.Group(expressions=[key.copy() for key in keys]))
        return query


def _filters(place: Place, reading: Reading) -> list[exp.Expr]:
    """Return the terms of WHERE without subqueries that read the SELECT's own columns alone."""
    where = place.select.args.get("where")
    own = {id(one) for one in reading.own_columns(where, place.select)} if where is not None else set()
    return [
        term
        for term in conjuncts(where.this if where is not None else None)
        if not has(term, exp.Query)
        and not any(functions.is_volatile(call) for call in find_all(term, exp.Func))
        and all(
            id(one) in own and not one.parts[0].name.startswith(PREFIX) for one in find_all(term, exp.Column)
        )  # else each domain would hold those of the subqueries before
    ]
