"""What `rules verify` has found, as text lines, errors or a JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.errors import FAILED, UserError
from rules.report.runs import document
from rules.running.verifying import settings_fields
from rules.wording import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.running.other_settings import Change
    from rules.running.verifying import Verified, VerifyReport


def verify_document(report: VerifyReport) -> dict[str, Any]:
    """Return the document of `rules verify`."""
    return document(
        "verify",
        status="ok" if report.ok else "failed",
        against=report.against,
        changed=settings_fields(report.settings),
        products=[_fields(one) for one in report.verified],
        unverified=[{"name": name, "reason": why} for name, why in report.unverified.items()],
    )


def verify_errors(report: VerifyReport) -> list[UserError]:
    """Return an error for each product whose table is another."""
    return [_error(one) for one in report.verified if not one.same]


def verify_lines(report: VerifyReport, *, verbose: bool) -> list[str]:
    """Return the outcome in a line, after those products that could not be verified (all when verbose)."""
    lines = [f"not verified: {name}, because {why}" for name, why in report.unverified.items()]
    if len(lines) > 1 and not verbose:
        lines = [f"not verified: {plural(len(lines), 'product')} (-v says why)"]
    if not report.verified:
        return [*lines, "verify: no product is up to date that could be run again"]
    wrong = sum(not one.same for one in report.verified)
    outcome = f"{plural(wrong, 'result')} differ{'s' if wrong == 1 else ''}" if wrong else "every result is the same"
    near = sum(one.same and "digits" in one.compared for one in report.verified)
    remark = f", floats of {plural(near, 'product')} to 9 digits" if near else ""
    settings = plural(len(report.settings), "other setting")
    return [*lines, f"verify: {plural(len(report.verified), 'product')} run again with {settings}; {outcome}{remark}"]


def _fields(one: Verified) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": one.name,
        "same": one.same,
        "compared": one.compared,
        "runs": one.runs,
        "seconds": round(one.seconds, 6),
    }
    if one.cause is None:
        return fields
    return {
        **fields,
        "difference": one.difference,
        "settings": settings_fields(one.cause.settings),
        "repeatable": one.cause.repeatable,
        "order_dependent": one.order_dependent,
        "evidence": one.evidence,
        "hint": _hint(one),
    }


def _error(one: Verified) -> UserError:
    assert one.cause is not None
    settings = one.cause.settings
    if settings and one.cause.repeatable:
        message = f"the result of {one.name} depends on settings of the engine: it has {one.difference}"
    elif one.cause.repeatable:
        message = f"the stored table of {one.name} is not what its rule yields: run again it has {one.difference}"
    else:
        message = f"the result of {one.name} differs from run to run: it has {one.difference}"
    facts = {"with": "\n".join(map(_told, settings))} if settings else {}
    facts["evidence"] = one.evidence or ""
    return UserError(message, code="verify", facts=facts, hint=_hint(one), exit_code=FAILED)


def _hint(one: Verified) -> str:
    """Return what to do: about the rule if it leaves its result open, else about the engine."""
    assert one.cause is not None
    settings = one.cause.settings
    keys = ", ".join(f'"{change.key}"' for change in settings)
    pin = f"[engine] disable = [{keys}] in rules.toml builds without"
    can_be_pinned = bool(settings) and all(change.can_be_disabled for change in settings)
    otherwise = f"; or {pin}" if can_be_pinned else ""
    if one.functions and (settings or not one.cause.repeatable):
        return f"{_ask_of(one.functions)}{otherwise}"
    if one.order_dependent and (settings or not one.cause.repeatable):
        return f"{_OPEN}{otherwise}"
    if can_be_pinned:
        return f"{pin}; please report this"
    if not settings and one.cause.repeatable:
        return f"rules build --force {one.name} makes it again; please report this"
    return "please report this, with the evidence"


_OPEN = (
    "its rule leaves open which rows come, or in which order values are put together: "
    "add columns to its ORDER BY until no two rows tie"
)


def _ask_of(functions: Sequence[str]) -> str:
    names = ", ".join(functions)
    if len(functions) == 1:
        return f"its function {names} has to return the same for a row whatever rows are beside it, each time"
    return f"each of its functions {names} has to return the same for a row whatever rows are beside it, each time"


def _told(change: Change) -> str:
    return f"{change.key} = {str(change.value).lower()}"
