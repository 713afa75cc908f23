"""How a publish ended, as text lines or a JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.report.runs import document, error_fields
from rules.wording import plural, wrapped_lines

if TYPE_CHECKING:
    from rules.errors import UserError
    from rules.publishing.publish import Published, PublishReport, TargetReport

_QUIET = ("kept", "keep")


def publish_document(report: PublishReport) -> dict[str, Any]:
    """Return the document of `rules publish`."""
    built = {"build": report.built.build, "built": report.built.summary} if report.built is not None else {}
    return document(
        "publish",
        status="ok" if report.ok else "failed",
        dry_run=report.dry_run,
        summary=report.summary,
        **built,
        targets=[_target_fields(one) for one in report.targets],
        errors=[error_fields(one) for one in report.errors],
    )


def publish_errors(report: PublishReport) -> list[UserError]:
    """Return what went wrong: in the project, with targets, and with products."""
    found = list(report.errors)
    for one in report.targets:
        found += [each.error for each in one.products if each.error is not None]
        found += [one.error] if one.error is not None else []
    return list(dict.fromkeys(found))


def publish_lines(report: PublishReport, *, verbose: bool) -> list[str]:
    """Return what was done, or would be, target by target; what is kept only if asked to be verbose."""
    lines: list[str] = []
    for one in report.targets:
        shown = [each for each in one.products if verbose or each.status not in _QUIET]
        rows = [[each.status, each.product, each.reason] for each in shown]
        lines += [f"{one.destination.name}: {_outcome(one, dry_run=report.dry_run)}"]
        lines += [f"  {line}" for line in wrapped_lines(rows, None)]
        if one.others:
            few = ", ".join(one.others[:5]) + (", …" if len(one.others) > 5 else "")  # noqa: PLR2004
            lines.append(f"  still there, of no product that is published: {few}; --prune removes them")
    if any(each.status == "stale" for one in report.targets for each in one.products):
        lines.append("what is stale was not published: rules build, or publish --build, brings it up to date")
    return lines


def _outcome(one: TargetReport, *, dry_run: bool) -> str:
    summary = one.summary
    to = one.destination.table.to
    if not one.products:
        return f"no product is selected for {to}"
    if set(summary) <= set(_QUIET) and one.error is None:
        return f"nothing to do ({plural(len(one.products), 'product')} published already)"
    order = ("send", "remove") if dry_run else ("sent", "removed")
    words = [f"{summary[status]:,} {'to ' if dry_run else ''}{status}" for status in order if summary.get(status)]
    same = summary.get("kept", 0) + summary.get("keep", 0)
    words += [f"{same:,} published already"] if same else []
    words += [f"{summary[status]:,} {status}" for status in ("stale", "failed") if summary.get(status)]
    return f"{', '.join(words)}, to {to}"


def _target_fields(one: TargetReport) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": one.destination.name,
        "kind": one.destination.kind,
        "to": one.destination.table.to,
        "env": list(one.destination.table.env),
        "status": "ok" if one.ok else "failed",
        "summary": one.summary,
        "products": [_product_fields(each) for each in one.products],
        "others": one.others,
    }
    return {**fields, "error": error_fields(one.error)} if one.error is not None else fields


def _product_fields(one: Published) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": one.product,
        "status": one.status,
        "reason": one.reason,
        "artifact": one.artifact,
        "rows": one.rows,
    }
    if one.sent is not None:
        fields |= {"files": one.sent.files, "bytes": one.sent.bytes, "seconds": round(one.seconds, 6)}
    return {**fields, "error": error_fields(one.error)} if one.error is not None else fields
