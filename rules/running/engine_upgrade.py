"""Whether the tables of another engine version may be kept: a share of them runs again first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from rules.running.evidence import Evidence
from rules.running.results import AuditReport, Observer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.config.profiles import Place
    from rules.planning.prepared import Prepared

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


def run_again(
    prepared: Prepared,
    build: str,
    skipped: Mapping[str, str],
    artifacts: Mapping[str, str],
    share: float,
    engine: Place | None = None,
) -> AuditReport:
    """Run a share of the products and checks that were skipped again, on `artifacts`, and compare.

    engine: to run what the other one has made, not all of it where it was made.
    """
    if not share:
        return AuditReport()
    from rules.running.audit import Auditor  # imports the engine, which a build that runs nothing does not start
    from rules.running.query_runner import Runner

    queries, products = prepared.compiled.by_name, prepared.session.rules
    runnable = {
        name: artifact
        for name, artifact in skipped.items()
        if all(entry in artifacts or entry not in products for entry in queries[name].node.dependencies)
    }
    if engine is not None:
        from rules.running.engine_audit import audit_on

        return audit_on(prepared, build, runnable, artifacts, share, engine)
    runner = Runner.of(prepared, Evidence(prepared.session.store.objects.root, build))
    unrecorded = replace(runner, profile=msgspec.structs.replace(runner.profile, evidence="none"))
    auditor = Auditor(unrecorded, prepared.session.sources, queries)
    return auditor.check(runnable, artifacts, share)
