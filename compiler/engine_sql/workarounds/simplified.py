"""What the engine simplifies to something else: bitwise operators, and lists that one value is looked up in."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.canonical.predicate_facts import is_constant
from compiler.engine_sql.workarounds.hiding import hide
from compiler.engine_sql.workarounds.origins import Origin, Origins
from compiler.sql.encode import encode
from compiler.tree.walk import has

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
            hide(node.expression)
        if negations or isinstance(node, exp.BitwiseXor):
            hide(node)
    return query


def keep_lists_apart(query: exp.Query, facts: Facts) -> exp.Query:
    """Hide from the engine that several lists are for one value, in place.

    x IN (1, 2) AND x NOT IN (1, 2, NULL) → x IN (1, 2) AND GREATEST(x) NOT IN (1, 2, NULL)

    Of two lists that one value is looked up in DataFusion 55 makes one: their union, intersection or difference. It is
    FALSE (or TRUE, under OR and NOT) where nothing is left, though x be NULL, and a NULL in a list is a value like any
    other. x = 1 OR x = 2 is such a list, too.
    """
    for lists in repeated_lists(query, facts):
        for times, comparisons in enumerate(lists[1:], 1):
            for comparison in comparisons:
                hide(comparison.this, times)
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
    return [lists for lists in _that_meet(found, origins) if len(lists) > 1]


def _that_meet(found: list[list[exp.Expr]], origins: Origins) -> list[list[list[exp.Expr]]]:
    """Return lists in groups: of one value, as far as is known, in one condition."""
    groups: list[tuple[int, set[Origin], list[list[exp.Expr]]]] = []
    for comparisons in found:
        condition = _condition(comparisons[0])
        here = set(origins.of(comparisons[0].this))
        lists = [comparisons]
        for other in [group for group in groups if group[0] == condition and group[1] & here]:
            groups.remove(other)
            here |= other[1]
            lists = other[2] + lists
        groups.append((condition, here, lists))
    return [lists for _, _, lists in groups]


def _condition(node: exp.Expr) -> int:
    """Return a key of the conditions that the engine merges: all filters are one, with the outputs."""
    parent = node.parent
    while parent is not None:
        if isinstance(parent, exp.If | exp.Case):
            case = parent if isinstance(parent, exp.Case) else parent.parent
            values = [branch.args.get("true") for branch in case.args.get("ifs", [])] if case is not None else []
            if not any(isinstance(value, exp.Predicate | exp.Connector | exp.Boolean | exp.Not) for value in values):
                return id(node)
        elif not isinstance(parent, exp.Connector | exp.Not | exp.Paren | exp.Is | exp.Predicate | exp.Coalesce):
            break
        node, parent = parent, parent.parent
    return 0 if isinstance(parent, exp.Where | exp.Having | exp.Qualify | exp.Join | exp.Alias) else id(node)


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


def may_have_been_simplified(tree: exp.Query, facts: Facts) -> bool:
    """Whether the engine could take a minus for a bitwise NOT, or x ^ x for 0.

    See `compiler.engine_sql.corrections`.
    """
    signed = facts.has(tree, exp.Neg, exp.Sub)
    return facts.has(tree, exp.BitwiseXor) or (signed and facts.has(tree, *_BITWISE))


def may_have_merged_lists(tree: exp.Query, facts: Facts) -> bool:
    """Whether one value is looked up in several lists in one condition, a list of one being an equality."""
    singles = [
        node for node in facts.nodes(tree, exp.EQ, exp.NEQ) if is_constant(node.this) != is_constant(node.expression)
    ]
    for node in singles:
        if is_constant(node.this):
            return True  # not as the canonical form has it, so nothing is known of it
    found: list[list[exp.Expr]] = [[node] for node in facts.nodes(tree, exp.In) if node.expressions]
    found += [[node] for node in singles]
    if len(found) < 2:  # noqa: PLR2004 — one has nothing to be merged with
        return False
    return any(len(lists) > 1 for lists in _that_meet(found, Origins(tree, facts)))
