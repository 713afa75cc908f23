"""The results of a build or a plan, as plain data for reports and commands."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from rules.planning.unreached import Unreached

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.index import Index
    from rules.config.profiles import Place
    from rules.engine.protocol import PartsRun
    from rules.errors import UserError
    from rules.planning.prepared import Prepared
    from rules.storage.shared_report import SharedReport

Status = Literal["clean", "restored", "executed", "failed", "skipped"]
_UNCHANGED = "the rule and everything it reads are unchanged"
STATUSES: tuple[Status, ...] = ("clean", "restored", "executed", "failed", "skipped")


@dataclass(frozen=True)
class CheckResult:
    """One check of a product in one build. failing: the number of rows it yields; rows: the first of them.

    message: the failure, or "". seconds: as for a product.
    """

    name: str
    severity: str
    status: Status
    reason: str
    failing: int
    message: str
    rows: tuple[Mapping[str, Any], ...]
    seconds: float
    artifact: str
    fingerprint: str
    key: str | None

    @property
    def was_skipped(self) -> bool:
        """Whether an earlier result was reused for the check."""
        return self.status in {"clean", "restored"}

    @property
    def passed(self) -> bool:
        """Whether no row failed."""
        return not self.failing

    @property
    def sentence(self) -> str:
        """The failure, with the check's name without its product's."""
        return f"check {self.name.partition('.')[2]} failed: {self.message}"

    @property
    def warning(self) -> str:
        """The sentence, with its product."""
        return f"warning: {self.name.partition('.')[0]}: {self.sentence}"


@dataclass(frozen=True)
class Result:
    """One product in one build. seconds: of this execution, else of the last one (the time saved).

    is_broken: its rule cannot be built, so it failed before it began. parts: how it was executed by parts, if it was.
    """

    name: str
    status: Status
    reason: str
    changed: bool = False
    rows: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    artifact: str | None = None
    fingerprint: str | None = None
    key: str | None = None
    error: UserError | None = None
    checks: tuple[CheckResult, ...] = ()
    is_broken: bool = False
    parts: PartsRun | None = None
    from_shared: bool = False
    """Whether another builder's result was taken from the shared cache by this build."""

    @property
    def was_skipped(self) -> bool:
        """Whether an earlier result was reused for the product."""
        return self.status in {"clean", "restored"}


@dataclass(frozen=True)
class SourceResult:
    """One source in one build, with a contract or unreadable. Nothing reads it unless it has passed."""

    name: str
    status: Literal["passed", "failed", "skipped"]
    reason: str
    error: UserError | None = None
    checks: tuple[CheckResult, ...] = ()


@dataclass(frozen=True)
class AuditReport:
    """The result of an audit.

    checked: products and checks that ran again; differing: name → the difference, in a clause. hints: what to do about
    those of them that another build would not mend.
    """

    checked: tuple[str, ...] = ()
    differing: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    engine: Place | None = None
    """The engine that ran what the other one had made."""
    tied: tuple[str, ...] = ()
    """Products that cannot be compared: an engine may choose the order of rows that tie, and it matters."""
    not_run: frozenset[str] = frozenset()
    """Those of `differing` that could not be run again."""


