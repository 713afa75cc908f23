"""One product's query on given inputs, run into a file of the store's tmp/: shared by building and auditing."""

from __future__ import annotations

import functools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.levels import type_name
from cache.records import PARTS, Artifact
from rules.compiling.compiled_rule import CompiledRule
from rules.engine.protocol import EngineError, EngineFunction, EngineInput, Executed
from rules.errors import FAILED, ForeignMemoError, UserError, Where
from rules.loading.input_binding import make_resolver
from rules.planning.part_work import PartWork, part_work
from rules.running import evidence
from rules.running.part_runs import PartContext, PartRuns
from rules.storage.types import to_arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from compiler.parts.reading import PartQuery
    from rules.compiling.memo_proof import Bodies
    from rules.compiling.session import Session
    from rules.planning.prepared import Prepared
    from rules.python.rule_files import DeclaredFunction, PythonFiles
    from rules.sources.contents import Sources
    from rules.storage.store import Store


@dataclass(frozen=True)
class Runner:
    """The context of all queries of one build. build: names the evidence; bodies: the queries that may be executed."""

    session: Session
    compiled: Mapping[str, CompiledRule]
    build: str
    bodies: Bodies

    @classmethod
    def of(cls, prepared: Prepared, build: str) -> Runner:
        """Return a runner of the queries that were compiled for a build."""
        return cls(prepared.session, prepared.compiled.rules, build, prepared.bodies)

    @functools.cached_property
    def parts_pool(self) -> ThreadPoolExecutor:
        """The threads that run parts, of all rules together."""
        return ThreadPoolExecutor(self.session.profile.workers)

    def run(
        self,
        rule: CompiledRule,
        sources: Sources,
        artifacts: Mapping[str, str],
        target: Path,
        *,
        reuse: bool = True,
    ) -> Executed:
        """Execute a rule, by parts if it can be, and write its table to `target`.

        artifacts: of the products it reads. reuse: whether results of parts that are known count. Raises `UserError`,
        with the SQL kept as evidence, if the engine fails or a source has changed since it was digested;
        `ForeignMemoError` if the store's memos are of other texts.
        """
        name, body = rule.node.name, self.bodies.body(rule)
        sql, store = body.sql, self.session.store
        outside = [entry for entry in rule.scans if entry not in self.compiled]
        inputs = [
            EngineInput(entry, sources.paths(entry), sources.table(entry).schema, columns, sources.constants(entry))
            if entry in outside
            else EngineInput(entry, store.files(artifacts[entry]), self.compiled[entry].schema, columns)
            for entry, columns in rule.scans.items()
        ]
        for entry in inputs:
            self._require_stored(entry, artifacts.get(entry.name))
        folder = self.session.store.objects.root
        faults: list[UserError] = []
        functions = [
            callable_function(self.session.python, self.session.functions[name], faults) for name in self.called(rule)
        ]
        try:
            _require_unchanged(sources, outside)
            if rule.rule.streams is not None:
                executed = self._run_stream(rule, inputs, target)
            elif (work := self._part_work(rule, sources, artifacts)) is not None:
                executed = self._run_parts(work, inputs, functions, sources, artifacts, target, reuse=reuse)
            else:
                session = self.session
                executed = session.engine.execute(sql, inputs, rule.schema, target, session.profile, functions)
            _require_unchanged(sources, outside)
            if self.session.profile.evidence:
                evidence.keep(folder, self.build, name, sql, self.session.profile, inputs)
        except EngineError as error:
            _require_unchanged(sources, outside)  # a swapped file is the cause, whatever the engine's error
            try:
                kept = evidence.keep(folder, self.build, name, sql, self.session.profile, inputs, error=str(error))
            except OSError as failure:  # a full disk, which may be why the engine failed
                kept = f"could not be kept: {failure.strerror}"
            if faults:
                faults[0].facts.setdefault("executed SQL", kept)
                raise faults[0] from error
            raise self._failed(str(error), rule, body.meaning, inputs, kept) from error
        return executed

    def _part_work(self, rule: CompiledRule, sources: Sources, artifacts: Mapping[str, str]) -> PartWork | None:
        return part_work(rule, self.bodies, self.session, sources, artifacts)

    def _run_parts(
        self,
        work: PartWork,
        inputs: Sequence[EngineInput],
        functions: Sequence[EngineFunction],
        sources: Sources,
        artifacts: Mapping[str, str],
        target: Path,
        *,
        reuse: bool,
    ) -> Executed:
        session = self.session

        def execute(query: PartQuery, given: Sequence[EngineInput], path: Path) -> Executed:
            return session.engine.execute(query.sql, given, query.schema, path, session.profile, functions)

        whole = {entry.name: entry for entry in inputs}
        contents = {
            name: sources.content(name, entry.columns)
            if name in sources.opened()
            else session.store.content(artifacts[name])
            for name, entry in whole.items()
        }
        least = session.project.parts.min_rows
        context = PartContext(session.store, self.build, execute, self.parts_pool, least, reuse=reuse)
        return PartRuns(context, work, whole, contents).run(target)

    def _failed(
        self, message: str, rule: CompiledRule, meaning: str, inputs: Sequence[EngineInput], kept: str
    ) -> UserError:
        """Return the error of a rule that failed on its data. meaning: as in `Compiled`; kept: the place of its SQL."""
        from compiler.engine_errors.running import failed
        from compiler.engine_sql.timestamps import explained_overflow

        one = rule.rule
        authored = one.sql is None and not one.in_python
        try:
            text = one.text(self.session.project) if authored else None
        except UserError:  # edited since
            text = None
        schemas = {entry.name: entry.schema for entry in inputs}
        told = explained_overflow(message, meaning, schemas, text) if one.streams is None else None
        told = told or failed(message, text)
        where = Where(one.path, told.line, told.column) if authored and told.line is not None else None
        facts = {"executed SQL": kept}
        return UserError(
            told.message,
            code="execution",
            where=where or Where(one.path, one.line),
            facts=facts,
            hint=told.hint,
            exit_code=FAILED,
        )

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
        function = self.session.python.rule(one.path, one.name).function
        by_name = {entry.name: entry for entry in inputs}
        resolve = make_resolver(by_name)
        started = time.perf_counter()
        try:
            given = {table: by_name[resolve(table) or ""] for table in one.parsed.tables}
            digest = run_stream(function, stream_of(one.streams), given, target)
        except Exception as error:
            raise self.session.python.located(error, one.path, one.line) from error
        return Executed.of(digest, rule.schema, started)


