"""THE DRIVER: load → compile → fingerprint → diff → plan → execute → store. Read this first.

`prepare` is what planning and building share, one call a step; `plan` stops there, `build` goes on. Everything between
the steps is plain data, so the plan that is explained is the plan that is executed.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from cache.errors import StoreError
from cache.keys import Content
from cache.records import Product
from graph.causes import causes
from graph.dag import Dag
from graph.edits import renamed_rules, version_of
from graph.plan import Known, make_plan
from rules import snapshots
from rules.compiling.compiled_rule import Comparer, CompiledContract, CompiledRule, last_shape, nodes_of_checks
from rules.compiling.memo_proof import Bodies
from rules.compiling.session import load
from rules.config.profiles import Profile
from rules.config.project import Project
from rules.errors import ForeignMemoError, UserError, UserErrors
from rules.files.file_digests import FileDigests
from rules.loading.contracts import with_contracts
from rules.loading.input_binding import cut_dag
from rules.loading.rules import Rule, load_rules
from rules.planning.broken import broken_sources, lost_products, refuse_broken
from rules.planning.prepared import Prepared, Request
from rules.planning.selection import asks_for_changed, changed_rules, choose
from rules.running.engine_upgrade import audited, engine_proves_same, outside
from rules.running.execution import Execution
from rules.running.results import AuditReport, BuildReport, Observer, Result, SourceResult
from rules.sources.contents import Sources
from rules.storage.git_tracking import warn_of_tracked
from rules.storage.store import Store, open_store

T = TypeVar("T")


def plan(project: Project, request: Request, observer: Observer) -> Prepared:
    """Plan without executing. Raises `UserError`, or `UserErrors` for rules that do not compile and broken sources."""
    with open_store(project.root, observer.say, building=False) as store:
        prepared = prepare(project, request, store)
        refuse_broken(prepared, keep_going=request.keep_going)
        return prepared


def build(project: Project, request: Request, observer: Observer) -> BuildReport:
    """Bring the selected products up to date. Raises as `plan` does."""
    started = time.perf_counter()
    with open_store(project.root, observer.say, building=True) as store:
        warn_of_tracked(store.objects.root, observer.say)
        return _believing(store, observer, lambda: _built(project, request, observer, store, started))


def _believing(store: Store, observer: Observer, work: Callable[[], T]) -> T:
    """Do some work, with what the store remembers of the rules' texts as long as that proves to be of these texts."""
    try:
        return work()
    except ForeignMemoError as error:
        observer.say(
            f"warning: what the store remembers of {error} is not what its text compiles to; everything that it "
            "remembers of rules is made again"
        )
        store.index.forget_compiled()
    return work()


def _built(project: Project, request: Request, observer: Observer, store: Store, started: float) -> BuildReport:
    build_id, index = _new_build_id(), store.index
    try:
        prepared = prepare(project, request, store)
        refuse_broken(prepared, keep_going=request.keep_going)
        if request.trust_engine_upgrade and not engine_proves_same(store, prepared, observer, build_id):
            prepared = prepare(project, replace(request, trust_engine_upgrade=False), store)
        ahead = [name for name, judgement in prepared.plan.judgements.items() if judgement.verdict != "clean"]
        observer.planned(len(prepared.order), ahead)
        index.start_build(build_id, _now())
        execution = _execution(prepared.project, store, prepared, build_id, observer, request)
        results = execution.run(prepared.order, prepared.broken, prepared.broken_sources)
        skipped = _skipped(results, execution.sources_settled)
        rechecked = audited(store, prepared, build_id, skipped, execution.artifacts, request.audit)
        settled = dict(sorted(execution.sources_settled.items()))
        report = BuildReport(build_id, results, time.perf_counter() - started, rechecked, settled)
        _record(store, prepared.project, prepared, report)
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        with contextlib.suppress(StoreError):  # such as a full disk, which may be what went wrong
            if interrupted and not index.has_build(build_id):  # while it was prepared
                index.start_build(build_id, _now())
            status = "interrupted" if interrupted else "error"
            index.finish_build(build_id, time.perf_counter() - started, status, {})
        raise
    return report


def audit(project: Project, request: Request, observer: Observer) -> AuditReport:
    """Run what a build would skip, or the share `request.audit` of it, and compare. Nothing is recorded.

    Raises as `plan` does.
    """

    def audit_all() -> AuditReport:
        prepared = prepare(project, request, store)
        refuse_broken(prepared, keep_going=request.keep_going)
        products = prepared.plan.skipped
        skipped = products | prepared.plan.skipped_checks
        return audited(store, prepared, _new_build_id(), skipped, outside(prepared) | products, request.audit)

    with open_store(project.root, observer.say, building=True) as store:
        return _believing(store, observer, audit_all)


