"""What a build or a plan came to, as plain data: what reports and commands read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.index import Index
    from rules.errors import UserError

Status = Literal["clean", "restored", "executed", "failed", "skipped"]
STATUSES: tuple[Status, ...] = ("clean", "restored", "executed", "failed", "skipped")


@dataclass(frozen=True)
class Result:
    """One product in one build. seconds: of this execution, else of the last one (what was saved)."""

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

    @property
    def was_skipped(self) -> bool:
        """Whether an earlier result stands for the product."""
        return self.status in {"clean", "restored"}


@dataclass(frozen=True)
class AuditReport:
    """What an audit came to. checked: the products that ran again; differing: product → what is wrong, in a clause."""

    checked: tuple[str, ...] = ()
    differing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BuildReport:
    """A finished build. `build` is empty when there was nothing to do and so nothing to record."""

    build: str
    results: Mapping[str, Result]
    seconds: float
    audit: AuditReport = field(default_factory=AuditReport)

    @property
    def summary(self) -> dict[str, int]:
        """Number of products by status."""
        counts = dict.fromkeys(STATUSES, 0)
        for result in self.results.values():
            counts[result.status] += 1
        return {str(status): count for status, count in counts.items()}

    @property
    def ok(self) -> bool:
        """Whether every selected product is up to date now, as far as is known."""
        failed = any(result.status in {"failed", "skipped"} for result in self.results.values())
        return not failed and not self.audit.differing

    @property
    def saved_seconds(self) -> float:
        """Seconds that the products which did not have to run took when they last ran."""
        return sum(result.seconds or 0.0 for result in self.results.values() if result.was_skipped)


class Observer(Protocol):
    """Who is told how a build goes on."""

    def planned(self, total: int, ahead: Sequence[str]) -> None:
        """`total` products are selected; those `ahead` are not known to be clean."""

    def started(self, name: str) -> None:
        """A product is being executed."""

    def finished(self, result: Result) -> None:
        """A product is done, one way or another."""

    def say(self, message: str) -> None:
        """Something to tell the user that concerns no single product."""

    def close(self) -> None:
        """The build has ended, well or not."""


def clean_report(index: Index) -> BuildReport:
    """Return the report of a build that had nothing to do, from the index alone."""
    products = index.products()
    artifacts = index.artifacts({product.artifact for product in products.values()})
    results = {
        name: Result(
            name=name,
            status="clean",
            reason="the rule and everything it reads are unchanged",
            rows=artifacts[product.artifact].rows,
            bytes=artifacts[product.artifact].bytes,
            seconds=product.seconds,
            artifact=product.artifact,
            fingerprint=product.fingerprint,
            key=product.key,
        )
        for name, product in sorted(products.items())
    }
    return BuildReport("", results, 0.0)
