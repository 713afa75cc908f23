"""`rules plan`: say what a build would do and why, without doing it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from graph.impact import Edit
from rules.build import plan
from rules.config.project import load_project
from rules.errors import FAILED
from rules.files.project_paths import find_root
from rules.planning.prepared import Prepared
from rules.report.causes import cause_lines, causes_fields
from rules.report.diff import edit_fields
from rules.report.runs import (
    check_lines,
    error_fields,
    errors_lines,
    part_fields,
    plan_document,
    plan_lines,
    source_lines,
)
from rules.terminal import progress
from rules.terminal.arguments import add_force, add_profile, add_selection, add_trust, add_variables, request_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from rules.compiling.compiled_rule import CompiledCheck
    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    add_selection(parser, "plan")
    add_variables(parser)
    add_force(parser, "plan to run these in any case")
    add_trust(parser)
    parser.add_argument(
        "--explain", action="store_true", help="follow each verdict to the edits or sources it is due to"
    )
    parser.add_argument(
        "-k", "--keep-going", action="store_true", help="plan what does not need the rules and sources that are broken"
    )
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 when anything is not clean")
    add_profile(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Plan; 1 when something is broken; with --exit-code, also when a build would do something."""
    project = load_project(find_root(options.project), options.var, options.settings)
    request = request_of(options)
    observer = progress.observer(output)
    prepared = plan(project, request, observer)
    checks = {name: _checks(prepared, prepared.compiled.rules[name].checks) for name in prepared.plan.judgements}
    ahead = {name for name, of_it in checks.items() if any(_is_ahead(one) for one in of_it)}
    failing = {name for name, of_it in checks.items() if any(one["failing"] for one in of_it)}
    judgements = prepared.judgements
    dirty = [name for name, one in judgements.items() if one.verdict != "clean" or name in ahead]
    sources = _sources(prepared)
    dirty_sources = [one["name"] for one in sources if "error" in one or any(_is_ahead(each) for each in one["checks"])]
    if output.as_json:
        details = {name: {**_details(prepared, name), "checks": checks[name]} for name in prepared.plan.judgements}
        for name in prepared.lost.keys() & prepared.session.broken.keys():
            details[name] = {"error": error_fields(prepared.session.broken[name])}
        output.document(plan_document(judgements, prepared.summary, details, sources))
    elif output.verbosity < 0:
        output.result(dirty)
    else:
        verbose = output.verbosity > 0
        causes = {name: cause_lines(name, found, prepared) for name, found in prepared.causes.items()}
        for name, one in prepared.plan.judgements.items():
            every = verbose or one.verdict == "clean"
            causes[name] = [*causes.get(name, ()), *check_lines(checks[name], verbose=every)]
        lines = plan_lines(
            judgements,
            prepared.summary,
            causes,
            ahead | failing,
            inputs=None if options.explain else _inputs(prepared),
            verbose=verbose,
            width=output.width(sys.stdout),
        )
        above = [line for one in sources for line in source_lines(one, verbose=verbose)]
        output.result([*above, *lines], painted=True)
    if not output.as_json:
        for lines in errors_lines(prepared.errors, whole=output.verbosity > 0):
            output.error(lines)
    return FAILED if prepared.errors or (options.exit_code and (dirty or dirty_sources)) else 0


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
        **({"fetch": {"bytes": prepared.fetches[name]}} if name in prepared.fetches else {}),
        "fingerprint": node.fingerprint,
        "inputs": list(node.inputs),
        **({"causes": causes_fields(name, prepared.causes[name], prepared)} if name in prepared.causes else {}),
    }
