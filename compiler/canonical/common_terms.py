"""Terms that all alternatives of an OR share, or all terms of an AND: they are written once."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.canonical.predicate_facts import chained, looks_up_bits, never_fails, roots, terms_of
from compiler.sql.encode import encode


def factor_common_terms(query: exp.Query, facts: Facts) -> exp.Query:
    """Write once what is in every alternative.

    (a AND p) OR (b AND p) → p AND (a OR b);  (a OR p) AND (b OR p) → p OR (a AND b)

    Both hold for NULL. A term of the other alternatives may then be computed for more rows or fewer, so only terms that
    fail for none are moved.
    """
    chains = [root for root in roots(query, facts, exp.And, exp.Or) if _dual_terms(root)]
    if not chains or facts.of(query, looks_up_bits):
        return query
    types = facts.types(query)
    for root in chains:
        inner = _dual_terms(root)
        common = set.intersection(*({encode(term) for term in terms} for terms in inner)) if inner else set()
        if not common or not all(never_fails(types, term) for terms in inner for term in terms):
            continue
        rests = [[term for term in terms if encode(term) not in common] for terms in inner]
        if not all(rests):
            continue  # an alternative that is no more than the others: another pass drops those
        connective, other = type(root), _dual(root)
        shared = list({key: term for term in inner[0] if (key := encode(term)) in common}.values())
        slot = exp.Null()
        root.replace(slot)
        slot.replace(chained(other, [*shared, chained(connective, [chained(other, rest) for rest in rests])]))
    return query


def _dual(root: exp.Expr) -> type[exp.Expr]:
    return exp.Or if isinstance(root, exp.And) else exp.And


def _dual_terms(root: exp.Expr) -> list[list[exp.Expr]]:
    """Return the terms of each term of a chain; nothing unless all of these are chains of the other connective."""
    terms = list(terms_of(root, type(root)))
    other = _dual(root)
    return [list(terms_of(term, other)) for term in terms] if all(isinstance(term, other) for term in terms) else []
