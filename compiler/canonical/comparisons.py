"""Comparisons: BETWEEN written out, IN lists and chains of equalities as one list, equality with TRUE as the value."""

from __future__ import annotations

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.folding import truth_of
from compiler.canonical.predicate_facts import (
    chained,
    is_constant,
    kind,
    looks_up_bits,
    one_kind,
    replace,
    roots,
    terms_of,
)
from compiler.sql.encode import encode
from compiler.tree.walk import has

_FLOATS = ("float32", "float64")
_MOST_REPEATED = 12
"""The most nodes of a call that is written twice."""
_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)


def expand_between(query: exp.Query, facts: Facts) -> exp.Query:
    """Write BETWEEN as two comparisons, if both bounds are compared in the type in which BETWEEN compares.

    a BETWEEN 1 AND 2 → a >= 1 AND a <= 2;  COUNT(*) BETWEEN 1 AND 2 → COUNT(*) >= 1 AND COUNT(*) <= 2
    """
    types: Types | None = None
    for node in facts.nodes(query, exp.Between)[::-1]:
        subject, low, high = node.this, node.args["low"], node.args["high"]
        types = types or facts.types(query)
        if not _is_written_twice(subject) or not _compare_alike(types, subject, low, high):
            continue
        lower = exp.GTE(this=subject.copy(), expression=low.pop())
        upper = exp.LTE(this=subject.pop(), expression=high.pop())
        node.replace(exp.And(this=lower, expression=upper))
    return query


def _is_written_twice(subject: exp.Expr) -> bool:
    """Whether an operand may be repeated: a column, or a call of columns that does not make the text much longer."""
    if isinstance(subject, exp.Column):
        return True
    return (
        not has(subject, exp.Query, exp.Window, exp.Between, exp.Case)
        and sum(1 for _ in subject.walk()) <= _MOST_REPEATED
    )


def spell_distinct_from(query: exp.Query, facts: Facts) -> exp.Query:
    """Write IS DISTINCT FROM as a negation, operands in order.

    b IS DISTINCT FROM a → NOT (b IS NOT DISTINCT FROM a)
    """
    for node in facts.nodes(query, exp.NullSafeNEQ)[::-1]:
        equal = exp.NullSafeEQ(this=node.this.pop(), expression=node.expression.pop())
        node.replace(exp.Not(this=equal))
    return query


def compare_with_literals(query: exp.Query, facts: Facts) -> exp.Query:
    """Compare with a literal by =, and with NULL by IS.

    a IS NOT DISTINCT FROM 'x' → (a = 'x') IS TRUE;  a IS NOT DISTINCT FROM NULL → a IS NULL
    COALESCE(a, 'x') = 'y' → (a = 'y') IS TRUE;  COALESCE(a, 'x') <> 'y' → NOT ((a <> 'y') IS FALSE)
    """
    types: Types | None = None
    for call in facts.nodes(query, exp.Coalesce)[::-1]:
        if len(call.expressions) == 1 and is_constant(call.expressions[0]) and isinstance(call.parent, _COMPARED):
            types = types or facts.types(query)
            _compare_value(call, types)
    for node in facts.nodes(query, exp.NullSafeEQ)[::-1]:
        for constant, value in ((node.this, node.expression), (node.expression, node.this)):
            if not is_constant(constant) or is_constant(value) or has(value, exp.Query):
                continue
            if isinstance(constant, exp.Null):
                node.replace(exp.Is(this=value, expression=constant))
                break
            types = types or facts.types(query)
            if one_kind(types, (value, constant)) or _is_plain_number(types, value, constant):
                equal = exp.EQ(this=value, expression=constant)
                node.replace(exp.Is(this=equal, expression=exp.Boolean(this=True)))
                break
    return query


def spell_booleans(query: exp.Query, facts: Facts) -> exp.Query:
    """Compare no boolean with TRUE or FALSE: NULL gives NULL either way.

    p = TRUE → p;  p = FALSE → NOT p;  p <> TRUE → NOT p;  NOT TRUE → FALSE
    """
    types: Types | None = None
    for node in facts.nodes(query, exp.EQ, exp.NEQ)[::-1]:
        for literal, value in ((node.this, node.expression), (node.expression, node.this)):
            if not isinstance(literal, exp.Boolean) or is_constant(value) or isinstance(value, exp.Any | exp.All):
                continue
            types = types or facts.types(query)
            if types.of(value) != "bool":
                continue
            positive = bool(literal.this) == isinstance(node, exp.EQ)
            value.pop()
            replace(node, value if positive else exp.Not(this=value))
            break
    for negation in facts.nodes(query, exp.Not)[::-1]:
        if isinstance(negation.this, exp.Boolean):
            replace(negation, exp.Boolean(this=not negation.this.this))
    return query


