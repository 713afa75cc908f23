"""The rules that a process need not look at again: all that they are compiled from is what it was in an earlier run.

Everything is compared by identity, a whole project at a time, so that a run costs what has been edited: `Work` itself
compares the one rule whose text, last state or input changed, and here it is only known which these are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graph.plan import product_of

if TYPE_CHECKING:
    from cache.records import Product
    from graph.dag import Dag
    from rules.compiling.compiled_records import Head
    from rules.compiling.compiled_rule import CompiledRule
    from rules.loading.rule import Rule


@dataclass(frozen=True)
class Facts:
    """What all rules of a run are compiled from."""

    made_from: object
    """What is the same for all of them."""
    names: list[str]
    """Of all inputs that there are: what a rule's tables mean depends on them."""
    rules: Mapping[str, Rule]
    schemas: Mapping[str, Mapping[str, Any]]
    """Of the sources."""
    states: Mapping[str, Product]
    heads: Mapping[str, Head]


@dataclass
class Unchanged:
    """The rules that are compiled to what they were in an earlier run; edited ones leave as the run goes on."""

    dag: Dag
    """Whose rules are looked at if nothing is said of them."""
    _rules: dict[str, CompiledRule] = field(default_factory=dict)
    _before: Mapping[str, CompiledRule] = field(default_factory=dict)

    def get(self, name: str) -> CompiledRule | None:
        """Return the compiled rule with its checks, None if it has to be looked at."""
        return self._rules.get(name)

    def settle(self, name: str, table: Mapping[str, Any] | None) -> None:
        """Say what a rule that was looked at yields, None for nothing: unless that is the very same, so are readers."""
        before = self._before.get(name)
        if before is None or before.table is not table:
            for reader in self.dag.readers.get(name, ()):
                self._rules.pop(reader, None)


class LastRun:
    """The rules of the last run that compiled all of them, and what it compiled them from."""

    def __init__(self) -> None:
        self._facts: Facts | None = None
        self._compiled: dict[str, CompiledRule] = {}

    def keep(self, facts: Facts, compiled: Mapping[str, CompiledRule], again: Iterable[str]) -> None:
        """Keep the result of a run. again: the rules and checks that need no more than to be compared."""
        known = set(again)
        self._facts = facts
        self._compiled = {
            name: rule
            for name, rule in compiled.items()
            if name in known and (not rule.checks or known.issuperset(one.node.name for one in rule.all))
        }

    def unchanged(self, facts: Facts, dag: Dag, broken: Iterable[str]) -> Unchanged:
        """Return the rules that this run compiles from the very same."""
        then = self._facts
        if then is None or then.made_from != facts.made_from or then.names != facts.names:
            return Unchanged(dag)
        changed = _differing(then.rules, facts.rules) | {*broken}
        changed |= {product_of(name) for name in _differing(then.states, facts.states)}
        for source in _differing(then.schemas, facts.schemas):
            changed.update(dag.readers.get(source, ()))
        heads = facts.heads
        found = {name: rule for name, rule in self._compiled.items() if name not in changed and name in facts.rules}
        lost = _differing(then.heads, heads)
        if lost:
            found = {name: rule for name, rule in found.items() if lost.isdisjoint(one.memo for one in rule.all)}
        return Unchanged(dag, found, self._compiled)


def _differing(before: Mapping[str, object], now: Mapping[str, object]) -> set[str]:
    """Return the keys under which two mappings do not hold the very same object."""
    if before is now:
        return set()
    found = {key for key, value in now.items() if before.get(key) is not value}
    return found | (before.keys() - now.keys())
