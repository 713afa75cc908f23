"""Faults of the engine in joins."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts


def mirror_right_joins(query: exp.Query, facts: Facts) -> exp.Query:
    """FROM a RIGHT JOIN b ON p → FROM b LEFT JOIN a ON p, in place, where it is a query's first join.

    DataFusion 55 loses rows of `a RIGHT JOIN b … WHERE a.x IS NULL` over Parquet when b has a column x too: it lets the
    filter choose row groups of b. The mirrored join is not affected.
    """
    for select in facts.nodes(query, exp.Select):
        joins, source = select.args.get("joins"), select.args.get("from_")
        if not joins or source is None:
            continue
        join, first = joins[0], source.this
        plain = (exp.Table, exp.Subquery)
        if join.side != "RIGHT" or join.kind not in {"", "OUTER"} or join.method or not join.args.get("on"):
            continue
        if isinstance(first, plain) and isinstance(join.this, plain) and not first.args.get("joins"):
            second = join.this
            source.set("this", second)
            join.set("this", first)
            join.set("side", "LEFT")
    return query
