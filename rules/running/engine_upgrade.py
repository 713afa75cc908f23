"""Whether what is stored may be trusted: a share of what is skipped is run again first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rules.running.results import AuditReport, Observer
from rules.storage.store import Store

if TYPE_CHECKING:
    from rules.planning.prepared import Prepared

_TRUST_SHARE, _TRUST_LEAST = 0.05, 3
"""How much of what another version of the engine computed is run again before the rest is trusted."""


def engine_proves_same(store: Store, prepared: Prepared, observer: Observer, build: str) -> bool:
    """Return whether products of another engine version may stand: a sample of them is run again and compared."""
    trusted = {
        name: artifact
        for name, artifact in prepared.plan.skipped.items()
        if prepared.compiled[name].node.formerly and _is_of_another_engine(prepared, name)
    }
    if not trusted:
        return True
    share = max(_TRUST_SHARE, _TRUST_LEAST / len(trusted))
    found = audited(store, prepared, build, trusted, outside(prepared) | prepared.plan.skipped, share)
    for name, wrong in found.differing.items():
        observer.say(f"warning: {name} is another table under this version of the engine: {wrong}")
    if found.differing:
        observer.say("warning: nothing that another version of the engine computed is kept")
    else:
        observer.say(
            f"{len(trusted):,} products of another engine version are kept: {len(found.checked):,} ran again alike"
        )
    return not found.differing


def _is_of_another_engine(prepared: Prepared, name: str) -> bool:
    before, now = prepared.known.products[name].record["parts"], prepared.compiled[name].node.parts
    return bool(before["engine"] != now["engine"])


def audited(
    store: Store,
    prepared: Prepared,
    build: str,
    skipped: Mapping[str, str],
    artifacts: Mapping[str, str],
    share: float,
) -> AuditReport:
    """Run a share of the products and checks that were skipped again, on `artifacts`, and compare."""
    if not share:
        return AuditReport()
    from rules.running.audit import Auditor  # with the engine, which a build that runs nothing does not start
    from rules.running.query_runner import Runner

    rules = {one.node.name: one for rule in prepared.compiled.values() for one in rule.all}
    rules |= {one.compiled.node.name: one.compiled for found in prepared.contracted.values() for one in found.checks}
    runnable = {
        name: artifact
        for name, artifact in skipped.items()
        if all(entry in artifacts or entry not in prepared.rules for entry in rules[name].node.dependencies)
    }
    runner = Runner(
        prepared.compiled,
        store,
        prepared.profile,
        build,
        prepared.python,
        prepared.functions,
        prepared.project,
        prepared.bodies,
    )
    auditor = Auditor(runner, prepared.sources, rules)
    return auditor.check(runnable, artifacts, share)


def outside(prepared: Prepared) -> dict[str, str]:
    """Return the artifacts of inputs that this run does not build: products outside it, and ingested sources."""
    sources = prepared.project.sources
    opened = {name: prepared.sources.table(name).artifact for name in prepared.contents if name in sources}
    products = prepared.known.products
    return {
        **{name: products[name].artifact for name in prepared.contents if name not in sources and name in products},
        **{name: artifact.artifact for name, artifact in opened.items() if artifact is not None},
    }
