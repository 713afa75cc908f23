"""What a process that checks a project again and again last found in each rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from compiler.schema import Schema, schema_of
from rules.lint.planned_rules import Table
from rules.lint.rule_records import Record
from rules.loading.rules import Rule


class Seen(NamedTuple):
    """What a rule was looked at with: all that is found in it follows from this, and from what all rules share."""

    rule: Rule
    inputs: tuple[tuple[str, str | None, Schema | None], ...]
    keys: Mapping[str, tuple[str, ...]]
    plannable: bool
    dialect: str | None

    @classmethod
    def of(
        cls,
        known: Mapping[str, Schema],
        rule: Rule,
        inputs: Mapping[str, str | None],
        keys: Mapping[str, tuple[str, ...]],
        *,
        plannable: bool,
        dialect: str | None,
    ) -> Seen:
        """Return what a rule is looked at with now. known: the columns of what can be read."""
        tables = ((table, name, known.get(name) if name is not None else None) for table, name in inputs.items())
        return cls(rule, tuple(tables), keys, plannable, dialect)


class Kept:
    """What this process last found in each rule and each check of data, by name."""

    def __init__(self) -> None:
        self._shared: object = None
        self._found: dict[str, tuple[Seen, Record]] = {}
        self._schemas: dict[str, tuple[Table, Schema]] = {}

    def begin(self, shared: object, names: Collection[str]) -> None:
        """Begin a check. shared: what all rules are looked at with; names: of all rules and checks that there are."""
        if self._shared != shared:
            self._shared, self._found = shared, {}
        if len(self._found) > len(names):
            self._found = {name: one for name, one in self._found.items() if name in names}
            self._schemas = {name: one for name, one in self._schemas.items() if name in names}

    def record(self, name: str, seen: Seen) -> Record | None:
        """Return what was found in a rule, if it was looked at with the very same."""
        known = self._found.get(name)
        if known is None or known[0].rule is not seen.rule or known[0] != seen:
            return None
        return known[1]

    def keep(self, name: str, seen: Seen, record: Record) -> None:
        """Keep what is found in a rule; where it reads what does not exist, that also follows from other names."""
        if all(one is not None for _, one, _ in seen.inputs):
            self._found[name] = seen, record

    def schema(self, name: str, table: Table) -> Schema:
        """Return a table as a schema: the same object for the same table."""
        known = self._schemas.get(name)
        if known is None or known[0] is not table:
            known = self._schemas[name] = table, schema_of(table)
        return known[1]