def survey(project: Project, request: Request, observer: Observer) -> tuple[Mapping[str, Rule], Dag, tuple[str, ...]]:
    """Return rules, DAG and the selected products without compiling (unless `changed` is asked for)."""
    with open_store(project.root, observer.say, building=False) as store:
        if asks_for_changed(request):
            prepared = prepare(project, request, store)
            return prepared.rules, prepared.dag, prepared.order
        found = load_rules(project, store.index, FileDigests(project.root, store.index))
        contracted = with_contracts(project, store.index, found)
        dag, unwired = cut_dag(project, contracted.rules, contracted.sources)
        if wrong := contracted.wrong | unwired:
            raise UserErrors(list(dict.fromkeys(wrong.values())))
        return contracted.rules, dag, choose(dag, contracted.rules, request, lambda: ())[0]


def prepare(project: Project, request: Request, store: Store) -> Prepared:
    """Steps 1 to 5: from files to a plan."""
    loaded = load(project, request.profile, store, trust_engine=request.trust_engine_upgrade)
    project, rules, dag, sources = loaded.project, loaded.rules, loaded.dag, loaded.sources
    products = store.states

    def changed() -> list[str]:
        return changed_rules(loaded.compile(dag.order), products)

    try:
        order, forced = choose(dag, rules, request, changed)
    except UserError as error:
        if not loaded.broken or request.keep_going:
            raise
        raise UserErrors([*dict.fromkeys(loaded.broken.values()), error]) from error  # it may be due to those
    whole = not request.select and not request.exclude
    compiled = loaded.compile(order, loaded.contracts if whole else ())
    scanned = {entry for name in order for one in _all(compiled, name) for entry in one.node.dependencies}
    contracted = {name: contract for name, contract in loaded.contracted.items() if whole or name in scanned}
    unread = {name: loaded.broken[name] for name in loaded.contracts if whole and name in loaded.broken}
    contents = contents_of(store, project, sources, compiled, order, products, contracted)
    selected = {name: compiled[name].node for name in order if name in compiled}
    checks = nodes_of_checks([*(compiled[name] for name in selected), *contracted.values()])
    known = _known(store, rules, compiled, contracted)
    verdicts = make_plan(selected, contents, known, store.content, forced, checks)
    found = causes(verdicts, selected, known, forced) if request.explain else {}
    loaded.files.save()
    return Prepared(
        project,
        dag,
        rules,
        compiled,
        loaded.contracts,
        contracted,
        loaded.broken,
        unread | broken_sources(order, dag, loaded.broken, project.sources),
        lost_products(order, dag, compiled, loaded.broken),
        order,
        forced,
        verdicts,
        known,
        contents,
        sources,
        loaded.files,
        _profile(loaded.profile, request),
        store.artifacts,
        loaded.python,
        loaded.functions,
        Bodies(loaded, compiled),
        found,
    )


def _all(compiled: Mapping[str, CompiledRule], name: str) -> tuple[CompiledRule, ...]:
    return compiled[name].all if name in compiled else ()


def _known(
    store: Store,
    rules: Mapping[str, Rule],
    compiled: Mapping[str, CompiledRule],
    contracted: Mapping[str, CompiledContract],
) -> Known:
    """Return what was computed before, and how to compare with it."""
    all_of_them = {one.node.name: one for rule in compiled.values() for one in rule.all}
    all_of_them |= {one.compiled.node.name: one.compiled for found in contracted.values() for one in found.checks}
    comparer = Comparer(store.index)
    gone = {name: version_of(last) for name, last in store.products.items() if name not in rules}
    come = {name: rule.node for name, rule in compiled.items() if name not in store.products}
    renamed = renamed_rules(gone, come) if gone and come else {}
    return Known(
        store.states,
        action=lambda key: store.index.actions([key]).get(key),
        present=store.present,
        shape=lambda last: last_shape(store.index, last),
        describe=lambda node, last: comparer.describe(all_of_them[node.name], last, renamed),
        script=lambda node, last: comparer.script(all_of_them[node.name], last, renamed),
        renamed=renamed,
    )


def _profile(profile: Profile, request: Request) -> Profile:
    return profile if request.jobs is None else replace_jobs(profile, request.jobs)


