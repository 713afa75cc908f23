"""Audit: re-run a sample of the skipped products and compare digests: proof, in production, that skipping was right.

A skipped product is one that was judged clean or restored. It is run on its inputs' current artifacts, and
must give the very table that was kept. Volatile rules are not skipped, so there is nothing to prove about them.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import xxhash

from cache.bags import bag_of_file
from cache.removal import remove_temporary
from rules.errors import UserError
from rules.running import cutoff
from rules.running.query_runner import Runner
from rules.running.results import AuditReport
from rules.wording import plural

if TYPE_CHECKING:
    from pathlib import Path

    from cache.records import Artifact
    from rules.compiling.compiled_rule import CompiledRule
    from rules.engine.protocol import Executed
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
        expected = {name: skipped[name] for name in sample(lasting, share, self.runner.build)}
        with ThreadPoolExecutor(max_workers=self.runner.session.profile.workers) as pool:
            found = pool.map(lambda name: self._recheck(name, expected[name], artifacts), expected)
            differing = {name: wrong for name, wrong in zip(expected, found, strict=True) if wrong is not None}
        return AuditReport(tuple(expected), differing)

    def _recheck(self, name: str, artifact: str, artifacts: Mapping[str, str]) -> str | None:
        rule, target = self.rules[name], self.runner.session.store.objects.temporary()
        old = self.runner.session.store.artifact(artifact)
        assert old is not None
        try:
            executed = self.runner.run(rule, self.sources, artifacts, target, reuse=False)
            if executed.digest.table == artifact:
                return None
            if not rule.node.ordered and self._same_rows(old, executed, target):
                return None
        except UserError as error:
            return f"it cannot be run again: {error.message}"
        finally:
            with contextlib.suppress(OSError):
                remove_temporary(target)
        return f"run again it has {_difference(old, executed.digest.rows, executed.columns)}"

    def _same_rows(self, old: Artifact, executed: Executed, target: Path) -> bool:
        types = [(name, kind) for name, (kind, _) in executed.columns.items()]
        if [(name, kind) for name, (kind, _) in old.columns.items()] != types or executed.digest.rows != old.rows:
            return False
        names = tuple(executed.columns)
        return cutoff.bag(self.runner.session.store, old, names) == bag_of_file(target, names)


def sample(names: Iterable[str], fraction: float, seed: str) -> list[str]:
    """Return a share of `names`, at least one if it is not 0, in their order; the choice depends on the seed."""
    listed = list(names)
    ranked = sorted(listed, key=lambda name: xxhash.xxh3_128_digest(f"{seed}\x00{name}".encode()))
    chosen = set(ranked[: math.ceil(len(listed) * fraction)])
    return [name for name in listed if name in chosen]


def _difference(old: Artifact, rows: int, columns: Mapping[str, tuple[str, str]]) -> str:
    if rows != old.rows:
        return f"{plural(rows, 'row')} instead of {old.rows:,}"
    changed = [name for name, facts in columns.items() if old.columns.get(name) != facts]
    return f"other values in {', '.join(changed)}"
