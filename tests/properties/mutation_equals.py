"""Mutations of what a filter implies, of literals, and of groups of groups: look-alikes of their rewrites."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from compiler.canonical.predicate_facts import is_constant
from properties.drafts import (
    Draft,
    column,
    filters,
    is_plain,
    items_of,
    joined,
    joins_plainly,
    name,
    own,
    table_alias,
    where_terms,
)

_ORDERS = (exp.LT, exp.LTE, exp.GT, exp.GTE)
_NEXT: dict[type[exp.Expr], type[exp.Expr]] = {exp.GT: exp.GTE, exp.GTE: exp.GT, exp.LT: exp.LTE, exp.LTE: exp.LT}


def _bounds(draft: Draft) -> list[exp.Expr]:
    return draft.find(*_ORDERS, where=lambda n: is_constant(n.expression) and not is_constant(n.this))


def move_bound(draft: Draft) -> None:
    """a > 5 → a >= 5; a > 5 → a > 6."""
    node = draft.pick(_bounds(draft))
    if node is None:
        return
    if isinstance(node.expression, exp.Literal) and node.expression.is_int and draft.rng.random() < 0.5:
        moved = exp.Literal.number(int(node.expression.name) + 1)
        draft.put(node, type(node)(this=node.this.copy(), expression=moved))
    else:
        draft.put(node, _NEXT[type(node)](this=node.this.copy(), expression=node.expression.copy()))


def stronger_bound(draft: Draft) -> None:
    """a > 5 → a > 5 AND a > 6; a > 5 → a > 5 OR a > 4."""
    node = draft.pick(
        [one for one in _bounds(draft) if isinstance(one.expression, exp.Literal) and one.expression.is_int]
    )
    if node is None:
        return
    step = 1 if isinstance(node, exp.GT | exp.GTE) else -1
    value = int(node.expression.name)
    narrower = draft.rng.random() < 0.5
    other = value + step if narrower else value - step
    if other >= 0:
        term = type(node)(this=node.this.copy(), expression=exp.Literal.number(other))
        draft.put(node, joined(exp.And if narrower else exp.Or, [node, term]))


def bound_of_another_column(draft: Draft) -> None:
    """a > 5 → b > 5, for a column that a join or nothing at all makes equal."""
    node = draft.pick([one for one in _bounds(draft) if isinstance(one.this, exp.Column)])
    if node is not None:
        kind = draft.types.of(node.this)
        others = [one for one in draft.tree.find_all(exp.Column) if draft.types.of(one) == kind and one.table
                  and one.parent_select is node.parent_select and one != node.this]  # fmt: skip
        other = draft.pick(others)
        if other is not None:
            draft.put(node.this, other.copy())


def constant_for_another_column(draft: Draft) -> None:
    """SELECT a … WHERE b = 3 → SELECT 3 … WHERE b = 3."""
    for select in draft.selects():
        for term in where_terms(select):
            if not isinstance(term, exp.EQ) or not isinstance(term.expression, exp.Literal):
                continue
            for item in select.selects:
                value = item.unalias()
                plain = select.args.get("group") is None and select.args.get("order") is None
                other = isinstance(value, exp.Column) and value != term.this and draft.one_type(value, term.expression)
                if plain and other:
                    draft.put(value, term.expression.copy())
                    return


def other_arithmetic(draft: Draft) -> None:
    """3 → 7 / 2.0; 3 → 1 + 1."""
    found = draft.find(
        exp.Literal,
        where=lambda n: not n.is_string and n.is_int and isinstance(n.parent, (*_ORDERS, exp.EQ, exp.Add, exp.Mul)),
    )
    node = draft.pick(found)
    if node is not None:
        half = exp.Div(
            this=exp.Literal.number(int(node.name) * 2 + 1),
            expression=exp.Literal.number("2.0"),
            typed=True,
            safe=False,
        )
        less = exp.Sub(this=exp.Literal.number(int(node.name)), expression=exp.Literal.number(1))
        draft.put(node, draft.rng.choice((half, less)))


def case_that_takes_null(draft: Draft) -> None:
    """WHERE NOT p → WHERE CASE WHEN p THEN 1 ELSE 0 END = 0."""
    node = draft.pick([term for term in filters(draft) if draft.types.of(term) == "bool" and not term.find(exp.Query)])
    if node is not None:
        positive = node.this if isinstance(node, exp.Not) else exp.Not(this=node.copy())
        case = exp.Case(ifs=[exp.If(this=positive.copy(), true=exp.Literal.number(1))], default=exp.Literal.number(0))
        draft.put(node, exp.EQ(this=case, expression=exp.Literal.number(0)))


def filter_or_true(draft: Draft) -> None:
    """WHERE p → WHERE COALESCE(p, TRUE)."""
    node = draft.pick([term for term in filters(draft) if draft.types.of(term) == "bool" and not term.find(exp.Query)])
    if node is not None:
        draft.put(node, exp.Coalesce(this=node.copy(), expressions=[exp.true()]))


def join_that_repeats(draft: Draft) -> None:
    """FROM a → FROM a LEFT JOIN b ON b.k = a.k, whose rows are not unique."""
    select = draft.pick(draft.selects(lambda one: is_plain(one, ("group", "having")) and joins_plainly(one)))
    if select is None:
        return
    aliases = {item.alias for item in items_of(select)}
    key = draft.pick([one for one in own(select, exp.Column) if one.table in aliases and draft.kind(one) == "int"])
    if key is None:
        return
    kind = draft.types.of(key)
    table, other = draft.rng.choice(
        [(table, one) for table, schema in draft.schemas.items() for one in schema.columns if one.type == kind]
    )
    join = exp.Join(
        this=exp.Table(this=name(table), db=name("input"), alias=table_alias("fresh_b")),
        side="LEFT",
        on=exp.EQ(this=column(other.name, "fresh_b"), expression=key.copy()),
    )
    select.append("joins", join)
    draft.changed = True


def other_aggregate_of_groups(draft: Draft) -> None:
    """SUM over counts or sums of groups → COUNT, MAX or SUM(DISTINCT) of them."""
    found = [
        call for call in draft.tree.find_all(exp.Sum, exp.Max, exp.Min)
        if isinstance(call.this, exp.Column) and call.parent_select is not None
        and isinstance(call.parent_select.args["from_"].this, exp.Subquery)
        and draft.types.is_integer(call.this)
    ]  # fmt: skip
    node = draft.pick(found)
    if node is not None:
        distinct = exp.Sum(this=exp.Distinct(expressions=[node.this.copy()]))
        others = [kind(this=node.this.copy()) for kind in (exp.Max, exp.Sum, exp.Count) if kind is not type(node)]
        draft.put(node, draft.rng.choice([distinct, *others] if isinstance(node, exp.Sum) else others))


MUTATIONS: tuple[Callable[[Draft], None], ...] = (
    move_bound, stronger_bound, bound_of_another_column, constant_for_another_column, other_arithmetic,
    case_that_takes_null, filter_or_true, join_that_repeats, other_aggregate_of_groups,
)  # fmt: skip
