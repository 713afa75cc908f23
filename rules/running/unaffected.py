"""Step 6 of 7 for what a build cannot change, which after an edit is most of a large project.

The planned verdict on a product is final if the plan found it clean and all that it reads is final. If its records, its
checks and its link are as a build leaves them, too, there is nothing to decide, to execute or to store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.running.product_records import State
from rules.storage.writer_options import PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from graph.plan import Judgement
    from rules.compiling.compiled_rule import CompiledContract, CompiledRule
    from rules.planning.prepared import Prepared
    from rules.running.checks import Checked, Checker


def find_unaffected(
    prepared: Prepared, steps: Iterable[str], reads: Mapping[str, Iterable[str]], checker: Checker
) -> dict[str, tuple[Checked, ...]]:
    """Return the products and the sources with contracts that need nothing, each with its checks, which have passed.

    steps: products and such sources, inputs first; reads: of each, the products and such sources that it reads.
    """
    found: dict[str, tuple[Checked, ...]] = {}
    looks = _Look(prepared, checker)
    for name in steps:
        if all(one in found for one in reads[name] if one in reads):
            checked = looks.checks_of(name)
            if checked is not None:
                found[name] = checked
    return found


class _Look:
    """A look at products and contracts whose inputs are final."""

    def __init__(self, prepared: Prepared, checker: Checker) -> None:
        self._plan, self._known, self._compiled = prepared.plan, prepared.known, prepared.compiled
        self._store, self._checker = prepared.session.store, checker
        self._broken = prepared.broken_sources
        self._written_plainly = prepared.session.profile.writer == PLAIN

    def checks_of(self, name: str) -> tuple[Checked, ...] | None:
        """Return the checks of one that needs nothing, None for one that is to be settled as others are."""
        contract = self._compiled.contracts.get(name)
        if contract is not None:
            return self._passed(contract) if name not in self._broken else None
        rule = self._compiled.rules.get(name)
        if rule is None or not self._stands(rule):
            return None
        return self._passed(rule) if rule.checks else ()

    def _stands(self, rule: CompiledRule) -> bool:
        """Whether a product is recorded, stored and linked as it is to be."""
        name, judgement, store = rule.node.name, self._plan.judgements[rule.node.name], self._store
        artifact = judgement.artifact
        if artifact is None or not self._is_recorded(rule, judgement):
            return False
        if store.links is not None and not (
            self._written_plainly and rule.rule.options.writer == PLAIN and store.links.leads_to(name, artifact)
        ):
            return False
        return artifact in self._known.in_place or (self._known.present(artifact) and not store.is_elsewhere(artifact))

    def _is_recorded(self, rule: CompiledRule, judgement: Judgement, severity: str | None = None) -> bool:
        artifact = self._store.artifact(judgement.artifact) if judgement.artifact is not None else None
        if judgement.verdict != "clean" or artifact is None:
            return False
        return State(rule, artifact, judgement.key, 0.0, severity).is_that_of(self._known.products.get(judgement.name))

    def _passed(self, owner: CompiledRule | CompiledContract) -> tuple[Checked, ...] | None:
        """Return the checks of a table, None unless all are known to have passed."""
        found = []
        for check in owner.checks:
            judgement, severity = self._plan.checks[check.compiled.node.name], check.check.draft.severity
            if not self._is_recorded(check.compiled, judgement, severity):
                return None
            checked = self._checker.find_known(check, judgement)
            if checked is None or not checked.result.passed:
                return None
            found.append(checked)
        return tuple(found)
