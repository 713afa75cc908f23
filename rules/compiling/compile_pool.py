"""Parallel compilation of many rules, in helper processes: a cold build has to compile all of them.

The results are the same as those of compiling here. A rule that a helper cannot compile is compiled here, which reports
its error. A helper ends when its pipe does, so none outlives a build that is killed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, BinaryIO

from compiler.compile import Compiler
from compiler.compiled import EngineIdentity, Options
from compiler.errors import SqlError
from compiler.names.qualify import InputSchemas
from compiler.schema import Schema, schema_of
from compiler.tree.big_stack import with_deep_stack
from compiler.variables import Value
from graph.schedule import Schedule
from rules.compiling.compile_rules import Work, options_of
from rules.compiling.compiled_records import Head, to_records
from rules.compiling.lazy_planner import LazyPlanner
from rules.config.profiles import Profile
from rules.engine.protocol import Engine
from rules.loading.rules import Rule

_BOOT = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = sys.argv[1:];"
    "from rules.compiling.compile_pool import serve; serve()"
)
_MOST = 8
"""The most helpers: each has a compiler and an engine, some 170 MB."""


@dataclass(frozen=True)
class Setting:
    """The settings with which all rules of a project are compiled."""

    variables: Mapping[str, Value]
    identity: EngineIdentity
    profile: Profile


@dataclass(frozen=True)
class Job:
    """A rule to compile. names: table as written → input; schemas: of the inputs, as the index stores them."""

    text: str
    options: Options
    names: Mapping[str, str]
    schemas: Mapping[str, Any]


@dataclass(frozen=True)
class Made:
    """The memo of a compiled rule: head, body and lineage. learned: schemas that the engine has planned."""

    head: Head
    body: bytes
    lineage: Any
    learned: Mapping[str, Schema]


def compile_ahead(work: Work, rules: Sequence[Rule], helpers: Helpers) -> None:
    """Compile the rules that can be compiled, inputs first, and record the results in `work`."""
    inputs = {rule.name: [work.resolve(table) or "" for table in rule.parsed.tables] for rule in rules}
    by_name = {rule.name: rule for rule in rules}
    schedule = Schedule(by_name, inputs)
    done: SimpleQueue[tuple[str, Future[Made | None]]] = SimpleQueue()  # waiting would check all each time
    running = 0
    setting = Setting(work.project.variables, work.identity, work.profile)
    while True:
        while (name := schedule.take()) is not None:
            job = _job(work, by_name[name], inputs[name])
            if job is None:
                schedule.settle(name)
            else:
                running += 1
                helpers.submit(job, setting).add_done_callback(functools.partial(_note, done, name))
        if not running:
            return
        name, future = done.get()
        running -= 1
        if (made := future.result()) is not None:
            _accept(work, by_name[name], made)
        schedule.settle(name)


def _note(done: SimpleQueue[tuple[str, Future[Made | None]]], name: str, future: Future[Made | None]) -> None:
    done.put((name, future))


def _job(work: Work, rule: Rule, inputs: Sequence[str]) -> Job | None:
    """Return the job of compiling a rule; None if it needs none, or cannot be compiled ahead."""
    if any(name not in work.known for name in inputs):
        return None
    head = work.head(work.memo(rule))
    if head is not None:
        work.known[rule.name] = head.schema
    if head is not None or rule.in_python:  # Python functions are called in this process
        return None
    names = dict(zip(rule.parsed.tables, inputs, strict=True))
    return Job(rule.text(work.project), options_of(rule), names, {name: work.known[name] for name in inputs})


def _accept(work: Work, rule: Rule, made: Made) -> None:
    work.remember(work.memo(rule), made.head, made.body, made.lineage)
    work.known[rule.name] = made.head.schema
    for key, schema in made.learned.items():
        work.learn(key, schema)


def serve() -> None:
    """Compile the jobs on the standard input, until it ends."""
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # printed text must not mix with the answers
    try:
        engine: Engine = pickle.load(asked)  # noqa: S301 — from our own parent process
    except EOFError:
        os._exit(0)
    engine.load()  # who asks is still loading the project

    with_deep_stack(lambda: _answer(engine, asked, answers))  # once for all jobs: making such a stack takes 0.4 ms


def _answer(engine: Engine, asked: BinaryIO, answers: BinaryIO) -> None:
    try:
        setting: Setting = pickle.load(asked)  # noqa: S301 — from our own parent process
        bench = _Bench(engine, setting)
        while True:
            pickle.dump(bench.make(pickle.load(asked)), answers)  # noqa: S301
            answers.flush()
    except (EOFError, BrokenPipeError):  # the build has finished, or has been killed
        os._exit(0)


class _Bench:
    """A compiler in a helper's process."""

    def __init__(self, engine: Engine, setting: Setting) -> None:
        self._schemas = InputSchemas()
        self._known: dict[str, Schema] = {}
        self._learned: dict[str, Schema] = {}
        planner = LazyPlanner(engine, setting.profile, self._learn)
        self._compiler = Compiler(self._schemas, setting.variables, setting.identity, planner, self._known.get)

    def make(self, job: Job) -> Made | None:
        for name, record in job.schemas.items():
            self._schemas.add(name, schema_of(record))
        self._learned = {}
        try:
            compiled = self._compiler.compile_rule(job.text, job.options, job.names.get)
        except SqlError:
            return None
        return Made(*to_records(compiled), self._learned)

    def _learn(self, key: str, schema: Schema) -> None:
        self._known[key] = self._learned[key] = schema


