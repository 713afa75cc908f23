"""`ORDER BY … LIMIT n` for Spark, which finds out whether the rows that it keeps are the only ones that there can be.

Of rows that tie with the last one which is kept, DataFusion keeps those that it happens to read first. Spark takes one
row more, and fails with `TIED` if that row could be in the place of the last one and is another. The rule is then run
locally.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from compiler.schema import Schema
from compiler.spark.numbers import call

TIED = "rules: of several rows that tie, some are left out"
"""What such a query of Spark's fails with."""
_ROWS, _PLACED, _PLACE, _NEXT, _KEY, _NEXT_KEY = "top", "placed", "_place", "_next", "_key", "_next_key"


def top_rows(query: exp.Query, keys: Sequence[exp.Ordered], count: int, product: Schema) -> exp.Select:
    """Return the first `count` rows of a query without ORDER BY. keys: outputs of it, by which it is ordered."""
    columns = [exp.column(name, quoted=True) for name in product.names]
    rest = [exp.Ordered(this=one, desc=False, nulls_first=False) for one in columns]
    order = exp.Order(expressions=[key.copy() for key in (*keys, *rest)])
    top = exp.select(*columns).from_(query.subquery("product")).order_by(*order.expressions).limit(count + 1)
    # As text, so that neither the zeros of floats nor NaN are taken for one another.
    exact = [
        exp.cast(one, "string", dialect="spark") if kind.type == "float64" else one
        for one, kind in zip(columns, product.columns, strict=True)
    ]
    places = {
        _PLACE: _over(call("row_number"), order),
        _KEY: call("struct", *(key.this.copy() for key in keys)),
        _NEXT_KEY: _over(call("lead", call("struct", *(key.this.copy() for key in keys))), order),
        "_row": call("struct", *(one.copy() for one in exact)),
        _NEXT: _over(call("lead", call("struct", *(one.copy() for one in exact))), order),
    }
    shown = [exp.alias_(value, name, quoted=True) for name, value in places.items()]
    placed = exp.select(*(one.copy() for one in columns), *shown).from_(top.subquery(_ROWS))
    place, last = exp.column(_PLACE, quoted=True), exp.Literal.number(count)
    is_tied = exp.and_(
        exp.EQ(this=place, expression=last),
        exp.NullSafeEQ(this=exp.column(_KEY, quoted=True), expression=exp.column(_NEXT_KEY, quoted=True)),
        exp.Not(
            this=exp.Paren(
                this=exp.NullSafeEQ(this=exp.column("_row", quoted=True), expression=exp.column(_NEXT, quoted=True))
            )
        ),
    )
    error = call("raise_error", exp.Literal.string(TIED))
    is_kept = exp.Case(
        ifs=[exp.If(this=is_tied, true=error)], default=exp.LTE(this=place.copy(), expression=last.copy())
    )
    kept = exp.select(*(one.copy() for one in columns)).from_(placed.subquery(_PLACED)).where(is_kept)
    return kept.order_by(exp.Ordered(this=place.copy(), desc=False, nulls_first=False))


def _over(function: exp.Expr, order: exp.Order) -> exp.Window:
    return exp.Window(this=function, order=order.copy())
