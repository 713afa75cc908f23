"""Run unit tests of rules: one that passed runs again once its rule means something else, or has other rows."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq

from cache.index import Index
from cache.objects import Objects
from cache.removal import remove_temporary
from compiler.fingerprint import digest_of, fingerprint
from rules.compiling.load_session import load
from rules.compiling.memo_proof import Bodies, believing_memos
from rules.config.toml_types import did_you_mean
from rules.errors import UserError, UserErrors
from rules.files.file_digests import FileDigests
from rules.formats.source import Source
from rules.loading.input_binding import make_resolver
from rules.planning.selection import choose
from rules.running.build_records import new_build_id
from rules.running.evidence import Evidence
from rules.running.query_runner import Runner
from rules.sources.contents import Sources
from rules.storage.store import open_store
from rules.storage.types import to_arrow, written_schema
from rules.testing.comparing import RowDifference, differences
from rules.testing.given_rows import RowReader
from rules.testing.test_files import find_tests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from compiler.schema import Schema
    from rules.compiling.compiled_rule import CompiledRule
    from rules.compiling.session import Compilation, Session
    from rules.config.project import Project
    from rules.planning.prepared import Request
    from rules.testing.test_files import UnitTest

_FORMAT = 1
"""Version of what it means that a test passes. Raise it to run all of them again."""

Status = Literal["passed", "failed", "clean"]


@dataclass(frozen=True)
class Tested:
    """A test and how it ended. clean: it passed before, of the same rule and rows, and did not run.

    differences: the rows that differ; error: why there are no rows to compare.
    """

    test: UnitTest
    status: Status
    seconds: float = 0.0
    differences: Sequence[RowDifference] = ()
    error: UserError | None = None


def run_tests(
    project: Project, request: Request, say: Callable[[str], None], finished: Callable[[Tested], None], *, force: bool
) -> list[Tested]:
    """Run the tests of the rules that a request selects. finished: is given each that ended; force: run clean ones.

    Raises `UserError`, and `UserErrors` for files that are no tests and rules that do not compile.
    """
    found: list[Tested] = []
    with open_store(project.root, say, building=True) as store:
        for attempt in believing_memos(store, say):
            with attempt:
                found = []
                session = load(project, request.profile, store, given={"evidence": "none"}, engine=request.engine)
                tests = _found(session)
                if request.whole and not tests:
                    return []
                if request.whole:
                    request = replace(request, select=tuple(dict.fromkeys(test.rule for test in tests)))
                order = choose(session, request).order
                wanted = [test for test in tests if test.rule in order]
                if not wanted:
                    return []
                compiled = session.compile(list(dict.fromkeys(test.rule for test in wanted)))
                errors = session.errors([test.rule for test in wanted])
                if errors:
                    raise UserErrors(errors)
                with contextlib.ExitStack() as held:
                    testers: dict[tuple[str, ...], Tester] = {(): held.enter_context(Tester(session, compiled))}
                    for test in wanted:
                        found.append(_tested(test, request, testers, wanted, held, force=force))
                        finished(found[-1])
    return found


def _tested(
    test: UnitTest,
    request: Request,
    testers: dict[tuple[str, ...], Tester],
    wanted: Sequence[UnitTest],
    held: contextlib.ExitStack,
    *,
    force: bool,
) -> Tested:
    """Run a test. testers: by values of variables; those with others are made once, for all tests that have them."""
    given = test.variables
    if given not in testers:
        session = testers[()].session
        project = replace(session.project, given=(*session.project.given, *given))
        try:
            other = load(project, request.profile, session.store, given={"evidence": "none"}, engine=request.engine)
        except UserError as error:
            return Tested(test, "failed", error=_placed(error, test))
        names = list(dict.fromkeys(one.rule for one in wanted if one.variables == given))
        testers[given] = held.enter_context(Tester(other, other.compile(names)))
    tester = testers[given]
    errors = tester.session.errors([test.rule])
    return Tested(test, "failed", error=errors[0]) if errors else tester.run(test, force=force)


def _placed(error: UserError, test: UnitTest) -> UserError:
    """Return an error of a test's variables, with the test's place."""
    return UserError(error.message, code=error.code, where=error.where or test.where, hint=error.hint)


def _found(session: Session) -> list[UnitTest]:
    """Return the tests of a project. Raises `UserErrors`: of files that are no tests, and rules that they may be of."""
    try:
        return find_tests(session.project.root, session.rules)
    except UserErrors as error:
        raise UserErrors([*dict.fromkeys(session.broken.values()), *error.errors]) from error


class Tester:
    """Runs tests of compiled rules, each on tables of its own in a folder that goes with this."""

    def __init__(self, session: Session, compiled: Compilation) -> None:
        self._session, self._compiled = session, compiled
        self._held = contextlib.ExitStack()
        self._numbers = itertools.count()

    def __enter__(self) -> Self:
        held = self._held
        self._folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="rules-test-")))
        self._objects = Objects(self._folder / "store")
        self._objects.create()
        held.callback(self._objects.close)
        self._index = held.enter_context(Index(self._folder / "store" / "index.sqlite"))
        pool = held.enter_context(ThreadPoolExecutor(1))
        session = self._session
        bodies = Bodies(session, self._compiled.rules)
        evidence = Evidence(self._folder, new_build_id())
        # No rule is known as an input: all that a rule reads is what the test gives.
        self._runner = Runner(session, {}, evidence, bodies, session.profile, pool)
        self._reader = RowReader(session, self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def run(self, test: UnitTest, *, force: bool) -> Tested:
        """Run a test unless it passed before. Raises nothing that is the test's or the rule's fault."""
        started = time.perf_counter()
        rule = self._compiled.rules[test.rule]
        try:
            given, expected = self._tables(test, rule)
            ordered = rule.node.ordered if test.ordered is None else test.ordered
            key = _key(rule, given, expected, ordered=ordered)
            store = self._session.store
            if not force and not rule.node.volatile and store.index.memo("tested", [key]):
                return Tested(test, "clean")
            found = self.result(rule, given)
        except UserError as error:
            return Tested(test, "failed", time.perf_counter() - started, error=error)
        differing = differences(expected, found, ordered=ordered)
        seconds = time.perf_counter() - started
        if differing:
            return Tested(test, "failed", seconds, differing)
        store.index.remember("tested", {key: {"rule": test.rule}})
        return Tested(test, "passed", seconds)

    def _tables(self, test: UnitTest, rule: CompiledRule) -> tuple[dict[str, pa.Table], pa.Table]:
        """Return the table of each input of a rule, and the one that it should yield. Raises `UserError`."""
        resolve = make_resolver(list(rule.scans))
        by_input = {}
        for name, rows in test.given.items():
            entry = resolve(name)
            if entry is None:
                others = make_resolver([*self._session.project.sources, *self._session.rules])
                if others(name) is not None:
                    continue  # which the rule does not read any more, or only counts as there
                message = f"{test.rule} does not read {name}"
                hint = did_you_mean(name, rule.scans) if rule.scans else None
                raise UserError(message, code="unknown-input", where=rows.where, hint=hint)
            by_input[entry] = self._reader.given(rows, written_schema(to_arrow(self.schema(entry))), entry)
        for entry in rule.scans:
            if entry not in by_input:
                message = f"the test gives no rows of {entry}, which {test.rule} reads"
                in_sql = test.where.path.endswith(".sql")
                hint = f"add a CTE {entry}" if in_sql else f"given.{entry} = [] if it has none"
                raise UserError(message, code="config", where=test.where, hint=hint)
        assert test.expect is not None
        schema = written_schema(to_arrow(rule.schema))
        return by_input, self._reader.expected(test.expect, schema, test.rule, test.columns)

    def schema(self, entry: str) -> Schema:
        """Return the schema of an input of a compiled rule."""
        if entry in self._compiled.rules:
            return self._compiled.rules[entry].schema
        return self._session.sources.table(entry).schema

    @property
    def session(self) -> Session:
        """What its rules were compiled in."""
        return self._session

    @property
    def folder(self) -> Path:
        """A folder for files, which goes with this."""
        return self._folder

    def result(self, rule: CompiledRule, given: Mapping[str, pa.Table]) -> pa.Table:
        """Return the rows that a rule yields for tables. Raises `UserError`."""
        declared = {}
        for name, table in given.items():
            path = self._folder / f"{next(self._numbers)}-{name}.parquet"
            pq.write_table(table, path)
            declared[name] = Source(str(path), "parquet")
        project = replace(self._session.project, sources=declared)
        sources = Sources(project, self._index, self._objects, FileDigests(project.root, self._index))
        sources.open(declared)
        target = self._session.store.objects.temporary()
        try:
            self._runner.run(rule, sources, {}, target, record=False, believe=False, declared=False)
            return pq.read_table(target)
        finally:
            with contextlib.suppress(OSError):
                remove_temporary(target)


def _key(rule: CompiledRule, given: Mapping[str, pa.Table], expected: pa.Table, *, ordered: bool) -> str:
    """Return the key of a test: all that its outcome depends on."""
    tables = {name: _digest(table) for name, table in sorted(given.items())}
    parts = {"test": _FORMAT, "rule": rule.node.fingerprint, "given": tables, "expected": _digest(expected)}
    return fingerprint({**parts, "ordered": ordered})


def _digest(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return digest_of(sink.getvalue().to_pybytes())
