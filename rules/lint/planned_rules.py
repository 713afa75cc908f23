"""`rules check`, the planning: what `plan` and `build` would refuse of a rule, found by planning it on empty tables.

No row is read and nothing is executed; the engine is started when the first rule has to be planned whose outcome nobody
remembers. A rule can be planned when the columns of all that it reads are known with their types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from compiler.errors import SqlError
from compiler.fingerprint import fingerprint
from compiler.schema import schema_record
from rules.engine.local import LOCAL
from rules.engine.protocol import Engine
from rules.files.project_paths import DEFAULT_PROFILE

if TYPE_CHECKING:
    from sqlglot import exp

    from compiler.schema import Schema
    from rules.compiling.compile_rules import Work
    from rules.config.project import Project
    from rules.loading.rule import Rule, RuleSet
    from rules.storage.store import Store

Table = Mapping[str, Any]
"""A schema as the index has it (see `compiler.schema.schema_record`)."""


@dataclass
class Foresight:
    """The planner of one check. tables: those whose columns are known with their types, by name; it grows.

    functions: the digests of the project's functions, by name.
    """

    project: Project
    store: Store
    loaded: RuleSet
    names: Iterable[str]
    resolve: Callable[[str], str | None]
    functions: Mapping[str, str]
    tables: dict[str, Table] = field(default_factory=dict)
    engine: Engine = LOCAL

    def know(self, name: str, schema: Schema) -> None:
        """Let a table be read by rules that are planned; one without the engine's own form of its types cannot be."""
        if schema.arrow:
            self.tables[name] = schema_record(schema)

    def can_plan(self, rule: Rule) -> bool:
        """Whether all that a rule reads is known."""
        return all(self.resolve(table) in self.tables for table in rule.parsed.tables)

    @cached_property
    def context(self) -> str:
        """What an outcome depends on besides the rule and what it reads."""
        engine = self.engine.identity(self.project.profile(DEFAULT_PROFILE))
        parts = [engine.version, engine.settings, engine.float_settings]
        return fingerprint({"engine": parts, "functions": dict(self.functions)})

    def plan(self, rule: Rule, ready: exp.Query | None = None) -> tuple[Table | None, SqlError | None]:
        """Return the columns of a rule in SQL, or why it cannot be planned; neither where it is too large to be.

        ready: as `Compiler.foresee` takes it. Of one that was compiled as it is now, the columns are remembered.
        """
        table = self.remembered(rule)
        if table is not None:
            return table, None
        try:
            schema = self._to(rule).foresee(rule, ready)
        except SqlError as error:
            return None, error
        return (schema_record(schema) if schema is not None else None), None

    def remembered(self, rule: Rule) -> Table | None:
        """Return the columns of a rule in SQL that was compiled as it is now."""
        work = self._to(rule)
        head = work.memos.head(work.memo(rule))
        return head.schema if head is not None else None

    def learn(self, learned: Mapping[str, Schema]) -> None:
        """Keep schemas that the engine has planned, elsewhere."""
        for key, schema in learned.items():
            self._work.memos.learn(key, schema)

    @property
    def cores(self) -> int:
        """How many processes may plan side by side."""
        return self.project.profile(DEFAULT_PROFILE).cores

    def compile(self, rule: Rule) -> Table:
        """Return the columns of a rule in Python, which is called for that as `plan` calls it. Raises `UserError`."""
        return self._to(rule).compile(rule).table

    def save(self) -> None:
        """Record what was new."""
        if "_work" in self.__dict__:
            self._work.memos.save()

    def _to(self, rule: Rule) -> Work:
        """Return the compiler, which knows what `rule` reads."""
        read = (self.resolve(table) or "" for table in rule.parsed.tables)
        self._work.known.update({name: self.tables[name] for name in read})
        return self._work

    @cached_property
    def _work(self) -> Work:
        from rules.compiling.compile_rules import Tables, Work

        return Work(
            self.project,
            self.project.profile(DEFAULT_PROFILE),
            self.store,
            Tables(list(self.names), self.store.states),
            python=self.loaded.python,
            functions=self.loaded.functions,
            engine=self.engine,
        )
