"""Joins: one spelling for each kind."""

from __future__ import annotations

from sqlglot import exp


def spell_joins(query: exp.Query) -> exp.Query:
    """Drop the words that say nothing.

    a INNER JOIN b ON p → a JOIN b ON p;  a LEFT OUTER JOIN b → a LEFT JOIN b;  a, b → a CROSS JOIN b

    A comma binds more loosely than JOIN: a, b RIGHT JOIN c keeps every row of c once for each row of a, a CROSS JOIN b
    RIGHT JOIN c keeps it once. So a comma stays before a RIGHT or FULL JOIN.
    """
    for node in query.walk():
        kept = False
        for join in reversed(node.args.get("joins") or []):
            kind, side = join.kind, join.side
            constrained = join.args.get("on") is not None or join.args.get("using")
            if (kind == "INNER" and constrained) or (kind == "OUTER" and side):
                join.set("kind", None)
            elif not kind and not side and not join.method and not constrained and not _is_lateral(join):
                if not kept:
                    join.set("kind", "CROSS")
                kept = False
            kept |= side in {"RIGHT", "FULL"}
    return query


def _is_lateral(join: exp.Join) -> bool:
    return isinstance(join.this, exp.Lateral | exp.Unnest)
