"""One product's query on given inputs, run into a file of the store's tmp/: shared by building and auditing."""

from __future__ import annotations

import contextlib
import functools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from cache.levels import type_name
from cache.records import Product
from compiler.compiled import Tier
from compiler.spark.refusal import RefusedError
from compiler.tree.big_stack import with_deep_stack
from rules.compiling.compiled_records import Body
from rules.compiling.compiled_rule import CompiledRule
from rules.compiling.placement import spark_query
from rules.engine.fallbacks import Fallback, spilled, within_memory
from rules.engine.memory import pool_bytes
from rules.engine.protocol import (
    EngineError,
    EngineFunction,
    EngineInput,
    EngineQuery,
    Executed,
    Job,
    MemoryExhaustedError,
    UndecidedError,
)
from rules.engine.stopping import NEVER, Stop, StoppedError
from rules.engine.writing import GROUP_BYTES
from rules.errors import FAILED, ForeignMemoError, UserError
from rules.loading.input_binding import make_resolver
from rules.planning.input_parts import Inputs
from rules.planning.part_work import PartWork, part_work
from rules.running.batch_sizes import in_batches
from rules.running.cores import Share, unlimited
from rules.running.evidence import Run
from rules.running.out_of_memory import out_of_memory
from rules.running.part_batches import MEMORY_FOR_BATCHES
from rules.running.part_runs import PartContext, PartRuns
from rules.running.total_order import NoTotalOrderError, no_total_order, require_total_order
from rules.storage.types import to_arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    import pyarrow as pa

    from compiler.parts.reading import PartQuery
    from rules.compiling.memo_proof import Bodies
    from rules.compiling.session import Session
    from rules.config.profiles import Profile
    from rules.planning.prepared import Prepared
    from rules.python.rule_files import DeclaredFunction, PythonFiles
    from rules.running.evidence import Evidence
    from rules.sources.contents import Sources


SPREAD_ROWS = 500_000
"""The rows of its inputs from which on a rule may be spread over several partitions. Below, a run takes some hundredths
of a second, and starting several partitions takes as long as they save."""
_BYTES_OF_VALUE = 8


class OpenTiesError(Exception):
    """The table depends on the order of rows, and whoever asked wants no other engine to say."""


