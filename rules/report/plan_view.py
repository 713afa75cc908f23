"""A plan as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.impact import Edit
from rules.report.causes import cause_lines, causes_fields
from rules.report.diff import edit_fields
from rules.report.runs import check_lines, error_fields, part_fields, plan_document, plan_lines, source_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.compiling.compiled_rule import CompiledCheck, Placement
    from rules.planning.prepared import Prepared


class PlanView:
    """A plan as it is shown. dirty, dirty_sources: what a build would do something about."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        plan = prepared.plan.judgements
        self._checks = {name: _checks(prepared, prepared.compiled.rules[name].checks) for name in plan}
        ahead = {name for name, of_it in self._checks.items() if any(_is_ahead(one) for one in of_it)}
        failing = {name for name, of_it in self._checks.items() if any(one["failing"] for one in of_it)}
        self._noted = ahead | failing
        self._sources = _sources(prepared)
        self.dirty = [name for name, one in prepared.judgements.items() if one.verdict != "clean" or name in ahead]
        self.dirty_sources = [
            one["name"] for one in self._sources if "error" in one or any(_is_ahead(each) for each in one["checks"])
        ]

    def document(self) -> dict[str, Any]:
        """Return the plan as `rules plan --json` prints it."""
        prepared = self._prepared
        details = {name: {**_details(prepared, name), "checks": of_it} for name, of_it in self._checks.items()}
        for name in prepared.lost.keys() & prepared.session.broken.keys():
            details[name] = {"error": error_fields(prepared.session.broken[name])}
        return plan_document(prepared.judgements, prepared.summary, details, self._sources)

    def lines(self, *, explain: bool, verbose: bool, width: int | None) -> list[str]:
        """Return the plan as `rules plan` prints it. explain: whether its causes were asked for."""
        prepared = self._prepared
        causes = {name: cause_lines(name, found, prepared) for name, found in prepared.causes.items()}
        for name, one in prepared.plan.judgements.items():
            every = verbose or one.verdict == "clean"
            causes[name] = [*causes.get(name, ()), *check_lines(self._checks[name], verbose=every)]
        lines = plan_lines(
            prepared.judgements,
            prepared.summary,
            causes,
            self._noted,
            inputs=None if explain else _inputs(prepared),
            verbose=verbose,
            width=width,
        )
        above = [line for one in self._sources for line in source_lines(one, verbose=verbose)]
        return [*above, *lines]


def _inputs(prepared: Prepared) -> dict[str, tuple[str, ...]]:
    """Return what each product of the plan reads."""
    return {name: prepared.compiled.rules[name].node.dependencies for name in prepared.plan.judgements}


def _sources(prepared: Prepared) -> list[dict[str, Any]]:
    """Return what a plan says of the sources that have contracts or are broken."""
    found: dict[str, dict[str, Any]] = {
        name: {"name": name, "checks": _checks(prepared, contract.checks)}
        for name, contract in prepared.compiled.contracts.items()
    }
    for name, error in prepared.broken_sources.items():
        found[name] = {"name": name, "error": error_fields(error), "checks": []}
    return [found[name] for name in sorted(found)]


def _checks(prepared: Prepared, checks: Iterable[CompiledCheck]) -> list[dict[str, Any]]:
    """Return what a plan says of checks of a product or source. failing: how many rows, None where a run decides."""
    found = []
    for one in checks:
        judgement = prepared.plan.checks[one.compiled.node.name]
        artifact = prepared.session.store.artifacts.get(judgement.artifact) if judgement.artifact is not None else None
        found.append(
            {
                "name": judgement.name,
                "severity": one.check.draft.severity,
                "verdict": judgement.verdict,
                "reason": judgement.reason,
                "failing": artifact.rows if artifact is not None else None,
                "key": judgement.key,
            }
        )
    return found


def _is_ahead(check: dict[str, Any]) -> bool:
    """Whether a build has something to do about a check: settle it, or fail for it again."""
    return check["verdict"] != "clean" or (bool(check["failing"]) and check["severity"] == "error")


def _place_fields(place: Placement | None) -> dict[str, Any]:
    if place is None:
        return {}
    return {"engine": place.engine, **({"engine_reason": place.reason} if place.reason else {})}


def _details(prepared: Prepared, name: str) -> dict[str, Any]:
    """Return what a plan says of a product beside its verdict; rows, bytes and seconds are those of its last state."""
    node, last = prepared.compiled.rules[name].node, prepared.known.products.get(name)
    artifact = prepared.session.store.artifacts.get(last.artifact) if last is not None else None
    edit = prepared.plan.judgements[name].edit
    if edit is None and last is not None and last.record.text != prepared.session.rules[name].digest:
        edit = Edit("cosmetic", frozenset())
    return {
        **({"class": edit.reaches, "columns": sorted(edit.columns)} if edit is not None else {}),
        **({"edit": edit_fields(edit)} if edit is not None else {}),
        "rows": artifact.rows if artifact is not None else None,
        "bytes": artifact.bytes if artifact is not None else None,
        "seconds": round(last.seconds, 6) if last is not None else None,
        "artifact": last.artifact if last is not None else None,
        **part_fields(prepared.parts.get(name)),
        **_place_fields(prepared.compiled.rules[name].placement),
        **({"fetch": {"bytes": prepared.fetches[name]}} if name in prepared.fetches else {}),
        "fingerprint": node.fingerprint,
        "inputs": list(node.inputs),
        **({"causes": causes_fields(name, prepared.causes[name], prepared)} if name in prepared.causes else {}),
    }
