"""ROLLUP and CUBE of no rows: a row of totals for the local engine, as in the standard, and nothing for Spark.

Spark is asked whether there is a row, and the rule is run locally if there is none.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.spark.numbers import call
from compiler.spark.refusal import LOCALLY, RefusedError

_ROLLED, _ONE = "rolled", "one"


def require_totals(query: exp.Select) -> None:
    """Raise `RefusedError` if a HAVING names a key of ROLLUP or CUBE, which Spark may take for that of the rows."""
    having = query.args.get("having")
    if having is None or not is_rolled(query):
        return
    columns = [one for one in having.find_all(exp.Column) if one.find_ancestor(exp.AggFunc) is None]
    if columns:
        raise RefusedError("HAVING with a key of ROLLUP or CUBE is not known to mean the same there")


def is_rolled(query: exp.Expr) -> bool:
    """Whether a query is grouped by ROLLUP or CUBE."""
    group = query.args.get("group")
    return group is not None and any(isinstance(one, exp.Rollup | exp.Cube) for one in group.expressions)


def or_locally_without_rows(query: exp.Select) -> exp.Query:
    """Return a query for Spark that is grouped by ROLLUP or CUBE, and fails with `LOCALLY` if there is no row for it.

    Raises `RefusedError`.
    """
    names = [item.alias_or_name for item in query.selects]
    order, clauses = query.args.get("order"), {key: query.args.get(key) for key in ("from_", "joins", "where")}
    keys = [] if order is None else order.expressions
    if not all(isinstance(key.this, exp.Column) and not key.this.table and key.this.name in names for key in keys):
        raise RefusedError("ROLLUP or CUBE with ORDER BY what is no column of the result is not known there")
    rows = exp.Select(expressions=[exp.Literal.number(1)])
    for key, value in clauses.items():
        rows.set(key, [one.copy() for one in value] if isinstance(value, list) else value and value.copy())
    error = call("raise_error", exp.Literal.string(LOCALLY))
    is_none = exp.Case(ifs=[exp.If(this=exp.Exists(this=rows), true=exp.Boolean(this=False))], default=error)
    one = exp.select(exp.alias_(exp.Literal.number(1), _ONE, quoted=True)).subquery(_ONE)
    none = exp.select(*(exp.Null() for _ in names)).from_(one).where(is_none)
    clause = query.args.get("with_")
    query.set("order", None)
    query.set("with_", None)
    both = exp.Union(this=query, expression=none, distinct=False)
    found = exp.select(*(exp.column(name, quoted=True) for name in names)).from_(both.subquery(_ROLLED))
    found.set("with_", clause)
    found.set("order", order)
    return found
