"""LIMIT, OFFSET and ORDER BY of derived tables: clauses without effect are dropped, numbers written as numbers."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.canonical.merging import is_scalar
from compiler.canonical.ordering import rows_may_move
from compiler.tree.walk import has, is_bare_subquery

_END = 2**63
"""Literals and sums of them from here on are left alone: int64 wraps."""


def spell_limits(query: exp.Query, facts: Facts) -> exp.Query:
    """Write limits as literals and drop those that keep every row.

    LIMIT ALL, LIMIT NULL, OFFSET 0 → nothing;  LIMIT 1 + 2 → LIMIT 3
    """
    for node in facts.nodes(query, exp.Limit, exp.Offset):
        count = node.expression
        if node.parent is None or count is None or node.args.get("expressions"):
            continue
        if isinstance(node, exp.Limit) and (isinstance(count, exp.Null) or _is_all(count)):
            node.pop()
            continue
        number = _number(count)
        if number is None or number < 0:
            continue
        if isinstance(node, exp.Offset) and number == 0:
            node.pop()
        elif count.is_string or count.name != str(number):
            node.set("expression", exp.Literal.number(str(number)))
    return query


def drop_limits_of_totals(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop a limit of one or more over aggregates without groups, which are one row, and where one row is enough.

    SELECT COUNT(*) AS n FROM t LIMIT 1 → SELECT COUNT(*) AS n FROM t
    EXISTS (SELECT t.a … LIMIT 1) → EXISTS (SELECT t.a …)
    """
    for select in facts.nodes(query, exp.Select):
        limit = select.args.get("limit")
        if not isinstance(limit, exp.Limit) or select.args.get("offset") or select.args.get("group"):
            continue
        number = _number(limit.expression) if not limit.args.get("expressions") else None
        if number is not None and number > 0 and (_is_total(select) or _is_of_exists(select)):
            limit.pop()
    return query


def spell_no_rows(query: exp.Query, facts: Facts) -> exp.Query:
    """Write a limit of no rows as a filter that no row passes, if rows are neither grouped nor made.

    SELECT t.a AS a FROM t WHERE p LIMIT 0 → SELECT t.a AS a FROM t WHERE FALSE

    Not under ORDER BY: the order of a product is a promise, even without rows.
    """
    known = {"expressions", "from_", "joins", "where", "limit", "with_"}
    for select in facts.nodes(query, exp.Select):
        limit = select.args.get("limit")
        if not isinstance(limit, exp.Limit) or limit.args.get("expressions") or _number(limit.expression) != 0:
            continue
        if select.args.get("from_") is None or any(v for key, v in select.args.items() if key not in known):
            continue
        if all(isinstance(output, exp.Alias) and is_scalar(output) for output in select.expressions):
            limit.pop()
            select.set("where", exp.Where(this=exp.Boolean(this=False)))
    return query


def drop_orders_of_derived_tables(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop ORDER BY of derived tables and CTEs if it cannot affect the result.

    SELECT COUNT(*) AS n FROM (SELECT t.a AS a FROM t ORDER BY t.a) AS d → SELECT COUNT(*) AS n FROM (…) AS d

    Order affects LIMIT, ties of windows, array_agg; sums of floats, by rounding; and which of 0.0 and -0.0
    a group or a set keeps. If any of these is possible, everything stays.
    """
    inner = [
        order
        for order in facts.nodes(query, exp.Order)
        if isinstance(order.parent, exp.Select)
        and isinstance(order.parent.parent, exp.Subquery | exp.CTE)
        and not any(order.parent.args.get(key) for key in ("limit", "offset", "fetch"))
    ]
    if not inner or not facts.of(query, rows_may_move) or not _is_blind_to_order(query, facts):
        return query
    for order in inner:
        order.pop()
    return query


def _is_blind_to_order(query: exp.Query, facts: Facts) -> bool:
    types = facts.types(query)
    if facts.has(query, exp.SetOperation, exp.Distinct, exp.Fetch, exp.Window):
        return False
    for group in facts.nodes(query, exp.Group):
        if any(value for key, value in group.args.items() if key != "expressions"):
            return False
        if not all(types.is_exact(key) for key in group.expressions):
            return False
    for call in facts.nodes(query, exp.AggFunc):
        if isinstance(call, exp.Count):
            continue
        if not isinstance(call, exp.Sum | exp.Min | exp.Max) or not types.is_exact(call.this):
            return False
    return True


def _is_all(count: exp.Expr) -> bool:
    return isinstance(count, exp.Column | exp.Var | exp.Identifier) and count.name.upper() == "ALL"


def _number(node: exp.Expr | None) -> int | None:
    """Return the value of an integer literal or of a sum of them, None for anything else."""
    if isinstance(node, exp.Literal):
        return int(node.name) if node.is_int and 0 <= int(node.name) < _END else None
    if isinstance(node, exp.Add):
        left, right = _number(node.this), _number(node.expression)
        return left + right if left is not None and right is not None and left + right < _END else None
    return None


def _is_of_exists(select: exp.Select) -> bool:
    node = select.parent
    while node is not None and is_bare_subquery(node):
        node = node.parent
    return isinstance(node, exp.Exists)


def _is_total(select: exp.Select) -> bool:
    """Whether a SELECT without GROUP BY certainly aggregates: an output is an aggregate and nothing around it."""
    if any(has(output, exp.UDTF, exp.Explode, exp.Anonymous) for output in select.expressions):
        return False
    return any(isinstance(output.this, exp.Count | exp.Sum | exp.Min | exp.Max | exp.Avg)
               for output in select.expressions if isinstance(output, exp.Alias))  # fmt: skip
