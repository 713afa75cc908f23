"""What each rule of a project is checked against, made when it is asked for: most rules are not looked at again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compiler.lint.check import World
from rules.config.front_matter import read_options
from rules.loading.dialects import is_ours

if TYPE_CHECKING:
    from collections.abc import Callable

    from compiler.names.qualify import InputSchemas
    from rules.config.project import Project
    from rules.loading.rule import Rule


@dataclass
class Worlds(Mapping[str, "tuple[Rule, World]"]):
    """The rules in SQL that were checked, and what each was checked against, by path.

    names: of all tables that there are. resolve: from a table's name as written to the project's. functions: of the
    project. keys_of: the keys of the rules that could be loaded, by name.
    """

    project: Project
    schemas: InputSchemas
    resolve: Callable[[str], str | None]
    names: tuple[str, ...]
    functions: frozenset[str]
    keys_of: Mapping[str, tuple[str, ...]]
    checked: dict[str, Rule] = field(default_factory=dict)
    _made: dict[str, World] = field(default_factory=dict)

    def of(self, rule: Rule) -> World:
        """Return what a rule, or a check of data, is checked against."""
        inputs = map(self.resolve, rule.parsed.tables)
        keys = {name: self.keys_of[name] for name in inputs if name is not None and name in self.keys_of}
        variables, dialect = self.project.variables, habits_of(self.project, rule)
        return World(self.schemas, self.resolve, self.names, variables, keys, self.functions, dialect)

    def put(self, rule: Rule, world: World) -> None:
        """Say what a rule was checked against."""
        self.checked[rule.path], self._made[rule.path] = rule, world

    def __getitem__(self, path: str) -> tuple[Rule, World]:
        rule = self.checked[path]
        if path not in self._made:
            self._made[path] = self.of(rule)
        return rule, self._made[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.checked)

    def __len__(self) -> int:
        return len(self.checked)


def habits_of(project: Project, rule: Rule) -> str | None:
    """Return the dialect whose habits are looked for in a rule: none in one that says that it is in our SQL."""
    dialect = project.policy.from_dialect
    if dialect is None or rule.sql is not None or not rule.path.endswith(".sql"):
        return dialect
    return None if is_ours(project, rule.path, read_options(rule.text(project), rule.path)) else dialect
