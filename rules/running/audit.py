"""Audit: re-run a sample of the skipped products and compare digests: proof, in production, that skipping was right.

A skipped product is one that was judged clean or restored. It is run on its inputs' current artifacts, and
must give the very table that was kept. Volatile rules are not skipped, so there is nothing to prove about them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import xxhash

from rules.errors import UserError
from rules.running.query_runner import Runner
from rules.running.reruns import rerun
from rules.running.results import AuditReport

if TYPE_CHECKING:
    from rules.compiling.compiled_rule import CompiledRule
    from rules.sources.contents import Sources


@dataclass(frozen=True)
class Auditor:
    """Runs products and checks again without recording anything. rules: their rules, by name."""

    runner: Runner
    sources: Sources
    rules: Mapping[str, CompiledRule]

    def check(self, skipped: Mapping[str, str], artifacts: Mapping[str, str], share: float) -> AuditReport:
        """Run a share (0 to 1) of `skipped` (name → artifact), several at once.

        artifacts: those of all inputs.
        """
        lasting = [name for name in skipped if not self.rules[name].node.volatile]
        expected = {name: skipped[name] for name in sample(lasting, share, self.runner.evidence.build)}
        with ThreadPoolExecutor(max_workers=self.runner.profile.workers) as pool:
            found = pool.map(lambda name: self._recheck(name, expected[name], artifacts), expected)
            wrong = {name: one for name, one in zip(expected, found, strict=True) if one is not None}
        hints = {name: hint for name, (_, hint) in wrong.items() if hint is not None}
        return AuditReport(tuple(expected), {name: clause for name, (clause, _) in wrong.items()}, hints)

    def _recheck(self, name: str, artifact: str, artifacts: Mapping[str, str]) -> tuple[str, str | None] | None:
        """Return the difference of a product or check in a clause, if there is one, and a hint of its own."""
        try:
            found = rerun(self.runner, self.rules[name], self.sources, artifacts, artifact)
        except UserError as error:
            return f"it cannot be run again: {error.message}", None
        return (f"run again it has {found.difference}", found.hint) if found.difference is not None else None


def sample(names: Iterable[str], fraction: float, seed: str) -> list[str]:
    """Return a share of `names`, at least one if it is not 0, in their order; the choice depends on the seed."""
    listed = list(names)
    ranked = sorted(listed, key=lambda name: xxhash.xxh3_128_digest(f"{seed}\x00{name}".encode()))
    chosen = set(ranked[: math.ceil(len(listed) * fraction)])
    return [name for name in listed if name in chosen]
