"""Rewrites of joins and of subqueries in predicates that keep their meaning on every database."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from properties.drafts import Draft, column, is_plain, items_of, set_where, tables_of, terms_of, where_terms


def _joined(draft: Draft) -> list[exp.Select]:
    return draft.selects(lambda one: bool(one.args.get("joins")) and one.args.get("from_") is not None)


def _is_comma(join: exp.Join) -> bool:
    return not any(join.args.get(key) for key in ("on", "using", "side", "kind", "method"))


def _is_inner(join: exp.Join) -> bool:
    return bool(join.args.get("on")) and not join.side and join.kind in {"", "INNER"}


def _only_inner(select: exp.Select) -> bool:
    return all(_is_inner(join) or join.kind == "CROSS" for join in select.args["joins"])


def on_to_where(draft: Draft) -> None:
    """a JOIN b ON p WHERE q → a CROSS JOIN b WHERE p AND q, among inner joins."""
    select = draft.pick([one for one in _joined(draft) if _only_inner(one) and is_plain(one)])
    join = draft.pick([one for one in select.args["joins"] if one.args.get("on")]) if select is not None else None
    if select is not None and join is not None and draft.exact(join.args["on"]):
        set_where(select, [*where_terms(select), join.args["on"]])
        join.set("on", None)
        join.set("kind", "CROSS")
        draft.changed = True


def where_to_on(draft: Draft) -> None:
    """a JOIN b ON p WHERE q → a JOIN b ON p AND q, for the last of inner joins."""
    for select in _joined(draft):
        join = select.args["joins"][-1]
        terms = [term for term in where_terms(select) if not term.find(exp.Query) and draft.exact(term)]
        if _is_inner(join) and _only_inner(select) and terms:
            term = draft.rng.choice(terms)
            join.set("on", exp.And(this=join.args["on"].copy(), expression=term.copy()))
            set_where(select, [other for other in where_terms(select) if other is not term])
            draft.changed = True
            return


def to_comma(draft: Draft) -> None:
    """a JOIN b ON p → a, b WHERE p; a CROSS JOIN b → a, b."""
    select = draft.pick([one for one in _joined(draft) if len(one.args["joins"]) == 1 and _only_inner(one)])
    if select is not None and is_plain(select, ("distinct", "group", "having", "order", "limit", "offset")):
        join = select.args["joins"][0]
        if join.args.get("on") is not None:
            if not draft.exact(join.args["on"]):
                return
            set_where(select, [*where_terms(select), join.args["on"]])
        draft.put(join, exp.Join(this=join.this.copy()))


def cross_join_on_true(draft: Draft) -> None:
    """a CROSS JOIN b → a JOIN b ON TRUE."""
    join = draft.pick([join for one in _joined(draft) for join in one.args["joins"] if join.kind == "CROSS"])
    if join is not None:
        join.set("kind", None)
        join.set("on", exp.true())
        draft.changed = True


def turn_on_equality(draft: Draft) -> None:
    """a JOIN b ON a.x = b.y → a JOIN b ON b.y = a.x."""
    joins = [join for one in _joined(draft) for join in one.args["joins"] if isinstance(join.args.get("on"), exp.EQ)]
    join = draft.pick(joins)
    if join is not None:
        on = join.args["on"]
        draft.put(on, exp.EQ(this=on.expression.copy(), expression=on.this.copy()))


def swap_first_items(draft: Draft) -> None:
    """a JOIN b ON p → b JOIN a ON p."""
    found = [
        one
        for one in _joined(draft)
        if _is_inner(one.args["joins"][0]) or one.args["joins"][0].kind == "CROSS"
        or (_is_comma(one.args["joins"][0]) and len(one.args["joins"]) == 1)
    ]  # fmt: skip
    select = draft.pick(found)
    if select is not None and draft.row_order:
        first, join = select.args["from_"], select.args["joins"][0]
        left, right = first.this.copy(), join.this.copy()
        first.set("this", right)
        join.set("this", left)
        draft.changed = True


def swap_joins(draft: Draft) -> None:
    """a JOIN b ON p JOIN c ON q → a JOIN c ON q JOIN b ON p, where q does not mention b."""
    for select in _joined(draft):
        joins = select.args["joins"]
        for place in range(len(joins) - 1):
            first, second = joins[place], joins[place + 1]
            if not draft.row_order or not (_is_inner(first) and _is_inner(second)):
                continue
            if first.this.alias not in tables_of(second.args["on"]):
                new = [join.copy() for join in joins]
                new[place], new[place + 1] = new[place + 1], new[place]
                select.set("joins", new)
                draft.changed = True
                return


def swap_full_join(draft: Draft) -> None:
    """a FULL JOIN b ON p → b FULL JOIN a ON p."""
    select = draft.pick([one for one in _joined(draft) if one.args["joins"][0].side == "FULL"])
    if select is not None and draft.row_order:
        first, join = select.args["from_"], select.args["joins"][0]
        left, right = first.this.copy(), join.this.copy()
        first.set("this", right)
        join.set("this", left)
        draft.changed = True


def turn_outer_join(draft: Draft) -> None:
    """a LEFT JOIN b ON p → b RIGHT JOIN a ON p, and back."""
    found = [
        one
        for one in _joined(draft)
        if one.args["joins"][0].side in {"LEFT", "RIGHT"} and not one.args["joins"][0].kind
    ]
    select = draft.pick(found)
    if select is not None and draft.row_order:
        first, join = select.args["from_"], select.args["joins"][0]
        left, right = first.this.copy(), join.this.copy()
        first.set("this", right)
        join.set("this", left)
        join.set("side", "RIGHT" if join.side == "LEFT" else "LEFT")
        draft.changed = True


def on_to_using(draft: Draft) -> None:
    """a JOIN b ON a.k = b.k → a JOIN b USING (k)."""
    for select in _joined(draft):
        join = select.args["joins"][0]
        on = join.args.get("on")
        if len(select.args["joins"]) != 1 or join.side not in {"", "LEFT"} or join.kind not in {"", "INNER"}:
            continue
        if not isinstance(on, exp.EQ) or not all(isinstance(side, exp.Column) for side in (on.this, on.expression)):
            continue
        if on.this.name != on.expression.name or on.this.table == on.expression.table:
            continue
        if {on.this.table, on.expression.table} == {item.alias for item in items_of(select)}:
            join.set("on", None)
            join.set("using", [on.this.this.copy()])
            draft.changed = True
            return


def semi_join_to_exists(draft: Draft) -> None:
    """a SEMI JOIN b ON p → a WHERE EXISTS (SELECT 1 FROM b WHERE p); ANTI → NOT EXISTS."""
    found = [
        (select, join)
        for select in _joined(draft)
        for join in select.args["joins"]
        if join.kind in {"SEMI", "ANTI"} and not join.args["on"].find(exp.Query)
        and not any(other.side in {"RIGHT", "FULL"} for other in select.args["joins"])
    ]  # fmt: skip
    pair = draft.pick(found)
    if pair is not None:
        select, join = pair
        inner = exp.Select(
            expressions=[exp.Literal.number("1")],
            from_=exp.From(this=join.this.copy()),
            where=exp.Where(this=join.args["on"].copy()),
        )
        found_row: exp.Expr = exp.Exists(this=inner)
        set_where(select, [*where_terms(select), exp.Not(this=found_row) if join.kind == "ANTI" else found_row])
        select.set("joins", [other.copy() for other in select.args["joins"] if other is not join])
        draft.changed = True


def exists_to_semi_join(draft: Draft) -> None:
    """a WHERE EXISTS (SELECT … FROM b WHERE p) → a SEMI JOIN b ON p."""
    for select in draft.selects(lambda one: one.args.get("from_") is not None):
        if any(_is_comma(join) for join in select.args.get("joins") or []):
            continue
        for term in where_terms(select):
            negated = isinstance(term, exp.Not)
            test = term.this if negated else term
            if not isinstance(test, exp.Exists) or not is_plain(test.this) or test.this.args.get("joins"):
                continue
            conditions = where_terms(test.this)
            if not conditions or any(one.find(exp.Query) for one in conditions):
                continue
            known = {item.alias for item in items_of(select)} | {test.this.args["from_"].this.alias}
            if not tables_of(test.this.args["where"]) <= known:
                continue
            join = exp.Join(
                this=test.this.args["from_"].this.copy(),
                side="LEFT",
                kind="ANTI" if negated else "SEMI",
                on=test.this.args["where"].this.copy(),
            )
            set_where(select, [other for other in where_terms(select) if other is not term])
            select.append("joins", join)
            draft.changed = True
            return


def exists_items(draft: Draft) -> None:
    """EXISTS (SELECT 1 …) → EXISTS (SELECT a, 2 …)."""
    node = draft.pick([one for one in draft.tree.find_all(exp.Exists) if is_plain(one.this)])
    if node is not None:
        source = node.this.args["from_"].this
        columns = [one for one in node.this.find_all(exp.Column) if one.table == source.alias]
        item: exp.Expr = exp.Literal.number("2") if not columns else draft.rng.choice(columns).copy()
        node.this.set("expressions", [exp.alias_(item, "v", quoted=True)])
        draft.changed = True


def distinct_in_test(draft: Draft) -> None:
    """a IN (SELECT b …) → a IN (SELECT DISTINCT b …); with EXISTS too."""
    bodies = [
        body
        for node in draft.tree.find_all(exp.In, exp.Exists)
        if (body := _tested(node)) is not None and is_plain(body) and body.selects[0].find(exp.Column)
    ]
    body = draft.pick(bodies)
    if body is not None:
        body.set("distinct", exp.Distinct())
        draft.changed = True


def _tested(node: exp.Expr) -> exp.Select | None:
    body = node.args.get("query") if isinstance(node, exp.In) else node.this
    while isinstance(body, exp.Subquery):
        body = body.this
    return body if isinstance(body, exp.Select) else None


def in_to_exists(draft: Draft) -> None:
    """WHERE a IN (SELECT b FROM t) → WHERE EXISTS (SELECT 1 FROM t WHERE t.b = a)."""
    found = []
    for select in draft.selects():
        for term in where_terms(select):
            inner = _tested(term) if isinstance(term, exp.In) else None
            if inner is None or not is_plain(inner) or not isinstance(term.this, exp.Column):
                continue
            value = inner.selects[0].unalias()
            if isinstance(value, exp.Column) and draft.one_type(term.this, value) and draft.one_kind(term.this, value):
                found.append((term, inner, value))
    chosen = draft.pick(found)
    if chosen is not None:
        term, inner, value = chosen
        body = inner.copy()
        set_where(body, [*where_terms(body), exp.EQ(this=value.copy(), expression=term.this.copy())])
        body.set("expressions", [exp.Literal.number("1")])
        draft.put(term, exp.Exists(this=body))


def left_join_becomes_inner(draft: Draft) -> None:
    """a LEFT JOIN b ON p WHERE b.x > 1 → a JOIN b ON p WHERE b.x > 1."""
    for select in _joined(draft):
        join = select.args["joins"][-1]
        if join.side != "LEFT" or join.kind:
            continue
        for term in where_terms(select):
            strict = isinstance(term, exp.EQ | exp.LT | exp.GT | exp.LTE | exp.GTE) and isinstance(
                term.this, exp.Column
            )
            if strict and term.this.table == join.this.alias and not isinstance(term.expression, exp.Any | exp.All):
                join.set("side", None)
                draft.changed = True
                return


def filter_item_of_inner_join(draft: Draft) -> None:
    """a JOIN b ON p WHERE b.x > 1 → a JOIN (SELECT * FROM b AS i WHERE i.x > 1) AS b ON p."""
    for select in _joined(draft):
        join = select.args["joins"][-1]
        if not _is_inner(join) or not isinstance(join.this, exp.Table) or not join.this.db:
            continue
        for term in where_terms(select):
            if term.find(exp.Query) or tables_of(term) != {join.this.alias} or not draft.exact(term):
                continue
            moved = term.copy()
            for found in list(moved.find_all(exp.Column)):
                found.set("table", column("x", "i8").args["table"].copy())
            table = join.this.copy()
            table.args["alias"].set("this", column("i8").this.copy())
            body = exp.Select(expressions=[exp.Star()], from_=exp.From(this=table), where=exp.Where(this=moved))
            set_where(select, [other for other in where_terms(select) if other is not term])
            join.this.replace(exp.Subquery(this=body, alias=join.this.args["alias"].copy()))
            draft.changed = True
            return


def split_on(draft: Draft) -> None:
    """a LEFT JOIN b ON p AND b.x > 1 → a LEFT JOIN (SELECT * FROM b AS i WHERE i.x > 1) AS b ON p."""
    for select in _joined(draft):
        join = select.args["joins"][-1]
        terms = terms_of(join.args.get("on"))
        if join.side != "LEFT" or join.kind or not isinstance(join.this, exp.Table) or not join.this.db:
            continue
        mine = [term for term in terms if tables_of(term) == {join.this.alias} and draft.exact(term)]
        if len(terms) < 2 or not mine or len(mine) == len(terms):
            continue
        moved = mine[0].copy()
        for found in list(moved.find_all(exp.Column)):
            found.set("table", column("x", "i7").args["table"].copy())
        table = join.this.copy()
        table.args["alias"].set("this", column("i7").this.copy())
        rest = [term.copy() for term in terms if term is not mine[0]]
        body = exp.Select(expressions=[exp.Star()], from_=exp.From(this=table), where=exp.Where(this=moved))
        join.this.replace(exp.Subquery(this=body, alias=join.this.args["alias"].copy()))
        condition = rest[0]
        for term in rest[1:]:
            condition = exp.And(this=condition, expression=term)
        join.set("on", condition)
        draft.changed = True
        return


REWRITES: tuple[Callable[[Draft], None], ...] = (
    on_to_where, where_to_on, to_comma, cross_join_on_true, turn_on_equality, swap_first_items, swap_joins,
    swap_full_join, turn_outer_join, on_to_using, semi_join_to_exists, exists_to_semi_join, exists_items,
    distinct_in_test, in_to_exists, left_join_becomes_inner, filter_item_of_inner_join, split_on,
)  # fmt: skip
