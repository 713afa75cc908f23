"""All the rewrites that keep a query's meaning, each of a class of its own, and how one is applied."""

from __future__ import annotations

import random
from collections.abc import Callable

from properties import (
    rewrite_clauses,
    rewrite_equals,
    rewrite_joins,
    rewrite_predicates,
    rewrite_scopes,
    rewrite_text,
    rewrite_values,
)
from properties.drafts import Draft, Drafts

OF_TREES: dict[str, Callable[[Draft], None]] = {
    rewrite.__name__: rewrite
    for module in (rewrite_predicates, rewrite_values, rewrite_scopes, rewrite_clauses, rewrite_joins, rewrite_equals)
    for rewrite in module.REWRITES
}
OF_TEXTS: dict[str, Callable[[str, random.Random], str]] = {
    rewrite.__name__: rewrite for rewrite in rewrite_text.REWRITES
}
CLASSES = ("authored", *OF_TEXTS, *OF_TREES)


def rewritten(name: str, query: Drafts) -> str | None:
    """Return the text of a query after one rewrite of it, None where the rewrite finds no place."""
    if name == "authored":
        return query.authored
    if name in OF_TEXTS:
        after = OF_TEXTS[name](query.text, query.rng)
        return None if after == query.text else after
    return query.changed_by(OF_TREES[name])
