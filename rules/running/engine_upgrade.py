"""Whether the tables of another engine version may be kept: a share of them runs again first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.running.run_again import run_again

if TYPE_CHECKING:
    from rules.planning.prepared import Prepared
    from rules.running.results import Observer

_TRUST_SHARE, _TRUST_LEAST = 0.05, 3
"""The share of another engine version's results that runs again before the rest is trusted."""


def engine_proves_same(prepared: Prepared, observer: Observer, build: str) -> bool:
    """Return whether products of another engine version may be kept: a sample of them runs again and is compared."""
    trusted = {
        name: artifact
        for name, artifact in prepared.plan.skipped.items()
        if prepared.compiled.rules[name].node.formerly and _is_of_another_engine(prepared, name)
    }
    if not trusted:
        return True
    share = max(_TRUST_SHARE, _TRUST_LEAST / len(trusted))
    found = run_again(prepared, build, trusted, prepared.artifacts | prepared.plan.skipped, share)
    for name, wrong in found.differing.items():
        observer.say(f"warning: {name} differs under this version of the engine: {wrong}")
    if found.differing:
        observer.say("warning: no results of another version of the engine are kept")
    else:
        observer.say(
            f"{len(trusted):,} products of another engine version are kept: {len(found.checked):,} ran again alike"
        )
    return not found.differing


def _is_of_another_engine(prepared: Prepared, name: str) -> bool:
    before, now = prepared.known.products[name].record.parts, prepared.compiled.rules[name].node.parts
    return bool(before["engine"] != now["engine"])
