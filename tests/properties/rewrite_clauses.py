"""Rewrites of clauses that keep a query's meaning: groups, order, set operations, windows, filters."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from compiler.schema import INPUT_DB
from properties.drafts import (
    Draft,
    column,
    is_plain,
    name,
    own,
    set_where,
    table_alias,
    tables_of,
    where_terms,
)


def _unordered(draft: Draft) -> bool:
    args = draft.tree.args
    return not any(args.get(key) for key in ("order", "limit", "offset"))


def _wrap(draft: Draft, items: list[exp.Expr]) -> None:
    body = draft.tree.copy()
    draft.tree = exp.Select(expressions=items, from_=exp.From(this=exp.Subquery(this=body, alias=table_alias("w"))))
    draft.changed = True


def _grouped(draft: Draft) -> list[exp.Select]:
    def plainly(select: exp.Select) -> bool:
        group = select.args.get("group")
        return (
            group is not None
            and bool(group.expressions)
            and not any(value for key, value in group.args.items() if key != "expressions")
        )

    return draft.selects(plainly)


def _exact_columns(draft: Draft, nodes: list[exp.Expr]) -> bool:
    return all(isinstance(node, exp.Column) and draft.kind(node) is not None for node in nodes)


def _set_operations(draft: Draft, kind: type[exp.SetOperation]) -> list[exp.SetOperation]:
    return [
        node
        for node in draft.tree.find_all(kind)
        if type(node) is kind and not any(node.args.get(key) for key in ("order", "limit", "offset", "by_name"))
        and isinstance(node.this, exp.Select) and isinstance(node.expression, exp.Select)
        and not any(side.args.get(key) for side in (node.this, node.expression) for key in ("order", "limit", "with_"))
    ]  # fmt: skip


def _swap_sides(draft: Draft, node: exp.SetOperation) -> None:
    left, right = node.this.copy(), node.expression.copy()
    for mine, theirs in zip(left.selects, right.selects, strict=True):
        theirs.replace(exp.Alias(this=theirs.unalias().copy(), alias=name(mine.alias_or_name)))
    node.set("this", right)
    node.set("expression", left)
    draft.changed = True


def _windows(draft: Draft) -> list[exp.Expr]:
    return [one for one in draft.tree.find_all(exp.Window) if isinstance(one.parent, exp.Alias | exp.LT)]


def _copied(value: object) -> object:
    return (
        [one.copy() for one in value]
        if isinstance(value, list)
        else value.copy()
        if isinstance(value, exp.Expr)
        else value
    )


def group_by_position(draft: Draft) -> None:
    """SELECT a, COUNT(*) … GROUP BY a → … GROUP BY 1."""
    select = draft.pick(_grouped(draft))
    if select is None:
        return
    values = [item.unalias() for item in select.selects]
    for key in select.args["group"].expressions:
        if key in values and not isinstance(key, exp.Literal):
            draft.put(key, exp.Literal.number(str(values.index(key) + 1)))
            return


def reorder_group_keys(draft: Draft) -> None:
    """GROUP BY a, b → GROUP BY b, a."""
    select = draft.pick([one for one in _grouped(draft) if len(one.args["group"].expressions) > 1])
    if select is not None:
        select.args["group"].set("expressions", [key.copy() for key in reversed(select.args["group"].expressions)])
        draft.changed = True


def repeat_group_key(draft: Draft) -> None:
    """GROUP BY a → GROUP BY a, a."""
    select = draft.pick(_grouped(draft))
    if select is not None:
        keys = select.args["group"].expressions
        select.args["group"].append("expressions", draft.rng.choice(keys).copy())
        draft.changed = True


def distinct_to_group(draft: Draft) -> None:
    """SELECT DISTINCT a, b FROM t → SELECT a, b FROM t GROUP BY a, b."""
    found = [
        select
        for select in draft.selects(lambda one: one.args.get("distinct") is not None)
        if is_plain(select, ("distinct", "order", "limit", "offset")) and not select.args["distinct"].args.get("on")
        and _exact_columns(draft, [item.unalias() for item in select.selects])
    ]  # fmt: skip
    select = draft.pick(found)
    if select is not None:
        keys = [item.unalias().copy() for item in select.selects]
        select.set("distinct", None)
        select.set("group", exp.Group(expressions=keys))
        draft.changed = True


def group_to_distinct(draft: Draft) -> None:
    """SELECT a, b FROM t GROUP BY a, b → SELECT DISTINCT a, b FROM t."""
    found = [
        select
        for select in _grouped(draft)
        if is_plain(select, ("group", "order", "limit", "offset"))
        and _exact_columns(draft, [item.unalias() for item in select.selects])
        and {item.unalias().sql() for item in select.selects} == {key.sql() for key in select.args["group"].expressions}
    ]
    select = draft.pick(found)
    if select is not None:
        select.set("group", None)
        select.set("distinct", exp.Distinct())
        draft.changed = True


def having_to_where(draft: Draft) -> None:
    """GROUP BY a HAVING a > 1 → WHERE a > 1 GROUP BY a."""
    for select in _grouped(draft):
        having = select.args.get("having")
        keys = [key.sql() for key in select.args["group"].expressions]
        if having is None or having.find(exp.AggFunc, exp.Query) or isinstance(having.this, exp.And):
            continue
        columns = list(having.find_all(exp.Column))
        if columns and _exact_columns(draft, list(columns)) and all(one.sql() in keys for one in columns):
            set_where(select, [*where_terms(select), having.this])
            select.set("having", None)
            draft.changed = True
            return


def where_to_having(draft: Draft) -> None:
    """WHERE a > 1 GROUP BY a → GROUP BY a HAVING a > 1."""
    for select in _grouped(draft):
        keys = [key.sql() for key in select.args["group"].expressions]
        for term in where_terms(select):
            columns = list(term.find_all(exp.Column))
            if term.find(exp.Query) or not columns or not _exact_columns(draft, list(columns)):
                continue
            if select.args.get("having") is None and all(one.sql() in keys for one in columns):
                set_where(select, [other for other in where_terms(select) if other is not term])
                select.set("having", exp.Having(this=term.copy()))
                draft.changed = True
                return


def order_by_position(draft: Draft) -> None:
    """ORDER BY a → ORDER BY 1."""
    order = draft.tree.args.get("order")
    if order is None:
        return
    names = draft.tree.named_selects
    for key in order.expressions:
        if isinstance(key.this, exp.Column) and not key.this.table and key.this.name in names:
            draft.put(key.this, exp.Literal.number(str(names.index(key.this.name) + 1)))


def idle_order_key(draft: Draft) -> None:
    """ORDER BY a → ORDER BY a, a DESC."""
    order = draft.tree.args.get("order")
    if order is not None:
        extra = order.expressions[0].copy()
        extra.set("desc", not extra.args.get("desc"))
        order.append("expressions", extra)
        draft.changed = True


def swap_union(draft: Draft) -> None:
    """a UNION b → b UNION a, under the names of a."""
    node = draft.pick(_set_operations(draft, exp.Union))
    if node is not None and draft.row_order:
        _swap_sides(draft, node)


def swap_intersect(draft: Draft) -> None:
    """a INTERSECT b → b INTERSECT a, under the names of a."""
    node = draft.pick([
        one for one in _set_operations(draft, exp.Intersect)
        if one.args.get("distinct") and all(map(draft.one_type, one.this.selects, one.expression.selects))
    ])  # fmt: skip
    if node is not None and draft.row_order:
        _swap_sides(draft, node)


def distinct_branch(draft: Draft) -> None:
    """a UNION b → a UNION SELECT DISTINCT b; with EXCEPT and INTERSECT too."""
    found: list[exp.SetOperation] = []
    for kind in (exp.Union, exp.Except, exp.Intersect):
        found += [one for one in _set_operations(draft, kind) if one.args.get("distinct")]
    node = draft.pick(found)
    side = draft.pick([one for one in (node.this, node.expression) if is_plain(one)]) if node is not None else None
    if side is not None:
        side.set("distinct", exp.Distinct())
        draft.changed = True


def union_to_distinct(draft: Draft) -> None:
    """a UNION b → SELECT DISTINCT * FROM (a UNION ALL b) AS u."""
    node = draft.pick([one for one in _set_operations(draft, exp.Union) if one.args.get("distinct")])
    if node is None or node.args.get("with_"):
        return
    body = node.copy()
    body.args["distinct"] = False
    new = exp.Select(
        distinct=exp.Distinct(),
        expressions=[exp.Star()],
        from_=exp.From(this=exp.Subquery(this=body, alias=table_alias("u9"))),
    )
    draft.put(node, new)


def distinct_again(draft: Draft) -> None:
    """SELECT DISTINCT a FROM t → SELECT DISTINCT d.a FROM (SELECT DISTINCT a FROM t) AS d."""
    if draft.tree.args.get("distinct") is None or not _unordered(draft) or not isinstance(draft.tree, exp.Select):
        return
    if draft.tree.args["distinct"].args.get("on") is None:
        _wrap(draft, [column(text, "w") for text in draft.tree.named_selects])
        draft.tree.set("distinct", exp.Distinct())


def offset_zero(draft: Draft) -> None:
    """LIMIT 3 → LIMIT 3 OFFSET 0."""
    node = draft.pick([one for one in draft.tree.find_all(exp.Query) if one.args.get("limit")])
    if node is not None and node.args.get("offset") is None:
        node.set("offset", exp.Offset(expression=exp.Literal.number("0")))
        draft.changed = True


def unlimited(draft: Draft) -> None:
    """SELECT COUNT(*) … → SELECT COUNT(*) … LIMIT 1: a total has one row."""
    others = ("group", "limit", "having", "qualify", "order")
    found = [
        one
        for one in draft.selects()
        if own(one, exp.AggFunc) and not any(one.args.get(key) for key in others)
        and all(own(item, exp.AggFunc) and not own(item, exp.Window) for item in one.selects)
        and isinstance(one.parent, exp.Subquery) and isinstance(one.parent.parent, exp.From | exp.Join)
    ]  # fmt: skip
    select = draft.pick(found)
    if select is not None:
        select.set("limit", exp.Limit(expression=exp.Literal.number("1")))
        draft.changed = True


def default_frame(draft: Draft) -> None:
    """OVER (ORDER BY a) → OVER (ORDER BY a RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)."""
    node = draft.pick([one for one in _windows(draft) if one.args.get("spec") is None and not one.args.get("alias")])
    if node is not None:
        end = "CURRENT ROW" if node.args.get("order") else "UNBOUNDED"
        spec = exp.WindowSpec(kind="RANGE", start="UNBOUNDED", start_side="PRECEDING", end=end)
        if end == "UNBOUNDED":
            spec.set("kind", "ROWS")
            spec.set("end_side", "FOLLOWING")
        node.set("spec", spec)
        draft.changed = True


def named_window(draft: Draft) -> None:
    """OVER (PARTITION BY a) → OVER w … WINDOW w AS (PARTITION BY a)."""
    node = draft.pick([one for one in _windows(draft) if not one.args.get("alias")])
    select = node.find_ancestor(exp.Select) if node is not None else None
    if node is None or select is None or select.args.get("windows"):
        return
    parts = {key: value for key, value in node.args.items() if key in {"partition_by", "order", "spec"} and value}
    definition = exp.Window(this=name("w9"), **{key: _copied(value) for key, value in parts.items()})
    node.replace(exp.Window(this=node.this.copy(), alias=name("w9"), over="OVER"))
    select.set("windows", [definition])
    draft.changed = True


def repeat_partition_key(draft: Draft) -> None:
    """PARTITION BY a → PARTITION BY a, a."""
    node = draft.pick([one for one in _windows(draft) if one.args.get("partition_by")])
    if node is not None:
        node.append("partition_by", node.args["partition_by"][0].copy())
        draft.changed = True


def reorder_partition_keys(draft: Draft) -> None:
    """PARTITION BY a, b → PARTITION BY b, a."""
    node = draft.pick([one for one in _windows(draft) if len(one.args.get("partition_by") or []) > 1])
    if node is not None:
        node.set("partition_by", [key.copy() for key in reversed(node.args["partition_by"])])
        draft.changed = True


def qualify_to_where(draft: Draft) -> None:
    """SELECT a … QUALIFY RANK() OVER w < 3 → SELECT q.a FROM (SELECT a, RANK() OVER w AS r …) AS q WHERE q.r < 3."""
    for select in draft.selects(lambda one: one.args.get("qualify") is not None):
        known = (*("expressions", "from_", "joins", "where", "qualify"),)
        condition = select.args["qualify"].this
        if any(value and key not in known for key, value in select.args.items()):
            continue
        if not isinstance(condition, exp.LT) or not isinstance(condition.this, exp.Window):
            continue
        inner = select.copy()
        inner.set("qualify", None)
        inner.append("expressions", exp.alias_(condition.this.copy(), "r9", quoted=True))
        outer = exp.Select(
            expressions=[exp.alias_(column(text, "q9"), text, quoted=True) for text in select.named_selects],
            from_=exp.From(this=exp.Subquery(this=inner, alias=table_alias("q9"))),
            where=exp.Where(this=exp.LT(this=column("r9", "q9"), expression=condition.expression.copy())),
        )
        draft.put(select, outer)
        return


def push_filter(draft: Draft) -> None:
    """SELECT … FROM (SELECT a AS b FROM t) AS q WHERE q.b > 1 → … FROM (SELECT a AS b FROM t WHERE a > 1) AS q."""
    for select in draft.selects(lambda one: one.args.get("from_") is not None and one.args.get("where") is not None):
        item = select.args["from_"].this
        if any(join.side in {"RIGHT", "FULL"} for join in select.args.get("joins") or []):
            continue
        if not isinstance(item, exp.Subquery) or not is_plain(item.this) or item.args["alias"].columns:
            continue
        outputs = {one.alias_or_name: one.unalias() for one in item.this.selects}
        for term in where_terms(select):
            if term.find(exp.Query) or tables_of(term) != {item.alias} or not draft.exact(term):
                continue
            moved = term.copy()
            for found in list(moved.find_all(exp.Column)):
                found.replace(outputs[found.name].copy()) if found is not moved else None
            if isinstance(moved, exp.Column):
                moved = outputs[moved.name].copy()
            set_where(select, [other for other in where_terms(select) if other is not term])
            set_where(item.this, [*where_terms(item.this), moved])
            draft.changed = True
            return


def filter_in_derived(draft: Draft) -> None:
    """FROM t AS a WHERE a.x > 1 → FROM (SELECT * FROM t AS i WHERE i.x > 1) AS a."""
    for select in draft.selects(lambda one: one.args.get("from_") is not None and one.args.get("where") is not None):
        item = select.args["from_"].this
        if any(join.side in {"RIGHT", "FULL"} for join in select.args.get("joins") or []):
            continue
        if not isinstance(item, exp.Table) or item.db != INPUT_DB:
            continue
        for term in where_terms(select):
            if term.find(exp.Query) or tables_of(term) != {item.alias} or not draft.exact(term):
                continue
            moved = term.copy()
            for found in moved.find_all(exp.Column):
                found.set("table", name("i9"))
            table = exp.Table(this=name(item.name), db=name(INPUT_DB), alias=table_alias("i9"))
            body = exp.Select(expressions=[exp.Star()], from_=exp.From(this=table), where=exp.Where(this=moved))
            set_where(select, [other for other in where_terms(select) if other is not term])
            item.replace(exp.Subquery(this=body, alias=item.args["alias"].copy()))
            draft.changed = True
            return


REWRITES: tuple[Callable[[Draft], None], ...] = (
    group_by_position, reorder_group_keys, repeat_group_key, distinct_to_group, group_to_distinct, having_to_where,
    where_to_having, order_by_position, idle_order_key, swap_union, swap_intersect, distinct_branch,
    union_to_distinct, distinct_again, offset_zero, unlimited, default_frame, named_window, repeat_partition_key,
    reorder_partition_keys, qualify_to_where, push_filter, filter_in_derived,
)  # fmt: skip
