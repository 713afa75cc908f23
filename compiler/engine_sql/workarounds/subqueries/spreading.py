"""Answer a subquery for all rows around it at once: each of its SELECTs is joined to the *domain*.

The domain is the table of all distinct values that a subquery reads from the query around it (Neumann and Kemper,
"Unnesting Arbitrary Queries", BTW 2015: D). Spread over it, a query yields the rows of every single answer, each with
the values, its *keys*, that it is the answer for. Then the subquery is an ordinary derived table.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from compiler.engine_sql.workarounds.subqueries.naming import (
    CODE,
    Fresh,
    aliased,
    column,
    conjunction,
    mentions,
    not_distinct,
    owners,
    point,
    redirect,
    target,
)
from compiler.engine_sql.workarounds.subqueries.sources import cross_commas, derived, mirror_right_joins
from compiler.names.lexical import from_items, resolve_names
from compiler.sql.encode import encode
from compiler.sql.functions import WindowFunction
from compiler.tree.positions import located
from compiler.tree.walk import find_all, has


@dataclass(frozen=True)
class Domain:
    """The values that a subquery reads from around it: `query` yields them as `keys`; it reads them from `alias`."""

    query: exp.Select
    keys: tuple[str, ...]
    alias: str

    def item(self, alias: str) -> exp.Subquery:
        """Return the domain as a FROM item."""
        return derived(self.query.copy(), alias)

    def columns(self, alias: str) -> list[exp.Expr]:
        """Return the keys as columns of a FROM item."""
        return [column(alias, key) for key in self.keys]

    def selected(self, alias: str) -> list[exp.Expr]:
        """Return the keys as what a SELECT list has of a FROM item."""
        return [aliased(column(alias, key), key) for key in self.keys]

    def matching(self, left: str, right: str) -> exp.Expr:
        """Return the condition that two FROM items have the same keys."""
        pairs = zip(self.columns(left), self.columns(right), strict=True)
        condition = conjunction(not_distinct(pairs))
        assert condition is not None
        return condition


class Spreader:
    """Spreads queries, which it consumes, over one domain."""

    def __init__(self, domain: Domain, fresh: Fresh) -> None:
        self._domain = domain
        self._fresh = fresh
        self._ctes: set[str] = set()
        """Those that have been spread."""

    def spread(self, query: exp.Expr) -> exp.Query:
        """Return the query with the keys before its outputs. Raises `SqlError` where that cannot be done.

        SELECT u.b AS b FROM u WHERE u.k < ~.k
        → SELECT d.k AS k, u.b AS b FROM u CROSS JOIN (domain) AS d WHERE u.k < d.k
        """
        if isinstance(query, exp.Subquery):
            return self.spread(query.this)
        if not isinstance(query, exp.Query):
            raise _refused(query, "a subquery of this kind that reads the query around it", "write it as a join")
        with_ = query.args.get("with_")
        if isinstance(with_, exp.With):
            self._spread_ctes(with_)
        if query.args.get("limit") is not None or query.args.get("offset") is not None:
            return self._limited(query)
        if isinstance(query, exp.SetOperation):
            query.set("order", None)
            query.set("this", self._branch(query.this))
            query.set("expression", self._branch(query.expression))
            return query
        assert isinstance(query, exp.Select)
        if is_total(query):
            return self._total(query)
        return self._select(query)

    def _spread_ctes(self, with_: exp.With) -> None:
        for cte in with_.expressions:
            if not self._is_spread(cte.this):
                continue
            if with_.recursive and any(table.name == cte.alias for table in find_all(cte.this, exp.Table)):
                raise _refused(cte, "a recursive CTE that reads the query around it", "compute it in a rule")
            cte.set("this", self.spread(cte.this))
            self._name_keys(cte)
            self._ctes.add(cte.alias)

    def _branch(self, query: exp.Expr) -> exp.Query:
        spread = self.spread(query)
        if isinstance(spread, exp.SetOperation) or spread.args.get("with_") is not None:
            return exp.Subquery(this=spread)
        return spread

    def _is_spread(self, tree: exp.Expr) -> bool:
        """Whether a FROM item or query depends on the domain."""
        return mentions(tree, self._domain.alias) or any(
            not table.db and table.name in self._ctes for table in find_all(tree, exp.Table)
        )

    def _name_keys(self, holder: exp.Expr) -> None:
        """FROM (…) AS q(a) → FROM (…) AS q(key, a)."""
        alias = holder.args.get("alias")
        if isinstance(alias, exp.TableAlias) and alias.columns:
            alias.set("columns", [*(exp.to_identifier(key, quoted=True) for key in self._domain.keys), *alias.columns])

    def _select(self, select: exp.Select) -> exp.Select:
        alias = self._join(select)
        keys = self._domain.columns(alias)
        group, distinct = select.args.get("group"), select.args.get("distinct")
        if group is not None and not group.args.get("all"):
            if has(group, exp.Rollup, exp.Cube, exp.GroupingSets):
                raise _refused(group, "a subquery with grouping sets that reads the query around it", "use UNION ALL")
            group.set("expressions", [*keys, *group.expressions])
        ordered = False
        if distinct is not None and distinct.args.get("on") is not None:
            on = distinct.args["on"]
            on.set("expressions", [*(key.copy() for key in keys), *on.expressions])
            ordered = select.args.get("order") is not None
        if ordered:
            order = select.args["order"]
            order.set("expressions", [*(exp.Ordered(this=key.copy()) for key in keys), *order.expressions])
        else:
            select.set("order", None)
        self._partition(select, keys)
        select.set("expressions", [*self._domain.selected(alias), *select.selects])
        return select

    def _partition(self, select: exp.Select, keys: list[exp.Expr]) -> None:
        """SUM(a) OVER (PARTITION BY b) → SUM(a) OVER (PARTITION BY key, b)."""
        for window in find_all(select, exp.Window):
            if window.parent_select is select and (window.arg_key == "windows" or window.args.get("alias") is None):
                window.set("partition_by", [*(key.copy() for key in keys), *(window.args.get("partition_by") or [])])

    def _join(self, select: exp.Select) -> str:
        """Join a SELECT's FROM to the domain, in place; return the domain's alias there."""
        alias = self._fresh.name()
        item = self._domain.item(alias)
        cross_commas(select)
        from_, joins = select.args.get("from_"), list(select.args.get("joins") or [])
        if from_ is None:
            select.set("from_", exp.From(this=item))
        elif not self._is_spread(from_) and not any(map(self._is_spread, joins)):
            select.set("joins", [*joins, exp.Join(this=item, kind="CROSS")])
        else:
            mirror_right_joins(select)
            joins = select.args.get("joins") or []
            first = exp.Join(this=from_.this, kind="CROSS")
            from_.set("this", item)
            for join in (first, *joins):
                self._key_join(join, alias)
            select.set("joins", [first, *joins])
        redirect([select], self._domain.alias, alias)
        return alias

    def _key_join(self, join: exp.Join, alias: str) -> None:
        """Join a FROM item that depends on the domain by the keys too."""
        item = join.this
        if join.side in {"RIGHT", "FULL"}:
            hint = "write it as a LEFT JOIN" if join.side == "RIGHT" else "use UNION ALL"
            raise _refused(join, f"a {join.side} JOIN in a subquery that reads the query around it", hint)
        if isinstance(item, exp.Lateral):
            return
        if item.args.get("joins") or not isinstance(item, exp.Subquery | exp.Table):
            if self._is_spread(item):
                raise _refused(join, "a join in parentheses that reads the query around it", "join without parentheses")
            return
        if isinstance(item, exp.Table):
            if item.db or item.name not in self._ctes:
                return
        elif self._is_spread(item):
            if not isinstance(item.this, exp.Query):
                raise _refused(join, "a join in parentheses that reads the query around it", "join without parentheses")
            item.set("this", self.spread(item.this))
            self._name_keys(item)
        else:
            return
        terms = [self._domain.matching(alias, item.alias_or_name)]
        if join.args.get("on") is not None:
            terms.append(exp.Paren(this=join.args["on"]))
        join.set("on", conjunction(terms))
        if join.kind == "CROSS":
            join.set("kind", None)

    def _total(self, select: exp.Select) -> exp.Select:
        """SELECT COUNT(*) AS n FROM u WHERE u.k = ~.k: one row for each key, also where no row of u belongs to it.

        → SELECT d.k AS k, COUNT(*) FILTER (WHERE r.found) AS n
          FROM (domain) AS d LEFT JOIN (SELECT e.k AS k, TRUE AS found FROM u … AS e WHERE u.k = e.k) AS r ON d.k = r.k
          GROUP BY d.k
        """
        items, _ = from_items(select)
        own = {id(item) for item in items}
        around = {id(one) for key in ("from_", "joins", "where", "with_") for one in _columns(select, key)}
        names = resolve_names(select)
        owner = owners(names)
        rows, domain, found = self._fresh.names(3)
        passed: dict[tuple[str, str], str] = {}
        for one in find_all(select, exp.Column):
            if id(one) in around or id(owner.get(id(one))) not in own:
                continue
            name = passed.setdefault(target(one), self._fresh.name())
            point(one, rows, name)
        inner = exp.Select(
            expressions=[
                *(aliased(column(*source), name) for source, name in passed.items()),
                aliased(exp.true(), found),
            ]
        )
        for key in ("from_", "joins", "where"):
            inner.set(key, select.args.get(key))
            select.set(key, None)
        select.set("group", None)
        inner = self._select(inner)
        redirect([select], self._domain.alias, domain)
        for call in totals(select):
            _filter(call, column(rows, found))
        keys = self._domain.columns(domain)
        self._partition(select, keys)
        select.set("from_", exp.From(this=self._domain.item(domain)))
        select.set("joins", [exp.Join(this=derived(inner, rows), side="LEFT", on=self._domain.matching(domain, rows))])
        select.set("group", exp.Group(expressions=[key.copy() for key in keys]))
        select.set("order", None)
        select.set("expressions", [*self._domain.selected(domain), *select.selects])
        return select

    def _limited(self, query: exp.Query) -> exp.Select:
        """SELECT u.b AS b FROM u ORDER BY u.c LIMIT 2 → the first two rows of each key.

        SELECT p.k AS k, p.b AS b FROM (
          SELECT q.k AS k, q.b AS b, ROW_NUMBER() OVER (PARTITION BY q.k ORDER BY q.c) AS place FROM (…) AS q
        ) AS p WHERE p.place <= 2
        """
        limit, offset = (query.args.get(key) for key in ("limit", "offset"))
        count = limit.expression if limit is not None else None
        skipped = offset.expression if offset is not None else None
        for bound in (count, skipped):
            if bound is not None and not isinstance(bound, exp.Literal | exp.Null):
                raise _refused(
                    query, "a LIMIT that is not a number, in a subquery that reads the query around it", None
                )
        order = query.args.get("order")
        outputs = list(query.named_selects)
        for key in ("limit", "offset", "order"):
            query.set(key, None)
        keys = [self._order_key(query, ordered, outputs) for ordered in (order.expressions if order else ())]
        ranked, rows, place = self._fresh.names(3)
        window = exp.Window(
            this=WindowFunction(this="row_number", expressions=[]),
            partition_by=self._domain.columns(rows),
        )
        if keys:
            window.set(
                "order",
                exp.Order(
                    expressions=[
                        exp.Ordered(
                            this=column(rows, name),
                            desc=ordered.args.get("desc"),
                            nulls_first=ordered.args.get("nulls_first"),
                        )
                        for name, ordered in keys
                    ]
                ),
            )
        inner = self.spread(query)
        shown = [*self._domain.keys, *outputs]
        numbered = exp.Select(
            expressions=[
                *(aliased(column(rows, name), name) for name in shown),
                aliased(window, place),
            ],
            from_=exp.From(this=derived(inner, rows)),
        )
        terms: list[exp.Expr] = []
        first = skipped if skipped is not None and not isinstance(skipped, exp.Null) else exp.Literal.number(0)
        if first.name != "0":
            terms.append(exp.GT(this=column(ranked, place), expression=first.copy()))
        if isinstance(count, exp.Literal):
            last = exp.Literal.number(int(first.name) + int(count.name))
            terms.append(exp.LTE(this=column(ranked, place), expression=last))
        return exp.Select(
            expressions=[aliased(column(ranked, name), name) for name in shown],
            from_=exp.From(this=derived(numbered, ranked)),
            where=exp.Where(this=conjunction(terms)) if terms else None,
        )

    def _order_key(self, query: exp.Query, ordered: exp.Expr, outputs: list[str]) -> tuple[str, exp.Expr]:
        """Return the output that a key of ORDER BY is, which may have to be added, and the key."""
        value = ordered.this
        if isinstance(value, exp.Column) and not value.table and value.name in outputs:
            return value.name, ordered
        if isinstance(value, exp.Literal) and value.is_int:
            return outputs[int(value.name) - 1], ordered
        if isinstance(query, exp.Select):
            for item, name in zip(query.selects, outputs, strict=False):
                if encode(item.unalias()) == encode(value):
                    return name, ordered
            if query.args.get("distinct") is None:
                name = self._fresh.name()
                query.append("expressions", aliased(value.copy(), name))
                return name, ordered
        raise _refused(query, "LIMIT in a subquery that reads the query around it", "order it by its outputs")


def is_total(select: exp.Select) -> bool:
    """Whether a SELECT aggregates without GROUP BY, and so yields one row whatever it reads, save for HAVING."""
    group = select.args.get("group")
    if group is not None:
        keys = [part for value in group.args.values() for part in (value if isinstance(value, list) else [value])]
        return all(not key or (isinstance(key, exp.Tuple) and not key.expressions) for key in keys)
    return select.args.get("having") is not None or bool(totals(select))


def totals(select: exp.Select) -> list[exp.Expr]:
    """Return the calls of aggregates of a SELECT itself; a call with OVER is none."""
    found: list[exp.Expr] = []
    for key in ("expressions", "having", "qualify", "order", "distinct", "windows"):
        value = select.args.get(key)
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, exp.Expr):
                found += [
                    call
                    for call in find_all(part, exp.AggFunc)
                    if call.parent_select is select and not _is_windowed(call) and not _is_within(call, part)
                ]
    return found


def _is_within(call: exp.Expr, part: exp.Expr) -> bool:
    """Whether an aggregate is in the arguments of another, as ORDER BY of an ARRAY_AGG may suggest."""
    node = call
    while node is not part and node.parent is not None:
        node = node.parent
        if isinstance(node, exp.AggFunc) and not _is_windowed(node):
            return True
    return False


def wrapped_call(call: exp.Expr) -> exp.Expr:
    """Return an aggregate with its WITHIN GROUP, IGNORE NULLS and FILTER."""
    node = call
    wrappers = (exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)
    while isinstance(node.parent, wrappers) and node.parent.this is node:
        node = node.parent
    return node


def _is_windowed(call: exp.Expr) -> bool:
    around = wrapped_call(call)
    return isinstance(around.parent, exp.Window) and around.parent.this is around


def _filter(call: exp.Expr, condition: exp.Expr) -> None:
    whole = wrapped_call(call)
    if isinstance(whole, exp.Filter):
        where = whole.expression
        where.set("this", conjunction([exp.Paren(this=where.this), condition]))
        return
    filtered = exp.Filter(expression=exp.Where(this=condition))
    whole.replace(filtered)
    filtered.set("this", whole)


def _columns(select: exp.Select, key: str) -> list[exp.Column]:
    value = select.args.get(key)
    parts = value if isinstance(value, list) else [value]
    return [one for part in parts if isinstance(part, exp.Expr) for one in find_all(part, exp.Column)]


def _refused(at: exp.Expr, what: str, hint: str | None) -> Exception:
    return located(at, f"the engine cannot run {what}", hint=hint, code=CODE)