def callable_function(python: PythonFiles, declared: DeclaredFunction, faults: list[UserError]) -> EngineFunction:
    """Return a function of the project for the engine; its exceptions are noted, with places, in `faults`."""
    function = python.function(declared)

    def noting(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            try:
                return work(*arguments)
            except Exception as error:
                faults.append(python.located(error, declared.file, declared.line))
                raise

        return call

    return declared.for_engine(function.for_engine(noting))


def adopted(store: Store, executed: Executed, target: Path) -> Artifact:
    """Put an executed table's file in place as the object of its artifact. Raises `ObjectError` and OSError."""
    name = executed.digest.table
    if executed.tables:
        store.objects.adopt_parts(name, executed.tables)
        size = sum(one.bytes for one in store.index.artifacts(executed.tables).values())
        named = PARTS + " ".join(executed.tables)
        return Artifact(name, executed.digest.rows, size, named, executed.columns)
    recorded = store.index.artifacts([name]).get(name)
    before = None if recorded is None else (recorded.bytes, recorded.file_digest)
    size, digest = store.objects.adopt(target, name, before)
    return Artifact(name, executed.digest.rows, size, digest, executed.columns)


def _require_unchanged(sources: Sources, names: list[str]) -> None:
    for name in names:
        sources.require_unchanged(name)
