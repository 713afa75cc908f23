"""Results → text lines or a JSON document. Pure: nothing is printed here."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rules.wording import cut, duration, plural, table_lines, wrapped_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from graph.plan import Judgement
    from rules.engine.protocol import PartsRun
    from rules.errors import UserError
    from rules.report.folding import Fold
    from rules.running.results import AuditReport, BuildReport, CheckResult, Result, SourceResult

FORMAT = 1
_MOST_ERRORS = 10
"""Rules that do not compile whose errors are all shown; of more, the first few and their number are."""
_FIRST_ERRORS = 3
_MOST_UNBEGUN = 5
"""Lines of a build for products that never began: for those that failed, and for those that were skipped."""
_ORDER = ("executed", "run", "maybe", "restored", "restore", "clean", "failed", "skipped")
_WIDEST_NAME = 40


def document(command: str | None, **fields: Any) -> dict[str, Any]:
    """Return the frame of every JSON document."""
    return {"format": FORMAT, "command": command, **fields}


def error_document(command: str | None, errors: Iterable[UserError]) -> dict[str, Any]:
    """Return the document of a command that failed: the first error, and all of them where there are several."""
    described = [error_fields(error) for error in errors]
    more = {"errors": described} if len(described) > 1 else {}
    return document(command, status="error", error=described[0], **more)


def error_fields(error: UserError) -> dict[str, Any]:
    """Return an error as plain data; `where` is "path:line:column"."""
    where = str(error.where) if error.where is not None else None
    fields = {"code": error.code, "message": error.message, "where": where, "hint": error.hint}
    return {**fields, "facts": error.facts} if error.facts else fields


def error_lines(error: UserError) -> list[str]:
    """Return an error as text: the message, then aligned facts."""
    facts = {"where": str(error.where)} if error.where is not None else {}
    facts |= error.facts
    if error.hint:
        facts["hint"] = error.hint
    width = max((len(name) for name in facts), default=0)
    lines = [f"error: {error.message}"]
    for name, value in facts.items():
        first, *others = (value.splitlines() if name in error.facts else [value]) or [""]
        lines += [f"  {name + ':':<{width + 1}} {first}", *(f"  {'':<{width + 1}} {other}" for other in others)]
    return lines


def errors_lines(errors: Sequence[UserError], *, whole: bool = False) -> list[list[str]]:
    """Return errors as text, each as its lines; unless whole, of many rules that do not compile only the first few.

    `rules check` has all of them, in the order of the files. Errors about sources and settings are all there.
    """
    rules = [error for error in errors if error.where is not None and error.where.path.endswith((".sql", ".py"))]
    if whole or len(rules) <= _MOST_ERRORS:
        return [error_lines(error) for error in errors]
    count = len({error.where.path for error in rules if error.where is not None})
    summary = f"{count:,} rules do not compile" if count > 1 else f"{len(rules):,} errors"
    shown = [error for error in errors if error not in rules[_FIRST_ERRORS:]]
    return [*map(error_lines, shown), [f"error: {summary}; `rules check` lists why"]]


def build_document(report: BuildReport) -> dict[str, Any]:
    """Return the document of `rules build`."""
    audit = {"audit": audit_fields(report.audit)} if report.audit.checked else {}
    return document(
        "build",
        build=report.build,
        status="ok" if report.ok else "failed",
        summary=report.summary,
        seconds=round(report.seconds, 3),
        saved_seconds=round(report.saved_seconds, 3),
        products=[_result_fields(result) for result in report.results.values()],
        sources=[_source_fields(result) for result in report.sources.values()],
        **({"shared": report.shared.fields} if report.shared is not None else {}),
        **audit,
    )


def audit_fields(audit: AuditReport) -> dict[str, Any]:
    """Return what an audit came to as plain data."""
    differing = [{"name": name, "message": wrong} for name, wrong in audit.differing.items()]
    on_other = {"engine": audit.engine, "tied": list(audit.tied)} if audit.engine is not None else {}
    return {"checked": list(audit.checked), "differing": differing, **on_other}


def audit_errors(audit: AuditReport) -> list[UserError]:
    """Return an error for each product or check whose result proved to be another."""
    from graph.plan import product_of
    from rules.errors import FAILED, UserError

    def message(name: str, wrong: str) -> str:
        if audit.engine is not None:
            return f"the engines disagree about {name}: {wrong}"
        return f"the result of {name} is not what its {'check' if '.' in name else 'rule'} yields: {wrong}"

    return [
        UserError(
            message(name, wrong),
            code="audit",
            hint=audit.hints.get(name) or f"rules build --force {product_of(name)} makes it again; please report this",
            exit_code=FAILED,
        )
        for name, wrong in audit.differing.items()
    ]


def audit_lines(audit: AuditReport) -> list[str]:
    """Return what an audit came to in one line."""
    where = {None: "again", "local": "locally", "spark": "on Spark"}[audit.engine]
    tied = [f"audit: {plural(len(audit.tied), 'product')} not compared, as their order matters"] if audit.tied else []
    if not audit.checked:
        why = "could be run again" if audit.engine is None else f"the other engine has made and can be run {where}"
        return [f"audit: nothing was skipped that {why}", *tied]
    wrong = len(audit.differing)
    outcome = f"{plural(wrong, 'result')} differ{'s' if wrong == 1 else ''}" if wrong else "every result is the same"
    checks = sum("." in name for name in audit.checked)
    products = len(audit.checked) - checks
    counted = [
        plural(number, f"skipped {what}") for number, what in ((products, "product"), (checks, "check")) if number
    ]
    return [f"audit: {' and '.join(counted)} run {where}; {outcome}", *tied]


def nothing_to_do(count: int) -> str:
    """Return what a no-op says."""
    return f"nothing to do ({plural(count, 'product')} up to date)"


def build_lines(report: BuildReport) -> list[str]:
    """Return the closing lines of a build: what happened, and what the cache saved."""
    summary = report.summary
    if not any(summary.values()):
        return ["nothing to do (no product is selected)"]
    audited = audit_lines(report.audit) if report.audit.checked else []
    if report.shared is not None and report.shared.line:
        audited = [report.shared.line, *audited]
    count = sum(summary.values())
    if summary["clean"] == count and not any(one.error for one in report.sources.values()):
        return [nothing_to_do(count), *audited]
    lines = [f"{counts(summary)} in {duration(report.seconds)}"]
    idle = summary["clean"] + summary["restored"]
    if idle:
        took = f"which took {duration(report.saved_seconds)} when {'it' if idle == 1 else 'they'} last ran"
        lines.append(f"saved: {plural(idle, 'product')} not run, {took}")
    return [*lines, *audited]


class ResultColumns:
    """Lines of finished products in columns that are as wide as what has been seen or is expected."""

    def __init__(self) -> None:
        self._name = 0
        self._rows = len("100 rows")
        self._time = len("0.01 s")
        self._unbegun: Counter[str] = Counter()

    def expect(self, names: Iterable[str]) -> None:
        """Make the column of names wide enough for products to come."""
        self._name = max([self._name, *(min(len(name), _WIDEST_NAME) for name in names)])

    def is_one_too_many(self, result: Result) -> bool:
        """Count what never began, because it or something that it reads does not compile or failed."""
        if result.status == "skipped" or result.is_broken:
            self._unbegun[result.status] += 1
        return (result.status == "skipped" or result.is_broken) and self._unbegun[result.status] > _MOST_UNBEGUN

    def line(self, result: Result) -> str:
        """Return the line of a finished product: status, name, rows, seconds, reason."""
        ran = result.status == "executed"
        rows = f"{result.rows:,} {'row ' if result.rows == 1 else 'rows'}" if result.rows is not None else ""
        time = duration(result.seconds) if ran and result.seconds is not None else ""
        reason = result.reason.strip().partition("\n")[0]
        if ran and not result.changed:
            reason += "; the result is unchanged"
        self.expect([result.name])
        self._rows = max(self._rows, len(rows))
        self._time = max(self._time, len(time))
        return f"{result.status:<8}  {result.name:<{self._name}}  {rows:>{self._rows}}  {time:>{self._time}}  {reason}"


def plan_document(
    judgements: Mapping[str, Judgement],
    summary: Mapping[str, int],
    details: Mapping[str, Mapping[str, Any]],
    sources: Iterable[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the document of `rules plan`; `details`: further fields by product; `sources`: as plain data."""
    products = [
        {"name": name, "verdict": one.verdict, "reason": one.reason, **details.get(name, {}), "key": one.key}
        for name, one in judgements.items()
    ]
    listed = [dict(one) for one in sources]
    failed = any(one.verdict == "failed" for one in judgements.values()) or any("error" in one for one in listed)
    status = "failed" if failed else "ok"
    return document("plan", status=status, summary=dict(summary), products=products, sources=listed)


