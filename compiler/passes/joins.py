"""Joins: one spelling for each kind."""

from __future__ import annotations

from sqlglot import exp


def spell_joins(query: exp.Query) -> exp.Query:
    """Drop the words that say nothing.

    a INNER JOIN b ON p → a JOIN b ON p;  a LEFT OUTER JOIN b → a LEFT JOIN b;  a, b → a CROSS JOIN b
    """
    for join in query.find_all(exp.Join):
        kind, side = join.kind, join.side
        constrained = join.args.get("on") is not None or join.args.get("using")
        if (kind == "INNER" and constrained) or (kind == "OUTER" and side):
            join.set("kind", None)
        elif not kind and not side and not join.method and not constrained and not _is_lateral(join):
            join.set("kind", "CROSS")
    return query


def _is_lateral(join: exp.Join) -> bool:
    return isinstance(join.this, exp.Lateral | exp.Unnest)
