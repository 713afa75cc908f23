"""Steps 6 and 7 of 7: run dirty products in the DAG's order, several at once, and commit each when it is done.

The main thread decides and commits; worker threads execute, digest and write objects. A product is judged when all its
inputs are settled, so early cutoff needs no step of its own: equal content gives an equal key, and the key is known.
"""

from __future__ import annotations

import functools
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cache.errors import DamagedInputError, ObjectError, TouchedInputError
from cache.records import Artifact
from graph.plan import Judgement, judge, key_of, product_of
from graph.schedule import Schedule
from rules.compiling.compiled_rule import CompiledContract, CompiledRule
from rules.engine.local import LOCAL
from rules.engine.stopping import Stop
from rules.errors import UserError
from rules.planning.broken import failed_input
from rules.running.checks import Candidate, Checked, Checker, refusal
from rules.running.cores import Cores, unlimited
from rules.running.damage import unsteady
from rules.running.durations import expected_seconds
from rules.running.evidence import Evidence
from rules.running.limited_work import LimitedWork
from rules.running.limits import Limits, Watch
from rules.running.product_job import Done, ProductJob
from rules.running.product_records import State
from rules.running.recording import Recording
from rules.running.results import (
    AuditReport,
    BuildReport,
    CheckResult,
    Observer,
    Result,
    SourceResult,
    skipped_artifacts,
)
from rules.running.settled_inputs import SettledInputs
from rules.running.shared_work import SharedWork
from rules.running.source_checks import before_readers, conclude_source
from rules.running.unaffected import find_unaffected

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from cache.keys import Content
    from graph.node import Node
    from rules.engine.fallbacks import Fallback
    from rules.planning.prepared import Prepared
    from rules.running.cores import Share
    from rules.running.limited_work import Outcome
    from rules.running.query_runner import Runner

_MOST_AGAIN = 5
"""How often a product is run where its inputs do not stay what was written."""
_CORRUPT = "its object in the store was corrupt"