def replace_jobs(profile: Profile, jobs: int) -> Profile:
    """Return the profile with another number of products at once, which changes no result."""
    import msgspec

    return msgspec.structs.replace(profile, jobs=jobs)


def contents_of(
    store: Store,
    project: Project,
    sources: Sources,
    compiled: Mapping[str, CompiledRule],
    order: tuple[str, ...],
    products: Mapping[str, Product],
    contracted: Mapping[str, CompiledContract] = MappingProxyType({}),
) -> dict[str, Content]:
    """Return what is known of the inputs that this run does not build: sources, and products outside the selection."""
    nodes = [one.node for name in order for one in _all(compiled, name)]
    nodes += nodes_of_checks(contracted.values()).values()
    wanted: dict[str, set[str]] = {}
    outside: set[str] = set()
    selected = set(order)
    for node in nodes:
        for source, reads in zip(node.inputs, node.reads, strict=True):
            wanted.setdefault(source, set()).update(reads)
        outside |= {other for other in node.dependencies if other not in selected and other not in project.sources}
    contents = {
        name: sources.content(name, sorted(columns)) for name, columns in wanted.items() if name in project.sources
    }
    for name in sorted(outside):
        last = products.get(name)
        if last is None or not store.present(last.artifact):
            reader = next(node.name for node in nodes if name in node.dependencies)
            message = f"{reader} reads {name}, which is not selected and has never been built"
            raise UserError(message, code="selection", hint=f"select +{reader} to build what it reads too")
        contents[name] = store.content(last.artifact)
    return contents


def _execution(
    project: Project, store: Store, prepared: Prepared, build_id: str, observer: Observer, request: Request
) -> Execution:
    return Execution(
        project=project,
        profile=prepared.profile,
        store=store,
        sources=prepared.sources,
        files=prepared.files,
        compiled=prepared.compiled,
        contracted=prepared.contracted,
        dag=prepared.dag,
        plan=prepared.plan,
        known=prepared.known,
        contents=dict(prepared.contents),
        forced=prepared.forced,
        build=build_id,
        observer=observer,
        keep_going=request.keep_going,
        python=prepared.python,
        functions=prepared.functions,
        bodies=prepared.bodies,
        artifacts=outside(prepared),
    )


def _skipped(results: Mapping[str, Result], sources: Mapping[str, SourceResult]) -> dict[str, str]:
    """Return what did not run, products and then all checks, with the artifact that stands for each."""
    settled = [result for result in results.values() if result.status not in {"failed", "skipped"}]
    products = {one.name: one.artifact for one in settled if one.artifact and one.was_skipped}
    owners: list[Result | SourceResult] = [*settled, *sources.values()]
    checks = (check for one in owners for check in one.checks)
    return products | {check.name: check.artifact for check in checks if check.was_skipped}


def _record(store: Store, project: Project, prepared: Prepared, report: BuildReport) -> None:
    """Record the build; when every product of the project is up to date now, also the state in which that is so."""
    index = store.index
    rows = [_row(result) for result in report.results.values()]
    there = {one.name for rule in (*prepared.rules.values(), *prepared.contracts.values()) for one in rule.all}
    if any(name not in prepared.compiled and rule.in_python for name, rule in prepared.rules.items()):
        there |= set(prepared.known.products)  # a file that cannot be imported does not say which rules it has
    gone = set(prepared.known.products) - there
    complete = set(report.results) == set(prepared.rules) and report.ok
    nodes = [one.node for rule in prepared.compiled.values() for one in rule.all]
    volatile = any(node.volatile for node in (*nodes, *nodes_of_checks(prepared.contracted.values()).values()))
    if store.links is not None:
        store.links.unpublish(there)  # before the snapshot: after it, nobody would look again
    with index.transaction():
        index.add_results(report.build, rows)
        index.finish_build(report.build, report.seconds, "ok" if report.ok else "failed", report.summary)
        index.drop_products(gone)
        if report.audit.differing:
            index.forget_built()
        elif complete and not volatile and not project.given:
            failing = {
                check.name: {"message": check.message, "rows": list(check.rows), "warning": check.warning}
                for check in report.failing
            }
            built = snapshots.built_snapshot(
                project, prepared.profile, prepared.files, prepared.sources, store, report.results, failing
            )
            index.set_snapshot("built", built)


def _row(result: Result) -> tuple[str, str, bool | None, str, float | None, str | None]:
    return result.name, result.status, result.changed, result.reason, result.seconds, result.artifact


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _new_build_id() -> str:
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%dT%H%M%S}-{os.urandom(3).hex()}"
