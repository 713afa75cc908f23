"""Mutations of grouping, windows, order and output, each another query most times."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from compiler.sql.functions import WindowFunction
from properties.drafts import (
    Draft,
    items_of,
    name,
    own,
    set_where,
    where_terms,
)


def _joined(draft: Draft) -> list[exp.Select]:
    return draft.selects(lambda one: bool(one.args.get("joins")) and one.args.get("from_") is not None)


def _joins(draft: Draft) -> list[exp.Join]:
    return [join for select in _joined(draft) for join in select.args["joins"]]


def _windows(draft: Draft) -> list[exp.Window]:
    return [one for one in draft.tree.find_all(exp.Window) if not one.args.get("alias")]


def count_of_column(draft: Draft) -> None:
    """COUNT(*) → COUNT(a), and back."""
    node = draft.pick([one for one in draft.tree.find_all(exp.Count) if not isinstance(one.this, exp.Distinct)])
    select = node.find_ancestor(exp.Select) if node is not None else None
    if node is None or select is None:
        return
    aliases = {item.alias for item in items_of(select)} if select.args.get("from_") else set()
    columns = [one for one in select.find_all(exp.Column) if one.table in aliases]
    if not isinstance(node.this, exp.Star):
        node.set("this", exp.Star())
        draft.changed = True
    elif columns:
        node.set("this", draft.rng.choice(columns).copy())
        draft.changed = True


def distinct_in_aggregate(draft: Draft) -> None:
    """COUNT(a) → COUNT(DISTINCT a), and back; SUM too."""
    node = draft.pick([
        one for one in draft.tree.find_all(exp.Count, exp.Sum, exp.Min, exp.Max)
        if not isinstance(one.this, exp.Star) and not isinstance(one.parent, exp.Window)
    ])  # fmt: skip
    if node is not None:
        plain = isinstance(node.this, exp.Distinct)
        inner = node.this.expressions[0].copy() if plain else exp.Distinct(expressions=[node.this.copy()])
        node.set("this", inner)
        draft.changed = True


def other_aggregate(draft: Draft) -> None:
    """SUM(a) → MIN(a)."""
    node = draft.pick(list(draft.tree.find_all(exp.Sum, exp.Min, exp.Max)))
    if node is not None:
        other = draft.rng.choice([kind for kind in (exp.Sum, exp.Min, exp.Max, exp.Count) if kind is not type(node)])
        draft.put(node, other(this=node.this.copy()))


def drop_aggregate_filter(draft: Draft) -> None:
    """SUM(a) FILTER (WHERE p) → SUM(a)."""
    node = draft.pick(list(draft.tree.find_all(exp.Filter)))
    if node is not None:
        draft.put(node, node.this.copy())


def filter_to_where(draft: Draft) -> None:
    """SELECT SUM(a) FILTER (WHERE p) FROM t GROUP BY b → SELECT SUM(a) FROM t WHERE p GROUP BY b."""
    node = draft.pick([one for one in draft.tree.find_all(exp.Filter) if not isinstance(one.parent, exp.Window)])
    select = node.find_ancestor(exp.Select) if node is not None else None
    if node is not None and select is not None:
        condition = node.expression.this.copy()
        node.replace(node.this.copy())
        set_where(select, [*where_terms(select), condition])
        draft.changed = True


def toggle_distinct(draft: Draft) -> None:
    """SELECT DISTINCT a → SELECT a, and back."""
    select = draft.pick(draft.selects(lambda one: not one.args.get("limit")))
    if select is not None:
        select.set("distinct", None if select.args.get("distinct") else exp.Distinct())
        draft.changed = True


def extra_distinct_column(draft: Draft) -> None:
    """FROM (SELECT DISTINCT a FROM t) AS q → FROM (SELECT DISTINCT a, b FROM t) AS q, where nothing reads b."""
    found = [
        (item.this, one)
        for item in draft.tree.find_all(exp.Subquery)
        if isinstance(item.parent, exp.From | exp.Join) and isinstance(item.this, exp.Select)
        and (item.this.args.get("distinct") or item.this.args.get("group")) and not item.args["alias"].columns
        for one in own(item.this, exp.Column) if one.table in {each.alias for each in items_of(item.this)}
    ]  # fmt: skip
    pair = draft.pick(found)
    if pair is not None:
        select, one = pair
        select.append("expressions", exp.alias_(one.copy(), "v9", quoted=True))
        if select.args.get("group"):
            select.args["group"].append("expressions", one.copy())
        draft.changed = True


def drop_group_key(draft: Draft) -> None:
    """GROUP BY a, b → GROUP BY a, where b is not selected; GROUP BY 1 of a constant → none."""
    select = draft.pick(draft.selects(lambda one: one.args.get("group") is not None))
    if select is None:
        return
    keys = select.args["group"].expressions
    gone = draft.rng.choice(keys) if keys else None
    rest = [key.copy() for key in keys if key is not gone]
    select.set("group", exp.Group(expressions=rest) if rest else None)
    draft.changed = True


def extra_group_key(draft: Draft) -> None:
    """GROUP BY a → GROUP BY a, b."""
    select = draft.pick(draft.selects(lambda one: one.args.get("group") is not None))
    if select is not None:
        aliases = {item.alias for item in items_of(select)}
        one = draft.pick([one for one in own(select, exp.Column) if one.table in aliases])
        if one is not None and one not in select.args["group"].expressions:
            select.args["group"].append("expressions", one.copy())
            draft.changed = True


def group_a_total(draft: Draft) -> None:
    """SELECT COUNT(*) FROM t → SELECT COUNT(*) FROM t GROUP BY 'a': no rows, no row."""
    select = draft.pick([
        one for one in draft.selects() if not one.args.get("group") and own(one, exp.AggFunc)
        and all(own(item, exp.AggFunc) and not own(item, exp.Window) for item in one.selects)
    ])  # fmt: skip
    if select is not None:
        select.set("group", exp.Group(expressions=[exp.Literal.string("a")]))
        draft.changed = True


def drop_having(draft: Draft) -> None:
    """HAVING p → nothing."""
    select = draft.pick(draft.selects(lambda one: bool(one.args.get("having") or one.args.get("qualify"))))
    if select is not None:
        select.set("having", None)
        select.set("qualify", None)
        draft.changed = True


def where_to_qualify(draft: Draft) -> None:
    """WHERE p with a window → QUALIFY p: the window sees what the filter drops."""
    select = draft.pick(draft.selects(lambda one: one.args.get("where") is not None and bool(own(one, exp.Window))))
    if select is not None and select.args.get("qualify") is None and not select.args.get("group"):
        condition = select.args["where"].this.copy()
        # The engine wants a window in QUALIFY itself; this one is true of every row.
        window = exp.Window(this=exp.Count(this=exp.Star()), over="OVER")
        always = exp.GT(this=window, expression=exp.Literal.number("0"))
        select.set("where", None)
        select.set("qualify", exp.Qualify(this=exp.And(this=condition, expression=always)))
        draft.changed = True


def rows_or_range(draft: Draft) -> None:
    """ROWS → RANGE, and back; no frame → ROWS."""
    node = draft.pick([one for one in _windows(draft) if one.args.get("order")])
    if node is not None:
        spec = node.args.get("spec")
        if spec is None:
            node.set("spec", exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW"))
        else:
            spec.set("kind", "RANGE" if spec.args["kind"] == "ROWS" else "ROWS")
        draft.changed = True


def change_frame(draft: Draft) -> None:
    """… AND CURRENT ROW → … AND UNBOUNDED FOLLOWING."""
    node = draft.pick([one for one in _windows(draft) if one.args.get("spec")])
    if node is not None:
        if draft.rng.random() < 0.3:
            node.set("spec", None)
        elif node.args["spec"].args.get("end") == "CURRENT ROW":
            node.args["spec"].set("end", "UNBOUNDED")
            node.args["spec"].set("end_side", "FOLLOWING")
        else:
            node.args["spec"].set("end", "CURRENT ROW")
            node.args["spec"].set("end_side", None)
        draft.changed = True


def change_partition(draft: Draft) -> None:
    """PARTITION BY a → PARTITION BY b; → nothing."""
    node = draft.pick(_windows(draft))
    select = node.find_ancestor(exp.Select) if node is not None else None
    if node is not None and select is not None:
        aliases = {item.alias for item in items_of(select)}
        one = draft.pick([one for one in own(select, exp.Column) if one.table in aliases])
        keys = node.args.get("partition_by") or []
        if one is not None and one not in keys:
            node.set("partition_by", [] if keys and draft.rng.random() < 0.4 else [one.copy()])
            draft.changed = True


def change_window_call(draft: Draft) -> None:
    """RANK() → DENSE_RANK(); COUNT(*) → COUNT(a)."""
    node = draft.pick(
        [one for one in draft.tree.find_all(WindowFunction) if one.name.lower() in {"rank", "dense_rank"}]
    )
    if node is not None:
        node.set("this", "dense_rank" if node.name.lower() == "rank" else "rank")
        draft.changed = True


def change_direction(draft: Draft) -> None:
    """ORDER BY a → ORDER BY a DESC, in a window too."""
    node = draft.pick(list(draft.tree.find_all(exp.Ordered)))
    if node is not None:
        node.set("desc", not node.args.get("desc"))
        draft.changed = True


def change_nulls(draft: Draft) -> None:
    """ORDER BY a → ORDER BY a NULLS FIRST, in a window too."""
    node = draft.pick(list(draft.tree.find_all(exp.Ordered)))
    if node is not None:
        node.set("nulls_first", not node.args.get("nulls_first"))
        draft.changed = True


def drop_order(draft: Draft) -> None:
    """ORDER BY a, b → ORDER BY a; ORDER BY a → nothing, at the top."""
    order = draft.tree.args.get("order")
    if order is not None:
        rest = [key.copy() for key in order.expressions[:-1]]
        draft.tree.set("order", exp.Order(expressions=rest) if rest else None)
        draft.changed = True


def swap_order_keys(draft: Draft) -> None:
    """ORDER BY a, b → ORDER BY b, a."""
    order = draft.pick([one for one in draft.tree.find_all(exp.Order) if len(one.expressions) > 1])
    if order is not None:
        order.set("expressions", [key.copy() for key in reversed(order.expressions)])
        draft.changed = True


def change_limit(draft: Draft) -> None:
    """LIMIT 3 → LIMIT 4; → nothing."""
    query = draft.pick([one for one in draft.tree.find_all(exp.Query) if one.args.get("limit")])
    if query is not None:
        if draft.rng.random() < 0.4:
            query.set("limit", None)
        else:
            number = int(query.args["limit"].expression.name)
            query.args["limit"].set("expression", exp.Literal.number(str(number + 1)))
        draft.changed = True


def change_offset(draft: Draft) -> None:
    """OFFSET 1 → nothing; nothing → OFFSET 1."""
    query = draft.pick([one for one in draft.tree.find_all(exp.Query) if one.args.get("limit")])
    if query is not None:
        query.set("offset", None if query.args.get("offset") else exp.Offset(expression=exp.Literal.number("1")))
        draft.changed = True


def limit_inside(draft: Draft) -> None:
    """FROM (SELECT …) AS q → FROM (SELECT … LIMIT 2) AS q."""
    item = draft.pick([one for one in draft.tree.find_all(exp.Subquery) if isinstance(one.this, exp.Select)
                       and isinstance(one.parent, exp.From | exp.Join) and not one.this.args.get("limit")])  # fmt: skip
    if item is not None:
        item.this.set("limit", exp.Limit(expression=exp.Literal.number("2")))
        draft.changed = True


def swap_outputs(draft: Draft) -> None:
    """SELECT a, b → SELECT b, a."""
    select = draft.tree
    if isinstance(select, exp.Select) and len(select.expressions) > 1 and not select.args.get("group"):
        select.set("expressions", [item.copy() for item in reversed(select.expressions)])
        draft.changed = True


def swap_names(draft: Draft) -> None:
    """SELECT a AS x, b AS y → SELECT a AS y, b AS x, in a derived table too."""
    select = draft.pick(
        draft.selects(lambda one: len(one.selects) > 1 and all(isinstance(i, exp.Alias) for i in one.selects))
    )
    if select is not None:
        first, second = select.selects[:2]
        one, other = first.alias, second.alias
        first.set("alias", name(other))
        second.set("alias", name(one))
        draft.changed = True


def drop_output(draft: Draft) -> None:
    """SELECT a, b → SELECT a."""
    select = draft.tree
    if isinstance(select, exp.Select) and len(select.expressions) > 1 and not select.args.get("order"):
        select.set("expressions", [item.copy() for item in select.expressions[:-1]])
        draft.changed = True


def constant_outside(draft: Draft) -> None:
    """a LEFT JOIN (SELECT b, 1 AS one …) AS q → q.one becomes 1: NULL where nothing matched, against 1."""
    for item in draft.tree.find_all(exp.Subquery):
        if not isinstance(item.parent, exp.Join) or not isinstance(item.this, exp.Select):
            continue
        constants = {one.alias: one.this for one in item.this.selects
                     if isinstance(one, exp.Alias) and not one.this.find(exp.Column, exp.Func, exp.Query)}  # fmt: skip
        for found in list(draft.tree.find_all(exp.Column)):
            if found.table == item.alias and found.name in constants and isinstance(found.parent, exp.Alias | exp.EQ):
                draft.put(found, constants[found.name].copy())
                return


def null_safe_key(draft: Draft) -> None:
    """a JOIN b ON a.x = b.x → ON a.x IS NOT DISTINCT FROM b.x."""
    joins = [join for join in _joins(draft) if isinstance(join.args.get("on"), exp.EQ)]
    join = draft.pick(joins)
    if join is not None:
        on = join.args["on"]
        draft.put(on, exp.NullSafeEQ(this=on.this.copy(), expression=on.expression.copy()))


def other_side_of_key(draft: Draft) -> None:
    """SELECT a.x … a LEFT JOIN b ON a.x = b.x → SELECT b.x …."""
    for select in _joined(draft):
        for join in select.args["joins"]:
            on = join.args.get("on")
            if not isinstance(on, exp.EQ) or not all(isinstance(side, exp.Column) for side in (on.this, on.expression)):
                continue
            if join.kind in {"SEMI", "ANTI"} or draft.types.of(on.this) != draft.types.of(on.expression):
                continue
            for found in own(select, exp.Column):
                if found == on.this and found is not on.this:
                    draft.put(found, on.expression.copy())
                    return


MUTATIONS: tuple[Callable[[Draft], None], ...] = (
    count_of_column, distinct_in_aggregate, other_aggregate, drop_aggregate_filter, filter_to_where,
    toggle_distinct, extra_distinct_column, drop_group_key, extra_group_key, group_a_total, drop_having,
    where_to_qualify, rows_or_range, change_frame, change_partition, change_window_call, change_direction,
    change_nulls, drop_order, swap_order_keys, change_limit, change_offset, limit_inside, swap_outputs, swap_names,
    drop_output, constant_outside, null_safe_key, other_side_of_key,
)  # fmt: skip
