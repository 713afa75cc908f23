"""Where the products of a plan will run, in their reasons, if the profile has a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rules.planning.prepared import Prepared


def with_places_told(prepared: Prepared) -> Prepared:
    """Return a plan whose reasons say where each product runs that may have to."""
    judgements = dict(prepared.plan.judgements)
    for name, judgement in judgements.items():
        place = prepared.compiled.rules[name].placement
        if place is not None and judgement.verdict in {"run", "maybe"}:
            judgements[name] = replace(judgement, reason=f"{judgement.reason}; {place.sentence}")
    return replace(prepared, plan=replace(prepared.plan, judgements=judgements))
