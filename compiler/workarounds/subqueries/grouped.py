"""Part a grouped SELECT in two, so that a subquery which is asked for once for each group has rows to be joined to."""

from __future__ import annotations

from sqlglot import exp

from compiler.encode import encode
from compiler.positions import located
from compiler.tree import find_all, nodes
from compiler.workarounds.subqueries.naming import CODE, Fresh, column
from compiler.workarounds.subqueries.places import Reading, body_of, is_subquery
from compiler.workarounds.subqueries.sources import derived
from compiler.workarounds.subqueries.spreading import totals, wrapped_call

_LATER = ("expressions", "having", "qualify", "order", "distinct", "windows")


def part(select: exp.Select, reading: Reading, fresh: Fresh) -> None:
    """Make a derived table of what is grouped, in place. Raises `SqlError`.

    SELECT t.s AS s, COUNT(*) AS n FROM t GROUP BY t.s HAVING EXISTS (…)
    → SELECT g.a AS s, g.b AS n FROM (SELECT t.s AS a, COUNT(*) AS b FROM t GROUP BY t.s) AS g WHERE EXISTS (…)
    """
    _refuse_outer_aggregates(select, reading)
    _settle_outputs(select)
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
                if key in keys and all(id(one) in own for one in find_all(node, exp.Column)) and _is_value(node):
                    _, name = passed.setdefault(key, (keys[key].copy(), fresh.name()))
                    node.replace(column(grouped, name))
    left = [one for clause in _LATER for tree in _trees(select, clause) for one in find_all(tree, exp.Column)]
    for one in left:
        if id(one) in own and one.parent is not None and one.find_ancestor(exp.Select) is not None:
            hint = "group by it, or aggregate it"
            raise located(one, f"column '{one.name}' is read for each group, and not grouped by", hint=hint, code=CODE)
    inner = exp.Select(
        expressions=[exp.alias_(value, name, quoted=True) for value, name in passed.values()]
        or [exp.alias_(exp.Literal.number(1), fresh.name(), quoted=True)]
    )
    for clause in ("from_", "joins", "where", "group"):
        inner.set(clause, select.args.get(clause))
        select.set(clause, None)
    having = select.args.get("having")
    select.set("having", None)
    select.set("from_", exp.From(this=derived(inner, grouped)))
    if having is not None:
        select.set("where", exp.Where(this=having.this))


def _keys(group: exp.Group) -> list[exp.Expr]:
    found = list(group.expressions)
    for kind in ("rollup", "cube", "grouping_sets"):
        for sets in group.args.get(kind) or []:
            pending = [sets]
            while pending:
                node = pending.pop()
                if isinstance(node, exp.Rollup | exp.Cube | exp.GroupingSets | exp.Tuple | exp.Paren):
                    pending += node.expressions or ([node.this] if isinstance(node, exp.Paren) else [])
                else:
                    found.append(node)
    return [key for key in found if key.find(exp.Column) is not None or isinstance(key, exp.Func | exp.Query)]


def _is_value(node: exp.Expr) -> bool:
    return node.parent is not None and not (isinstance(node, exp.Subquery) and isinstance(node.parent, exp.In))


def _trees(select: exp.Select, clause: str) -> list[exp.Expr]:
    value = select.args.get(clause)
    parts = value if isinstance(value, list) else [value]
    return [part for part in parts if isinstance(part, exp.Expr)]


def _settle_outputs(select: exp.Select) -> None:
    """SELECT t.a … HAVING n > 1 → SELECT t.a AS a … HAVING COUNT(*) > 1, in place, n being an output."""
    items = {item.alias_or_name: item.unalias() for item in select.selects}
    select.set(
        "expressions",
        [
            item if isinstance(item, exp.Alias) else exp.alias_(item, item.output_name, quoted=True)
            if item.output_name
            else item
            for item in select.selects
        ],
    )
    having = select.args.get("having")
    for one in find_all(having, exp.Column) if having is not None else ():
        if not one.table and one.name in items and one.find_ancestor(exp.Select) is select:
            one.replace(exp.Paren(this=items[one.name].copy()))


def _refuse_outer_aggregates(select: exp.Select, reading: Reading) -> None:
    """Refuse … HAVING EXISTS (SELECT 1 FROM u WHERE u.b = SUM(t.a)): the standard and the engine read it differently."""
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