def check_lines(checks: Iterable[Mapping[str, Any]], *, verbose: bool) -> list[str]:
    """Return lines about a product's checks, which go below its own: those known to fail, or all of them."""
    lines = []
    for one in checks:
        title = one["name"].partition(".")[2]
        if one["failing"]:
            lines.append(f"check {title} fails: {plural(one['failing'], 'row')} (rules show {one['name']})")
        elif verbose:
            why = "" if one["verdict"] == "clean" else f", {one['reason']}"
            lines.append(f"check {title}: {one['verdict']}{why}")
    return lines


def source_lines(source: Mapping[str, Any], *, verbose: bool) -> list[str]:
    """Return lines about a source in a plan: that it is broken, or which of its checks run or are known to fail."""
    if "error" in source:
        return [f"failed  source {source['name']}: {source['error']['message']}"]
    restless = [one for one in source["checks"] if verbose or one["verdict"] != "clean" or one["failing"]]
    return [f"source {source['name']}: {line}" for line in check_lines(restless, verbose=True)]


def plan_lines(
    judgements: Mapping[str, Judgement],
    summary: Mapping[str, int],
    below: Mapping[str, list[str]],
    restless: Collection[str] = (),
    *,
    inputs: Mapping[str, Sequence[str]] | None = None,
    verbose: bool,
    width: int | None = None,
) -> list[str]:
    """Return the plan as text: a line for each product that is not clean (all when verbose), then the counts.

    below: lines that go below the reason. restless: products with checks that are not settled. inputs: what each
    product reads, if products of one reason are to be folded and reasons cut to the width. width: of a terminal.
    """
    shown = [one for one in judgements.values() if verbose or one.verdict != "clean" or one.name in restless]
    if not any(summary.values()):
        return ["nothing to do (no product is selected)"]
    if not shown:
        return [nothing_to_do(sum(summary.values()))]
    folded: list[Fold] = []
    if inputs is not None and not verbose:
        from rules.report.folding import folds

        folded = folds(judgements, inputs, {name for name, lines in below.items() if lines})
    hidden = {name for fold in folded for name in fold.names}
    rows: list[list[str]] = []
    for one in shown:
        if one.name not in hidden:
            rows += [[one.verdict, one.name, one.reason], *(["", "", line] for line in below.get(one.name, ()))]
    lines = wrapped_lines(rows, width, widest=_WIDEST_NAME)
    if not verbose and inputs is not None and rows:
        lines = table_lines(rows[0], rows[1:], width=width, widest=_WIDEST_NAME)
    lines += [fold.line if width is None else cut(fold.line, width) for fold in folded]
    return [*lines, "", f"{counts(summary)}{' (-v lists them all)' if folded else ''}"]


