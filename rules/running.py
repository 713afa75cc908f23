"""Run one product's query on given inputs into a file of the store's tmp/: what building and auditing share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules import evidence
from rules.compiling import CompiledRule, load_body
from rules.engine.execute import EngineInput, Executed, execute
from rules.engine.session import EngineError
from rules.errors import FAILED, UserError, Where

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rules.profiles import Profile
    from rules.sources.contents import Sources
    from rules.store import Store


@dataclass(frozen=True)
class Runner:
    """What all queries of one build have in common. compiled: every rule of the run; build: names the evidence."""

    compiled: Mapping[str, CompiledRule]
    store: Store
    profile: Profile
    build: str

    def run(self, rule: CompiledRule, sources: Sources, artifacts: Mapping[str, str], target: Path) -> Executed:
        """Execute a rule and write its table to `target`.

        artifacts: of the products it reads. Raises `UserError`, with the SQL kept as evidence, when the engine fails or
        a source has changed since it was digested.
        """
        name, sql = rule.node.name, load_body(self.store.index, rule.memo).sql
        outside = [entry for entry in rule.scans if entry not in self.compiled]
        inputs = [
            EngineInput(entry, sources.paths(entry), sources.table(entry).schema, columns)
            if entry in outside
            else EngineInput(entry, (self.store.objects.path(artifacts[entry]),), self.compiled[entry].schema, columns)
            for entry, columns in rule.scans.items()
        ]
        folder = self.store.objects.root
        try:
            _require_unchanged(sources, outside)
            executed = execute(sql, inputs, rule.schema, target, self.profile)
            _require_unchanged(sources, outside)
            if self.profile.evidence:
                evidence.keep(folder, self.build, name, sql, self.profile, inputs)
        except EngineError as error:
            _require_unchanged(
                sources, outside
            )  # a file that was swapped is the cause, whatever the engine makes of it
            try:
                kept = evidence.keep(folder, self.build, name, sql, self.profile, inputs, error=str(error))
            except OSError as failure:  # a full disk, which may be why the engine failed
                kept = f"could not be kept: {failure.strerror}"
            where, facts = Where(rule.rule.path), {"executed SQL": kept}
            raise UserError(str(error), code="execution", where=where, facts=facts, exit_code=FAILED) from error
        return executed


def _require_unchanged(sources: Sources, names: list[str]) -> None:
    for name in names:
        sources.require_unchanged(name)
