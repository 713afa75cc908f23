"""THE DRIVER: load → compile → fingerprint → diff → plan → execute → store. Read this first.

`prepare` is what planning and building share, one call a step; `plan` stops there, `build` goes on. Everything between
the steps is plain data, so the plan that is explained is the plan that is executed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from graph.causes import causes
from graph.plan import make_plan
from rules.compiling.compiled_rule import nodes_of_checks
from rules.compiling.load_session import load, shared_memos
from rules.compiling.memo_proof import believing_memos
from rules.compiling.reach import BeyondReach, Reach
from rules.config.project import Project
from rules.engine.local import LOCAL
from rules.engine.stoppable import STOPPABLE
from rules.errors import REPLACED, UserError, UserErrors
from rules.files.project_paths import DEFAULT_PROFILE
from rules.loading.rule_folders import rule_files
from rules.openlineage.facts import Timed, build_run
from rules.openlineage.sending import send
from rules.planning.broken import refuse_broken
from rules.planning.inputs import read_inputs
from rules.planning.last_states import compared_with_last
from rules.planning.narrow import reach_of_request, with_unreached_counted
from rules.planning.parts import with_parts_counted
from rules.planning.places import made_by_other, with_places_told
from rules.planning.prepared import Prepared, Request
from rules.planning.selection import choose
from rules.planning.shared_results import ask_shared_cache, with_fetches_counted
from rules.running.build_records import new_build_id, record_build, recorded
from rules.running.engine_upgrade import engine_proves_same
from rules.running.evidence import Evidence
from rules.running.execution import Execution
from rules.running.limits import Limits
from rules.running.manifest import keep_manifest
from rules.running.remote_audit import of_other_builders, with_makers
from rules.running.results import NOTHING, AuditReport, BuildReport, Observer, unreached_results
from rules.running.run_again import run_again
from rules.storage.collection_due import collect_when_due
from rules.storage.download_limit import trim_downloads
from rules.storage.git_tracking import warn_of_tracked
from rules.storage.shared_keeping import push_shared, require_pushing
from rules.storage.store import Store, open_store

if TYPE_CHECKING:
    from rules.running.other_settings import Against
    from rules.running.verifying import VerifyReport
    from rules.storage.memory import Memory
    from rules.storage.shared_report import SharedReport


def plan(project: Project, request: Request, observer: Observer, memory: Memory | None = None) -> Prepared:
    """Plan without executing. memory: of a process that does so again.

    Raises `UserError`, or `UserErrors` for rules that do not compile and broken sources.
    """
    with open_store(project.root, observer.say, building=False, memory=memory) as store:
        prepared = prepare(project, request, store, may_be_narrow=request.brief)
        refuse_broken(prepared)
        return _told(prepared)


def build(
    project: Project,
    request: Request,
    observer: Observer,
    memory: Memory | None = None,
    wanted: Callable[[Prepared], bool] | None = None,
) -> BuildReport:
    """Bring the selected products up to date. Raises as `plan` does.

    Each product is stored as soon as it is executed, so that an interrupt loses only what was running.
    wanted: is shown the plan, and says whether it is to be executed; if not, `NOTHING` is returned.
    """
    started = time.perf_counter()
    limits = Limits.of(project.profile(request.profile), request)
    facts = None
    observer = times = Timed(observer)
    if request.engine is LOCAL and limits:
        request = replace(request, engine=STOPPABLE)
    with open_store(project.root, observer.say, building=True, memory=memory) as store:
        store.lazy, store.fetches_ahead = request.lazy, not request.lazy
        warn_of_tracked(store.objects.root, observer.say)
        for attempt in believing_memos(store, observer.say):
            build_id = new_build_id()
            with attempt, recorded(store.index, build_id, started) as begin:
                with limits.while_preparing(started):
                    prepared = prepare(project, request, store, may_be_narrow=attempt.is_first)  # 1 load to 5 plan
                refuse_broken(prepared)
                if wanted is not None and not wanted(_told(prepared)):
                    return NOTHING
                if request.trust_engine_upgrade and not engine_proves_same(prepared, observer, build_id):
                    prepared = prepare(project, replace(request, trust_engine_upgrade=False), store)
                prepared.session.share_memos(prepared.compiled)
                others = NOTHING if request.brief else unreached_results(prepared)
                observer.planned(len(prepared.order) + len(others.results), prepared.plan.ahead)
                for result in others.results.values():
                    observer.finished(result)
                begin()
                execution = Execution(prepared, build_id, observer, started)
                results = execution.run()  # 6 execute, 7 store
                audited = run_again(prepared, build_id, execution.skipped, execution.inputs.artifacts, request.audit)
                report = execution.report(results, time.perf_counter() - started, audited)
                record_build(prepared, report)
                keep_manifest(prepared, report, execution.evidence, execution.inputs.contents)
                facts = build_run(prepared, report, times)
        report = replace(report.with_others(others), shared=store.finish_sharing())
    if facts is not None:
        send(facts, observer.say)  # to a server, for which nobody waits with the store locked
    return report


def prepare(project: Project, request: Request, store: Store, *, may_be_narrow: bool = False) -> Prepared:
    """Steps 1 to 5: from files to a plan. may_be_narrow: whether it may look only at what edits can reach."""
    reach = reach_of_request(project, request, store) if may_be_narrow else None
    if reach is not None:
        with contextlib.suppress(BeyondReach, UserError, UserErrors):  # which the long way finds again, and tells
            prepared = _prepare(project, request, store, reach)
            if not prepared.session.broken:
                return prepared
        store.look_at_all()
    return _prepare(project, request, store)


def _prepare(project: Project, request: Request, store: Store, reach: Reach | None = None) -> Prepared:
    jobs, trust = request.jobs, request.trust_engine_upgrade
    given = {"jobs": jobs, "evidence": request.evidence, "engine": request.runs_on}
    session = load(
        project, request.profile, store, given=given, engine=request.engine, trust_engine=trust, reach=reach
    )  # 1 load
    selection = choose(session, request)
    order, contracts = selection.order, selection.contracts
    compiled = session.compile(order, contracts).to_build(project, order, contracts)  # 2 compile, 3 fingerprint
    compiled, contents = read_inputs(session, compiled, selection, store.states)
    known = compared_with_last(session, compiled)  # 4 diff, by sqlglot.diff, once a verdict depends on it
    nodes = {name: compiled.rules[name].node for name in order if name in compiled.rules}
    checks = nodes_of_checks([*(compiled.rules[name] for name in nodes), *compiled.contracts.values()])
    known = ask_shared_cache(store, compiled, nodes, checks, contents, known, selection.forced)
    verdicts = make_plan(nodes, contents, known, store.content, selection.forced, checks)  # 5 plan
    session.files.save()
    found = causes(verdicts, nodes, known, selection.forced) if request.explain else {}
    prepared = Prepared(request, session, selection, compiled, known, contents, verdicts, found)
    return prepared if reach is None else with_unreached_counted(prepared)


def _told(prepared: Prepared) -> Prepared:
    """Add to a plan what only people want to know of it."""
    return with_fetches_counted(with_parts_counted(with_places_told(prepared)))


def audit(project: Project, request: Request, observer: Observer) -> AuditReport:
    """Run what a build would skip, or the share `request.audit` of it, and compare. Nothing is recorded.

    On `request.audit_engine` only what the other engine has made. Raises as `plan` does.
    """
    request = made_by_other(project, request)
    with open_store(project.root, observer.say, building=True) as store:
        for attempt in believing_memos(store, observer.say):
            with attempt:
                prepared = prepare(project, request, store)
                refuse_broken(prepared)
                products, checks = prepared.plan.skipped, prepared.plan.skipped_checks
                artifacts, build_id = prepared.artifacts | products, new_build_id()
                audited = products | checks
                if request.audit_remote:
                    audited = of_other_builders(store, audited)
                report = run_again(prepared, build_id, audited, artifacts, request.audit, request.audit_engine)
                if request.audit_remote and report.differing:
                    report = with_makers(prepared, build_id, audited, report)
    return report


def verify(project: Project, request: Request, against: Against, observer: Observer) -> VerifyReport:
    """Run the selected products that are up to date with other settings of the engine, and compare.

    Nothing but evidence of differences is kept. Raises as `plan` does.
    """
    with open_store(project.root, observer.say, building=True) as store:
        for attempt in believing_memos(store, observer.say):
            with attempt:
                prepared = prepare(project, request, store)
                refuse_broken(prepared)
                from rules.running.verifying import verify_products  # imports the engine

                evidence = Evidence(store.objects.root, new_build_id())
                report = verify_products(prepared, evidence, against)
    return report


def push(project: Project, say: Callable[[str], None]) -> SharedReport:
    """Send what the project's products are now, and what its rules were compiled to, to the shared cache.

    Raises `UserError`.
    """
    with open_store(project.root, say, building=True, asked=True) as store:
        require_pushing(store)
        memos = shared_memos(project, DEFAULT_PROFILE, store, LOCAL)
        if memos is not None:
            memos.describe(len(rule_files(project.root, project.rule_folders)))
            memos.share_states(store.states)
        return push_shared(store)


def keep_small(project: Project, say: Callable[[str], None]) -> None:
    """Collect garbage for a moment, if the store has grown: after a build that has reported, so that nobody waits."""
    try:
        with open_store(project.root, say, building=False, collecting=True) as store:
            collect_when_due(store, project.limits)
            trim_downloads(store, project.downloads)
    except UserError as error:  # such as a store that can no longer be written; the next build tries again
        if error.code == REPLACED:
            say(f"warning: {error.message}")