class Execution:
    """One run over the selected products."""

    def __init__(self, prepared: Prepared, build: str, observer: Observer, started: float) -> None:
        """build: names the build in the store. started: when it was asked for, by `time.perf_counter`."""
        self.prepared, self.build, self.observer = prepared, build, observer
        self.session, self.plan, self.known = prepared.session, prepared.plan, prepared.known
        self.project, self.store = self.session.project, self.session.store
        self.compiled, self.contracted = dict(prepared.compiled.rules), prepared.compiled.contracts
        self.inputs = SettledInputs(prepared, observer.say)
        """It grows with each product."""
        self._recording = Recording(prepared, build, self.compiled, self.inputs)
        self.evidence = Evidence(self.store.objects.root, build)
        self.results: dict[str, Result] = {}
        self.sources_settled: dict[str, SourceResult] = {}
        self._watch = Watch(Limits.of(self.session.profile, prepared.request), started)
        self._most = self.session.profile.workers
        self._work = LimitedWork(self._most, self._watch, is_elsewhere=self.session.engine is not LOCAL)
        self._cores = Cores(self._most, self.session.profile.spread_cores)
        self._corrupt: set[str] = set()
        self._again: Counter[str] = Counter()
        """How often a product ran in vain, because an input was not, or did not stay, what was written."""
        self._any_failed = False
        self._shared_work = SharedWork(self.store)
        self._while_running = ExitStack()
        self._schedule: Schedule
        self._seconds: dict[str, float]

    @property
    def skipped(self) -> dict[str, str]:
        """Products, then checks, that did not run, with the artifact of each."""
        return skipped_artifacts(self.results, self.sources_settled)

    def report(self, results: dict[str, Result], seconds: float, audited: AuditReport) -> BuildReport:
        """Return what the build did. seconds: since it was asked for."""
        sources, unreached = dict(sorted(self.sources_settled.items())), self.prepared.unreached
        return BuildReport(self.build, results, seconds, audited, sources, unreached=unreached)

    def run(self) -> dict[str, Result]:
        """Settle the selected products; broken ones fail before they begin. Returns results in order.

        Contracts of sources are settled before anything reads the source.
        """
        order = self.prepared.order
        for name, error in self.prepared.broken_sources.items():
            self._settle_source(SourceResult(name, "failed", error.message, error))
        reads = {name: self._dependencies(name) for name in (*order, *self.contracted)}
        steps = before_readers(order, reads, self.contracted) | dict.fromkeys(self.contracted)
        settled = self._settle_unaffected(steps, reads)
        left = [name for name in steps if name not in settled]
        self._seconds = expected_seconds(self.prepared, left)
        self._schedule = Schedule(left, reads, self._seconds)
        self._while_running.callback(self.session.engine.settle)
        with self._while_running, self._work:
            self._shared_work.begin(self.plan)
            with self._cores.undecided():
                self._advance()
            while self._work or self._shared_work:
                answered = self._work.conclude_next(self._shared_work.futures, self._shared_work.patience)
                for name in self._shared_work.done(answered):
                    self._schedule.put_back(name)
                with self._cores.undecided():
                    self._advance()
        return {name: self.results[name] for name in order}

    def _settle_unaffected(self, steps: Iterable[str], reads: Mapping[str, tuple[str, ...]]) -> Collection[str]:
        """Settle all that this build cannot change; return it."""
        checker = Checker(self.project, self.store, self.known, lambda: self._runner)
        found = find_unaffected(self.prepared, steps, reads, checker)
        for name, checked in found.items():
            if name in self.contracted:
                contract, outcome = self.contracted[name], functools.partial(list[Checked], checked)
                made_of = self._recording.provenance()
                self.sources_settled[name] = conclude_source(self.project, self.store, contract, outcome, made_of)
                continue
            judgement, last = self.plan.judgements[name], self.known.products[name]
            artifact = self.store.artifact(last.artifact)
            assert artifact is not None
            self.inputs.settle(name, last.artifact)
            result = self._result(name, artifact, judgement.reason, judgement.key, last.seconds, "clean")
            result = replace(result, checks=tuple(one.result for one in checked)) if checked else result
            self.results[name] = result
            self.observer.finished(result)
        return found

    def _advance(self) -> None:
        """Settle or start every product that can be; one more than there are workers, so that no worker waits."""
        try:
            self._settle_or_start()
        finally:
            self._recording.finish()

    def _settle_or_start(self) -> None:
        while len(self._work) <= self._most + self._shared_work.ahead and (name := self._schedule.take()) is not None:
            if name in self.contracted:
                self._decide_source(name)
            elif name in self.session.broken:
                error = self.session.broken[name]
                self._settle(Result(name, "failed", error.message, error=error, is_broken=True))
            elif failed := self._failed_input(name):
                self._settle(Result(name, "skipped", f"its input {failed} failed"))
            elif self._watch.build_is_over:
                self._settle(self._too_late(name))
            elif self._stopped():
                what = "another product" if any(one.status == "failed" for one in self.results.values()) else "a source"
                reason = f"not started, because {what} failed (see --keep-going)"
                self._settle(Result(name, "skipped", reason))
            else:
                self._decide(name)

    def _too_late(self, name: str) -> Result:
        """Return the result of a product that cannot be started any more: a failure if it is the first to go wrong."""
        if self._any_failed:
            limit = self._watch.limit_of_build
            return Result(name, "skipped", f"not started, because the build's limit of {limit} was reached")
        error = self._watch.unstarted(self.compiled[name].rule)
        return Result(name, "failed", error.message, error=error)

    def _decide(self, name: str) -> None:
        """Judge a product whose inputs are settled; start it or settle it, or put it back behind an input."""
        rule = self.compiled[name]
        judgement = self._judge(rule.node, self.plan.judgements, self.inputs.contents)
        if name in self._corrupt:
            judgement = Judgement(name, "run", _CORRUPT, judgement.key)
        inputs = list(self.inputs.of(rule.node.dependencies)[0].values())
        if self._shared_work.holds(name, judgement, rule, inputs, asked=self._is_asked_for(name)):
            return
        if judgement.verdict in {"clean", "restore"} and self._restore(judgement):
            return
        if judgement.verdict != "run":
            judgement = Judgement(name, "run", _CORRUPT, judgement.key)
        for dependency in rule.node.dependencies:
            if dependency in self.inputs.artifacts and not self.inputs.is_sound(dependency):
                self._put_behind(name, dependency)
                return
        self.observer.started(name)
        stop, share = Stop(), self._cores.share(self._seconds.get(name, 0.0))
        conclude = functools.partial(self._collect, name, judgement)
        self._work.begin(rule.rule, stop, share, self._job(name, judgement, stop, share).run, conclude)

    def _put_behind(self, name: str, dependency: str) -> None:
        """Let the object of an input be made again, and then decide on what reads it."""
        if dependency in self._corrupt:  # another reader has seen it
            self._schedule.put_back(name)
            return
        if dependency in self.results:
            self._corrupt.add(dependency)
            del self.results[dependency]
            self._schedule.reopen(dependency)
            self._schedule.put_back(name)
            return
        try:
            self.inputs.ingest_again(dependency)
            self._schedule.put_back(name)
        except UserError as error:
            self._settle(Result(name, "failed", error.message, error=error))

    def _decide_source(self, name: str) -> None:
        """Settle the contract of a source: the inputs of its checks exist, or have failed."""
        contract = self.contracted[name]
        if self._watch.build_is_over:
            reason = f"not verified, because the build's limit of {self._watch.limit_of_build} was reached"
            self._settle_source(SourceResult(name, "skipped", reason))
        elif self._stopped():
            reason = "not verified, because something else failed (see --keep-going)"
            self._settle_source(SourceResult(name, "skipped", reason))
        elif failed := self._failed_input(name):
            self._settle_source(SourceResult(name, "skipped", f"its checks read {failed}, which failed"))
        else:
            conclude = functools.partial(self._conclude_source, contract)
            try:
                self._mend_sources(contract)
                self._settle_checks(contract, {}, {}, conclude, forced=False)
            except UserError as error:
                self._settle_source(SourceResult(name, "failed", error.message, error))

    def _mend_sources(self, contract: CompiledContract) -> None:
        """Ingest again the inputs of checks that have to run, if their objects are corrupt. Raises `UserError`."""
        nodes = [one.compiled.node for one in contract.checks]
        ahead = [node for node in nodes if self.plan.checks[node.name].verdict != "clean"]
        for entry in dict.fromkeys(entry for node in ahead for entry in node.dependencies):
            if entry in self.project.sources and entry in self.inputs.artifacts and not self.inputs.is_sound(entry):
                self.inputs.ingest_again(entry)

    def _conclude_source(self, contract: CompiledContract, outcome: Outcome[list[Checked]]) -> None:
        """Let a source be read, unless one of its checks prevents it."""
        result = conclude_source(self.project, self.store, contract, outcome, self._recording.provenance())
        self._settle_source(result)
        if result.error is None:
            self._warn(result.checks)

    def _settle_source(self, result: SourceResult) -> None:
        self.sources_settled[result.name] = result
        self._any_failed |= result.status == "failed"
        if result.name in self.contracted:
            self._schedule.settle(result.name)

    def _judge(self, node: Node, planned: Mapping[str, Judgement], contents: Mapping[str, Content]) -> Judgement:
        """Judge a product or check whose inputs are settled; the planned verdict holds if everything is as foreseen."""
        foreseen, plan = self.plan.foreseen, planned[node.name]
        if plan.verdict in {"clean", "restore"} and all(contents[name] is foreseen.get(name) for name in node.inputs):
            assert plan.artifact is not None
            if self.known.present(plan.artifact):
                return plan
        return judge(node, contents, self.known, forced=product_of(node.name) in self.prepared.selection.forced)

    def _job(self, name: str, judgement: Judgement, stop: Stop, share: Share) -> ProductJob:
        rule = self.compiled[name]
        return ProductJob(
            runner=replace(self._runner, stop=stop, share=share),
            rule=rule,
            last=self.known.products.get(name),
            reason=judgement.reason,
            asked=self._is_asked_for(name),
            sources=self.inputs.sources,
            contents=self.inputs.contents,
            forced=name in self.prepared.selection.forced,
            artifacts=self.inputs.artifacts,
        )

    def _is_asked_for(self, name: str) -> bool:
        """Whether a product runs whatever is known."""
        forced = name in self.prepared.selection.forced
        return forced or self.compiled[name].node.volatile or name in self._corrupt

    @functools.cached_property
    def _runner(self) -> Runner:
        if self.session.cluster is not None and any(rule.is_on_cluster for rule in self.compiled.values()):
            self.session.cluster.require(self.session.profile)
        from rules.running.arrow_threads import limited_threads
        from rules.running.query_runner import Runner  # imports the engine

        self._while_running.enter_context(limited_threads(self.session.profile))
        runner = Runner.of(self.prepared, self.evidence)
        self._while_running.callback(runner.parts_pool.shutdown, wait=False, cancel_futures=True)
        return runner

    def _collect(self, name: str, judgement: Judgement, outcome: Outcome[Done]) -> None:
        self._corrupt.discard(name)
        try:
            done = outcome()
        except DamagedInputError as error:
            self.observer.say(f"warning: the object of {error.input} is not sound: {error}")
            self._again[name] += 1
            if self._again[name] > _MOST_AGAIN:
                failure = unsteady(f"the files of its input {error.input}")
                self._settle(Result(name, "failed", failure.message, error=failure))
            elif isinstance(error, TouchedInputError):
                self._schedule.put_back(name)
            else:
                self._put_behind(name, error.input)
            return
        except UserError as error:
            self._settle(Result(name, "failed", error.message, error=error))
            return
        last = self.known.products.get(name)
        changed = last is None or last.artifact != done.artifact.artifact
        executed = done.seconds is not None
        if executed:
            judgement = self._keyed(name, judgement, done.fallback)
        seconds = done.seconds if done.seconds is not None else (last.seconds if last else 0.0)
        result = self._result(
            name, done.artifact, done.reason, judgement.key, seconds, "executed" if executed else "clean"
        )
        result = replace(result, parts=done.parts)
        self._check(self._candidate(result, done.artifact, changed=changed and executed))

    def _keyed(self, name: str, judgement: Judgement, fallback: Fallback | None) -> Judgement:
        """Let a rule and its judgement have the keys of the settings that made the product."""
        rule = self.compiled[name] = self._runner.as_made(self.compiled[name], fallback)
        if judgement.key is None:
            return judgement
        return replace(judgement, key=key_of(rule.node, self.inputs.contents))

    def _restore(self, judgement: Judgement) -> bool:
        """Point a product at an artifact that exists. Returns False if the object proves to be corrupt."""
        assert judgement.artifact is not None
        artifact = self.store.artifact(judgement.artifact)
        assert artifact is not None
        last = self.known.products.get(judgement.name)
        is_absent = self.store.lazy and self.store.is_elsewhere(judgement.artifact)
        if judgement.verdict == "restore" and not is_absent:
            try:
                self.store.verify(artifact)
            except ObjectError as error:
                self.observer.say(f"warning: {error}; {judgement.name} is built again")
                return False
            artifact = self.store.artifacts[artifact.artifact]
        status = "clean" if judgement.verdict == "clean" else "restored"
        source = self.store.taken(judgement.key, artifact.artifact)
        seconds = last.seconds if last is not None else source.seconds if source is not None else 0.0
        shared = source is not None and status == "restored"
        result = self._result(
            judgement.name, artifact, judgement.reason, judgement.key, seconds, status, from_shared=shared
        )
        changed = last is None or last.artifact != artifact.artifact
        self._check(self._candidate(result, artifact, changed=changed))
        return True

    def _candidate(self, result: Result, artifact: Artifact, *, changed: bool) -> Candidate:
        rule = self.compiled[result.name]
        partials: tuple[str, ...] | None = () if result.status == "executed" else None
        partials = result.parts.partials if result.parts is not None else partials
        return Candidate(result, State(rule, artifact, result.key, result.seconds or 0.0, partials=partials), changed)

    def _check(self, candidate: Candidate) -> None:
        """Settle the checks of a product, in a worker if one of them has to run, then the product."""
        name, artifact = candidate.name, candidate.artifact
        self.store.artifacts[artifact.artifact] = artifact
        conclude = functools.partial(self._conclude, candidate)
        if not self.compiled[name].checks:
            conclude(list)
            return
        artifacts = {name: artifact.artifact}
        contents = {name: self.store.content(artifact.artifact)}
        forced = name in self.prepared.selection.forced
        self._settle_checks(self.compiled[name], artifacts, contents, conclude, forced=forced)

    def _settle_checks(
        self,
        owner: CompiledRule | CompiledContract,
        artifacts: dict[str, str],
        contents: dict[str, Content],
        conclude: Callable[[Outcome[list[Checked]]], None],
        *,
        forced: bool,
    ) -> None:
        """Settle checks, in a worker if one of them has to run. artifacts, contents: those of their table."""
        read = {entry for one in owner.checks for entry in one.compiled.node.dependencies}
        read_artifacts, read_contents = self.inputs.of(read)
        artifacts, contents = read_artifacts | artifacts, read_contents | contents
        judgements = [self._judge(one.compiled.node, self.plan.checks, contents) for one in owner.checks]
        is_known = all(one.verdict in {"clean", "restore"} for one in judgements)
        stop, share = Stop(), unlimited() if is_known else self._cores.share(self._seconds.get(owner.rule.name, 0.0))
        checker = Checker(self.project, self.store, self.known, lambda: replace(self._runner, stop=stop, share=share))
        work = functools.partial(
            checker.settle, owner, judgements, contents, artifacts, self.inputs.sources, forced=forced
        )
        if is_known:
            conclude(work)
        else:
            self._work.begin(owner.rule, stop, share, work, conclude)

    def _conclude(self, candidate: Candidate, outcome: Outcome[list[Checked]]) -> None:
        """Publish a product whose checks are settled, unless one of them prevents it."""
        name, artifact = candidate.name, candidate.artifact
        last = self.known.products.get(name)
        checked: list[Checked] = []
        try:
            checked = outcome()
            error = refusal(self.project, self.compiled[name].rule, checked, published=last is not None)
        except UserError as failure:
            error = failure
        results = tuple(one.result for one in checked)
        self._recording.add(candidate, checked, published=error is None)
        if error is None:
            self.inputs.settle(name, artifact.artifact)
            self._settle(replace(candidate.result, changed=candidate.changed, checks=results))
            self._warn(results)
        else:
            self._settle(Result(name, "failed", error.message, error=error, checks=results))

    def _warn(self, checks: Iterable[CheckResult]) -> None:
        """Report the failed checks that prevent nothing."""
        for one in checks:
            if not one.passed:
                self.observer.say(one.warning)

    def _result(
        self,
        name: str,
        artifact: Artifact,
        reason: str,
        key: str | None,
        seconds: float,
        status: Any,
        *,
        from_shared: bool = False,
    ) -> Result:
        return Result(
            name=name,
            status=status,
            reason=reason,
            rows=artifact.rows,
            bytes=artifact.bytes,
            seconds=seconds,
            artifact=artifact.artifact,
            fingerprint=self.compiled[name].node.fingerprint,
            key=key,
            from_shared=from_shared,
        )

    def _settle(self, result: Result) -> None:
        self.results[result.name] = result
        self._shared_work.settled(result.name)
        self._schedule.settle(result.name)
        self._any_failed |= result.status == "failed"
        self.observer.finished(result)

    def _stopped(self) -> bool:
        return self._any_failed and not self.prepared.request.keep_going

    def _dependencies(self, name: str) -> tuple[str, ...]:
        if name in self.contracted:  # its checks read the data of other sources, whether these pass or not
            nodes = [one.compiled.node for one in self.contracted[name].checks]
            sources: Collection[str] = self.project.sources
        elif name in self.compiled:
            nodes, sources = [one.node for one in self.compiled[name].all], ()
        else:
            return self.session.dag.inputs[name]
        found = dict.fromkeys(entry for node in nodes for entry in node.dependencies)
        return tuple(entry for entry in found if entry != name and entry not in sources)

    def _failed_input(self, name: str) -> str | None:
        if name not in self.compiled and name not in self.contracted:
            return failed_input(name, self.session.dag, self.compiled, self.session.broken)
        for dependency in self._dependencies(name):
            result = self.results.get(dependency) or self.sources_settled.get(dependency)
            if result is not None and result.status in {"failed", "skipped"}:
                return dependency
        return None