def counts(summary: Mapping[str, int]) -> str:
    """Return "2 executed, 40 clean": what was done first, what went wrong last."""
    order = sorted(summary, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    return ", ".join(f"{summary[name]:,} {name}" for name in order if summary[name])


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
        **part_fields(result.parts),
        **({"shared": True} if result.from_shared else {}),
    }
    if result.error is not None:
        fields["error"] = error_fields(result.error)
    return {**fields, "checks": [check_fields(check) for check in result.checks]}


def part_fields(parts: PartsRun | None) -> dict[str, Any]:
    """Return how a product was, or will be, executed by parts as a field of a document; none if it is not."""
    if parts is None:
        return {}
    return {"parts": {"input": parts.input, "total": parts.total, "run": parts.run}}


def _source_fields(result: SourceResult) -> dict[str, Any]:
    error = {"error": error_fields(result.error)} if result.error is not None else {}
    checks = [check_fields(check) for check in result.checks]
    return {"name": result.name, "status": result.status, "reason": result.reason, **error, "checks": checks}


def check_fields(check: CheckResult) -> dict[str, Any]:
    """Return a check as plain data; `rows` are the first of the failing ones."""
    return {
        "name": check.name,
        "severity": check.severity,
        "status": check.status,
        "passed": check.passed,
        "reason": check.reason,
        "failing": check.failing,
        "message": check.message,
        "rows": list(check.rows),
        "seconds": round(check.seconds, 6),
        "artifact": check.artifact,
        "fingerprint": check.fingerprint,
        "key": check.key,
    }
