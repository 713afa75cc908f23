"""ORDER BY: defaults written out, keys by the names of outputs, keys without effect dropped."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.canonical.predicate_facts import is_constant
from compiler.sql.encode import blind_key, encode
from compiler.tree.walk import find_all, has, is_bare_subquery

_CUTS = ("limit", "offset", "fetch")


def spell_ordering(query: exp.Query, facts: Facts) -> exp.Query:
    """Write direction and place of NULLs by the engine's defaults: ascending puts NULLs last, descending first.

    ORDER BY a ASC NULLS LAST, b DESC NULLS FIRST → ORDER BY a, b DESC
    """
    for ordered in facts.nodes(query, exp.Ordered):
        descending = bool(ordered.args.get("desc"))
        nulls_first = ordered.args.get("nulls_first")
        nulls_first = descending if nulls_first is None else bool(nulls_first)
        if ordered.args.get("desc") is not descending or ordered.args.get("nulls_first") is not nulls_first:
            ordered.set("desc", descending)
            ordered.set("nulls_first", nulls_first)
    return query


def order_by_outputs(query: exp.Query, facts: Facts) -> exp.Query:
    """Write a key as the name of its output.

    SELECT t.a AS a, length(t.a) AS n FROM t ORDER BY length(a), t.a → … ORDER BY n, a
    """
    for select in facts.nodes(query, exp.Select):
        order = select.args.get("order")
        if order is None or not all(isinstance(item, exp.Alias) for item in select.selects):
            continue
        names = [item.alias for item in select.selects]
        columns: dict[str, exp.Expr] = {
            item.alias: item.this
            for item in select.selects
            if isinstance(item.this, exp.Column) and item.this.name == item.alias and names.count(item.alias) == 1
        }
        outputs: dict[bytes, str] = {}
        for item in select.selects:
            if names.count(item.alias) == 1 and not has(item.this, exp.Query, *exp.SET_RETURNING_FUNCTIONS):
                outputs.setdefault(encode(item.this), item.alias)
        for ordered in order.expressions:
            key = ordered.this
            if _is_bare(key) or isinstance(key, exp.Literal) or has(key, exp.Query):
                continue
            name = outputs.get(encode(_resolved(key, columns)))
            if name is not None:
                key.replace(exp.column(exp.to_identifier(name, quoted=True)))
    return query


def drop_idle_keys(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop a key that an earlier one decides, and constants, as long as a key remains.

    ORDER BY a, 'x', b, a DESC → ORDER BY a, b
    """
    for order in facts.nodes(query, exp.Order):
        if not isinstance(order.parent, exp.Select | exp.SetOperation) or order.parent.args.get("distinct_on"):
            continue
        distinct = order.parent.args.get("distinct")
        if isinstance(distinct, exp.Distinct) and distinct.args.get("on") is not None:
            continue
        kept: dict[bytes, exp.Expr] = {}
        for ordered in order.expressions:
            key = ordered.this
            if not (isinstance(key, exp.Literal) and key.is_string):
                kept.setdefault(encode(key), ordered)
        if kept and len(kept) < len(order.expressions):
            order.set("expressions", list(kept.values()))
    return query


def drop_inner_orders(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop ORDER BY from a branch of a set operation and from the query of IN, if no LIMIT depends on it.

    a IN (SELECT t.b FROM t ORDER BY t.c) → a IN (SELECT t.b FROM t)
    """
    if not facts.of(query, rows_may_move):
        return query
    for select in facts.nodes(query, exp.Select):
        if select.args.get("order") is None or any(select.args.get(cut) is not None for cut in _CUTS):
            continue
        holder = select.parent
        while isinstance(holder, exp.Subquery) and is_bare_subquery(holder):
            holder = holder.parent
        if isinstance(holder, exp.SetOperation | exp.In) and select.arg_key != "with_":
            select.set("order", None)
            while isinstance(select.parent, exp.Subquery) and isinstance(holder, exp.SetOperation):
                if not is_bare_subquery(select.parent):
                    break
                select.parent.replace(select)
    return query


def rows_may_move(query: exp.Query, facts: Facts) -> bool:
    """Whether the rows of any part of `query` may come in another order without changing its result.

    Not if something depends on their order, nor if the query ends in ORDER BY and different rows can tie.
    """
    if facts.is_order_dependent(query):
        return False
    order = query.args.get("order")
    if order is None:
        return True
    keys = {ordered.this.name for ordered in order.expressions if _is_bare(ordered.this)}
    if not isinstance(query, exp.Select):
        return keys.issuperset(query.named_selects)
    return keys.issuperset(item.alias_or_name for item in query.selects if not is_constant_output(item.unalias()))


def is_constant_output(value: exp.Expr) -> bool:
    """Whether an output has one value in all rows: a literal, or one that is cast to a plain type."""
    return is_constant(value) or (type(value) is exp.Cast and is_constant(value.this) and not value.to.expressions)


def sort_key(node: exp.Expr) -> tuple[str, bytes]:
    """Return a key in which internal names only decide between nodes that differ in nothing else."""
    return blind_key(node), encode(node)


def _is_bare(key: exp.Expr) -> bool:
    return isinstance(key, exp.Column) and not key.table


def _resolved(key: exp.Expr, columns: dict[str, exp.Expr]) -> exp.Expr:
    """Return a copy of `key` in which names of outputs that are columns of that very name become those columns.

    In a larger expression only those: there an alias and a column of one name can mean two things.
    """
    copy = exp.Paren(this=key.copy())
    for column in find_all(copy, exp.Column):
        if not column.table and column.name in columns:
            column.replace(columns[column.name].copy())
    found: exp.Expr = copy.this
    return found
