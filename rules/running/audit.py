"""Audit: re-run a sample of the skipped products and compare digests: proof, in production, that skipping was right.

A skipped product is one that was judged clean or restored. It is run on its inputs' current artifacts, and
must give the very table that was kept. Volatile rules are not skipped, so there is nothing to prove about them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import xxhash

from graph.plan import product_of
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
        return audited(
            list(expected), lambda name: self._recheck(name, expected[name], artifacts), self.runner.profile.workers
        )

    def _recheck(self, name: str, artifact: str, artifacts: Mapping[str, str]) -> Finding:
        store = self.runner.session.store
        for one in self.rules[name].node.inputs:
            if one in artifacts and not store.is_as_named(artifacts[one]):
                hint = f"rules build --force {one} makes it again; then audit {product_of(name)}"
                return Finding(
                    f"it cannot be run again: the stored table of {one} has other rows than were recorded",
                    hint,
                    is_run=False,
                )
        try:
            found = rerun(self.runner, self.rules[name], self.sources, artifacts, artifact)
        except UserError as error:
            return Finding(f"it cannot be run again: {error.message}", is_run=False)
        if found.difference is None:
            return Finding()
        return Finding(f"run again it has {found.difference}", found.hint or self._layouts(name))

    def _layouts(self, name: str) -> str | None:
        """Return what to do where the row groups of a source may be the reason, which are in no digest."""
        rule, read = self.rules[name], self.sources.opened()
        lying = [one for one in rule.node.inputs if one in read and self.sources.table(one).artifact is None]
        if not rule.is_sensitive or not lying:
            return None
        return (
            f"if the files of {' or '.join(sorted(set(lying)))} were written again with equal values in other row "
            "groups, floats are added up and ties come out otherwise: the old result is as right then, and "
            f"rules build --force {product_of(name)} makes the new one; otherwise please report this"
        )


@dataclass(frozen=True)
class Finding:
    """What came of one product or check that ran again. difference: a clause, None if it is the same."""

    difference: str | None = None
    hint: str | None = None
    """What to do about it, where another build would not mend it."""
    is_tied: bool = False
    """Whether it cannot be compared, because rows tie between which an engine may choose."""
    is_run: bool = True
    """Whether it has run again: what has not says nothing about who made the result."""


def audited(names: Sequence[str], check: Callable[[str], Finding], workers: int) -> AuditReport:
    """Check products and checks, several at once; return what differs."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        found = dict(zip(names, pool.map(check, names), strict=True))
    return AuditReport(
        tuple(name for name, one in found.items() if not one.is_tied),
        {name: one.difference for name, one in found.items() if one.difference is not None},
        {name: one.hint for name, one in found.items() if one.hint is not None},
        tied=tuple(name for name, one in found.items() if one.is_tied),
        not_run=frozenset(name for name, one in found.items() if not one.is_run),
    )


def sample(names: Iterable[str], fraction: float, seed: str) -> list[str]:
    """Return a share of `names`, at least one if it is not 0, in their order; the choice depends on the seed."""
    listed = list(names)
    ranked = sorted(listed, key=lambda name: xxhash.xxh3_128_digest(f"{seed}\x00{name}".encode()))
    chosen = set(ranked[: math.ceil(len(listed) * fraction)])
    return [name for name in listed if name in chosen]
