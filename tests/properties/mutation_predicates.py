"""Mutations of predicates: each makes another query of most queries, in a way that a careless pass may overlook."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from properties.drafts import COMPARISONS, Draft, filters, set_where, where_terms

_FLOATS = ("float32", "float64")
_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)


_FORGETFUL: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.NullSafeEQ: exp.EQ,
    exp.NullSafeNEQ: exp.NEQ,
    exp.EQ: exp.NullSafeEQ,
}


def drop_term(draft: Draft) -> None:
    """WHERE a AND b → WHERE b."""
    select = draft.pick(draft.selects(lambda one: one.args.get("where") is not None))
    if select is not None:
        terms = where_terms(select)
        gone = draft.rng.choice(terms)
        set_where(select, [term for term in terms if term is not gone])
        draft.changed = True


def change_operator(draft: Draft) -> None:
    """a < b → a <= b."""
    node = draft.pick(draft.find(*COMPARISONS))
    if node is not None and not isinstance(node.expression, exp.Any | exp.All):
        other = draft.rng.choice([kind for kind in _COMPARED if kind is not type(node)])
        draft.put(node, other(this=node.this.copy(), expression=node.expression.copy()))


def swap_operands(draft: Draft) -> None:
    """a < b → b < a; a - b → b - a."""
    node = draft.pick(draft.find(exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Sub, exp.DPipe))
    if node is not None:
        draft.put(node, type(node)(this=node.expression.copy(), expression=node.this.copy()))


def change_literal(draft: Draft) -> None:
    """1 → 2; 'open' → 'open '; 'open' → 'OPEN'."""
    node = draft.pick(draft.find(exp.Literal, where=lambda n: not isinstance(n.parent, exp.Cast | exp.DataTypeParam)))
    if node is None:
        return
    if node.is_string:
        text = draft.rng.choice((node.name + " ", node.name.upper(), node.name.lower() + "x"))
        if text != node.name:
            draft.put(node, exp.Literal.string(text))
    elif node.name.isdigit():
        draft.put(node, exp.Literal.number(str(int(node.name) + draft.rng.choice((1, 2)))))
    else:
        draft.put(node, exp.Literal.number(node.name + "01"))


def type_of_literal(draft: Draft) -> None:
    """1 → 1.0, in a value."""
    values = (exp.Alias, exp.Add, exp.Mul, exp.Coalesce, exp.If, exp.Case)
    found = draft.find(
        exp.Literal, where=lambda n: not n.is_string and n.name.isdigit() and isinstance(n.parent, values)
    )
    node = draft.pick(found)
    if node is not None:
        draft.put(node, exp.Literal.number(node.name + ".0"))


def and_to_or(draft: Draft) -> None:
    """a AND b → a OR b, and back."""
    node = draft.pick(draft.find(exp.And, exp.Or))
    if node is not None:
        other = exp.Or if isinstance(node, exp.And) else exp.And
        draft.put(node, other(this=node.this.copy(), expression=node.expression.copy()))


def drop_not(draft: Draft) -> None:
    """NOT a → a."""
    node = draft.pick(draft.find(exp.Not))
    if node is not None:
        draft.put(node, node.this.copy())


def not_to_is_not_true(draft: Draft) -> None:
    """NOT a → a IS NOT TRUE."""
    node = draft.pick(draft.find(exp.Not, where=lambda n: not isinstance(n.this, exp.Is | exp.Exists)))
    if node is not None:
        node.set("this", exp.Is(this=node.this.copy(), expression=exp.true()))
        draft.changed = True


def value_is_true(draft: Draft) -> None:
    """SELECT p AS v → SELECT p IS TRUE AS v: NULL becomes FALSE."""
    node = draft.pick(
        draft.find(exp.Column, *_COMPARED, where=lambda n: isinstance(n.parent, exp.Alias | exp.Not | exp.NullSafeEQ)
                   and draft.types.of(n) == "bool")
    )  # fmt: skip
    if node is not None:
        draft.put(node, exp.Is(this=node.copy(), expression=exp.true()))


def equal_to_itself(draft: Draft) -> None:
    """a IS NULL → a <> a; a = a for TRUE."""
    node = draft.pick(draft.find(exp.Is, where=lambda n: isinstance(n.expression, exp.Null)))
    if node is not None:
        draft.put(node, exp.NEQ(this=node.this.copy(), expression=node.this.copy()))


def flip_null_test(draft: Draft) -> None:
    """a IS NULL → a IS NOT NULL."""
    node = draft.pick(draft.find(exp.Is))
    if node is not None:
        draft.put(node, exp.Not(this=node.copy()))


def forget_null(draft: Draft) -> None:
    """a IS DISTINCT FROM b → a <> b; a = b → a IS NOT DISTINCT FROM b."""
    node = draft.pick(draft.find(exp.NullSafeEQ, exp.NullSafeNEQ, exp.EQ))
    if node is not None and not isinstance(node.expression, exp.Any | exp.All):
        other = _FORGETFUL[type(node)]
        draft.put(node, other(this=node.this.copy(), expression=node.expression.copy()))


def null_in_list(draft: Draft) -> None:
    """a IN (1, 2) → a IN (1, 2, NULL)."""
    node = draft.pick(draft.find(exp.In, where=lambda n: bool(n.expressions)))
    if node is not None:
        node.append("expressions", exp.Null())
        draft.changed = True


def drop_list_item(draft: Draft) -> None:
    """a IN (1, 2) → a IN (1)."""
    node = draft.pick(draft.find(exp.In, where=lambda n: len(n.expressions) > 1))
    if node is not None:
        items = [item.copy() for item in node.expressions]
        items.pop(draft.rng.randrange(len(items)))
        node.set("expressions", items)
        draft.changed = True


def list_of_bits(draft: Draft) -> None:
    """x = 0.0 → x IN (0.0, 7.0, 8.0, 9.0): a list of four finds floats by their bits."""
    node = draft.pick(draft.find(exp.EQ, where=lambda n: draft.types.of(n.this) in _FLOATS))
    if node is not None:
        more = [exp.Literal.number(f"{1000 + number}.25") for number in range(3)]
        draft.put(node, exp.In(this=node.this.copy(), expressions=[node.expression.copy(), *more]))


def case_of_bits(draft: Draft) -> None:
    """x = y → CASE x WHEN y THEN TRUE ELSE FALSE END, which compares bits."""
    node = draft.pick([term for term in filters(draft) if isinstance(term, exp.EQ)])
    if node is not None and draft.types.of(node.this) in _FLOATS:
        branch = exp.If(this=node.expression.copy(), true=exp.true())
        draft.put(node, exp.Case(this=node.this.copy(), ifs=[branch], default=exp.false()))


def swap_bounds(draft: Draft) -> None:
    """a BETWEEN b AND c → a BETWEEN c AND b; → a > b AND a < c."""
    node = draft.pick(draft.find(exp.Between))
    if node is None:
        return
    low, high = node.args["low"].copy(), node.args["high"].copy()
    if draft.rng.random() < 0.5:
        draft.put(node, exp.Between(this=node.this.copy(), low=high, high=low))
    else:
        above = exp.GT(this=node.this.copy(), expression=low)
        draft.put(node, exp.And(this=above, expression=exp.LTE(this=node.this.copy(), expression=high)))


def other_pattern(draft: Draft) -> None:
    """a LIKE b → a ILIKE b, and back."""
    node = draft.pick(draft.find(exp.Like, exp.ILike))
    if node is not None:
        other = exp.ILike if isinstance(node, exp.Like) else exp.Like
        draft.put(node, other(this=node.this.copy(), expression=node.expression.copy()))


MUTATIONS: tuple[Callable[[Draft], None], ...] = (
    drop_term, change_operator, swap_operands, change_literal, type_of_literal, and_to_or, drop_not,
    not_to_is_not_true, value_is_true, equal_to_itself, flip_null_test, forget_null, null_in_list, drop_list_item,
    list_of_bits, case_of_bits, swap_bounds, other_pattern,
)  # fmt: skip