def spell_in(query: exp.Query, facts: Facts) -> exp.Query:
    """Write an IN list of exact values one way: constants in order, once each; other values as equalities.

    a IN (3, 1, 3) → a IN (1, 3);  a IN (1) → a = 1;  a IN (b, c) → a = b OR a = c
    """
    types: Types | None = None
    for node in facts.nodes(query, exp.In)[::-1]:
        items = node.expressions
        if not items or node.args.get("query") or node.args.get("unnest") or node.args.get("field"):
            continue
        types = types or facts.types(query)
        if not one_kind(types, [node.this, *items]) or isinstance(node.this, exp.Null):
            continue
        unique = {encode(item): item for item in items}
        constants = [unique[key] for key in sorted(unique) if is_constant(unique[key])]
        others = [unique[key] for key in sorted(unique) if not is_constant(unique[key])]
        if len(constants) == len(unique) > 1:
            if len(items) > len(constants) or any(a is not b for a, b in zip(items, constants, strict=True)):
                node.set("expressions", constants)
            continue
        if not isinstance(node.this, exp.Column) and len(unique) > 1:
            continue
        subject = node.this
        terms: list[exp.Expr] = [
            exp.EQ(this=subject.copy(), expression=item.pop())
            for item in (others if len(constants) > 1 else [*constants, *others])
        ]
        if len(constants) > 1:
            terms.append(exp.In(this=subject.copy(), expressions=[item.pop() for item in constants]))
        node.replace(chained(exp.Or, terms))
    return query


def gather_in(query: exp.Query, facts: Facts) -> exp.Query:
    """Gather the equalities of an OR, and the inequalities of an AND, of one column with constants in one list.

    a = 1 OR a IN (2, 3) → a IN (1, 2, 3);  a <> 1 AND a <> 2 → NOT a IN (1, 2)
    """
    chains = roots(query, facts, exp.And, exp.Or)
    if not chains or facts.of(query, looks_up_bits):
        return query
    types = facts.types(query)
    for root in chains:
        _gather(root, types)
    return query


def _gather(root: exp.Expr, types: Types) -> None:
    connective = type(root)
    negated = connective is exp.And
    groups: dict[bytes, list[tuple[exp.Expr, exp.Expr, list[exp.Expr]]]] = {}
    terms = list(terms_of(root, connective))
    for term in terms:
        found = _membership(term, negated=negated)
        if found is not None and one_kind(types, [found[0], *found[1]]):
            groups.setdefault(encode(found[0]), []).append((term, *found))
    merged: dict[int, exp.Expr | None] = {}
    for group in groups.values():
        if len(group) < 2:  # noqa: PLR2004 — nothing to gather
            continue
        unique = {encode(item): item for _, _, items in group for item in items}
        items = [unique[key].pop() for key in sorted(unique)]
        subject = group[0][1].pop()
        positive: exp.Expr = (
            exp.In(this=subject, expressions=items) if len(items) > 1 else exp.EQ(this=subject, expression=items[0])
        )
        for term, _, _ in group:
            merged[id(term)] = None
        merged[id(group[0][0])] = exp.Not(this=positive) if negated else positive
    if not merged:
        return
    kept = [merged.get(id(term), term) for term in terms]
    slot = exp.Null()
    root.replace(slot)
    slot.replace(chained(connective, [term for term in kept if term is not None]))


def _membership(term: exp.Expr, *, negated: bool) -> tuple[exp.Expr, list[exp.Expr]] | None:
    """Return the column and the constants that a term says it is (or, negated, is not) among."""
    if negated and isinstance(term, exp.Not):
        return _membership(term.this, negated=False)
    if isinstance(term, exp.In) and not negated:
        items = term.expressions
        plain = items and isinstance(term.this, exp.Column) and all(is_constant(item) for item in items)
        return (term.this, list(items)) if plain and not term.args.get("query") else None
    if isinstance(term, exp.NEQ if negated else exp.EQ):
        for subject, item in ((term.this, term.expression), (term.expression, term.this)):
            if isinstance(subject, exp.Column) and is_constant(item):
                return subject, [item]
    return None


def _compare_value(call: exp.Coalesce, types: Types) -> None:
    """Compare the value of a COALESCE itself, and write out what the comparison yields where the value is NULL."""
    test, value, default = call.parent, call.this, call.expressions[0]
    assert test is not None
    other = test.expression if test.this is call else test.this
    if is_constant(value) or isinstance(other, exp.Null) or not is_constant(other) or has(value, exp.Query):
        return
    if isinstance(default, exp.Null) or not one_kind(types, (value, default, other)) or _is_grouped_by(call):
        return
    sides = (default, other) if test.this is call else (other, default)
    truth = truth_of(type(test), *sides)
    if truth is None:
        return
    call.replace(value)
    slot = exp.Null()
    test.replace(slot)
    decided = exp.Is(this=test, expression=exp.Boolean(this=not truth))
    slot.replace(exp.Not(this=decided) if truth else decided)


def _is_grouped_by(call: exp.Coalesce) -> bool:
    """Whether a query may group by the call itself, and so cannot read what is in it."""
    select = call.find_ancestor(exp.Select)
    group = select.args.get("group") if select is not None else None
    return group is not None and group.find(exp.Coalesce) is not None


def _is_plain_number(types: Types, value: exp.Expr, constant: exp.Expr) -> bool:
    """Whether a float or a decimal is compared with a number that is not 0, which can have a sign."""
    number = constant.this if isinstance(constant, exp.Neg) else constant
    if not isinstance(number, exp.Literal) or number.is_string or not number.name.strip("0."):
        return False
    return (types.of(value) or "").startswith((*_FLOATS, "decimal128"))


def _compare_alike(types: Types, subject: exp.Expr, low: exp.Expr, high: exp.Expr) -> bool:
    if one_kind(types, (subject, low, high)):
        return True
    return types.of(subject) == "float64" and all(_is_number(types, bound) for bound in (low, high))


def _is_number(types: Types, node: exp.Expr) -> bool:
    if isinstance(node, exp.Neg):
        return _is_number(types, node.this)
    if isinstance(node, exp.Literal):
        return not node.is_string
    return kind(types, node) == "int" or types.of(node) in _FLOATS
