"""Results → text lines or a JSON document. Pure: nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rules.errors import UserError

if TYPE_CHECKING:
    from graph.plan import Judgement, Plan
    from rules.results import BuildReport, Result

FORMAT = 1


def document(command: str, **fields: Any) -> dict[str, Any]:
    """Return the frame of every JSON document."""
    return {"format": FORMAT, "command": command, **fields}


def error_document(command: str, errors: Iterable[UserError]) -> dict[str, Any]:
    """Return the document of a command that failed: the first error, and all of them where there are several."""
    described = [error_fields(error) for error in errors]
    more = {"errors": described} if len(described) > 1 else {}
    return document(command, status="error", error=described[0], **more)


def error_fields(error: UserError) -> dict[str, Any]:
    """Return an error as plain data; `where` is "path:line:column"."""
    where = str(error.where) if error.where is not None else None
    return {"code": error.code, "message": error.message, "where": where, "hint": error.hint}


def error_lines(error: UserError) -> list[str]:
    """Return an error as text: the message, then aligned facts."""
    facts = {"where": str(error.where)} if error.where is not None else {}
    facts |= error.facts
    if error.hint:
        facts["hint"] = error.hint
    width = max((len(name) for name in facts), default=0)
    return [f"error: {error.message}", *(f"  {name + ':':<{width + 1}} {value}" for name, value in facts.items())]


def build_document(report: BuildReport) -> dict[str, Any]:
    """Return the document of `rules build`."""
    return document(
        "build",
        build=report.build,
        status="ok" if report.ok else "failed",
        summary=report.summary,
        seconds=round(report.seconds, 3),
        saved_seconds=round(report.saved_seconds, 3),
        products=[_result_fields(result) for result in report.results.values()],
    )


def nothing_to_do(count: int) -> str:
    """Return what a no-op says."""
    return f"nothing to do ({plural(count, 'product')} up to date)"


def build_lines(report: BuildReport) -> list[str]:
    """Return the closing lines of a build."""
    summary = report.summary
    if summary["clean"] == len(report.results):
        return [nothing_to_do(len(report.results))]
    counts = ", ".join(f"{count} {status}" for status, count in summary.items() if count)
    lines = [f"{counts} in {report.seconds:.1f} s"]
    idle = summary["clean"] + summary["restored"]
    if idle:
        lines.append(f"saved: {plural(idle, 'product')} not run, which took {report.saved_seconds:.1f} s when they last ran")
    return lines


def result_line(result: Result) -> str:
    """Return the line of a finished product."""
    size = f"  {plural(result.rows, 'row')}" if result.rows is not None else ""
    time = f"  {result.seconds:.2f} s" if result.status == "executed" and result.seconds is not None else ""
    same = "  (result unchanged)" if result.status == "executed" and not result.changed else ""
    return f"{result.status:<8} {result.name}{size}{time}{same}  {result.reason}"


def plan_document(plan: Plan, details: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the document of `rules plan`; `details`: further fields by product."""
    products = [
        {"name": name, "verdict": one.verdict, "reason": one.reason, **details.get(name, {}), "key": one.key}
        for name, one in plan.judgements.items()
    ]
    return document("plan", status="ok", summary=plan.summary, products=products)


def plan_lines(plan: Plan, *, verbose: bool) -> list[str]:
    """Return the plan as text: a line for each product that is not clean (all when verbose), then the counts."""
    shown = [one for one in plan.judgements.values() if verbose or one.verdict != "clean"]
    if not shown:
        return [nothing_to_do(len(plan.judgements))]
    width = max(len(one.name) for one in shown)
    lines = [_plan_line(one, width) for one in shown]
    counts = ", ".join(f"{count} {verdict}" for verdict, count in plan.summary.items() if count)
    return [*lines, "", counts]


def table_lines(header: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Return rows as aligned columns under a header; numbers are not told from text."""
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def plural(count: int, noun: str) -> str:
    """Return "1 row", "2,000 rows"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _plan_line(one: Judgement, width: int) -> str:
    return f"{one.verdict:<7}  {one.name:<{width}}  {one.reason}"


def _result_fields(result: Result) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": result.name,
        "status": result.status,
        "changed": result.changed,
        "reason": result.reason,
        "rows": result.rows,
        "bytes": result.bytes,
        "seconds": round(result.seconds, 6) if result.seconds is not None else None,
        "artifact": result.artifact,
        "fingerprint": result.fingerprint,
        "key": result.key,
    }
    if result.error is not None:
        fields["error"] = error_fields(result.error)
    return fields