@dataclass(frozen=True)
class Runner:
    """The context of all queries of one build. bodies: the queries that may be executed; profile: to execute with."""

    session: Session
    compiled: Mapping[str, CompiledRule]
    evidence: Evidence
    bodies: Bodies
    profile: Profile
    parts_pool: ThreadPoolExecutor
    """The threads that run parts, of all rules together."""
    stop: Stop = NEVER
    """Ends what it runs."""
    share: Share = field(default_factory=unlimited)
    """What it has of the build's cores."""
    known: Mapping[str, Product] = field(default_factory=dict)
    """The last states of products."""
    breaks_ties: bool = True
    """Whether rules that could be spread are put in an order, which no earlier version did."""
    settles_ties: bool = True
    """Whether the local engine runs a rule of the cluster's that it has to decide; else it is `OpenTiesError`."""

    @classmethod
    def of(cls, prepared: Prepared, evidence: Evidence) -> Runner:
        """Return a runner of the queries that were compiled for a build."""
        session = prepared.session
        pool = ThreadPoolExecutor(session.profile.workers)  # whose threads start with its first work
        known = prepared.known.products
        return cls(session, prepared.compiled.rules, evidence, prepared.bodies, session.profile, pool, known=known)

    def run(
        self,
        rule: CompiledRule,
        sources: Sources,
        artifacts: Mapping[str, str],
        target: Path,
        *,
        record: bool = True,
        believe: bool = True,
        declared: bool = True,
    ) -> Executed:
        """Execute a rule, by parts if it can be, and write its table to `target`.

        artifacts: of the products it reads. record: whether results of parts are recorded; believe: whether what is
        recorded of parts counts, and of the rule's queries, which also do where they are proved and results recorded;
        declared: whether what the rule declares of how it reads its parts does. Raises `UserError`,
        with the SQL kept as evidence, if the engine fails or a source has changed since it was digested;
        `ForeignMemoError` if the store's memos are of other texts; `DamagedInputError` for an input in the store whose
        bytes are not what they were, or did not stay so.
        """
        store = self.session.store
        believe_queries = believe or (record and store.index.prover.can_prove)
        name, body = rule.node.name, self.bodies.body(rule, believe=believe_queries)
        now, inputs = Inputs(store, sources, artifacts), self._inputs(rule, sources, artifacts)
        streams = rule.rule.streams is not None
        on_cluster = rule.is_on_cluster
        sql = self._cluster_query(rule, body, inputs) if on_cluster else body.sql
        kept = Run(
            name,
            "" if streams else sql,
            self.profile_of(rule),
            inputs,
            functools.partial(self._authored, rule),
            functools.partial(_canonical, body, rule.node.inputs),
        )
        faults: list[UserError] = []
        functions = tuple(
            callable_function(self.session.python, self.session.functions[name], faults, self.stop)
            for name in self.called(rule)
        )
        work = None
        if (declared or not streams) and not on_cluster:
            work = part_work(rule, self.bodies, self.session, sources, artifacts, believe=believe_queries)
        by_parts = work.input if work is not None and now.is_stored(work.input) else None
        read = {entry: () if entry == by_parts else None for entry in rule.scans}  # `PartRuns` looks at those parts
        try:
            with now.unchanged(read):
                if work is not None:
                    executed = self._run_parts(rule, work, inputs, functions, target, record=record, believe=believe)
                elif streams:
                    executed = self._run_stream(rule, inputs, target)
                else:
                    query = EngineQuery(sql, tuple(inputs), self.profile_of(rule), functions)
                    job = Job(query, rule.schema, target, self._learning)
                    rows = 0 if on_cluster else sum(map(now.rows, rule.scans))
                    executed = self._run_whole(rule, job, rows)
                if rule.rule.options.order_by and rule.rule.tier is Tier.CANONICAL:
                    require_total_order(target, rule)
            self.stop.check()
            self.evidence.succeeded(kept, executed)
        except EngineError as error:
            self.stop.check()  # a function of the project was stopped, which the engine takes for a failure of it
            raise self._explained(error, rule, kept, faults) from error
        return executed

    @property
    def _learning(self) -> str:
        """The name of what the engine has learned of files: of those in the store, since one of them last changed."""
        return f"{self.evidence.build}/{self.session.store.objects.changes}"

    def _inputs(self, rule: CompiledRule, sources: Sources, artifacts: Mapping[str, str]) -> list[EngineInput]:
        """Return the inputs of a rule, of which products are fetched from the shared cache. Raises as `run` does."""
        store, inputs = self.session.store, list[EngineInput]()
        for entry, columns in rule.scans.items():
            if entry not in self.compiled:
                schema, constants = sources.table(entry).schema, sources.constants(entry)
                inputs.append(EngineInput(entry, sources.paths(entry), schema, columns, constants))
                continue
            if not store.bring(artifacts[entry]):
                message = f"the table of its input {entry} is not in the store, and the shared cache has it no more"
                hint = f"rules build -s {entry} makes it again"
                raise UserError(message, code="missing-object", hint=hint, exit_code=FAILED)
            inputs.append(EngineInput(entry, store.files(artifacts[entry]), self.compiled[entry].schema, columns))
        for one in inputs:
            self._require_stored(one, artifacts.get(one.name))
        return inputs

    def _explained(self, error: EngineError, rule: CompiledRule, kept: Run, faults: Sequence[UserError]) -> UserError:
        """Return an engine's error as its user reads it; its SQL is kept. faults: of functions that the rule calls."""
        try:
            place = self.evidence.failed(kept, str(error))
        except OSError as failure:  # a full disk, which may be why the engine failed
            place = f"could not be kept: {failure.strerror}"
        if isinstance(error, MemoryExhaustedError):
            return out_of_memory(error, rule, kept, place)
        if isinstance(error, NoTotalOrderError):
            return no_total_order(self.session.project, rule, error, place)
        if faults:
            faults[0].facts.setdefault("executed SQL", place)
            return faults[0]
        from rules.running.failed_on_data import failed_on_data

        schemas = {entry.name: entry.schema for entry in kept.inputs}
        return failed_on_data(self.session.project, rule, str(error), self.bodies.body(rule).meaning, schemas, place)

    def _authored(self, rule: CompiledRule) -> str:
        """Return the file of a rule, or the text of one that has none of its own; "" where it was edited since."""
        one = rule.rule
        try:
            return one.text(self.session.project) if not one.in_python else self._file(one.path)
        except UserError:
            return ""

    def _file(self, path: str) -> str:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (self.session.project.root / path).read_text(encoding="utf-8")
        return ""

    def profile_of(self, rule: CompiledRule) -> Profile:
        """Return the profile that a rule is run under: this runner's, as far as the rule's tier allows."""
        return self.profile.of_tier(rule.rule.tier, sensitive=rule.is_sensitive)

    def as_made(self, rule: CompiledRule, fallback: Fallback | None) -> CompiledRule:
        """Return an executed rule under the fingerprint that the settings which made its product give it."""
        if rule.is_on_cluster:
            return rule
        identity = self.session.engine.identity(self.profile_of(rule))
        own = fallback.settings if fallback is not None else identity.float_settings
        return rule.made_with({**identity.settings, **own})

    def _run_whole(self, rule: CompiledRule, job: Job, rows: int) -> Executed:
        """Run the query of a rule that reads its inputs whole, on several partitions if that is proved to be right.

        rows: of the inputs. By them alone it is decided whether the product's rows are put in the order that several
        partitions need, so that the table is the same on any number of cores. Raises `EngineError`.
        """
        if rule.is_on_cluster:
            return self._run_on_cluster(rule, job)
        spread = self.bodies.spread(rule) if rows >= SPREAD_ROWS and self.breaks_ties else None
        if spread is None or spread.sql is None:
            return self._run_query(rule, job)
        job = job.under(in_batches(job.query.profile, rows, job.query.inputs))
        job = replace(job, query=replace(job.query, sql=spread.sql), order=spread.order)
        with self.share.spread() as cores:
            if cores > 1 and not (spread.order and self._was_large(rule)):
                try:
                    return self._spread_over(cores, job, looks_ahead=spread.looks_ahead)
                except EngineError:
                    self.stop.check()  # else it is the run on one partition that says what is wrong
        executed = self._run_query(rule, job)
        if executed.fallback is None:
            return executed
        own = self.session.engine.identity(job.query.profile).float_settings
        return replace(executed, fallback=replace(executed.fallback, settings=own))  # which made the same table

    @staticmethod
    def _cluster_query(rule: CompiledRule, body: Body, inputs: Sequence[EngineInput]) -> str:
        """Return the query for the cluster, from the proved body. Raises `ForeignMemoError` if there is none."""
        try:
            return spark_query(rule, body, {entry.name: entry.schema for entry in inputs})
        except RefusedError as error:
            raise ForeignMemoError(rule.node.name) from error

    def _run_on_cluster(self, rule: CompiledRule, job: Job) -> Executed:
        """Run a query on the cluster, whose rows come in the order of its own ORDER BY. Raises `EngineError`.

        Where the table depends on the order of rows the local engine has to say, whose settings are in the fingerprint.
        """
        engine = self.session.cluster
        assert engine is not None
        try:
            executed = engine.stoppable(self.stop).execute(job)
        except UndecidedError:
            if not self.settles_ties:
                raise OpenTiesError from None
            here = replace(job, query=replace(job.query, sql=self.bodies.body(rule).sql))
            executed = self.session.engine.stoppable(self.stop).execute(here)
        return executed

    def _was_large(self, rule: CompiledRule) -> bool:
        """Whether a product had about so many rows last time as are not put in order, so that spreading is in vain."""
        last = self.known.get(rule.node.name)
        artifact = self.session.store.artifact(last.artifact) if last is not None else None
        return artifact is not None and artifact.rows * len(artifact.columns) * _BYTES_OF_VALUE > GROUP_BYTES

    def _spread_over(self, cores: int, job: Job, *, looks_ahead: bool) -> Executed:
        """Run a query on several partitions. looks_ahead: see `Spread`."""
        if looks_ahead:
            calm = {"topk_dynamic_filters": False, "aggregate_dynamic_filters": False}
            job = job.under(msgspec.structs.replace(job.query.profile, **calm))
        return self.session.engine.stoppable(self.stop).execute(job.spread(cores))

    def _run_query(self, rule: CompiledRule, job: Job) -> Executed:
        """Run a query of a rule, if need be in a way that needs less memory. Raises `EngineError`."""

        def run(profile: Profile) -> Executed:
            return self.session.engine.stoppable(self.stop).execute(job.under(profile))

        profile = job.query.profile
        texts = any(entry.has_texts for entry in job.query.inputs)
        executed = within_memory(run, profile, spread=not rule.needs_one_partition, texts=texts)
        if executed.spilled and executed.fallback is None and profile.memory_limit_mb is None and rule.is_sensitive:
            return replace(executed, fallback=spilled(profile))
        return executed

    def _run_parts(
        self,
        rule: CompiledRule,
        work: PartWork,
        inputs: Sequence[EngineInput],
        functions: tuple[EngineFunction, ...],
        target: Path,
        *,
        record: bool,
        believe: bool,
    ) -> Executed:
        """Execute a rule by parts, each of its queries as `_run_query` does. Raises as that does."""
        session, instead, profile = self.session, list[Fallback](), self.profile_of(rule)

        def under(rows: int, given: Sequence[EngineInput]) -> Profile:
            return profile if rule.is_sensitive else in_batches(profile, rows, given)

        def execute(part: PartQuery, given: Sequence[EngineInput], rows: int, path: Path) -> Executed:
            if rule.rule.streams is not None:
                return self._run_stream(rule, given, path)
            query = EngineQuery(part.sql, tuple(given), under(rows, given), functions)
            executed = self._run_query(rule, Job(query, part.schema, path, self._learning))
            if executed.fallback is not None:
                instead.append(executed.fallback)
            return executed

        def stream(
            query: PartQuery, given: Sequence[EngineInput], types: pa.Schema, scratch: Path
        ) -> Iterator[pa.RecordBatch]:
            in_order = msgspec.structs.replace(under(0, given), partitions=1)  # on several, rows of parts come mixed
            rows = session.engine.stream(EngineQuery(query.sql, tuple(given), in_order, functions), types, scratch)
            with contextlib.closing(rows):
                for batch in rows:
                    self.stop.check()
                    yield batch

        whole = {entry.name: entry for entry in inputs}
        least = session.project.parts.min_rows
        build = self.evidence.build
        # A limit that is declared is that of the product, of which each run may take all.
        at_once = self.profile.workers if profile.memory_limit_mb is None else 1
        context = PartContext(
            session.store, build, execute, stream, at_once, self.parts_pool, self.share, least, record,
            believe, rule.is_sensitive, pool_bytes(profile) >= MEMORY_FOR_BATCHES,
        )  # fmt: skip
        executed = PartRuns(context, work, whole).run(target)
        return replace(executed, fallback=executed.fallback or (instead[0] if instead else None))

    def _require_stored(self, entry: EngineInput, artifact: str | None) -> None:
        """Raise `ForeignMemoError` unless a product's stored columns are those of its rule's memo."""
        stored = self.session.store.artifact(artifact) if artifact is not None and entry.name in self.compiled else None
        if stored is None:
            return
        planned = {field.name: type_name(field.type) for field in to_arrow(entry.schema)}
        if planned != {name: kind for name, (kind, _) in stored.columns.items()}:
            raise ForeignMemoError(entry.name)

    @staticmethod
    def called(rule: CompiledRule) -> list[str]:
        """Return the functions of the project that a rule calls."""
        found = rule.node.parts.get("functions", {})
        return sorted(found) if isinstance(found, dict) and rule.rule.streams is None else []

    def _run_stream(self, rule: CompiledRule, inputs: Sequence[EngineInput], target: Path) -> Executed:
        """Run a rule over streams. Raises `UserError`."""
        from rules.python.rule_files import stream_of
        from rules.python.streaming import run_stream

        one = rule.rule
        assert one.streams is not None
        declared = self.session.python.rule(one.path, one.name)
        by_name = {entry.name: entry for entry in inputs}
        resolve = make_resolver(by_name)
        started = time.perf_counter()
        try:
            given = {table: by_name[resolve(table) or ""] for table in one.parsed.tables}
            digest = run_stream(declared, stream_of(one.streams), given, target, self.stop.check)
        except StoppedError:
            raise
        except Exception as error:
            raise self.session.python.located(error, one.path, one.line) from error
        return Executed.of(digest, rule.schema, started)


def callable_function(
    python: PythonFiles, declared: DeclaredFunction, faults: list[UserError], stop: Stop = NEVER
) -> EngineFunction:
    """Return a function of the project for the engine; its exceptions are noted, with places, in `faults`.

    It raises `StoppedError` when it is called after `stop` was asked for.
    """
    from rules.python.reading_in_calls import Quiet

    function = python.function(declared)

    def noting(work: Callable[..., Any]) -> Callable[..., Any]:
        quiet = Quiet(volatile=declared.volatility == "volatile")

        def call(*arguments: Any) -> Any:
            stop.check()
            try:
                return quiet.run(work, *arguments)
            except Exception as error:
                faults.append(python.located(error, declared.file, declared.line))
                raise

        return call

    return declared.for_engine(function.for_engine(noting))


def _canonical(body: Body, inputs: Sequence[str]) -> str:
    from compiler.canonical.form import named_tree, rendered  # whoever compiles nothing does without SQLGlot

    return with_deep_stack(lambda: rendered(named_tree(body.canonical.encode(), inputs), pretty=True))
