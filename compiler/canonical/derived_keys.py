"""Keys of GROUP BY that follow from other keys: what is computed of keys, and columns that WHERE makes equal to one."""

from __future__ import annotations

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.grouping import is_plain_group
from compiler.canonical.item_keys import as_list
from compiler.canonical.joins import is_exactly_grouped, where_terms
from compiler.canonical.ordering import rows_may_move, sort_key
from compiler.canonical.predicate_facts import is_date, never_fails
from compiler.sql.encode import encode
from compiler.sql.functions import ScalarFunction, function_name, functions
from compiler.tree.walk import find_all, nodes

_COMPUTED = (exp.Column, exp.Literal, exp.Boolean, exp.Null, exp.Identifier, exp.Case, exp.If, exp.Coalesce, exp.DPipe,
             exp.And, exp.Or, exp.Not, exp.Is, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.In, exp.Like,
             exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Paren)  # fmt: skip
"""What gives one value for one value of each of its columns; besides these immutable functions of the engine."""
_READ_IN = ("expressions", "having", "order", "qualify")


def drop_derived_keys(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop a key that has one value in each group of the other keys.

    SELECT t.a, upper(t.a) AS u, COUNT(*) FROM t GROUP BY t.a, upper(t.a) → … GROUP BY t.a
    SELECT a.k, COUNT(*) FROM a CROSS JOIN b WHERE a.k = b.k GROUP BY a.k, b.k → … GROUP BY a.k

    Only of keys whose equal values are the same value; and of what may fail only where an output computes it of every
    group anyway.
    """
    groups = [group for group in facts.nodes(query, exp.Group) if len(group.expressions) > 1 and is_plain_group(group)]
    if not groups or not facts.of(query, rows_may_move):
        return query
    types: Types | None = None
    for group in groups:
        select = group.parent
        if not isinstance(select, exp.Select):
            continue
        types = types or facts.types(query)
        columns = {encode(key) for key in group.expressions if _is_exact_column(key, types)}
        kept = [key for key in group.expressions if not _follows(key, columns, select, types)]
        kept = _one_of_equals(kept, select, types)
        if len(kept) < len(group.expressions):
            group.set("expressions", kept)
    return query


def _is_exact_column(key: exp.Expr, types: Types) -> bool:
    return isinstance(key, exp.Column) and not key.args.get("db") and is_exactly_grouped(types.of(key))


def _follows(key: exp.Expr, columns: set[bytes], select: exp.Select, types: Types) -> bool:
    """Whether a key is computed of others that are columns."""
    if isinstance(key, exp.Column) or not columns:
        return False
    read = find_all(key, exp.Column)
    if not read or not all(encode(column) in columns for column in read) or not all(map(_is_computed, nodes(key))):
        return False
    if never_fails(types, key):
        return True
    cut = any(select.args.get(part) is not None for part in ("having", "qualify", "limit", "offset", "distinct"))
    return not cut and encode(key) in {encode(item.unalias()) for item in select.selects}


def _is_computed(node: exp.Expr) -> bool:
    if isinstance(node, ScalarFunction):
        found = functions().get(function_name(node) or "")
        return found is not None and found.volatility == "immutable" and found.kinds == {"scalar"}
    return isinstance(node, _COMPUTED) or is_date(node) or (node.parent is not None and is_date(node.parent))


def _one_of_equals(keys: list[exp.Expr], select: exp.Select, types: Types) -> list[exp.Expr]:
    """Return the keys without those that WHERE makes equal to another, if nothing else reads them."""
    by_text = {encode(key): key for key in keys if _is_exact_column(key, types)}
    if len(by_text) < 2:  # noqa: PLR2004 — nothing to be equal
        return keys
    read: set[bytes] | None = None
    gone: set[bytes] = set()
    for term in where_terms(select):
        sides = [encode(side) for side in (term.this, term.expression)] if isinstance(term, exp.EQ) else []
        if len(sides) < 2 or sides[0] == sides[1] or not all(side in by_text for side in sides):  # noqa: PLR2004 — two sides
            continue
        first, second = (by_text[side] for side in sides)
        if not types.is_exact(first) or types.of(first) != types.of(second):
            continue
        if read is None:
            parts = [node for part in _READ_IN for node in as_list(select.args.get(part))]
            read = {encode(column) for part in parts for column in find_all(part, exp.Column)}
        for side in sorted(sides, key=lambda one: sort_key(by_text[one]), reverse=True):
            if side not in read and not gone & set(sides):
                gone.add(side)
    return [key for key in keys if encode(key) not in gone]
