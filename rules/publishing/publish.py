"""Sends the current tables of products to targets: which, whether they are up to date, and what came of it.

What is up to date is known from a plan, so nothing is executed. A product that is not up to date is never sent as it
is; it is built first, or it is said to be stale. Targets decide by what they hold which tables they lack.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from rules.build import build, prepare
from rules.config.toml_types import did_you_mean
from rules.errors import UserError, UserErrors
from rules.planning.selection import choose
from rules.publishing.opening import opener_of
from rules.publishing.target import StoredTable
from rules.storage.store import open_store

if TYPE_CHECKING:
    from rules.config.project import Project
    from rules.config.publish_settings import Destination
    from rules.planning.prepared import Prepared, Request
    from rules.publishing.target import Sent, Step, Target
    from rules.running.results import BuildReport, Observer
    from rules.storage.store import Store

Status = Literal["sent", "kept", "removed", "stale", "failed", "send", "keep", "remove"]
"""The last three in a dry run."""


@dataclass(frozen=True)
class Wanted:
    """What the command line says besides the selection. env, targets: names; () for none."""

    env: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    build: bool = False
    dry_run: bool = False
    prune: bool = False


@dataclass(frozen=True)
class Published:
    """How it ended for one product in one target."""

    product: str
    status: Status
    reason: str
    artifact: str | None = None
    rows: int | None = None
    sent: Sent | None = None
    seconds: float = 0.0
    error: UserError | None = None


@dataclass
class TargetReport:
    """How it ended for one target. others: tables there, of products that are not published there any more.

    error: why nothing of it was done, or seen by its readers.
    """

    destination: Destination
    products: list[Published] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    error: UserError | None = None

    @property
    def summary(self) -> dict[str, int]:
        """The number of products by status."""
        return dict(Counter(str(one.status) for one in self.products))

    @property
    def ok(self) -> bool:
        """Whether its readers see, or would see, all that was asked for."""
        return self.error is None and not any(one.status in {"stale", "failed"} for one in self.products)


@dataclass
class PublishReport:
    """How a publish ended. built: the build before it, if there was one; errors: of rules and sources."""

    dry_run: bool
    targets: list[TargetReport]
    built: BuildReport | None = None
    errors: Sequence[UserError] = ()

    @property
    def summary(self) -> dict[str, int]:
        """The number of products by status, of all targets."""
        found: Counter[str] = Counter()
        for one in self.targets:
            found.update(one.summary)
        return dict(found)

    @property
    def ok(self) -> bool:
        """Whether every target is as it was asked for."""
        return all(one.ok for one in self.targets)


@dataclass(frozen=True)
class _Current:
    """The products of each target; the artifacts of those that are up to date, and of the others why they are not."""

    by_target: Mapping[str, tuple[str, ...]]
    artifacts: Mapping[str, str]
    stale: Mapping[str, str]
    errors: Sequence[UserError]
    whole: bool


def publish(project: Project, request: Request, wanted: Wanted, observer: Observer) -> PublishReport:
    """Publish the products that a request selects. Raises `UserError` for what makes all of it impossible."""
    targets = _targets(project, wanted)
    built: BuildReport | None = None
    with open_store(project.root, observer.say, building=False) as store:
        current = _current(project, request, targets, wanted, store)
        if not (wanted.build and current.stale and not wanted.dry_run):
            return PublishReport(
                wanted.dry_run, _publish(project, targets, current, wanted, store), None, current.errors
            )
    built = build(project, replace(request, select=tuple(f"+{one}" for one in current.stale), exclude=(),
                                   keep_going=True), observer)  # fmt: skip
    current = _after_build(current, built)
    with open_store(project.root, observer.say, building=False) as store:
        return PublishReport(wanted.dry_run, _publish(project, targets, current, wanted, store), built, current.errors)


def _targets(project: Project, wanted: Wanted) -> list[Destination]:
    """Return the targets that are named, else those of the environments, else those of none. Raises `UserError`."""
    declared = project.targets
    if not declared:
        hint = 'declare one in rules.toml, as in [publish.files] with to = "published"'
        raise UserError("rules.toml names no target to publish to", code="config", hint=hint)
    known = sorted({env for one in declared.values() for env in one.table.env})
    for name in wanted.env:
        if name not in known:
            hint = did_you_mean(name, known) if known else 'add env = ["…"] to a target of rules.toml'
            raise UserError(f"no target is in an environment '{name}'", code="usage", hint=hint)
    for name in wanted.targets:
        if name not in declared:
            raise UserError(f"unknown target '{name}'", code="usage", hint=did_you_mean(name, declared))
    if wanted.targets and wanted.env:
        for name in wanted.targets:
            if not set(wanted.env) & set(declared[name].table.env):
                raise UserError(f"the target '{name}' is not in {' or '.join(wanted.env)}", code="usage",
                                hint="leave out --env or --target")  # fmt: skip
    if wanted.targets:
        return [declared[name] for name in dict.fromkeys(wanted.targets)]
    if wanted.env:
        return [one for one in declared.values() if set(wanted.env) & set(one.table.env)]
    found = [one for one in declared.values() if not one.table.env]
    if not found:
        message = "every target is part of an environment, and none is named"
        raise UserError(message, code="usage", hint=" or ".join(f"--env {name}" for name in known))
    return found


def _current(
    project: Project, request: Request, targets: Sequence[Destination], wanted: Wanted, store: Store
) -> _Current:
    """Plan the whole project, since a product is up to date only if all above it are."""
    if wanted.prune and not request.whole:
        message = "--prune compares all products with all that was published, so it takes no selection"
        raise UserError(message, code="usage", hint="leave out the selectors, or --prune")
    prepared = prepare(project, replace(request, select=(), exclude=(), keep_going=True), store)
    broken = prepared.session.broken
    if wanted.prune and broken:  # what cannot be loaded is not gone
        raise UserErrors(list(dict.fromkeys(broken.values())))
    asked = set(choose(prepared.session, replace(request, keep_going=True)).order)
    by_target = {}
    for one in targets:
        try:
            own = choose(prepared.session, replace(request, select=one.table.select, exclude=one.table.exclude,
                                                   keep_going=True)).order  # fmt: skip
        except UserError as error:
            error.message = f"[publish.{one.name}] selects what is not there: {error.message}"
            raise
        by_target[one.name] = tuple(sorted(asked.intersection(own)))
        for name in one.table.partition_by:
            if name not in prepared.session.rules:
                raise UserError(
                    f"[publish.{one.name}] partitions '{name}', which is no product",
                    code="config",
                    hint=did_you_mean(name, prepared.session.rules),
                )
    names = sorted({name for some in by_target.values() for name in some})
    artifacts, stale = _judged(prepared, store, names)
    return _Current(by_target, artifacts, stale, prepared.errors if stale else (), request.whole and not broken)


def _judged(prepared: Prepared, store: Store, names: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    artifacts, stale = {}, {}
    for name in names:
        judgement = prepared.judgements[name]
        if judgement.verdict == "clean":
            artifacts[name] = store.states[name].artifact
        else:
            stale[name] = judgement.reason
    return artifacts, stale


def _after_build(current: _Current, report: BuildReport) -> _Current:
    """Return what is current after a build: what it left as it was, restored or executed."""
    artifacts = dict(current.artifacts)
    stale = {}
    for name, reason in current.stale.items():
        result = report.results.get(name)
        if result is not None and result.artifact is not None and result.status in {"clean", "restored", "executed"}:
            artifacts[name] = result.artifact
        else:
            stale[name] = result.reason if result is not None else reason
    errors = [one.error for one in report.results.values() if one.error is not None]
    return replace(current, artifacts=artifacts, stale=stale, errors=errors)


def _publish(
    project: Project, targets: Sequence[Destination], current: _Current, wanted: Wanted, store: Store
) -> list[TargetReport]:
    reports = []
    for one in targets:
        report = TargetReport(one)
        reports.append(report)
        sends = wanted.prune or any(name in current.artifacts for name in current.by_target[one.name])
        try:
            with opener_of(project, one, store)(writes=sends and not wanted.dry_run) as target:
                _to_target(target, report, current, wanted, store)
        except UserError as error:
            report.error = error
            report.products = [
                replace(each, status="failed", reason="the target could not be written")
                if each.status in {"sent", "removed"}
                else each
                for each in report.products
            ]
    return reports


def _to_target(target: Target, report: TargetReport, current: _Current, wanted: Wanted, store: Store) -> None:
    names = current.by_target[report.destination.name]
    steps = [target.step(name, current.artifacts[name]) for name in names if name in current.artifacts]
    report.products.extend(_products(target, steps, wanted, store))
    report.products.extend(Published(name, "stale", current.stale[name]) for name in names if name in current.stale)
    report.products.sort(key=lambda one: one.product)
    if current.whole:
        report.others = target.others(names)
        if wanted.prune:
            gone, report.others = report.others, []
            reason = "no product of this name is published there any more"
            report.products.extend(Published(name, "remove" if wanted.dry_run else "removed", reason) for name in gone)
            if not wanted.dry_run:
                target.drop(gone)
    if not wanted.dry_run and (steps or wanted.prune):
        target.finish()


def _products(target: Target, steps: Sequence[Step], wanted: Wanted, store: Store) -> Iterator[Published]:
    """Send what is to be sent; a product that cannot be is no reason to leave out another."""
    for step in steps:
        name, artifact = step.product, step.artifact
        if step.action == "keep":
            yield Published(name, "keep" if wanted.dry_run else "kept", step.reason, artifact, step.rows)
            continue
        began = time.perf_counter()
        try:
            stored = store.stored(name, artifact)
            table = StoredTable(name, artifact, store.objects.path(stored.artifact), stored.rows)
            target.require_possible(table)
            if wanted.dry_run:
                yield Published(name, "send", step.reason, artifact, stored.rows)
                continue
            sent = target.send(table)
        except UserError as error:
            yield Published(name, "failed", error.message, artifact, error=error)
        else:
            yield Published(name, "sent", step.reason, artifact, sent.rows, sent, time.perf_counter() - began)
