"""Steps 6 and 7 of 7 for contracts of sources: record the outcome of a source's checks, and whether it may be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.errors import UserError
from rules.running.checks import Checked, refusal
from rules.running.product_records import Provenance, commit
from rules.running.results import SourceResult

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from rules.compiling.compiled_rule import CompiledContract
    from rules.config.project import Project
    from rules.storage.store import Store


def conclude_source(
    project: Project,
    store: Store,
    contract: CompiledContract,
    outcome: Callable[[], list[Checked]],
    made_of: Provenance,
) -> SourceResult:
    """Record the outcome of a source's checks, and return whether it has passed.

    outcome: of its checks; it may raise `UserError`, which fails the source. made_of: of the checks' inputs.
    """
    checked: list[Checked] = []
    try:
        checked = outcome()
        error = refusal(project, contract.rule, checked, published=False)
    except UserError as failure:
        error = failure
    commit(store, [(one.state, one.result.status) for one in checked], made_of)
    results = tuple(one.result for one in checked)
    reason = "it keeps its contract" if error is None else error.message
    return SourceResult(contract.rule.name, "failed" if error else "passed", reason, error, results)


def before_readers(
    order: Iterable[str], reads: Mapping[str, Iterable[str]], contracted: Collection[str]
) -> dict[str, None]:
    """Return products in their order, each after those sources with contracts that it reads."""
    if not contracted:
        return dict.fromkeys(order)
    steps: dict[str, None] = {}
    for name in order:
        steps |= dict.fromkeys(one for one in reads[name] if one in contracted)
        steps[name] = None
    return steps
