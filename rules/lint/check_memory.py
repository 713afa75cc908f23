"""What a process that checks a project again and again last found in each rule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from compiler.schema import Schema, schema_of
from rules.lint.planned_rules import Table
from rules.lint.rule_records import Record
from rules.loading.rule import Rule

if TYPE_CHECKING:
    from graph.dag import Dag


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


class Settled(NamedTuple):
    """What was found in a rule in SQL in which, and in whose contract, nothing else was wrong."""

    record: Record
    schema: Schema | None
    """Its columns, as others read them."""
    table: Table | None
    """The same with the engine's types, if these are known."""
    memo: str
    """The key under which the index has the record."""


class Before(NamedTuple):
    """What a check finds everything from."""

    shared: object
    """What all rules are looked at with."""
    rules: Mapping[str, Rule]
    dag: Dag
    sources: Mapping[str, Schema]


Columns = tuple[Schema | None, bool]
"""What is known of a rule's columns, and whether with the engine's types."""


class Same:
    """The rules in which the last check found what this one finds; those that an edit reaches leave as it goes on."""

    def __init__(
        self,
        settled: dict[str, Settled],
        columns: Mapping[str, Columns],
        readers: Callable[[str], Iterable[str]],
    ) -> None:
        """columns: of all rules, as the last check knew them. readers: of a rule, now and then."""
        self.settled = settled
        self.columns: dict[str, Columns] = {name: columns[name] for name in settled}
        self._before, self._readers = columns, readers

    def looked_at(self, name: str, columns: Columns) -> None:
        """Say what is known of the columns of a rule that was looked at: where it is new, its readers are looked at."""
        self.columns[name] = columns
        if self._before.get(name) != columns:
            for reader in self._readers(name):
                self.settled.pop(reader, None)


class Kept:
    """What this process last found in each rule and each check of data, by name."""

    def __init__(self) -> None:
        self._before: Before | None = None
        self._last: Same | None = None
        self._shared: object = None
        self._found: dict[str, tuple[Seen, Record, str]] = {}
        self._schemas: dict[str, tuple[Table, Schema]] = {}

    def begin(self, shared: object, names: Collection[str]) -> None:
        """Begin a check. shared: what all rules are looked at with; names: of all rules and checks that there are."""
        if self._shared != shared:
            self._shared, self._found, self._last, self._before = shared, {}, None, None
        if len(self._found) > len(names):
            self._found = {name: one for name, one in self._found.items() if name in names}
            self._schemas = {name: one for name, one in self._schemas.items() if name in names}

    def same(self, now: Before) -> Same:
        """Return the rules in which this check finds what the last one did, as far as that is known before it looks.

        They are given up until the check ends (`settle`), so that one that fails leaves nothing behind.
        """
        then, last = self._before, self._last
        self._before = self._last = None
        if then is None or last is None or then.shared != now.shared:
            return Same({}, {}, lambda _: ())

        def readers(name: str) -> Iterable[str]:
            return (*now.dag.readers.get(name, ()), *then.dag.readers.get(name, ()))

        edited = {name for name, rule in now.rules.items() if then.rules.get(name) is not rule}
        edited |= then.rules.keys() - now.rules.keys()
        reached = {reader for name in edited if not _alike(then, now, name) for reader in readers(name)}
        for name in then.sources.keys() | now.sources.keys():
            if then.sources.get(name) != now.sources.get(name):
                reached.update(readers(name))
        left = {name: one for name, one in last.settled.items() if name not in edited and name not in reached}
        return Same(left, last.columns, readers)

    def settle(self, before: Before, same: Same) -> None:
        """Keep what a check has found in rules for the next one."""
        self._before, self._last = before, same

    def record(self, name: str, seen: Seen) -> tuple[Record, str] | None:
        """Return what was found in a rule, and its key in the index, if it was looked at with the very same."""
        known = self._found.get(name)
        if known is None or known[0].rule is not seen.rule or known[0] != seen:
            return None
        return known[1:]

    def keep(self, name: str, seen: Seen, record: Record, memo: str) -> None:
        """Keep what is found in a rule; where it reads what does not exist, that also follows from other names."""
        if all(one is not None for _, one, _ in seen.inputs):
            self._found[name] = seen, record, memo

    def schema(self, name: str, table: Table) -> Schema:
        """Return a table as a schema: the same object for the same table."""
        known = self._schemas.get(name)
        if known is None or known[0] is not table:
            known = self._schemas[name] = table, schema_of(table)
        return known[1]


def _alike(then: Before, now: Before, name: str) -> bool:
    """Whether a rule that was edited is for its readers, but for its columns, what it was: it has the same key."""
    one, other = then.rules.get(name), now.rules.get(name)
    return one is not None and other is not None and one.options.key == other.options.key
