"""Predicates: one orientation for each comparison, one order for the terms of AND and OR."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.canonical.predicate_facts import looks_up_bits, roots
from compiler.sql.encode import blind_key, encode

_NUMBERED = re.compile(rb'(?<=")_([tc])(\d+)(?=")')
_FLIPPED: dict[type[exp.Expr], type[exp.Binary]] = {exp.GT: exp.LT, exp.GTE: exp.LTE}
_NEGATED: dict[type[exp.Expr], type[exp.Binary]] = {
    exp.EQ: exp.NEQ,
    exp.NEQ: exp.EQ,
    exp.LT: exp.GTE,
    exp.LTE: exp.GT,
    exp.GT: exp.LTE,
    exp.GTE: exp.LT,
}


def orient_comparisons(query: exp.Query, facts: Facts) -> exp.Query:
    """Write every comparison one way round.

    a > 5 → 5 < a;  1 = a → a = 1 (operands of =, <> and IS DISTINCT FROM by sort key)
    """
    # The innermost first, as the sort key of a comparison shows those inside it.
    kinds = (exp.GT, exp.GTE, exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ)
    for node in reversed(facts.nodes(query, *kinds)):
        left, right = node.this, node.expression
        if not (_is_value(left) and _is_value(right)):
            continue
        if isinstance(node, exp.GT | exp.GTE):
            node.replace(_FLIPPED[type(node)](this=right, expression=left))
        elif _sort_key(right) < _sort_key(left):
            node.set("this", right)
            node.set("expression", left)
    return query


def push_not(query: exp.Query, facts: Facts) -> exp.Query:
    """Move NOT into the negated expression, which three-valued logic allows: NOT NULL is NULL on both sides.

    NOT NOT a → a;  NOT (a AND b) → NOT a OR NOT b;  NOT (a OR b) → NOT a AND NOT b;  NOT a < b → a >= b

    The engine orders NaN above everything, so the negation of a comparison is exact for floats too.
    """
    negations = facts.nodes(query, exp.Not)
    if not negations or facts.of(query, looks_up_bits):
        return query
    done: set[int] = set()
    for node in negations:
        if id(node) not in done:
            _push(node, done)
    return query


def sort_connectors(query: exp.Query, facts: Facts) -> exp.Query:
    """Order the terms of AND and OR and drop repeated ones, the innermost first: the order of terms is part of them.

    b = 1 AND a = 2 AND b = 1 → a = 2 AND b = 1
    """
    chains = roots(query, facts, exp.And, exp.Or)
    if not chains or facts.of(query, looks_up_bits):
        return query
    for root in chains:
        kind = type(root)
        terms: list[exp.Expr] = []
        _flatten(root, kind, terms)
        ordered = _sorted_terms(terms)
        if _is_chain_of(root, kind, ordered):
            continue
        rebuilt = ordered[0]
        slot = exp.Null()
        root.replace(slot)
        for term in ordered[1:]:
            rebuilt = kind(this=rebuilt, expression=term)
        slot.replace(rebuilt)
    return query


def drop_parens(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop grouping parentheses: the tree already says what they group.

    ((a + b)) * c → (a + b) * c

    `render` puts back those that SQL text needs (compiler.canonical.form.rendered).
    """
    for paren in facts.nodes(query, exp.Paren):
        if paren.parent is not None:
            paren.replace(paren.this)
    return query


def _push(node: exp.Not, done: set[int]) -> None:
    """Push one NOT. `done` learns which NOTs are no longer in the tree, or are where they belong."""
    done.add(id(node))
    inner = node.this
    if isinstance(inner, exp.Not):
        done.add(id(inner))
        replacement = inner.this
        node.replace(replacement)
        if isinstance(replacement, exp.Not):
            _push(replacement, done)
    elif isinstance(inner, exp.And | exp.Or):
        kind = exp.Or if isinstance(inner, exp.And) else exp.And
        left, right = exp.Not(this=inner.this), exp.Not(this=inner.expression)
        node.replace(kind(this=left, expression=right))
        _push(left, done)
        _push(right, done)
    elif type(inner) in _NEGATED and _is_value(inner.this) and _is_value(inner.expression):
        node.replace(_NEGATED[type(inner)](this=inner.this, expression=inner.expression))


def _is_value(node: exp.Expr) -> bool:
    """Whether an operand is a scalar expression, and not a row, a list or a quantified subquery."""
    return not isinstance(node, exp.Tuple | exp.Any | exp.All | exp.Query | exp.Subquery)


def _flatten(node: exp.Expr, kind: type[exp.Expr], terms: list[exp.Expr]) -> None:
    if isinstance(node, kind):
        _flatten(node.this, kind, terms)
        _flatten(node.expression, kind, terms)
    else:
        terms.append(node)


def _is_chain_of(node: exp.Expr, kind: type[exp.Expr], terms: list[exp.Expr]) -> bool:
    """Whether a chain has these very terms in this order, and groups to the left."""
    for term in reversed(terms[1:]):
        if type(node) is not kind or node.expression is not term:
            return False
        node = node.this
    return node is terms[0]


def _sorted_terms(terms: list[exp.Expr]) -> list[exp.Expr]:
    """Return different terms in an order that names decide only between terms that differ in nothing else."""
    groups: dict[str, list[exp.Expr]] = {}
    for term in terms:
        groups.setdefault(blind_key(term), []).append(term)
    ordered: list[exp.Expr] = []
    for _, group in sorted(groups.items()):
        if len(group) > 1:
            unique = {encode(term): term for term in group}
            group = [unique[key] for key in sorted(unique, key=_by_number)]  # noqa: PLW2901 — the same, in order
        ordered += group
    return ordered


def _by_number(encoded: bytes) -> bytes:
    """Return a sort key by which _t9 comes before _t10."""
    return _NUMBERED.sub(lambda found: b"_" + found[1] + found[2].rjust(6, b"0"), encoded)


def _sort_key(node: exp.Expr) -> tuple[str, bytes]:
    return blind_key(node), _by_number(encode(node))
