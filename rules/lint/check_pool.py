"""Rules that are checked side by side, in helper processes, where nobody has checked most of a project yet.

What is found is the same as here. What a helper cannot look at is looked at here, which reports what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlglot import exp

from compiler.compile import Compiler
from compiler.compiled import EngineIdentity, Options
from compiler.errors import SqlError
from compiler.lint.check import World
from compiler.names.qualify import InputSchemas
from compiler.schema import Schema, schema_record
from compiler.variables import Value
from rules.compiling.lazy_planner import LazyPlanner
from rules.compiling.parse_pool import kept_tree
from rules.config.profiles import Profile
from rules.engine.protocol import Engine
from rules.lint.planned_rules import Table
from rules.lint.rule_records import Record, look
from rules.loading.input_binding import make_resolver


@dataclass(frozen=True)
class Setting:
    """What all rules of a project are looked at with. names: of all that can be read."""

    names: tuple[str, ...]
    variables: Mapping[str, Value]
    functions: frozenset[str]
    identity: EngineIdentity
    profile: Profile

    def bench(self, engine: Engine) -> _Bench:
        """Return a checker of rules."""
        return _Bench(engine, self)


class Job(NamedTuple):
    """A rule to look at. schemas, keys: of what it reads, as far as they are known.

    plans: whether so much is known that it can be planned. table: its columns, where they are remembered. tree: of its
    text, if that was parsed in a helper, as `rules.compiling.parse_pool` keeps it.
    """

    text: str
    path: str
    options: Options
    dialect: str | None
    schemas: Mapping[str, Schema]
    keys: Mapping[str, tuple[str, ...]]
    plans: bool
    table: Table | None
    tree: bytes | None


class Looked(NamedTuple):
    """What is found in a rule. learned: schemas that the engine has planned."""

    record: Record
    learned: Mapping[str, Schema]


class _Bench:
    """A checker in a helper's process."""

    def __init__(self, engine: Engine, setting: Setting) -> None:
        self._setting = setting
        self._resolve = make_resolver(setting.names)
        self._schemas = InputSchemas()
        self._known: dict[str, Schema] = {}
        self._learned: dict[str, Schema] = {}
        planner = LazyPlanner(engine, setting.profile, self._learn)
        self._compiler = Compiler(self._schemas, setting.variables, setting.identity, planner, self._known.get)

    def make(self, job: Job) -> Looked | None:
        """Look at a rule."""
        for name, schema in job.schemas.items():
            self._schemas.add(name, schema)
        self._learned = {}
        one = self._setting
        world = World(self._schemas, self._resolve, one.names, one.variables, job.keys, one.functions, job.dialect)

        def plan(ready: exp.Query | None) -> tuple[Table | None, SqlError | None]:
            if job.table is not None:
                return job.table, None
            try:
                schema = self._compiler.foresee(job.text, job.options, self._resolve, ready)
            except SqlError as error:
                return None, error
            return (schema_record(schema) if schema is not None else None), None

        try:
            record = look(job.text, job.path, job.options, world, plan if job.plans else None, kept_tree(job.tree))
        except Exception:  # noqa: BLE001 — our bug: the caller checks the rule itself, and reports it
            return None
        return Looked(record, self._learned)

    def _learn(self, key: str, schema: Schema) -> None:
        self._known[key] = self._learned[key] = schema


def job_of(text: str, path: str, world: World, inputs: Mapping[str, str | None], **more: Any) -> Job:
    """Return the job of looking at a rule. inputs: table as written → name; more: see `Job`."""
    known = world.schemas.known
    schemas = {name: known[name] for name in inputs.values() if name is not None and name in known}
    return Job(text, path, dialect=world.dialect, schemas=schemas, keys=world.keys, **more)
