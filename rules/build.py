"""THE DRIVER: load → compile → fingerprint → diff → plan → execute → store. Read this first.

`prepare` is what planning and building share, one call a step; `plan` stops there, `build` goes on. Everything between
the steps is plain data, so the plan that is explained is the plan that is executed.
"""

from __future__ import annotations

import time
from dataclasses import replace

from graph.causes import causes
from graph.plan import make_plan
from rules.compiling.compiled_rule import nodes_of_checks
from rules.compiling.memo_proof import believing_memos
from rules.compiling.session import load
from rules.config.project import Project
from rules.planning.broken import refuse_broken
from rules.planning.inputs import contents_of_inputs
from rules.planning.last_states import compared_with_last
from rules.planning.prepared import Prepared, Request
from rules.planning.selection import choose
from rules.running.build_records import new_build_id, record_build, recorded
from rules.running.engine_upgrade import engine_proves_same, run_again
from rules.running.execution import Execution
from rules.running.results import AuditReport, BuildReport, Observer
from rules.storage.git_tracking import warn_of_tracked
from rules.storage.store import Store, open_store


def plan(project: Project, request: Request, observer: Observer) -> Prepared:
    """Plan without executing. Raises `UserError`, or `UserErrors` for rules that do not compile and broken sources."""
    with open_store(project.root, observer.say, building=False) as store:
        prepared = prepare(project, request, store)
        refuse_broken(prepared)
        return prepared


def build(project: Project, request: Request, observer: Observer) -> BuildReport:
    """Bring the selected products up to date. Raises as `plan` does."""
    started = time.perf_counter()
    with open_store(project.root, observer.say, building=True) as store:
        warn_of_tracked(store.objects.root, observer.say)
        return believing_memos(store, observer.say, lambda: _build(project, request, observer, store, started))


def prepare(project: Project, request: Request, store: Store) -> Prepared:
    """Steps 1 to 5: from files to a plan."""
    session = load(project, request.profile, store, jobs=request.jobs, trust_engine=request.trust_engine_upgrade)
    selection = choose(session, request)
    order, contracts = selection.order, selection.contracts
    compiled = session.compile(order, contracts).verified(order, contracts)  # with fingerprints
    known = compared_with_last(session, compiled)  # by sqlglot.diff, when a verdict turns on it
    contents = contents_of_inputs(session, compiled, order, store.states)
    nodes = {name: compiled.rules[name].node for name in order if name in compiled.rules}
    checks = nodes_of_checks([*(compiled.rules[name] for name in nodes), *compiled.contracts.values()])
    verdicts = make_plan(nodes, contents, known, store.content, selection.forced, checks)
    session.files.save()
    found = causes(verdicts, nodes, known, selection.forced) if request.explain else {}
    return Prepared(request, session, selection, compiled, known, contents, verdicts, found)


def _build(project: Project, request: Request, observer: Observer, store: Store, started: float) -> BuildReport:
    """All seven steps. Each product is stored as soon as it is executed, so an interrupt loses what runs, no more."""
    build_id = new_build_id()
    with recorded(store.index, build_id, started) as begin:
        prepared = prepare(project, request, store)
        refuse_broken(prepared)
        if request.trust_engine_upgrade and not engine_proves_same(prepared, observer, build_id):
            prepared = prepare(project, replace(request, trust_engine_upgrade=False), store)
        observer.planned(len(prepared.order), prepared.plan.ahead)
        begin()
        execution = Execution(prepared, build_id, observer)
        results = execution.run()
        audit = run_again(prepared, build_id, execution.skipped, execution.artifacts, request.audit)
        sources = dict(sorted(execution.sources_settled.items()))
        report = BuildReport(build_id, results, time.perf_counter() - started, audit, sources)
        record_build(prepared, report)
    return report


def audit(project: Project, request: Request, observer: Observer) -> AuditReport:
    """Run what a build would skip, or the share `request.audit` of it, and compare. Nothing is recorded.

    Raises as `plan` does.
    """

    def audit_all() -> AuditReport:
        prepared = prepare(project, request, store)
        refuse_broken(prepared)
        products, checks = prepared.plan.skipped, prepared.plan.skipped_checks
        return run_again(prepared, new_build_id(), products | checks, prepared.artifacts | products, request.audit)

    with open_store(project.root, observer.say, building=True) as store:
        return believing_memos(store, observer.say, audit_all)
