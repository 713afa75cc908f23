"""Parallel compilation of many rules, in helper processes: a cold build has to compile all of them.

The results are the same as those of compiling here. A rule that a helper cannot compile is compiled here, which reports
its error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compiler.compile import Compiler
from compiler.compiled import EngineIdentity, Options
from compiler.errors import SqlError
from compiler.names.qualify import InputSchemas
from compiler.schema import Schema, schema_of
from compiler.variables import Value
from rules.compiling.compile_rules import Work, options_of
from rules.compiling.compiled_records import Head, to_records
from rules.compiling.helpers import Helpers, work_ahead
from rules.compiling.lazy_planner import LazyPlanner
from rules.config.profiles import Profile
from rules.engine.protocol import Engine
from rules.loading.rule import Rule


@dataclass(frozen=True)
class Setting:
    """The settings with which all rules of a project are compiled."""

    variables: Mapping[str, Value]
    identity: EngineIdentity
    profile: Profile

    def bench(self, engine: Engine) -> _Bench:
        """Return a compiler."""
        return _Bench(engine, self)


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
    setting = Setting(work.project.variables, work.identity, work.profile)
    work_ahead(
        helpers,
        setting,
        inputs,
        lambda name: _job(work, by_name[name], inputs[name]),
        lambda name, made: _accept(work, by_name[name], made),
    )


def _job(work: Work, rule: Rule, inputs: Sequence[str]) -> Job | None:
    """Return the job of compiling a rule; None if it needs none, or cannot be compiled ahead."""
    if any(name not in work.known for name in inputs):
        return None
    head = work.memos.head(work.memo(rule))
    if head is not None:
        work.known[rule.name] = head.schema
    if head is not None or rule.in_python:  # Python functions are called in this process
        return None
    names = dict(zip(rule.parsed.tables, inputs, strict=True))
    return Job(rule.text(work.project), options_of(rule), names, {name: work.known[name] for name in inputs})


def _accept(work: Work, rule: Rule, made: Made) -> None:
    work.memos.remember(work.memo(rule), made.head, made.body, made.lineage)
    work.known[rule.name] = made.head.schema
    for key, schema in made.learned.items():
        work.memos.learn(key, schema)


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
