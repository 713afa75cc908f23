"""Terms that another one beside them decides: alternatives that a bound implies or excludes are dropped."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.bounds import IN_ORDER, LIMITS, NEGATED, Test, ValueSet, is_certainly_narrower, test_of
from compiler.canonical.facts import Facts
from compiler.canonical.predicate_facts import chained, looks_up_bits, never_fails, roots, strict_columns, terms_of
from compiler.sql.encode import encode

_UPWARD = (exp.GT, exp.GTE)
_EXCLUSIVE = (exp.GT, exp.LT)


def drop_decided_terms(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop from AND the alternatives that are certainly TRUE beside its terms, from OR the terms that add nothing.

    a > 5 AND (a > 3 OR p) → a > 5;  a > 5 OR (a > 10 AND p) → a > 5

    In a filter, where NULL is FALSE, also what cannot be TRUE beside the terms of AND, and what then is NULL at least:

    a > 5 AND (a < 3 OR p) → a > 5 AND p;  p AND (NOT p OR q) → p AND q;  a > 5 AND (a IS NULL OR p) → a > 5 AND p;
    a > 5 AND (NOT a IS NULL OR p) → a > 5

    A dropped term may fail, so only those are dropped that certainly do not.
    """
    chains = [root for root in roots(query, facts, exp.And, exp.Or) if _has_alternatives(root)]
    if not chains or facts.of(query, looks_up_bits):
        return query
    types = facts.types(query)
    for root in chains:
        _drop(root, types)
    return query


def _has_alternatives(root: exp.Expr) -> bool:
    other = _dual(root)
    return any(isinstance(term, other) for term in terms_of(root, type(root)))


def _dual(root: exp.Expr) -> type[exp.Expr]:
    return exp.Or if isinstance(root, exp.And) else exp.And


def _drop(root: exp.Expr, types: Types) -> None:
    connective, other = type(root), _dual(root)
    terms = list(terms_of(root, connective))
    single = [term for term in terms if not isinstance(term, other)]
    beside = _Beside(single, types, of_and=connective is exp.And, filters=connective is exp.And and _is_filter(root))
    kept: list[exp.Expr] = []
    for term in terms:
        inner = list(terms_of(term, other)) if isinstance(term, other) else []
        if not inner or not all(_never_fails(one, types) for one in inner):
            kept.append(term)
        elif not any(beside.implies(one) for one in inner):
            left = [one for one in inner if not beside.excludes(one)]
            if len(left) == len(inner):
                kept.append(term)
            else:
                kept.append(chained(other, left) if left else exp.Boolean(this=False))
    if list(map(id, kept)) != list(map(id, terms)):
        slot = exp.Null()
        root.replace(slot)
        slot.replace(chained(connective, kept))


class _Beside:
    """The terms of a chain that are no chains themselves, and what follows from them for another one."""

    def __init__(self, terms: Sequence[exp.Expr], types: Types, *, of_and: bool, filters: bool) -> None:
        self._types, self._of_and, self._filters = types, of_and, filters
        self._tests: dict[tuple[bytes, str], list[Test]] = {}
        for term in terms:
            test = test_of(term, types)
            if test is not None:
                self._tests.setdefault((encode(test.operand), test.kind), []).append(test)
        self._texts = {encode(term) for term in terms} if filters else set()
        self._negated = {encode(term.this) for term in terms if isinstance(term, exp.Not)} if filters else set()
        self._strict = strict_columns(terms) if filters else set()

    def implies(self, term: exp.Expr) -> bool:
        """Whether a term is TRUE where those of AND are, and as they are where they are not; of OR the reverse."""
        test = test_of(term, self._types)
        group = self._tests.get((encode(test.operand), test.kind), []) if test is not None else []
        if test is not None and group and _decides(group, test, of_and=self._of_and):
            return True
        column = _null(term.this) if isinstance(term, exp.Not) else None
        return column is not None and encode(column) in self._strict

    def excludes(self, term: exp.Expr) -> bool:
        """Whether a term is not TRUE where those of a filter's AND are."""
        if not self._filters:
            return False
        if encode(term) in self._negated or (isinstance(term, exp.Not) and encode(term.this) in self._texts):
            return True
        column = _null(term)
        if column is not None and encode(column) in self._strict:
            return True
        test = test_of(term, self._types)
        group = self._tests.get((encode(test.operand), test.kind), []) if test is not None else []
        return test is not None and bool(group) and _shuts_out(group, test)


def _decides(group: Sequence[Test], test: Test, *, of_and: bool) -> bool:
    """Whether every value that passes all of a group passes a test; of OR, whether one that passes it passes any."""
    if test.kind in IN_ORDER:
        pairs = ((one, test) if of_and else (test, one) for one in group)
        return any(_implies(*pair) for pair in pairs)
    values = ValueSet(LIMITS.get(test.kind))
    for one in group:
        values.restrict(one.operator if of_and else NEGATED[one.operator], one.values)
    values.restrict(NEGATED[test.operator] if of_and else test.operator, test.values)
    return values.bounds() is None


def _shuts_out(group: Sequence[Test], test: Test) -> bool:
    """Whether no value passes all of a group and a test."""
    if test.kind in IN_ORDER:
        return any(_excludes(one, test) for one in group)
    values = ValueSet(LIMITS.get(test.kind))
    for one in (*group, test):
        values.restrict(one.operator, one.values)
    return values.bounds() is None


def _implies(narrow: Test, wide: Test) -> bool:
    """Whether one bound of a number or moment certainly is the narrower one, though the engine may round both."""
    upward = narrow.operator in _UPWARD
    if upward != (wide.operator in _UPWARD):
        return False
    low, high = (wide, narrow) if upward else (narrow, wide)
    return bool(low.values[0] < high.values[0]) and is_certainly_narrower(narrow, wide)


def _excludes(one: Test, other: Test) -> bool:
    """Whether no number or moment is above one bound and below the other, though the engine may round both."""
    if (one.operator in _UPWARD) == (other.operator in _UPWARD):
        return False
    low, high = (one, other) if one.operator in _UPWARD else (other, one)
    strict = low.operator in _EXCLUSIVE or high.operator in _EXCLUSIVE
    return bool(low.values[0] > high.values[0]) and strict


def _never_fails(term: exp.Expr, types: Types) -> bool:
    test = test_of(term, types)
    return never_fails(types, term if test is None else test.operand)


def _null(term: exp.Expr) -> exp.Expr | None:
    """Return the column that a term requires to be NULL."""
    is_null = isinstance(term, exp.Is) and isinstance(term.expression, exp.Null)
    return term.this if is_null and isinstance(term.this, exp.Column) else None


def _is_filter(root: exp.Expr) -> bool:
    """Whether a condition, or one of which it is a term, is all of a WHERE, or of ON of an inner join."""
    node = root
    while isinstance(node.parent, exp.And | exp.Or):
        node = node.parent
    holder = node.parent
    if isinstance(holder, exp.Join):
        return not holder.side and not holder.method and holder.kind in {"", "INNER"}
    return isinstance(holder, exp.Where)
