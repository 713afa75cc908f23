"""Predicates in conjunctive or disjunctive normal form, for a rule that asks for it: more of them can be pushed down.

(l.a = 1 AND r.b = 2) OR l.c = 3 → (l.a = 1 OR l.c = 3) AND (r.b = 2 OR l.c = 3), whose first term concerns l alone.

The distributive laws, De Morgan's, idempotence and absorption hold for NULL too (Kleene's three-valued logic), so every
predicate keeps its value, row by row. Left as they are: predicates with volatile calls or subqueries, which would be
evaluated several times, and those that may fail, as they would be evaluated on rows that they were kept from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp
from sqlglot.optimizer.normalize import normalization_distance, normalized

from compiler.analysis.types import INTEGERS, Types
from compiler.canonical.facts import Facts
from compiler.canonical.predicate_facts import chained, is_date, looks_up_bits, terms_of
from compiler.schema import Schema
from compiler.sql.dialect import render
from compiler.sql.encode import encode
from compiler.sql.functions import is_volatile
from compiler.tree.walk import bare_copy, nodes

Form = Literal["cnf", "dnf"]

MOST_DISTANT = 128
"""The largest `normalization_distance` of a predicate that is rewritten: SQLGlot's own default."""

_Term = dict[bytes, exp.Expr]
"""Atoms joined by one connective, by their encoding, in the order in which they were first met."""
_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_AROUND = (exp.Select, exp.SetOperation, exp.Subquery, exp.CTE, exp.With, exp.From, exp.Join)
"""What is around a clause that is in no expression."""
_NUMBERS = (*INTEGERS, "float32", "float64")
_DECIMAL = re.compile(r"decimal128<(\d+), -?\d+>")
_MOST_DIGITS = 18
"""Of decimals that are compared with integers, so that their common type holds both."""


@dataclass(frozen=True)
class NormalForm:
    """A part of a predicate that is in no normal form as it is written, and what was done about it.

    clause: WHERE, HAVING or ON. distance: by `normalization_distance`; above `MOST_DISTANT` it is not counted to the
    end. left: why the part was left as it is; "" if it was rewritten.
    """

    clause: str
    sql: str
    distance: int
    left: str


def normalise(query: exp.Query, form: Form, schemas: Mapping[str, Schema]) -> tuple[NormalForm, ...]:
    """Put the predicates of a qualified query into a normal form, in place; return those that were in another.

    Each term of a conjunction (of a disjunction, for "dnf") is decided on its own. Clauses of subqueries in expressions
    are not looked at. schemas: of the inputs.
    """
    facts, is_dnf = Facts(schemas), form == "dnf"
    found: list[NormalForm] = []
    work: list[tuple[exp.Expr, exp.Expr]] = []
    types = facts.types(query)
    by_bits = "the engine may look a float in it up by its bits" if facts.of(query, looks_up_bits) else ""
    for clause, predicate in _predicates(query, facts):
        for part in terms_of(predicate.unnest(), exp.Or if is_dnf else exp.And):
            inside = _with_negations_inside(bare_copy(part, positions=True))
            if normalized(inside, dnf=is_dnf):
                continue
            distance = normalization_distance(inside, dnf=is_dnf, max_=MOST_DISTANT)
            left = "it is too distant" if distance > MOST_DISTANT else by_bits or _obstacle(part, types)
            found.append(NormalForm(clause, render(part), distance, left))
            if not left:
                work.append((part, _normal(inside, is_dnf=is_dnf)))
    for part, normal in work:  # types know the tree as it was
        part.replace(_enclosed(normal) if isinstance(part.parent, exp.Connector | exp.Not) else normal)
    return tuple(found)


def _predicates(query: exp.Query, facts: Facts) -> Iterator[tuple[str, exp.Expr]]:
    for where in facts.nodes(query, exp.Where):
        if _is_clause(where):
            yield "WHERE", where.this
    for join in facts.nodes(query, exp.Join):
        if join.args.get("on") is not None and _is_clause(join):
            yield "ON", join.args["on"]
    for having in facts.nodes(query, exp.Having):
        group = having.parent.args.get("group") if having.parent is not None else None
        # GROUP BY a AND b: then a AND b is a column in HAVING.
        if _is_clause(having) and not (group is not None and group.find(exp.Connector, exp.Not)):
            yield "HAVING", having.this


def _is_clause(holder: exp.Expr) -> bool:
    node = holder.parent
    while node is not None:
        if not isinstance(node, _AROUND):
            return False
        node = node.parent
    return True


def _with_negations_inside(node: exp.Expr, *, negated: bool = False) -> exp.Expr:
    """Return a predicate, which is consumed, whose negations are of atoms: NOT (a AND b) → NOT a OR NOT b."""
    node = node.unnest()
    if isinstance(node, exp.Not):
        return _with_negations_inside(node.this, negated=not negated)
    if isinstance(node, exp.And | exp.Or):
        connective = type(node)
        other: type[exp.Expr] = exp.Or if connective is exp.And else exp.And
        terms = [_with_negations_inside(one, negated=negated) for one in terms_of(node, connective)]
        return chained(other if negated else connective, [_enclosed(one) for one in terms])
    return exp.Not(this=_enclosed(node)) if negated else node


