"""Splitting of a grouped SELECT in two, so that a subquery evaluated once a group has rows to be joined to."""

from __future__ import annotations

from sqlglot import exp

from compiler.engine_sql.workarounds.subqueries.naming import CODE, Fresh, aliased, column
from compiler.engine_sql.workarounds.subqueries.places import Reading, body_of, is_subquery
from compiler.engine_sql.workarounds.subqueries.sources import derived
from compiler.engine_sql.workarounds.subqueries.spreading import totals, wrapped_call
from compiler.sql.encode import encode
from compiler.tree.positions import located
from compiler.tree.walk import find_all, has, nodes

_LATER = ("expressions", "having", "qualify", "order", "distinct", "windows")


def part(select: exp.Select, reading: Reading, fresh: Fresh) -> None:
    """Make a derived table of what is grouped, in place. Raises `SqlError`.

    SELECT t.s AS s, COUNT(*) AS n FROM t GROUP BY t.s HAVING EXISTS (…)
    → SELECT g.a AS s, g.b AS n FROM (SELECT t.s AS a, COUNT(*) AS b FROM t GROUP BY t.s) AS g WHERE EXISTS (…)
    """
    _refuse_outer_aggregates(select, reading)
    _alias_outputs(select)
    grouped = fresh.name()
    passed: dict[bytes, tuple[exp.Expr, str]] = {}
    group = select.args.get("group")
    keys = {encode(key): key for key in (_keys(group) if group is not None else [])}
    for call in totals(select):
        whole = wrapped_call(call)
        _, name = passed.setdefault(encode(whole), (whole.copy(), fresh.name()))
        whole.replace(column(grouped, name))
    own = {id(one) for clause in _LATER for tree in _trees(select, clause) for one in reading.own_columns(tree, select)}
    for clause in _LATER:
        for tree in _trees(select, clause):
            for node in nodes(tree):
                key = encode(node) if isinstance(node, exp.Condition) else b""
                if key in keys and _is_value(node) and _means_the_key(node, select, own):
                    _, name = passed.setdefault(key, (keys[key].copy(), fresh.name()))
                    node.replace(column(grouped, name))
    left = [one for clause in _LATER for tree in _trees(select, clause) for one in find_all(tree, exp.Column)]
    for one in left:
        if id(one) in own and one.parent is not None and one.find_ancestor(exp.Select) is not None:
            hint = "group by it, or aggregate it"
            raise located(one, f"column '{one.name}' is read for each group, but not grouped by", hint=hint, code=CODE)
    inner = exp.Select(
        expressions=[aliased(value, name) for value, name in passed.values()]
        or [aliased(exp.Count(this=exp.Star(), big_int=True), fresh.name())]
    )
    for clause in ("from_", "joins", "where", "group"):
        inner.set(clause, select.args.get(clause))
        select.set(clause, None)
    having = select.args.get("having")
    if having is not None:
        _spell_out_outputs(select, having)
    select.set("having", None)
    select.set("from_", exp.From(this=derived(inner, grouped)))
    if having is not None:
        select.set("where", exp.Where(this=having.this))


def _keys(group: exp.Group) -> list[exp.Expr]:
    """Return what is grouped by, constants aside."""
    found: list[exp.Expr] = []
    pending = [part for value in group.args.values() for part in (value if isinstance(value, list) else [])]
    while pending:
        node = pending.pop()
        if isinstance(node, exp.Paren):
            pending.append(node.this)
        elif isinstance(node, exp.Rollup | exp.Cube | exp.GroupingSets | exp.Tuple):
            pending += node.expressions
        elif has(node, exp.Column, exp.Func, exp.Query):
            found.append(node)
    return found


def _means_the_key(node: exp.Expr, select: exp.Select, own: set[int]) -> bool:
    """Whether an expression that is written as a key of GROUP BY is, be it in a subquery, made of the same columns."""
    return node.find_ancestor(exp.Select) is select or all(id(one) in own for one in find_all(node, exp.Column))


def _is_value(node: exp.Expr) -> bool:
    return node.parent is not None and not (isinstance(node, exp.Subquery) and isinstance(node.parent, exp.In))


def _trees(select: exp.Select, clause: str) -> list[exp.Expr]:
    value = select.args.get(clause)
    parts = value if isinstance(value, list) else [value]
    return [part for part in parts if isinstance(part, exp.Expr)]


def _alias_outputs(select: exp.Select) -> None:
    """SELECT t.a … → SELECT t.a AS a …, in place: what becomes of t.a has another name."""
    for item in select.selects:
        if not isinstance(item, exp.Alias) and item.alias_or_name:
            holder = aliased(exp.Null(), item.alias_or_name)
            item.replace(holder)
            if isinstance(item, exp.Subquery):
                item.set("alias", None)
            holder.set("this", item)


def _spell_out_outputs(select: exp.Select, condition: exp.Expr) -> None:
    """SELECT COUNT(*) AS n … HAVING n > 1 → … HAVING COUNT(*) > 1, in place."""
    items = {item.alias_or_name: item.unalias() for item in select.selects}
    for one in find_all(condition, exp.Column):
        if not one.table and one.name in items and one.find_ancestor(exp.Select) is select:
            one.replace(exp.Paren(this=items[one.name].copy()))


def _refuse_outer_aggregates(select: exp.Select, reading: Reading) -> None:
    """Refuse … HAVING EXISTS (SELECT 1 FROM u WHERE u.b = SUM(t.a)): the standard and the engine differ on it."""
    own = {id(one) for one in reading.own_columns(select, select)}
    for clause in _LATER:
        for tree in _trees(select, clause):
            for node in find_all(tree, exp.In, exp.Exists, exp.Subquery, exp.Binary):
                if not is_subquery(node):
                    continue
                for call in find_all(body_of(node), exp.AggFunc):
                    columns = find_all(call, exp.Column)
                    if columns and all(id(one) in own for one in columns):
                        hint = "compute the aggregate in a CTE, and read its column in the subquery"
                        message = "the engine cannot run a subquery with an aggregate of the query around it"
                        raise located(call, message, hint=hint, code=CODE)
