"""What the engine simplifies to something else: bitwise operators, and lists that one value is looked up in."""

from __future__ import annotations

from sqlglot import exp

from compiler.encode import encode
from compiler.passes.facts import Facts
from compiler.tree import find_all, has
from compiler.workarounds.origins import Origin, Origins
from compiler.workarounds.totals import is_total

_BITWISE = (exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor)


def hide_bitwise_operands(query: exp.Query, facts: Facts) -> exp.Query:
    """-(a | b) → -GREATEST(a | b);  a ^ b → GREATEST(a ^ GREATEST(b)), in place, in queries with such operators.

    DataFusion 55 takes a minus for a bitwise NOT: it makes (-a) & (-b) of -(a | b), 0 of x & -x where x is never NULL;
    and 0 of x ^ x, a of (a ^ b) ^ b, where x or b is NULL. It looks into derived tables for both sides. GREATEST of one
    value is the value, and nothing to these rules.
    """
    operators = facts.nodes(query, *_BITWISE)
    if not operators:
        return query
    negations = [node for node in facts.nodes(query, exp.Neg) if not isinstance(node.this, exp.Literal)]
    # An interval is no operand of theirs, and has no GREATEST.
    negations = [node for node in negations if not has(node, exp.Interval)]
    for node in [*operators, *negations][::-1]:
        if isinstance(node, exp.BitwiseXor):
            _hide(node.expression)
        if negations or isinstance(node, exp.BitwiseXor):
            _hide(node)
    return query


def _hide(node: exp.Expr, times: int = 1) -> None:
    """Write an expression as the greatest of itself; what is hidden otherwise is another expression to the engine."""
    call = exp.Anonymous(this="greatest")
    node.replace(call)
    call.set("expressions", [node, *(node.copy() for _ in range(times - 1))])


def keep_lists_apart(query: exp.Query, facts: Facts) -> exp.Query:
    """x IN (1, 2) AND x NOT IN (1, 2, NULL) → x IN (1, 2) AND GREATEST(x) NOT IN (1, 2, NULL), in place.

    Of two lists that one value is looked up in DataFusion 55 makes one: their union, intersection or difference. It is
    FALSE (or TRUE, under OR and NOT) where nothing is left, though x be NULL, and a NULL in a list is a value like any
    other. x = 1 OR x = 2 is such a list, too.
    """
    for lists in repeated_lists(query, facts):
        for times, comparisons in enumerate(lists[1:], 1):
            for comparison in comparisons:
                _hide(comparison.this, times)
    return query


def repeated_lists(query: exp.Query, facts: Facts) -> list[list[list[exp.Expr]]]:
    """Return the lists that one value may be looked up in, where there are several: each as its comparisons.

    An IN is one comparison, a chain of OR has one for each equality; the value is on the left of all of them, and INs
    come first.
    """
    found: list[list[exp.Expr]] = [[node] for node in facts.nodes(query, exp.In) if node.expressions]
    for root in facts.nodes(query, exp.Or):
        if not isinstance(root.parent, exp.Or):
            found += _equalities(root)
    if len(found) < 2:  # noqa: PLR2004 — one has nothing to be merged with
        return []
    origins = Origins(query, facts)
    groups: list[tuple[set[Origin], list[list[exp.Expr]]]] = []
    for comparisons in found:
        here = set(origins.of(comparisons[0].this))
        lists = [comparisons]
        for other in [group for group in groups if group[0] & here]:
            groups.remove(other)
            here |= other[0]
            lists = other[1] + lists
        groups.append((here, lists))
    return [lists for _, lists in groups if len(lists) > 1]


def _equalities(root: exp.Expr) -> list[list[exp.Expr]]:
    """Return the equalities with one subject in a chain of OR, for each subject that has several."""
    subjects: dict[bytes, list[exp.Expr]] = {}
    pending = [root]
    while pending:
        node = pending.pop().unnest()
        if isinstance(node, exp.Or):
            pending += [node.expression, node.this]
        elif isinstance(node, exp.EQ) and not has(node, exp.Query, exp.Any, exp.All):
            subjects.setdefault(encode(node.this), []).append(node)
    return [comparisons for comparisons in subjects.values() if len(comparisons) > 1]


def hide_equal_operands(query: exp.Query, facts: Facts) -> exp.Query:
    """… GROUP BY ROLLUP (k) HAVING NOT k = k → … HAVING NOT k = GREATEST(k), in place.

    DataFusion 55 makes k IS NULL AND NULL of NOT k = k. The NULL, which reads no column, it takes for a filter of what
    is aggregated: the row of the grand total is there all the same. See `compiler.workarounds.totals`.
    """
    for having in facts.nodes(query, exp.Having):
        if isinstance(having.parent, exp.Select) and is_total(having.parent):
            for node in repeated_operands(having):
                _hide(node.expression)
    return query


def repeated_operands(condition: exp.Expr) -> list[exp.Expr]:
    """Return the comparisons in a condition that compare something with itself."""
    found = find_all(condition, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
    return [node for node in found if encode(node.this) == encode(node.expression)]
