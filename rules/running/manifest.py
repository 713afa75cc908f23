"""The manifest of a build: what was asked, what was read, what ran and what came of it, as one JSON document.

Its schema is docs/manifest.schema.json. It is for people and other programs; rules itself reads nothing from it.
"""

from __future__ import annotations

import functools
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec

from cache.ownership import make_below
from cache.removal import rewrite
from rules.config.machine import usable_cores
from rules.printable import document_without_secrets
from rules.running.build_records import time_of
from rules.running.evidence import LINES, folder_of, prune

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.keys import Content
    from rules.planning.prepared import Prepared
    from rules.running.evidence import Evidence
    from rules.running.results import BuildReport, CheckResult, Result

FORMAT = 1
NAME = "manifest.json"
_FLAGS = "datafusion.optimizer.enable_"
_PACKAGES = ("leastwork-rules", "datafusion", "ibis-framework", "pyarrow", "sqlglot", "xxhash")


def keep_manifest(prepared: Prepared, report: BuildReport, evidence: Evidence, contents: Mapping[str, Content]) -> None:
    """Write the manifest of a build that did something, unless its profile keeps no evidence; drop old evidence.

    contents: of all inputs that were settled. That it cannot be written is a warning: the products are committed.
    """
    if prepared.session.profile.evidence == "none" or _did_nothing(report):
        return
    document = _document(prepared, report, evidence, contents)
    encoded = msgspec.json.encode(document)
    if b"://" in encoded:  # a walk through all texts, which is seldom needed
        encoded = msgspec.json.encode(document_without_secrets(document))
    try:
        make_below(evidence.root, evidence.folder)
        rewrite(evidence.folder / NAME, msgspec.json.format(encoded, indent=1) + b"\n")
    except OSError as error:
        prepared.session.store.say(f"warning: the manifest of the build cannot be written: {error}")
        return
    prune(evidence.root, evidence.folder)


def _did_nothing(report: BuildReport) -> bool:
    checks = [check for result in report.results.values() for check in result.checks]
    checks += [check for source in report.sources.values() for check in source.checks]
    return (
        all(one.status == "clean" for one in report.results.values())
        and all(one.status == "passed" for one in report.sources.values())
        and all(check.status == "clean" for check in checks)
    )


def _document(
    prepared: Prepared, report: BuildReport, evidence: Evidence, contents: Mapping[str, Content]
) -> dict[str, Any]:
    session, request = prepared.session, prepared.request
    settings = dict(evidence.settings)
    flags = {name: value == "true" for name, value in settings.items() if name.startswith(_FLAGS)}
    return {
        "format": FORMAT,
        "build": report.build,
        "project": session.project.name,
        "started": time_of(report.build),
        "seconds": round(report.seconds, 6),
        "status": "ok" if report.ok else "failed",
        "summary": report.summary,
        "request": {
            "select": list(request.select),
            "exclude": list(request.exclude),
            "force": list(request.force),
            "keep_going": request.keep_going,
            "audit": request.audit,
        },
        "variables": {name: str(value) for name, value in sorted(session.project.variables.items())},
        "profile": msgspec.to_builtins(session.profile),
        "engine": {"settings": settings, "feature_flags": flags},
        "versions": _versions() | dict(evidence.versions),
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": usable_cores()},
        "sources": [_source(prepared, name, contents[name]) for name in _read_sources(prepared, contents)],
        "products": [_product(prepared, one, evidence, contents) for one in report.results.values()],
        "contracts": [
            {"source": one.name, "status": one.status, "reason": one.reason, "checks": [_check(c) for c in one.checks]}
            for one in report.sources.values()
        ],
        "audit": {"checked": list(report.audit.checked), "differing": dict(report.audit.differing)},
    }


@functools.cache
def _versions() -> dict[str, str]:
    """The versions of what builds, which a process keeps."""
    return {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()}


def _read_sources(prepared: Prepared, contents: Mapping[str, Content]) -> list[str]:
    return sorted(name for name in contents if name in prepared.session.project.sources)


def _source(prepared: Prepared, name: str, content: Content) -> dict[str, Any]:
    table = prepared.session.sources.table(name)
    return {"name": name, "content": table.content, "files": list(table.files), **_digests(content)}


def _digests(content: Content) -> dict[str, Any]:
    return {"rows": content.rows, "digests": {column: digest for column, (_, digest) in content.columns.items()}}


def _product(prepared: Prepared, result: Result, evidence: Evidence, contents: Mapping[str, Content]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": result.name,
        "status": result.status,
        "changed": result.changed,
        "reason": result.reason,
        "rows": result.rows,
        "bytes": result.bytes,
        "seconds": None if result.seconds is None else round(result.seconds, 6),
        "artifact": result.artifact,
        "fingerprint": result.fingerprint,
        "key": result.key,
        "checks": [_check(check) for check in result.checks],
    }
    if result.error is not None:
        fields["error"] = {"code": result.error.code, "message": result.error.message}
    rule = prepared.compiled.rules.get(result.name)
    if rule is None or result.status not in {"executed", "failed"}:
        return fields
    fields["rule"] = {"path": rule.rule.path, "digest": rule.rule.digest}
    fields["inputs"] = [
        {"name": name, **_digests(contents[name].restricted(reads))}
        for name, reads in zip(rule.node.inputs, rule.node.reads, strict=True)
        if name in contents
    ]
    seen = evidence.observed.get(result.name)
    if seen is not None:
        fields["planning_seconds"] = round(seen.planned, 6)
        fields["spilled_bytes"] = sum(one.spilled_bytes for one in seen.operators)
        fields["spills"] = sum(one.spills for one in seen.operators)
    folder = folder_of(result.name)
    fields["evidence"] = folder if (evidence.folder / folder).is_dir() else LINES
    return fields


def _check(check: CheckResult) -> dict[str, Any]:
    return {
        "name": check.name,
        "severity": check.severity,
        "status": check.status,
        "passed": check.passed,
        "failing": check.failing,
        "key": check.key,
    }
