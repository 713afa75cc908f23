"""How a rule over streams reads its inputs by parts: as it declares, because nobody can prove it from its code.

The declaration is in the rule's fingerprint. `rules audit` calls the function with all rows and compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.parts.reading import Kind, PartQueries, PartQuery, Reading
from rules.loading.input_binding import make_resolver

if TYPE_CHECKING:
    from rules.compiling.compiled_rule import CompiledRule

_CALL = "~call"
"""Takes the place of a query: the function is called, and its keys cover the rule's fingerprint."""


def declared_by_part(rule: CompiledRule) -> tuple[str, ...]:
    """Return the parameters of which a rule over streams declares that it reads them by parts."""
    return tuple(rule.rule.streams.get("by_part", ())) if rule.rule.streams is not None else ()


def declared_reading(rule: CompiledRule, name: str) -> Reading | None:
    """Return how a rule over streams reads one of its inputs, if it declares that; None otherwise."""
    by_part = declared_by_part(rule)
    resolve = make_resolver(rule.scans)
    parameters = [one for one in rule.rule.parsed.tables if resolve(one) == name]
    if not by_part or not set(parameters) & set(by_part):
        return None
    if len(parameters) > 1:
        return Reading(Kind.WHOLE, f"{' and '.join(parameters)} are the same input, so each would see its part only.")
    way = PartQueries(PartQuery(_CALL, rule.scans, rule.schema), exact=False)
    return Reading(Kind.PART_WISE, "Declared by by_part: the rule's function is called once for each part.", (way,))