_started: weakref.WeakSet[Helpers] = weakref.WeakSet()


class Helpers:
    """Helper processes; a thread here waits for each. They end with `close`, or when this object is deleted."""

    def __init__(self, count: int, engine: Engine) -> None:
        self._count = min(count, _MOST)
        self._engine = engine
        self.processes: list[subprocess.Popen[bytes]] = []
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Start the processes, unless they are running. They take a second to be ready."""
        if self.processes:
            return
        weakref.finalize(self, _end, self.processes)
        _started.add(self)
        command = [sys.executable, "-P", "-c", _BOOT, *sys.path]
        for _ in range(self._count):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 — ourselves
            self.processes.append(process)
            self._send(process, self._engine)

    def submit(self, job: Job, setting: Setting) -> Future[Made | None]:
        """Have a rule compiled by the next free helper. The setting is that of all jobs."""
        if self._pool is None:
            self.start()
            for process in self.processes:
                self._send(process, setting)
                self._idle.put(process)
            self._pool = ThreadPoolExecutor(self._count)
        return self._pool.submit(self._ask, job)

    @staticmethod
    def _send(process: subprocess.Popen[bytes], what: Engine | Setting) -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # a helper that has died is found out at its next job
            pickle.dump(what, process.stdin)
            process.stdin.flush()

    def close(self) -> None:
        """End the processes, whatever they are doing. They hold nothing that could be lost."""
        for process in self.processes:
            process.kill()  # so that no thread waits for it
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        _end(self.processes)
        self._idle, self._pool = SimpleQueue(), None

    def _ask(self, job: Job) -> Made | None:
        """Have a rule compiled; None if it cannot be, or if the helper has died, of too little memory for example."""
        process = self._idle.get()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump(job, process.stdin)
            process.stdin.flush()
            made: Made | None = pickle.load(process.stdout)  # noqa: S301 — from our own helper
        except (EOFError, OSError, pickle.UnpicklingError):
            return None
        finally:
            self._idle.put(process)
        return made


def end_helpers() -> None:
    """End all helper processes of this one, when it ends without time to close them."""
    for helpers in list(_started):
        for process in helpers.processes:
            process.kill()


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    while processes:
        process = processes.pop()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # of output that nothing read
                pipe.close()
