"""Steps 6 and 7 of 7 for contracts of sources: what came of the checks of one, recorded, and whether it may be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.errors import UserError
from rules.running.checks import Checked, refusal
from rules.running.product_records import move_pointer, record_result
from rules.running.results import SourceResult

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from cache.keys import Content
    from graph.plan import Known
    from rules.compiling.compiled_rule import CompiledContract
    from rules.config.project import Project
    from rules.storage.store import Store


@dataclass(frozen=True)
class Concluder:
    """What the conclusions of one build have in common. build: its name."""

    project: Project
    store: Store
    known: Known
    build: str

    def conclude(
        self,
        contract: CompiledContract,
        outcome: Callable[[], list[Checked]],
        contents: Mapping[str, Content],
        artifacts: Mapping[str, str],
    ) -> SourceResult:
        """Return whether a source has passed. outcome: of its checks; it may raise `UserError`, which fails the source.

        contents, artifacts: of what the checks read.
        """
        name = contract.rule.name
        checked: list[Checked] = []
        try:
            checked = outcome()
            error = refusal(self.project, contract.rule, checked, published=False)
        except UserError as failure:
            error = failure
        self._commit(checked, contents, artifacts)
        results = tuple(one.result for one in checked)
        reason = "it keeps its contract" if error is None else error.message
        return SourceResult(name, "failed" if error else "passed", reason, error, results)

    def _commit(
        self, checked: Sequence[Checked], contents: Mapping[str, Content], artifacts: Mapping[str, str]
    ) -> None:
        """Record the states of the checks in one transaction."""
        states = self.known.products
        fresh = [
            one.state
            for one in checked
            if one.result.status == "executed" or not one.state.is_that_of(states.get(one.state.rule.node.name))
        ]
        if not fresh:
            return
        with self.store.index.transaction():
            for state in fresh:
                record_result(self.store, state, self.build)
                move_pointer(self.store, state, self.build, contents, artifacts)


def before_readers(
    order: Iterable[str], reads: Callable[[str], Iterable[str]], contracted: Container[str]
) -> dict[str, None]:
    """Return products in their order, each behind those sources with contracts that it reads."""
    steps: dict[str, None] = {}
    for name in order:
        steps |= dict.fromkeys(one for one in reads(name) if one in contracted)
        steps[name] = None
    return steps