def _normal(node: exp.Expr, *, is_dnf: bool) -> exp.Expr:
    """Return the normal form of a predicate whose negations are inside, in parentheses where they matter."""
    outer, inner = (exp.Or, exp.And) if is_dnf else (exp.And, exp.Or)
    terms = [_enclosed(chained(inner, [bare_copy(one) for one in term.values()])) for term in _terms(node, outer)]
    return chained(outer, terms)


def _terms(node: exp.Expr, outer: type[exp.Expr]) -> list[_Term]:
    """Return the terms of a normal form whose own terms are joined by `outer`.

    (a AND b) OR c, by AND → [a, c], [b, c]
    """
    node = node.unnest()
    if isinstance(node, outer):
        return _absorbed([term for one in terms_of(node, outer) for term in _terms(one, outer)])
    if not isinstance(node, exp.And | exp.Or):
        return [{encode(node): node}]
    found: list[_Term] = [{}]
    for one in terms_of(node, type(node)):
        found = _absorbed([left | right for left in found for right in _terms(one, outer)])
    return found


def _absorbed(terms: list[_Term]) -> list[_Term]:
    """Return the terms without those that another makes superfluous: a AND (a OR b) → a."""
    kept: list[_Term] = []
    for term in terms:
        if any(one.keys() <= term.keys() for one in kept):
            continue
        kept = [one for one in kept if not term.keys() <= one.keys()]
        kept.append(term)
    return kept


def _enclosed(node: exp.Expr) -> exp.Expr:
    return exp.Paren(this=node) if isinstance(node, exp.Connector) else node


def _obstacle(predicate: exp.Expr, types: Types) -> str:
    """Return why the terms of a predicate must be evaluated as they are written; "" if they need not be."""
    found = nodes(predicate)
    if any(isinstance(node, exp.Query) for node in found):
        return "it has a subquery"
    volatile = next((node for node in found if isinstance(node, exp.Func) and is_volatile(node)), None)
    if volatile is not None:
        return f"{render(volatile)} is volatile"
    pending = [predicate]
    while pending:
        node = pending.pop()
        if isinstance(node, exp.And | exp.Or):
            pending += [node.this, node.expression]
        elif isinstance(node, exp.Not | exp.Paren):
            pending.append(node.this)
        elif not _never_fails(node, types):
            return f"{render(node)} might fail on rows that other terms keep from it"
    return ""


def _never_fails(atom: exp.Expr, types: Types) -> bool:
    """Whether a predicate without connectives certainly fails on no row."""
    if isinstance(atom, exp.Is):
        return _is_sound(atom.this, types)
    if isinstance(atom, exp.Like | exp.ILike):
        return types.of(atom.this) == "string" and _is_sound(atom.this, types) and atom.expression.is_string
    if isinstance(atom, _COMPARED):
        operands = [atom.this, atom.expression]
    elif isinstance(atom, exp.Between):
        operands = [atom.this, atom.args["low"], atom.args["high"]]
    elif isinstance(atom, exp.In) and atom.expressions:
        operands = [atom.this, *atom.expressions]
    else:
        return _is_sound(atom, types)
    return _are_comparable(operands, types) and all(_is_sound(one, types) for one in operands)


def _are_comparable(operands: Sequence[exp.Expr], types: Types) -> bool:
    """Whether values are compared in a type that holds all of them."""
    given = [one.unnest() for one in operands]
    kinds = {"float64" if _is_number(one) else types.of(one) for one in given if not isinstance(one, exp.Null)}
    if None in kinds:
        return False
    decimals = {kind: _DECIMAL.fullmatch(kind) for kind in kinds if kind is not None}
    if any(decimals.values()):
        numbers = all(_is_number(one) or _DECIMAL.fullmatch(types.of(one) or "") for one in given)
        return numbers and all(found is None or int(found[1]) <= _MOST_DIGITS for found in decimals.values())
    return len(kinds) <= 1 or kinds <= set(_NUMBERS)


def _is_number(node: exp.Expr) -> bool:
    """Whether a node is a number that is written out."""
    return isinstance(node.this if isinstance(node, exp.Neg) else node, exp.Literal) and not node.is_string


def _is_sound(node: exp.Expr, types: Types) -> bool:
    """Whether computing a value certainly fails on no row. What a group yields is computed in any case."""
    pending = [node]
    while pending:
        one = pending.pop()
        if isinstance(one, exp.Column | exp.Literal | exp.Boolean | exp.Null | exp.AggFunc) or is_date(one):
            continue
        if isinstance(one, exp.Paren | exp.Neg):
            pending.append(one.this)
        elif isinstance(one, exp.Coalesce) and types.of(one) is not None:
            pending += [one.this, *one.expressions]
        elif isinstance(one, exp.Add | exp.Sub | exp.Mul) and all(
            types.of(side.unnest()) in _NUMBERS or _is_number(side.unnest()) for side in (one.this, one.expression)
        ):
            pending += [one.this, one.expression]
        else:
            return False
    return True
