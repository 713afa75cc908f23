"""ORDER BY and LIMIT taken off a query, and put on one that reads the rows of the rest of it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from compiler.parts.rows import NotProvedError
from compiler.parts.rule import copied, everything_of, free_name, named
from compiler.sql.encode import encode
from compiler.tree.walk import find_all

_END = ("order", "limit", "offset")


def sorting(query: exp.Query) -> tuple[exp.Query, exp.Select]:
    """Return a query without its ORDER BY, and that of its rows in order; the keys of the order are columns of both."""
    body, outputs = with_sort_keys(query)
    alias = free_name(query)
    finish = everything_of(query.named_selects, alias)
    set_end(query, finish, outputs, alias)
    return body, finish


def with_sort_keys(query: exp.Query) -> tuple[exp.Query, dict[bytes, str]]:
    """Return a copy without ORDER BY and LIMIT that yields the keys of the order, too, and names for these."""
    outputs, body = outputs_of(query), without_end(query)
    order = query.args.get("order")
    distinct = query.args.get("distinct")
    if isinstance(distinct, exp.Distinct) and distinct.args.get("on") is not None:
        body.set("order", copied(order) if order is not None else None)  # it says which rows are the first ones
    for ordered in order.expressions if order is not None else []:
        code = encode(ordered.this)
        if code in outputs:
            continue
        if not isinstance(body, exp.Select) or body.args.get("distinct") is not None:
            raise NotProvedError("sorts its rows by what it does not yield")
        if any(not column.table for column in find_all(ordered.this, exp.Column)):
            raise NotProvedError("sorts its rows by an expression of its own outputs")
        outputs[code] = f"~{len(outputs)}"
        body.append("expressions", named(copied(ordered.this), outputs[code]))
    return body, outputs


def without_end(query: exp.Query) -> exp.Query:
    """Return a copy of a query without ORDER BY and LIMIT."""
    copy = copied(query)
    for part in _END:
        copy.set(part, None)
    return copy


def outputs_of(query: exp.Query) -> dict[bytes, str]:
    """Return the outputs of a query by the expressions that ORDER BY may have for them."""
    found = {encode(exp.column(name, quoted=True)): name for name in query.named_selects}
    if isinstance(query, exp.Select):
        found = {**{encode(item.unalias()): item.alias_or_name for item in query.selects}, **found}
    return found


def set_end(query: exp.Query, other: exp.Query, outputs: Mapping[bytes, str], alias: str) -> None:
    """Give another query, of the rows of one, its ORDER BY and LIMIT."""
    for part in ("limit", "offset"):
        if query.args.get(part) is not None:
            other.set(part, copied(query.args[part]))
    order = query.args.get("order")
    if order is None:
        return
    order = copied(order)
    for ordered in order.expressions:
        name = outputs.get(encode(ordered.this))
        if name is None:
            raise NotProvedError("sorts distinct rows by what it does not yield")
        ordered.set("this", exp.column(name, table=alias, quoted=True))
    other.set("order", order)
