"""Step 7 of 7, store, for a build as a whole: its start, its end, and the snapshot for the next no-op."""

from __future__ import annotations

import contextlib
import datetime
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cache.errors import StoreError
from cache.reachable import REMOVED
from rules.compiling import snapshots_taken
from rules.compiling.compiled_rule import nodes_of_checks
from rules.loading.input_binding import make_resolver
from rules.running.results import BuildReport, Result

if TYPE_CHECKING:
    from cache.index import Index
    from rules.compiling.session import Session
    from rules.planning.prepared import Prepared


def new_build_id() -> str:
    """Return a name for a build: the time and a random suffix."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%dT%H%M%S}-{os.urandom(3).hex()}"


def time_of(build: str) -> str:
    """Return the time that is in a build's name, in UTC, as ISO 8601."""
    return datetime.datetime.strptime(build.partition("-")[0] + "+0000", "%Y%m%dT%H%M%S%z").isoformat()


@contextlib.contextmanager
def recorded(index: Index, build: str, started: float) -> Iterator[Callable[[], None]]:
    """Record the end of a build that does not end by itself; yields a function to call when it begins to run.

    started: the time of the request, by `time.perf_counter`.
    """

    def begin() -> None:
        index.start_build(build, datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"))

    try:
        yield begin
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        with contextlib.suppress(StoreError):  # such as a full disk, which may be the cause of the failure
            if interrupted and not index.has_build(build):  # while it was prepared
                begin()
            index.finish_build(build, time.perf_counter() - started, "interrupted" if interrupted else "error", {})
        raise


def record_build(prepared: Prepared, report: BuildReport) -> None:
    """Record a build; if every product of the project is up to date now, also the state in which it is."""
    session, compiled = prepared.session, prepared.compiled
    store, rules = session.store, session.rules
    rows = [_row(result) for result in report.results.values()]
    existing = {one.name for rule in (*rules.values(), *session.contracts.values()) for one in rule.all}
    if session.reach is not None:
        existing |= set(session.reach.products)
    if any(name not in compiled.rules and rule.in_python for name, rule in rules.items()):
        existing |= set(prepared.known.products)  # a file that cannot be imported does not say which rules it has
    complete = set(report.results) == set(rules) and report.ok
    nodes = [one.node for rule in compiled.rules.values() for one in rule.all]
    volatile = any(node.volatile for node in (*nodes, *nodes_of_checks(compiled.contracts.values()).values()))
    if store.links is not None:
        store.links.unpublish(existing)  # before the snapshot: after it, nothing would check again
        store.links.settle()
    with store.index.durable(), store.index.transaction():
        gone = set(prepared.known.products) - existing
        rows += [(name, REMOVED, None, "the project has no such rule any more", None, None) for name in _plain(gone)]
        store.index.add_results(report.build, rows)
        if session.reach is not None:
            store.index.add_hits(report.build, time_of(report.build)[:7])
        store.index.remember_used(session.sources.contents())
        store.index.set_limits(session.project.limits)
        store.index.finish_build(report.build, report.seconds, "ok" if report.ok else "failed", report.summary)
        store.index.drop_products(gone)
        if report.audit.differing:
            store.index.forget_built()
        elif complete and not volatile and session.lasting:
            state = _snapshot(prepared, report)
            if state is not None:
                store.index.set_snapshot("built", state)


def _plain(names: set[str]) -> list[str]:
    """Return the products among products and checks."""
    return sorted(name for name in names if "." not in name)


def _snapshot(prepared: Prepared, report: BuildReport) -> dict[str, object] | None:
    session, project = prepared.session, prepared.session.project
    failing = {
        check.name: {"message": check.message, "rows": list(check.rows), "warning": check.warning}
        for check in report.failing
    }
    reads = _reads(session)
    if session.reach is not None:
        before, edited = session.reach.built, session.reach.edited
        return snapshots_taken.rebuilt_snapshot(before, edited, project, session.files, session.sources, reads, failing)
    store, profile = session.store, session.profile
    return snapshots_taken.built_snapshot(project, profile, session.files, session.sources, store, reads, failing)


def _reads(session: Session) -> dict[str, set[str]]:
    """Return the products that each product reads, and those that the checks of each source read."""
    project, dag = session.project, session.dag
    reads = {name: {one for one in inputs if one not in project.sources} for name, inputs in dag.inputs.items()}
    resolve = make_resolver([*project.sources, *session.products])
    for name, contract in session.contracts.items():
        tables = (resolve(table) for check in contract.checks for table in check.rule.parsed.tables)
        reads[name] = {one for one in tables if one is not None and one not in project.sources}
    return reads


def _row(result: Result) -> tuple[str, str, bool | None, str, float | None, str | None]:
    return result.name, result.status, result.changed, result.reason, result.seconds, result.artifact
