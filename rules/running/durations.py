"""How long the products of a build are expected to take: what their last executions took."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.planning.prepared import Prepared

_UNKNOWN = 1.0
"""Seconds, where nothing of a build was ever executed: then only their number counts."""
_RUNS = frozenset({"run", "maybe"})


def expected_seconds(prepared: Prepared, steps: Iterable[str]) -> dict[str, float]:
    """Return the seconds that each step, a product or a source with a contract, is expected to take with its checks.

    What needs no execution takes none; what was never executed takes as long as the others do, on average.
    """
    plan, known, compiled = prepared.plan, prepared.known.products, prepared.compiled
    found: dict[str, list[float | None]] = {}
    for step in steps:
        owner = compiled.contracts.get(step) or compiled.rules.get(step)
        checks = [one.compiled.node.name for one in owner.checks] if owner is not None else []
        judged = [(step, plan.judgements.get(step)), *((name, plan.checks.get(name)) for name in checks)]
        ahead = [name for name, judgement in judged if judgement is not None and judgement.verdict in _RUNS]
        found[step] = [known[name].seconds if name in known else None for name in ahead]
    seconds = [one for each in found.values() for one in each if one is not None]
    mean = sum(seconds) / len(seconds) if seconds else _UNKNOWN
    return {step: sum(mean if one is None else one for one in each) for step, each in found.items()}
