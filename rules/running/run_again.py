"""A share of what a build skipped or would skip, run again: here, or on the engine that did not make it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from rules.running.evidence import Evidence
from rules.running.results import AuditReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.config.profiles import Place
    from rules.planning.prepared import Prepared


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
