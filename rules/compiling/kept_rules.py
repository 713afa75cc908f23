"""What a process that works on one project for long keeps of the rules that it has compiled."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from cache.records import Product
from compiler.analysis.edges import from_record
from rules.compiling.compiled_records import Head
from rules.compiling.compiled_rule import CompiledRule
from rules.compiling.unchanged_rules import LastRun
from rules.loading.rule import Rule

if TYPE_CHECKING:
    from cache.index import Index
    from compiler.analysis.edges import Edge


class KnownRule(NamedTuple):
    """A compiled rule with all that it was made from, besides what is the same for all rules of a run."""

    rule: Rule
    tables: list[tuple[str | None, Mapping[str, Any]]]
    """The names of its inputs, with their schemas."""
    last: Product | None
    head: Head
    compiled: CompiledRule


class KeptRules:
    """The compiled rules and checks that call no Python of the project, by name, and the schemas of sources."""

    def __init__(self) -> None:
        self.index: Index | None = None
        """Of the run that is under way."""
        self.rules: dict[str, KnownRule] = {}
        self.last = LastRun()
        self._sources: dict[str, Mapping[str, Any]] = {}
        self._made_from: object = None

    def edges(self, memo: str) -> tuple[Edge, ...]:
        """Read the column lineage of a compiled rule, in the index of the run that asks."""
        assert self.index is not None
        return from_record(self.index.lineages([memo])[memo])

    def begin(self, made_from: object) -> None:
        """Begin a run. made_from: what all of its rules are made from."""
        if self._made_from != made_from:
            self.rules, self.last, self._made_from = {}, LastRun(), made_from

    def forget_but(self, names: Collection[str]) -> None:
        """Forget the rules that are no longer there. names: of those that are, and of their checks."""
        if len(self.rules) > len(names):
            self.rules = {name: one for name, one in self.rules.items() if name in names}

    def source(self, name: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the schema of a source: the same object again while it is equal."""
        known = self._sources.get(name)
        if known != schema:
            known = self._sources[name] = schema
        return known