@dataclass(frozen=True)
class BuildReport:
    """A finished build. `build` is empty if there was nothing to do and so nothing to record.

    sources: those with contracts, and those that cannot be read.
    """

    build: str
    results: Mapping[str, Result]
    seconds: float
    audit: AuditReport = field(default_factory=AuditReport)
    sources: Mapping[str, SourceResult] = field(default_factory=dict)
    shared: SharedReport | None = None
    """What the shared cache was of use for."""
    unreached: Unreached = field(default_factory=Unreached)
    """The products that no edit can reach, which `results` does not have."""

    @property
    def summary(self) -> dict[str, int]:
        """Number of products by status."""
        counts = dict.fromkeys(STATUSES, 0)
        for result in self.results.values():
            counts[result.status] += 1
        counts["clean"] += self.unreached.count
        return {str(status): count for status, count in counts.items()}

    @property
    def ok(self) -> bool:
        """Whether every selected product is up to date now, as far as known."""
        failed = any(result.status in {"failed", "skipped"} for result in self._settled)
        return not failed and not self.audit.differing

    @property
    def failing(self) -> list[CheckResult]:
        """Checks that failed, whatever their severity."""
        return [check for result in self._settled for check in result.checks if not check.passed]

    @property
    def errors(self) -> list[UserError]:
        """The errors, those of sources first."""
        return [result.error for result in self._settled if result.error is not None]

    def with_others(self, others: BuildReport) -> BuildReport:
        """Return the report with results of another one, of the products that no edit can reach, if it has any."""
        if not others.results:
            return self
        sources = dict(sorted({**others.sources, **self.sources}.items()))
        return replace(self, results={**others.results, **self.results}, sources=sources, unreached=Unreached())

    @property
    def _settled(self) -> list[SourceResult | Result]:
        return [*self.sources.values(), *self.results.values()]

    @property
    def saved_seconds(self) -> float:
        """The seconds that the products without a run took when they last ran."""
        skipped = (result.seconds or 0.0 for result in self.results.values() if result.was_skipped)
        return sum(skipped) + self.unreached.seconds


class Observer(Protocol):
    """The receiver of a build's progress."""

    def planned(self, total: int, ahead: Sequence[str]) -> None:
        """`total` products are selected; those `ahead` are not known to be clean."""

    def started(self, name: str) -> None:
        """A product is being executed."""

    def finished(self, result: Result) -> None:
        """A product is done, one way or another."""

    def say(self, message: str) -> None:
        """A message to the user that concerns no single product."""

    def close(self) -> None:
        """The build has ended, well or not."""


def skipped_artifacts(results: Mapping[str, Result], sources: Mapping[str, SourceResult]) -> dict[str, str]:
    """Return the products, then all checks, that did not run, with the artifact of each."""
    settled = [result for result in results.values() if result.status not in {"failed", "skipped"}]
    products = {one.name: one.artifact for one in settled if one.artifact and one.was_skipped}
    owners: list[Result | SourceResult] = [*settled, *sources.values()]
    checks = (check for one in owners for check in one.checks)
    return products | {check.name: check.artifact for check in checks if check.was_skipped}


def clean_report(index: Index, failing: Mapping[str, Mapping[str, Any]]) -> BuildReport:
    """Return the report of a build that had nothing to do, from the index alone.

    failing: the results of the checks that failed and prevented nothing.
    """
    products, states = index.products(), index.checks()
    artifacts = index.artifacts({state.artifact for state in (*products.values(), *states.values())})
    checks: dict[str, list[CheckResult]] = {name: [] for name in products}
    for name, state in sorted(states.items()):
        facts = failing.get(name, {})
        checks.setdefault(name.partition(".")[0], []).append(
            CheckResult(
                name=name,
                severity=state.record.severity or "",
                status="clean",
                reason=_UNCHANGED,
                failing=artifacts[state.artifact].rows,
                message=facts.get("message", ""),
                rows=tuple(facts.get("rows", ())),
                seconds=state.seconds,
                artifact=state.artifact,
                fingerprint=state.fingerprint,
                key=state.key,
            )
        )
    results = {
        name: Result(
            name=name,
            status="clean",
            reason=_UNCHANGED,
            rows=artifacts[product.artifact].rows,
            bytes=artifacts[product.artifact].bytes,
            seconds=product.seconds,
            artifact=product.artifact,
            fingerprint=product.fingerprint,
            key=product.key,
            checks=tuple(checks[name]),
        )
        for name, product in sorted(products.items())
    }
    sources = {
        name: SourceResult(name, "passed", _UNCHANGED, checks=tuple(found))
        for name, found in sorted(checks.items())
        if name not in products
    }
    return BuildReport("", results, 0.0, sources=sources)


def unreached_results(prepared: Prepared) -> BuildReport:
    """Return the results of the products, and of the sources with checks, that no edit can reach, from the index."""
    if not prepared.unreached.count:
        return NOTHING
    found, reached = clean_report(prepared.session.store.index, {}), set(prepared.order)
    return replace(found, results={name: one for name, one in found.results.items() if name not in reached})


NOTHING = BuildReport("", {}, 0.0)
"""The report of a build without any product."""
