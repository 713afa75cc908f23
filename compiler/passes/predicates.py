"""Predicates: one orientation for each comparison, one order for the terms of AND and OR."""

from __future__ import annotations

from sqlglot import exp

from compiler.encode import blind_key, encode

_FLIPPED: dict[type[exp.Expr], type[exp.Binary]] = {exp.GT: exp.LT, exp.GTE: exp.LTE}
_NEGATED: dict[type[exp.Expr], type[exp.Binary]] = {
    exp.EQ: exp.NEQ,
    exp.NEQ: exp.EQ,
}


def orient_comparisons(query: exp.Query) -> exp.Query:
    """Write every comparison one way round.

    a > 5 → 5 < a;  1 = a → a = 1 (operands of = and <> by sort key)
    """
    for node in list(query.find_all(exp.GT, exp.GTE)):
        if _is_value(node.this) and _is_value(node.expression):
            node.replace(_FLIPPED[type(node)](this=node.expression, expression=node.this))
    for node in list(query.find_all(exp.EQ, exp.NEQ)):
        if _sort_key(node.expression) < _sort_key(node.this) and _is_value(node.this) and _is_value(node.expression):
            left, right = node.this, node.expression
            node.set("this", right)
            node.set("expression", left)
    return query


def push_not(query: exp.Query) -> exp.Query:
    """Move NOT into what it negates, which three-valued logic allows: NOT NULL is NULL on both sides.

    NOT NOT a → a;  NOT (a AND b) → NOT a OR NOT b;  NOT (a OR b) → NOT a AND NOT b

    A comparison is negated only where no operand can be a float: NOT (x < NaN) is not x >= NaN everywhere. Types are
    not known here, so only = and <> are, which are each other's negation for every value this engine has.
    """
    done: set[int] = set()
    for node in list(query.find_all(exp.Not)):
        if id(node) not in done:
            _push(node, done)
    return query


def sort_connectors(query: exp.Query) -> exp.Query:
    """Order the terms of AND and OR and drop repeated ones.

    b = 1 AND a = 2 AND b = 1 → a = 2 AND b = 1
    """
    for kind in (exp.And, exp.Or):
        roots = [node for node in query.find_all(kind) if not isinstance(node.parent, kind)]
        for root in reversed(roots):
            terms: list[exp.Expr] = []
            _flatten(root, kind, terms)
            unique = {encode(term): term for term in terms}
            ordered = sorted(unique.items(), key=lambda item: (blind_key(item[1]), item[0]))
            rebuilt = ordered[0][1].copy()
            for _, term in ordered[1:]:
                rebuilt = kind(this=rebuilt, expression=term.copy())
            root.replace(rebuilt)
    return query


def drop_parens(query: exp.Query) -> exp.Query:
    """Drop grouping parentheses: the tree already says what they group. ((a + b)) * c → (a + b) * c

    `render` puts back those that SQL text needs (compiler.canonical.rendered).
    """
    for paren in list(query.find_all(exp.Paren)):
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
    elif isinstance(inner, exp.EQ | exp.NEQ) and _is_value(inner.this) and _is_value(inner.expression):
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


def _sort_key(node: exp.Expr) -> tuple[str, bytes]:
    return blind_key(node), encode(node)
