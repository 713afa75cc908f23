"""Rewrites of names, CTEs and derived tables that keep a query's meaning on every database."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from compiler.schema import INPUT_DB
from properties.drafts import (
    Draft,
    column,
    is_plain,
    leftmost,
    name,
    table_alias,
)

_ALIASES = ("x", "y", "_t0", "_t1", "orders", "items", "select", "a b", "T", "customers", "_q", "events")
_COLUMNS = ("v", "_c0", "_c1", "group", "name", "Name", "order_id", "x y", "status")


def _items(draft: Draft) -> list[exp.Expr]:
    """Every FROM item, but those of semi-joins under LATERAL and the like."""
    return [
        item
        for item in draft.tree.find_all(exp.Table, exp.Subquery)
        if isinstance(item.parent, exp.From | exp.Join) and item.args.get("alias") and not item.args["alias"].columns
    ]


def _derived(draft: Draft) -> list[exp.Expr]:
    return [item for item in _items(draft) if isinstance(item, exp.Subquery)]


def _base(draft: Draft) -> list[exp.Expr]:
    return [item for item in _items(draft) if isinstance(item, exp.Table) and item.db == INPUT_DB]


def _ctes(draft: Draft) -> list[exp.CTE]:
    with_ = draft.tree.args.get("with_")
    return list(with_.expressions) if with_ is not None else []


def _uses(draft: Draft, cte: exp.CTE) -> list[exp.Table]:
    return [table for table in draft.tree.find_all(exp.Table) if not table.db and table.name == cte.alias]


def _rename_alias(draft: Draft, old: str, new: str) -> None:
    for found in draft.tree.find_all(exp.Column):
        if found.table == old:
            found.set("table", name(new))


def _taken(draft: Draft) -> set[str]:
    return {node.name for node in draft.tree.find_all(exp.Identifier)}


def _reads_own_ctes(query: exp.Expr) -> bool:
    own_names = {cte.alias for cte in query.find_all(exp.CTE)}
    return all(table.db or table.name in own_names for table in query.find_all(exp.Table))


def _add_cte(draft: Draft, text: str, body: exp.Expr, *, first: bool = False) -> None:
    cte = exp.CTE(this=body, alias=table_alias(text))
    ctes = _ctes(draft)
    draft.tree.set("with_", exp.With(expressions=[cte, *ctes] if first else [*ctes, cte]))
    draft.changed = True


def _unordered(draft: Draft) -> bool:
    args = draft.tree.args
    return not any(args.get(key) for key in ("order", "limit", "offset"))


def _wrap(draft: Draft, items: list[exp.Expr]) -> None:
    body = draft.tree.copy()
    draft.tree = exp.Select(expressions=items, from_=exp.From(this=exp.Subquery(this=body, alias=table_alias("w"))))
    draft.changed = True


def rename_alias(draft: Draft) -> None:
    """FROM t AS a → FROM t AS b."""
    item = draft.pick(_items(draft))
    fresh = draft.pick([alias for alias in _ALIASES if alias not in _taken(draft)])
    if item is not None and fresh is not None:
        _rename_alias(draft, item.alias, fresh)
        item.set("alias", table_alias(fresh))
        draft.changed = True


def rename_cte(draft: Draft) -> None:
    """WITH c AS (…) SELECT … FROM c AS q → WITH d AS (…) SELECT … FROM d AS q."""
    cte = draft.pick(_ctes(draft))
    fresh = draft.pick([alias for alias in _ALIASES if alias not in _taken(draft)])
    if cte is not None and fresh is not None:
        for table in _uses(draft, cte):
            table.set("this", name(fresh))
        cte.set("alias", table_alias(fresh))
        draft.changed = True


def rename_inner_column(draft: Draft) -> None:
    """FROM (SELECT a AS b …) AS q … q.b → FROM (SELECT a AS c …) AS q … q.c."""
    item = draft.pick(_derived(draft))
    first = leftmost(item.this) if item is not None else None
    if item is None or first is None:
        return
    output = draft.pick([one for one in first.selects if isinstance(one, exp.Alias)])
    fresh = draft.pick([text for text in _COLUMNS if text not in item.this.named_selects])
    if output is None or fresh is None:
        return
    old = output.alias
    for found in draft.tree.find_all(exp.Column):
        if found.table == item.alias and found.name == old:
            found.set("this", name(fresh))
    for order in (item.this.args.get("order"), first.args.get("order")):
        for found in order.find_all(exp.Column) if order is not None else ():
            if not found.table and found.name == old:
                found.set("this", name(fresh))
    output.set("alias", name(fresh))
    draft.changed = True


def column_list(draft: Draft) -> None:
    """FROM (SELECT a AS b …) AS q … q.b → FROM (SELECT a AS b …) AS q(c) … q.c."""
    item = draft.pick(_derived(draft))
    if item is None:
        return
    old = item.this.named_selects
    fresh = dict(zip(old, draft.rng.sample(_COLUMNS, len(old)), strict=True)) if len(old) <= len(_COLUMNS) else {}
    if not fresh:
        return
    for found in draft.tree.find_all(exp.Column):
        if found.table == item.alias:
            found.set("this", name(fresh[found.name]))
    item.args["alias"].set("columns", [name(text) for text in fresh.values()])
    draft.changed = True


def derived_to_cte(draft: Draft) -> None:
    """FROM (SELECT …) AS q → WITH c AS (SELECT …) … FROM c AS q."""
    item = draft.pick([one for one in _derived(draft) if _reads_own_ctes(one.this)])
    if item is not None:
        body = item.this.copy()
        item.replace(exp.Table(this=name("c9"), alias=item.args["alias"].copy()))
        _add_cte(draft, "c9", body, first=True)


def table_to_cte(draft: Draft) -> None:
    """FROM t AS a → WITH c AS (SELECT * FROM t) … FROM c AS a."""
    item = draft.pick(_base(draft))
    if item is not None:
        text = item.name if draft.rng.random() < 0.5 else "c9"
        body = exp.Select(
            expressions=[exp.Star()], from_=exp.From(this=exp.Table(this=name(item.name), db=name(INPUT_DB)))
        )
        if text == item.name and len([one for one in _base(draft) if one.name == text]) > 1:
            text = "c9"
        item.replace(exp.Table(this=name(text), alias=item.args["alias"].copy()))
        _add_cte(draft, text, body, first=True)


def table_to_derived(draft: Draft) -> None:
    """FROM t AS a → FROM (SELECT * FROM t) AS a."""
    item = draft.pick(_base(draft))
    if item is not None:
        table = exp.Table(this=name(item.name), db=name(INPUT_DB))
        body = exp.Select(expressions=[exp.Star()], from_=exp.From(this=table))
        draft.put(item, exp.Subquery(this=body, alias=item.args["alias"].copy()))


def cte_to_derived(draft: Draft) -> None:
    """WITH c AS (SELECT …) … FROM c AS q → FROM (SELECT …) AS q, wherever c is used."""
    cte = draft.pick([one for one in _ctes(draft) if not one.args["alias"].columns])
    if cte is None:
        return
    for table in _uses(draft, cte):
        table.replace(exp.Subquery(this=cte.this.copy(), alias=table.args["alias"].copy()))
    rest = [one for one in _ctes(draft) if one is not cte]
    draft.tree.set("with_", exp.With(expressions=rest) if rest else None)
    draft.changed = True


def reorder_ctes(draft: Draft) -> None:
    """WITH a AS (…), b AS (…) → WITH b AS (…), a AS (…), where neither reads the other."""
    ctes = _ctes(draft)
    for place in range(len(ctes) - 1):
        first, second = ctes[place], ctes[place + 1]
        if not any(table.name == first.alias and not table.db for table in second.find_all(exp.Table)):
            ctes[place], ctes[place + 1] = second, first
            draft.tree.set("with_", exp.With(expressions=[cte.copy() for cte in ctes]))
            draft.changed = True
            return


def unused_cte(draft: Draft) -> None:
    """SELECT … → WITH c AS (SELECT 1 AS v) SELECT …."""
    body = exp.Select(expressions=[exp.alias_(exp.Literal.number("1"), "v", quoted=True)])
    _add_cte(draft, "c9", body, first=draft.rng.random() < 0.5)


def unused_column(draft: Draft) -> None:
    """FROM (SELECT a …) AS q → FROM (SELECT a, b …) AS q."""
    item = draft.pick([one for one in _derived(draft) if is_plain(one.this, ("with_",))])
    if item is not None:
        value = item.this.selects[0].unalias().copy()
        item.this.append("expressions", exp.alias_(value, "v9", quoted=True))
        draft.changed = True


def wrap_in_star(draft: Draft) -> None:
    """SELECT … → SELECT * FROM (SELECT …) AS w."""
    if _unordered(draft):
        _wrap(draft, [exp.Star()])


def wrap_in_list(draft: Draft) -> None:
    """SELECT … → SELECT w.a, w.b FROM (SELECT …) AS w."""
    if _unordered(draft):
        _wrap(draft, [column(text, "w") for text in draft.tree.named_selects])


def wrap_in_cte(draft: Draft) -> None:
    """SELECT … → WITH w AS (SELECT …) SELECT * FROM w."""
    if _unordered(draft):
        body = draft.tree.copy()
        draft.tree = exp.Select(expressions=[exp.Star()], from_=exp.From(this=exp.Table(this=name("w"))))
        _add_cte(draft, "w", body)


def order_in_derived(draft: Draft) -> None:
    """FROM (SELECT …) AS q → FROM (SELECT … ORDER BY 1) AS q."""
    item = draft.pick([one for one in _derived(draft) if is_plain(one.this, ("group", "having", "distinct"))])
    if item is not None and draft.row_order:
        item.this.set("order", exp.Order(expressions=[exp.Ordered(this=exp.Literal.number("1"))]))
        draft.changed = True


def clauses_outside(draft: Draft) -> None:
    """SELECT … ORDER BY x LIMIT 3 → (SELECT …) ORDER BY x LIMIT 3, in a derived table, a CTE or a branch too."""
    places = [node for node in draft.tree.find_all(exp.Select, exp.SetOperation) if _may_stand_in_parentheses(node)]
    query = draft.pick(places)
    if query is not None:
        clauses = {key: query.args[key] for key in ("order", "limit", "offset") if query.args.get(key)}
        around = exp.Subquery()
        query.replace(around)
        for key in clauses:
            query.set(key, None)
        around.set("this", query)
        for key, clause in clauses.items():
            around.set(key, clause)
        if isinstance(around.parent, exp.SetOperation):
            around.replace(exp.Subquery(this=around.copy()))
        draft.changed = True


def _may_stand_in_parentheses(query: exp.Expr) -> bool:
    """Whether a query has clauses that mean the same around it, and stands where the engine reads them there."""
    if not any(query.args.get(key) for key in ("order", "limit", "offset")) or query.args.get("with_"):
        return False
    order = query.args.get("order")
    if order is not None and any(column.table for column in order.find_all(exp.Column)):
        return False
    holder = query.parent
    while isinstance(holder, exp.Subquery) and isinstance(holder.parent, exp.Subquery | exp.SetOperation):
        holder = holder.parent
    if isinstance(holder, exp.Subquery):
        return holder.parent is None or isinstance(holder.parent, exp.From | exp.Join)
    return isinstance(holder, exp.SetOperation | exp.CTE)


REWRITES: tuple[Callable[[Draft], None], ...] = (
    rename_alias, rename_cte, rename_inner_column, column_list, derived_to_cte, table_to_cte, table_to_derived,
    cte_to_derived, reorder_ctes, unused_cte, unused_column, wrap_in_star, wrap_in_list, wrap_in_cte,
    order_in_derived, clauses_outside,
)  # fmt: skip
