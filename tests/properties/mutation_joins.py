"""Mutations of joins, set operations and subqueries, each another query most times."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from compiler.schema import INPUT_DB
from properties.drafts import (
    Draft,
    column,
    is_plain,
    items_of,
    joined,
    name,
    set_where,
    table_alias,
    tables_of,
    terms_of,
    where_terms,
)

_SIDES = ("", "LEFT", "RIGHT", "FULL")


def _joined(draft: Draft) -> list[exp.Select]:
    return draft.selects(lambda one: bool(one.args.get("joins")) and one.args.get("from_") is not None)


def _joins(draft: Draft) -> list[exp.Join]:
    return [join for select in _joined(draft) for join in select.args["joins"]]


def _outer(draft: Draft) -> list[exp.Select]:
    return [select for select in _joined(draft) if select.args["joins"][-1].side and not select.args["joins"][-1].kind]


def join_side(draft: Draft) -> None:
    """a LEFT JOIN b → a JOIN b, a FULL JOIN b…."""
    join = draft.pick([join for join in _joins(draft) if join.args.get("on") and join.kind in {"", "INNER"}])
    if join is not None:
        join.set("side", draft.rng.choice([side for side in _SIDES if side != join.side]))
        draft.changed = True


def semi_or_anti(draft: Draft) -> None:
    """SEMI JOIN → ANTI JOIN, and back."""
    join = draft.pick([join for join in _joins(draft) if join.kind in {"SEMI", "ANTI"}])
    if join is not None:
        join.set("kind", "ANTI" if join.kind == "SEMI" else "SEMI")
        draft.changed = True


def semi_to_inner(draft: Draft) -> None:
    """a SEMI JOIN b → a JOIN b."""
    join = draft.pick([join for join in _joins(draft) if join.kind == "SEMI"])
    if join is not None:
        join.set("kind", None)
        join.set("side", None)
        draft.changed = True


def swap_outer_join(draft: Draft) -> None:
    """a LEFT JOIN b → b LEFT JOIN a."""
    select = draft.pick([one for one in _joined(draft) if one.args["joins"][0].side in {"LEFT", "RIGHT"}])
    if select is not None and not select.args["joins"][0].kind:
        first, join = select.args["from_"], select.args["joins"][0]
        left, right = first.this.copy(), join.this.copy()
        first.set("this", right)
        join.set("this", left)
        draft.changed = True


def on_to_where(draft: Draft) -> None:
    """a LEFT JOIN b ON p AND q → a LEFT JOIN b ON p WHERE q."""
    select = draft.pick(_outer(draft))
    if select is not None and is_plain(select, ("group", "distinct", "order", "limit", "offset")):
        join = select.args["joins"][-1]
        terms = terms_of(join.args.get("on"))
        if len(terms) > 1:
            moved = draft.rng.choice(terms)
            set_where(select, [*where_terms(select), moved])
            join.set("on", joined(exp.And, [term for term in terms if term is not moved]))
            draft.changed = True


def where_to_on(draft: Draft) -> None:
    """a LEFT JOIN b ON p WHERE q → a LEFT JOIN b ON p AND q."""
    select = draft.pick([one for one in _outer(draft) if where_terms(one) and one.args["joins"][-1].args.get("on")])
    if select is not None:
        join, terms = select.args["joins"][-1], where_terms(select)
        moved = draft.rng.choice(terms)
        if not moved.find(exp.Query):
            join.set("on", exp.And(this=join.args["on"].copy(), expression=moved.copy()))
            set_where(select, [term for term in terms if term is not moved])
            draft.changed = True


def drop_on_term(draft: Draft) -> None:
    """ON p AND q → ON p."""
    join = draft.pick([join for join in _joins(draft) if len(terms_of(join.args.get("on"))) > 1])
    if join is not None:
        terms = terms_of(join.args["on"])
        gone = draft.rng.choice(terms)
        join.set("on", joined(exp.And, [term for term in terms if term is not gone]))
        draft.changed = True


def drop_join(draft: Draft) -> None:
    """FROM a JOIN b … → FROM a, where nothing else mentions b."""
    for select in _joined(draft):
        join = select.args["joins"][-1]
        mentioned = [one for one in draft.tree.find_all(exp.Column) if one.table == join.this.alias_or_name]
        inside = list(join.find_all(exp.Column))
        if all(any(one is other for other in inside) for one in mentioned):
            select.set("joins", [other.copy() for other in select.args["joins"][:-1]])
            draft.changed = True
            return


def extra_join(draft: Draft) -> None:
    """FROM a → FROM a LEFT JOIN a AS j ON j.x = a.x: every match is a row."""
    found = [
        (select, one)
        for select in draft.selects(is_plain)
        if isinstance(item := select.args["from_"].this, exp.Table) and item.db == INPUT_DB
        for one in select.find_all(exp.Column) if one.table == item.alias
    ]  # fmt: skip
    pair = draft.pick(found)
    if pair is not None:
        select, one = pair
        item = exp.Table(this=name(select.args["from_"].this.name), db=name(INPUT_DB), alias=table_alias("j9"))
        on = exp.EQ(this=column(one.name, "j9"), expression=one.copy())
        select.append("joins", exp.Join(this=item, side=draft.rng.choice(("LEFT", None)), on=on))
        draft.changed = True


def filter_optional_side(draft: Draft) -> None:
    """a LEFT JOIN b ON p WHERE b.x > 1 → a LEFT JOIN (SELECT * FROM b WHERE x > 1) AS b ON p."""
    for select in _joined(draft):
        for join in select.args["joins"]:
            if (
                join.side not in {"LEFT", "FULL"}
                or join.kind
                or not isinstance(join.this, exp.Table)
                or not join.this.db
            ):
                continue
            for term in where_terms(select):
                if term.find(exp.Query) or tables_of(term) != {join.this.alias}:
                    continue
                moved = term.copy()
                for found in moved.find_all(exp.Column):
                    found.set("table", name("i9"))
                table = exp.Table(this=name(join.this.name), db=name(INPUT_DB), alias=table_alias("i9"))
                body = exp.Select(expressions=[exp.Star()], from_=exp.From(this=table), where=exp.Where(this=moved))
                set_where(select, [other for other in where_terms(select) if other is not term])
                join.this.replace(exp.Subquery(this=body, alias=join.this.args["alias"].copy()))
                draft.changed = True
                return


def push_filter_too_far(draft: Draft) -> None:
    """FROM (SELECT … LIMIT 3) AS q WHERE q.a > 1 → FROM (SELECT … WHERE a > 1 LIMIT 3) AS q; with windows too."""
    for select in draft.selects(lambda one: one.args.get("where") is not None and one.args.get("from_") is not None):
        for item in items_of(select):
            if (
                not isinstance(item, exp.Subquery)
                or not isinstance(item.this, exp.Select)
                or item.args["alias"].columns
            ):
                continue
            if is_plain(item.this) and item is select.args["from_"].this:
                continue
            outputs = {one.alias_or_name: one.unalias() for one in item.this.selects}
            for term in where_terms(select):
                if term.find(exp.Query) or tables_of(term) != {item.alias}:
                    continue
                holder = exp.Paren(this=term.copy())
                for found in list(holder.find_all(exp.Column)):
                    found.replace(outputs[found.name].copy())
                if holder.find(exp.AggFunc, exp.Window):
                    continue
                set_where(select, [other for other in where_terms(select) if other is not term])
                set_where(item.this, [*where_terms(item.this), holder.this])
                draft.changed = True
                return


def union_all_or_not(draft: Draft) -> None:
    """UNION → UNION ALL, and back."""
    node = draft.pick([one for one in draft.tree.find_all(exp.Union) if type(one) is exp.Union])
    if node is not None:
        node.set("distinct", not node.args.get("distinct"))
        draft.changed = True


def other_set_operation(draft: Draft) -> None:
    """UNION → EXCEPT → INTERSECT."""
    node = draft.pick(list(draft.tree.find_all(exp.SetOperation)))
    if node is not None:
        kind = draft.rng.choice([one for one in (exp.Union, exp.Except, exp.Intersect) if one is not type(node)])
        parts = {key: value.copy() if isinstance(value, exp.Expr) else value for key, value in node.args.items()}
        new = kind(**{**parts, "distinct": True})
        if node is draft.tree:
            draft.tree = new
        else:
            node.replace(new)
        draft.changed = True


def swap_branches(draft: Draft) -> None:
    """a EXCEPT b → b EXCEPT a; a UNION b → b UNION a, under the names of b."""
    node = draft.pick(list(draft.tree.find_all(exp.SetOperation)))
    if node is not None and not any(node.args.get(key) for key in ("order", "limit", "offset")):
        left, right = node.this.copy(), node.expression.copy()
        node.set("this", right)
        node.set("expression", left)
        draft.changed = True


def drop_branch(draft: Draft) -> None:
    """a UNION b → a."""
    node = draft.pick([one for one in draft.tree.find_all(exp.SetOperation) if isinstance(one.this, exp.Select)])
    if node is not None and not any(node.args.get(key) for key in ("order", "limit", "offset", "with_")):
        left = node.this.copy()
        if node is draft.tree:
            draft.tree = left
        else:
            node.replace(left)
        draft.changed = True


def negate_test(draft: Draft) -> None:
    """a IN (SELECT …) → a NOT IN (SELECT …); EXISTS → NOT EXISTS."""
    node = draft.pick([one for one in draft.tree.find_all(exp.In, exp.Exists) if one.find(exp.Select)])
    if node is not None:
        draft.put(node, exp.Not(this=node.copy()))


def not_in_to_not_exists(draft: Draft) -> None:
    """NOT a IN (SELECT b FROM t) → NOT EXISTS (SELECT 1 FROM t WHERE t.b = a), which differs for NULL."""
    found = []
    for node in draft.tree.find_all(exp.In):
        body = node.args.get("query")
        body = body.this if isinstance(body, exp.Subquery) else body
        if isinstance(node.parent, exp.Not) and body is not None and is_plain(body):
            found.append((node, body))
    pair = draft.pick(found)
    if pair is not None:
        node, body = pair
        inner = body.copy()
        set_where(
            inner, [*where_terms(inner), exp.EQ(this=inner.selects[0].unalias().copy(), expression=node.this.copy())]
        )
        inner.set("expressions", [exp.Literal.number("1")])
        draft.put(node, exp.Exists(this=inner))


MUTATIONS: tuple[Callable[[Draft], None], ...] = (
    join_side, semi_or_anti, semi_to_inner, swap_outer_join, on_to_where, where_to_on, drop_on_term, drop_join,
    extra_join, filter_optional_side, push_filter_too_far, union_all_or_not, other_set_operation, swap_branches,
    drop_branch, negate_test, not_in_to_not_exists,
)  # fmt: skip
