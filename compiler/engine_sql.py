"""Rewrite the executed form so that the engine does what the SQL says. Workarounds are functions in a tuple.

They come after the canonical form is made: what a rule means, and so its fingerprint, does not depend on them. The
rules whose products were wrong before a workaround existed are found by `compiler.corrections`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from compiler.passes.facts import Facts
from compiler.schema import Schema
from compiler.workarounds.distinct_counts import count_values_that_are_not_null
from compiler.workarounds.joins import mirror_right_joins
from compiler.workarounds.set_operations import name_branches_alike
from compiler.workarounds.totals import keep_filters_above_totals

Workaround = Callable[[exp.Query, Facts], exp.Query]

WORKAROUNDS: tuple[Workaround, ...] = (
    name_branches_alike,
    mirror_right_joins,
    keep_filters_above_totals,
    count_values_that_are_not_null,
)


def for_engine(query: exp.Query, schemas: Mapping[str, Schema]) -> tuple[exp.Query, bool]:
    """Return the rewritten executed form, which is consumed, and whether anything had to be rewritten.

    schemas: of the inputs, by the names that the tree has for them. The outputs keep their names and order.
    """
    facts = Facts(schemas)
    changed = False
    for work_around in WORKAROUNDS:
        before = query
        hash(before)  # SQLGlot forgets it when the tree changes
        query = work_around(query, facts)
        if query is not before or query._hash is None:  # noqa: SLF001 — there is no other sign of a change
            changed = True
        facts.notice(query)
    return query, changed
