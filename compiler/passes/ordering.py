"""ORDER BY: the engine's defaults are written out."""

from __future__ import annotations

from sqlglot import exp


def spell_ordering(query: exp.Query) -> exp.Query:
    """Write direction and place of NULLs as the engine means them: ascending puts NULLs last, descending first.

    ORDER BY a ASC NULLS LAST, b DESC NULLS FIRST → ORDER BY a, b DESC
    """
    for ordered in query.find_all(exp.Ordered):
        descending = bool(ordered.args.get("desc"))
        nulls_first = ordered.args.get("nulls_first")
        ordered.set("desc", descending)
        ordered.set("nulls_first", descending if nulls_first is None else bool(nulls_first))
    return query
