"""`LIMIT n` for Spark, which finds out whether the rows that it keeps are the only ones that there can be.

Of rows that tie with the last one which is kept, DataFusion keeps those that it happens to read first, and without an
ORDER BY any. Spark takes one row more, and fails with `TIED` if that row ties with the last one: rows that are not even
looked at may tie, too, so that it says nothing if that row is the same. The rule is then run locally.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from compiler.schema import Schema
from compiler.spark.numbers import call

TIED = "rules: of several rows that tie, some are left out"
"""What such a query of Spark's fails with."""
_ROWS, _PLACED = "top", "placed"
_PLACE, _TIES, _KEY = "rules: place", "rules: ties", "rules: key"
"""Columns of its own have names that no column of a rule has."""


def key_name(place: int) -> str:
    """Return the name of an output that is a key and no column of the result. place: of it among the keys."""
    return f"{_KEY} {place}"


def top_rows(query: exp.Query, keys: Sequence[exp.Ordered], count: int, product: Schema) -> exp.Select:
    """Return the first `count` rows of a query without ORDER BY. keys: outputs of it, by which it is ordered."""
    columns = [exp.column(name, quoted=True) for name in product.names]
    rest = [exp.Ordered(this=one, desc=False, nulls_first=False) for one in columns]
    order = exp.Order(expressions=[key.copy() for key in (*keys, *rest)])
    outputs = [*columns, *(key.this for key in keys if key.this not in columns)]
    top = exp.select(*outputs).from_(query.subquery("product")).order_by(*order.expressions).limit(count + 1)
    values = call("struct", *(key.this.copy() for key in keys), exp.Boolean(this=True))  # never without a field
    shown = [
        exp.alias_(_over(call("row_number"), order), _PLACE, quoted=True),
        exp.alias_(
            exp.NullSafeEQ(this=values, expression=_over(call("lead", values.copy()), order)), _TIES, quoted=True
        ),
    ]
    placed = exp.select(*(one.copy() for one in columns), *shown).from_(top.subquery(_ROWS))
    place, last = exp.column(_PLACE, quoted=True), exp.Literal.number(count)
    is_kept: exp.Expr = exp.LTE(this=place.copy(), expression=last.copy())
    if {one.name for one in columns} - {key.this.name for key in keys}:  # else rows that tie are the same
        is_tied = exp.and_(exp.EQ(this=place, expression=last), exp.column(_TIES, quoted=True))
        error = call("raise_error", exp.Literal.string(TIED))
        is_kept = exp.Case(ifs=[exp.If(this=is_tied, true=error)], default=is_kept)
    kept = exp.select(*(one.copy() for one in columns)).from_(placed.subquery(_PLACED)).where(is_kept)
    return kept.order_by(exp.Ordered(this=place.copy(), desc=False, nulls_first=False))


def _over(function: exp.Expr, order: exp.Order) -> exp.Window:
    return exp.Window(this=function, order=order.copy())
