"""Rewrites of predicates that keep their meaning on every database."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from properties.drafts import COMPARISONS, PREDICATES, Draft, filters, joined, where_terms

_OPPOSITE: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.NEQ, exp.NEQ: exp.EQ, exp.LT: exp.GTE, exp.GTE: exp.LT, exp.GT: exp.LTE, exp.LTE: exp.GT,
}  # fmt: skip
_FLIPPED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.EQ, exp.NEQ: exp.NEQ, exp.LT: exp.GT, exp.GT: exp.LT, exp.LTE: exp.GTE, exp.GTE: exp.LTE,
}  # fmt: skip


def _not(node: exp.Expr) -> exp.Not:
    return exp.Not(this=node.copy())


def _commute(draft: Draft, kind: type[exp.Expr]) -> None:
    node = draft.pick(draft.find(kind, where=draft.exact))
    if node is not None:
        left, right = node.this.copy(), node.expression.copy()
        draft.put(node, type(node)(this=right, expression=left))


def _lists(draft: Draft) -> list[exp.Expr]:
    return draft.find(exp.In, where=lambda n: bool(n.expressions) and draft.one_kind(n.this, *n.expressions))


def commute_and(draft: Draft) -> None:
    """a AND b → b AND a."""
    _commute(draft, exp.And)


def commute_or(draft: Draft) -> None:
    """a OR b → b OR a."""
    _commute(draft, exp.Or)


def associate_terms(draft: Draft) -> None:
    """(a AND b) AND c → a AND (b AND c)."""
    node = draft.pick(draft.find(exp.And, exp.Or, where=lambda n: type(n.this) is type(n) and draft.exact(n)))
    if node is not None:
        kind = type(node)
        inner = kind(this=node.this.expression.copy(), expression=node.expression.copy())
        draft.put(node, kind(this=node.this.this.copy(), expression=inner))


def duplicate_term(draft: Draft) -> None:
    """a AND b → a AND b AND a."""
    select = draft.pick(draft.selects(lambda s: s.args.get("where") is not None))
    if select is not None and draft.exact(select.args["where"]):
        terms = where_terms(select)
        extra = draft.pick([term for term in terms if not term.find(exp.Query)])
        if extra is not None:
            draft.put(select.args["where"].this, joined(exp.And, [*terms, extra]))


def add_true(draft: Draft) -> None:
    """a → a AND TRUE."""
    node = draft.pick(draft.find(*PREDICATES, where=lambda n: isinstance(n.parent, exp.Where | exp.Connector)))
    if node is not None:
        draft.put(node, exp.And(this=node.copy(), expression=exp.true()))


def add_false(draft: Draft) -> None:
    """a → a OR FALSE."""
    node = draft.pick(draft.find(*PREDICATES, where=lambda n: isinstance(n.parent, exp.Where | exp.Connector)))
    if node is not None and draft.exact(node):
        draft.put(node, exp.Or(this=node.copy(), expression=exp.false()))


def absorb_term(draft: Draft) -> None:
    """a AND (a OR b) ← a."""
    node = draft.pick([term for term in filters(draft) if draft.exact(term) and not term.find(exp.Query)])
    other = draft.pick([n for n in draft.find(exp.Is) if node is not None and n.parent is node.parent])
    if node is not None and other is not None:
        draft.put(node, exp.And(this=node.copy(), expression=exp.Or(this=node.copy(), expression=other.copy())))


def flip_comparison(draft: Draft) -> None:
    """a < b → b > a."""
    node = draft.pick(draft.find(*COMPARISONS))
    if node is not None and not node.find(exp.Any, exp.All):
        draft.put(node, _FLIPPED[type(node)](this=node.expression.copy(), expression=node.this.copy()))


def negate_comparison(draft: Draft) -> None:
    """a < b → NOT a >= b."""
    node = draft.pick(draft.find(*COMPARISONS, where=draft.exact))
    if node is not None:
        draft.put(node, exp.Not(this=_OPPOSITE[type(node)](this=node.this.copy(), expression=node.expression.copy())))


def double_not(draft: Draft) -> None:
    """a → NOT NOT a."""
    node = draft.pick(draft.find(*PREDICATES))
    if node is not None:
        draft.put(node, exp.Not(this=_not(node)))


def de_morgan(draft: Draft) -> None:
    """a AND b → NOT (NOT a OR NOT b), and with OR."""
    node = draft.pick(draft.find(exp.And, exp.Or, where=draft.exact))
    if node is not None:
        other = exp.Or if isinstance(node, exp.And) else exp.And
        draft.put(node, exp.Not(this=other(this=_not(node.this), expression=_not(node.expression))))


def between_to_comparisons(draft: Draft) -> None:
    """a BETWEEN b AND c → a >= b AND a <= c."""
    node = draft.pick(draft.find(exp.Between, where=lambda n: draft.one_kind(n.this, n.args["low"], n.args["high"])))
    if node is not None:
        low = exp.GTE(this=node.this.copy(), expression=node.args["low"].copy())
        draft.put(
            node, exp.And(this=low, expression=exp.LTE(this=node.this.copy(), expression=node.args["high"].copy()))
        )


def comparisons_to_between(draft: Draft) -> None:
    """a >= b AND a <= c → a BETWEEN b AND c."""
    found = [
        node
        for node in draft.find(exp.And)
        if isinstance(node.this, exp.GTE)
        and isinstance(node.expression, exp.LTE)
        and node.this.this == node.expression.this
        and draft.one_kind(node.this.this, node.this.expression, node.expression.expression)
    ]
    node = draft.pick(found)
    if node is not None:
        low, high = node.this.expression.copy(), node.expression.expression.copy()
        draft.put(node, exp.Between(this=node.this.this.copy(), low=low, high=high))


def in_to_or(draft: Draft) -> None:
    """a IN (1, 2) → a = 1 OR a = 2."""
    node = draft.pick(_lists(draft))
    if node is not None:
        equal: list[exp.Expr] = [exp.EQ(this=node.this.copy(), expression=item.copy()) for item in node.expressions]
        draft.put(node, joined(exp.Or, equal))


def not_in_to_and(draft: Draft) -> None:
    """NOT a IN (1, 2) → a <> 1 AND a <> 2."""
    node = draft.pick([node for node in _lists(draft) if isinstance(node.parent, exp.Not)])
    if node is not None and node.parent is not None:
        other: list[exp.Expr] = [exp.NEQ(this=node.this.copy(), expression=item.copy()) for item in node.expressions]
        draft.put(node.parent, joined(exp.And, other))


def shuffle_list(draft: Draft) -> None:
    """a IN (1, 2) → a IN (2, 1)."""
    node = draft.pick(_lists(draft))
    if node is not None and len(node.expressions) > 1:
        items = [item.copy() for item in node.expressions]
        draft.rng.shuffle(items)
        if items != node.expressions:
            node.set("expressions", items)
            draft.changed = True


def repeat_list_item(draft: Draft) -> None:
    """a IN (1, 2) → a IN (1, 2, 1)."""
    node = draft.pick(_lists(draft))
    if node is not None:
        node.append("expressions", draft.rng.choice(node.expressions).copy())
        draft.changed = True


def equal_to_in(draft: Draft) -> None:
    """a = 1 → a IN (1)."""
    node = draft.pick(
        draft.find(exp.EQ, where=lambda n: draft.one_kind(n.this, n.expression) and isinstance(n.this, exp.Column))
    )
    if node is not None:
        draft.put(node, exp.In(this=node.this.copy(), expressions=[node.expression.copy()]))


def distinct_from_negated(draft: Draft) -> None:
    """a IS DISTINCT FROM b → NOT (b IS NOT DISTINCT FROM a), and back."""
    node = draft.pick(draft.find(exp.NullSafeEQ, exp.NullSafeNEQ))
    if node is not None:
        other = exp.NullSafeNEQ if isinstance(node, exp.NullSafeEQ) else exp.NullSafeEQ
        draft.put(node, exp.Not(this=other(this=node.expression.copy(), expression=node.this.copy())))


def not_distinct_written_out(draft: Draft) -> None:
    """WHERE a IS NOT DISTINCT FROM b → WHERE a = b OR (a IS NULL AND b IS NULL)."""
    node = draft.pick(
        [t for t in filters(draft) if isinstance(t, exp.NullSafeEQ) and draft.one_kind(t.this, t.expression)]
    )
    if node is not None:
        left, right = node.this, node.expression
        nulls = exp.And(this=exp.Is(this=left.copy(), expression=exp.Null()),
                        expression=exp.Is(this=right.copy(), expression=exp.Null()))  # fmt: skip
        draft.put(node, exp.Or(this=exp.EQ(this=left.copy(), expression=right.copy()), expression=nulls))


def boolean_equals_true(draft: Draft) -> None:
    """p → p = TRUE; NOT p → p = FALSE."""
    node = draft.pick(
        draft.find(exp.Column, where=lambda n: isinstance(n.parent, exp.Connector | exp.Not | exp.Where)
                   and draft.types.of(n) == "bool")
    )  # fmt: skip
    if node is not None:
        negated = isinstance(node.parent, exp.Not)
        target = node.parent if negated and node.parent is not None else node
        draft.put(target, exp.EQ(this=node.copy(), expression=exp.Boolean(this=not negated)))


def filter_is_true(draft: Draft) -> None:
    """WHERE p → WHERE p IS TRUE."""
    node = draft.pick([term for term in filters(draft) if draft.types.of(term) == "bool"])
    if node is not None and not isinstance(node, exp.Is) and not node.find(exp.Query):
        draft.put(node, exp.Is(this=node.copy(), expression=exp.true()))


def implied_not_null(draft: Draft) -> None:
    """WHERE a > 1 → WHERE a > 1 AND a IS NOT NULL."""
    node = draft.pick([t for t in filters(draft) if isinstance(t, COMPARISONS) and isinstance(t.this, exp.Column)])
    if node is not None and not isinstance(node.expression, exp.Any | exp.All):
        present = exp.Not(this=exp.Is(this=node.this.copy(), expression=exp.Null()))
        draft.put(node, exp.And(this=node.copy(), expression=present))


REWRITES: tuple[Callable[[Draft], None], ...] = (
    commute_and, commute_or, associate_terms, duplicate_term, add_true, add_false, absorb_term, flip_comparison,
    negate_comparison, double_not, de_morgan, between_to_comparisons, comparisons_to_between, in_to_or,
    not_in_to_and, shuffle_list, repeat_list_item, equal_to_in, distinct_from_negated, not_distinct_written_out,
    boolean_equals_true, filter_is_true, implied_not_null,
)  # fmt: skip
