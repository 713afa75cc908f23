"""Casts that lose information, which the engine nevertheless removes from comparisons."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.engine_sql.workarounds.hiding import hide
from compiler.tree.walk import has

_COMPARISONS = (
    exp.EQ,
    exp.NEQ,
    exp.LT,
    exp.LTE,
    exp.GT,
    exp.GTE,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.In,
    exp.Between,
)
_INTEGER_TARGETS = exp.DataType.INTEGER_TYPES


def keep_lossy_casts(query: exp.Query, facts: Facts) -> exp.Query:
    """CAST(t.price AS INT) = 1 → GREATEST(CAST(t.price AS INT)) = 1, in place, where a price may be a decimal.

    DataFusion 55 compares the price with 1.00 instead, and so misses 1.55. GREATEST of one value is the value, and the
    cast stays within it. It is the same with fewer digits, CAST(t.price AS DECIMAL(9, 1)). What is cast to BOOLEAN it
    looks for between the casts of a row group's least and greatest value, TRUE and TRUE of -1 and 1.
    """
    for cast in lossy_casts(query, facts):
        hide(cast)
    return query


def may_have_lost_casts(tree: exp.Query, facts: Facts) -> bool:
    """Whether the engine could have taken such a cast away; see `compiler.engine_sql.corrections`."""
    return bool(lossy_casts(tree, facts))


def lossy_casts(query: exp.Query, facts: Facts) -> list[exp.Cast]:
    """Return the casts that may lose something and are compared, here or where a derived table is read."""
    casts = [cast for cast in facts.nodes(query, exp.Cast) if has(cast, exp.Column)]
    casts = [cast for cast in casts if cast.to.this == exp.DType.BOOLEAN or _is_compared(cast, query)]
    if not casts:
        return []
    types = facts.types(query)
    return [cast for cast in casts if _may_lose(cast, types)]


def _is_compared(cast: exp.Cast, query: exp.Query) -> bool:
    node = cast.parent
    while isinstance(node, exp.Paren):
        node = node.parent
    return isinstance(node, _COMPARISONS) or (isinstance(node, exp.Alias) and node.parent is not query)


def _may_lose(cast: exp.Cast, types: Types) -> bool:
    source, target = types.of(cast.this), cast.to
    if target.this == exp.DType.BOOLEAN:
        return source != "bool"
    if source is not None and not source.startswith("decimal"):
        return False
    if target.this in _INTEGER_TARGETS:
        return True
    return target.this in exp.DataType.NUMERIC_TYPES and _scale(target) < _source_scale(source)


def _scale(target: exp.DataType) -> int:
    """Return the digits after the point of a type that is cast to; a large number for floats."""
    if target.this not in {exp.DType.DECIMAL, exp.DType.BIGDECIMAL}:
        return 1000
    return int(target.expressions[1].name) if len(target.expressions) > 1 else 0 if target.expressions else 10


def _source_scale(source: str | None) -> int:
    """Return the digits after the point of a decimal; many if that is not known."""
    found = re.fullmatch(r"decimal\d*<\d+, ?(-?\d+)>", source or "")
    return int(found[1]) if found else 100
