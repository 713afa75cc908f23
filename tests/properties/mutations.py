"""All the mutations, each of a class of its own, and how one is applied."""

from __future__ import annotations

from collections.abc import Callable

from properties import mutation_clauses, mutation_equals, mutation_joins, mutation_predicates, mutation_values
from properties.drafts import Draft, Drafts

MUTATIONS: dict[str, Callable[[Draft], None]] = {
    mutation.__name__: mutation
    for module in (mutation_predicates, mutation_values, mutation_joins, mutation_clauses, mutation_equals)
    for mutation in module.MUTATIONS
}
CLASSES = tuple(MUTATIONS)


def mutated(name: str, query: Drafts) -> str | None:
    """Return the text of a query after one mutation of it, None where the mutation finds no place."""
    return query.changed_by(MUTATIONS[name])
