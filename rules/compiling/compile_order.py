"""Step 2 of 7, compile: which rules can be compiled, inputs first, and what became of those before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rules.compiling.compile_rules import Work
    from rules.compiling.compiled_rule import CompiledContract, CompiledRule
    from rules.compiling.unchanged_rules import Unchanged
    from rules.loading.rule import Rule


class CompileOrder:
    """The rules that can be compiled, inputs first, and the results of those before them."""

    def __init__(
        self,
        work: Work,
        rules: Mapping[str, Rule],
        contracts: Mapping[str, Rule],
        broken: dict[str, UserError],
        unchanged: Unchanged,
    ) -> None:
        """contracts: of sources, each compiled before the source is read. unchanged: rules that need not be compiled.

        broken: the errors of rules and sources that are known already; those found here are added. A rule that reads
        a broken one is left out without an error of its own.
        """
        self.compiled: dict[str, CompiledRule] = {}
        self.contracted: dict[str, CompiledContract] = {}
        self._work, self._rules, self._broken = work, rules, broken
        self._unchanged = unchanged
        self._waiting = dict(contracts)
        # Sources: only checks of other sources may read them.
        self._closed = {name for name in broken if name not in rules}

    def ready(self, order: Iterable[str]) -> Iterator[Rule]:
        """Yield the rules named in `order` whose inputs are compiled; each is settled before the next is asked for.

        Those that are unchanged are settled without being asked about.
        """
        work, unchanged, inputs = self._work, self._unchanged, self._unchanged.dag.inputs
        for name in order:
            if self._waiting:
                self._settle_contracts(inputs[name])
            same = unchanged.get(name)
            if same is not None and (not self._closed or self._closed.isdisjoint(inputs[name])):
                self.compiled[name] = same
                work.known[name] = same.table
                continue
            rule = self._rules[name]
            tables = [*rule.parsed.tables, *(table for check in rule.checks for table in check.rule.parsed.tables)]
            read = {work.resolve(table) for table in tables} - ({name} if rule.checks else set())
            if name in self._broken or not read <= work.known.keys() or not self._closed.isdisjoint(read):
                work.known.pop(name, None)
            else:
                yield rule
            unchanged.settle(name, work.known.get(name))
        self._settle_contracts(list(self._waiting))

    def add(self, rule: Rule, found: CompiledRule) -> None:
        """Check a compiled rule against its contract, and compile its checks. Raises `UserError`."""
        self.compiled[rule.name] = self._work.promised(rule, found)

    def fail(self, rule: Rule, error: UserError) -> None:
        """Leave a rule out."""
        self._broken[rule.name] = error
        self._work.known.pop(rule.name, None)

    def _settle_contracts(self, names: Iterable[str]) -> None:
        for name in [one for one in names if one in self._waiting]:
            found = self._contract(self._waiting.pop(name))
            if found is None:
                self._closed.add(name)
            else:
                self.contracted[name] = found

    def _contract(self, rule: Rule) -> CompiledContract | None:
        """Compile the contract of a source; None if that is not possible."""
        work = self._work
        read = {work.resolve(table) for check in rule.checks for table in check.rule.parsed.tables}
        if rule.name not in self._broken and {rule.name} | read <= work.known.keys():
            try:
                return work.compile_contract(rule)
            except UserError as error:
                self._broken[rule.name] = error
        return None
