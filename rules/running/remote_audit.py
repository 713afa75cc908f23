"""Audit of what other builders have computed: which results are theirs, and what is kept where a run differs.

Anybody may run an action again and compare. A difference is evidence, not a verdict: versions of the engine and kinds
of processors that differ are named, as they may be the cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from rules.running.evidence import Evidence, prune
from rules.running.results import AuditReport

if TYPE_CHECKING:
    from cache.remote.action_records import ActionRecord, Maker
    from rules.planning.prepared import Prepared
    from rules.storage.store import Store

_NOUNS = {"rules": "rules", "engine": "engine", "system": "system", "processor": "processor"}


def of_other_builders(store: Store, artifacts: Mapping[str, str]) -> dict[str, str]:
    """Return the products and checks, with their artifacts, whose results came from the shared cache."""
    theirs = store.index.shared_results(artifacts.values())
    return {name: artifact for name, artifact in artifacts.items() if artifact in theirs}


def with_makers(prepared: Prepared, build: str, artifacts: Mapping[str, str], report: AuditReport) -> AuditReport:
    """Return a report whose differences say who made the results, after evidence of each is kept."""
    from rules.storage.shared_sending import this_machine

    evidence, own = Evidence(prepared.session.store.objects.root, build), this_machine()
    differing: dict[str, str] = {}
    for name, wrong in report.differing.items():
        record = _record(prepared.session.store, artifacts[name])
        differing[name] = wrong
        if record is None or name in report.not_run:
            continue
        # The record may be of another action that yields the same table.
        last = prepared.known.products.get(name)
        key = last.key if last is not None and last.artifact == artifacts[name] else record.key
        shared = prepared.session.store.shared
        if shared is not None:
            shared.deny(key, record.artifact)
        facts = {
            "product": name,
            "action": key,
            "expected": record.artifact,
            "difference": wrong,
            "made_by": msgspec.to_builtins(record.maker),
            "written": record.written,
            "run_by": msgspec.to_builtins(own),
        }
        folder = evidence.keep_difference(name, facts)
        differing[name] = f"{wrong}; it came from another builder{_apart(record.maker, own)}; evidence: {folder}"
    prune(evidence.root, evidence.folder)
    return replace(report, differing=differing)


def _record(store: Store, artifact: str) -> ActionRecord | None:
    return store.shared.source(artifact) if store.shared is not None else None


def _apart(theirs: Maker, own: Maker) -> str:
    """Name what differs between two builders."""
    pairs = [(noun, getattr(theirs, name), getattr(own, name)) for name, noun in _NOUNS.items()]
    found = [f"{noun} {one} there, {other} here" for noun, one, other in pairs if one != other]
    return f", with {', '.join(found)}" if found else ", with the same engine on the same kind of processor"
