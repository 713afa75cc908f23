"""Verify: run products again on the inputs of their stored tables, with the engine set otherwise, and compare.

A difference is traced to the smallest set of settings that makes it, and kept as evidence: it is a fault of the engine,
or a rule whose result SQL leaves open.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from rules.errors import UserError
from rules.running.evidence import prune
from rules.running.other_settings import Change, changed, changes, smallest
from rules.running.query_runner import Runner
from rules.running.reruns import Rerun, rerun

if TYPE_CHECKING:
    from rules.compiling.compiled_rule import CompiledRule
    from rules.config.profiles import Evidence as Level
    from rules.planning.prepared import Prepared
    from rules.running.evidence import Evidence
    from rules.running.other_settings import Against


_FAULTS = {"execution", "python", "tier"}
"""Codes of errors of the query on its data, which is a result as well; others are of what surrounds it."""


@dataclass(frozen=True)
class Cause:
    """Why a table is another. settings: the smallest set that makes it so; () if no change is needed.

    repeatable: whether the same settings give the same table each time.
    """

    settings: tuple[Change, ...]
    repeatable: bool = True


@dataclass(frozen=True)
class Verified:
    """A product that ran again. compared: how; difference: a clause, with its cause, and the folder of its evidence.

    functions: of the project, that its rule calls.
    """

    name: str
    compared: str
    runs: int
    seconds: float
    difference: str | None = None
    cause: Cause | None = None
    evidence: str | None = None
    order_dependent: bool = False
    functions: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the table is the same."""
        return self.difference is None


@dataclass(frozen=True)
class VerifyReport:
    """The products that ran again, and those that could not: name → why. settings: all that were changed."""

    against: Against
    settings: tuple[Change, ...]
    verified: tuple[Verified, ...]
    unverified: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether every table is the same."""
        return all(one.same for one in self.verified)


def verify_products(prepared: Prepared, evidence: Evidence, against: Against) -> VerifyReport:
    """Run the selected products that are up to date again, several at once."""
    verifier = _Verifier(prepared, evidence, changes(prepared.session.profile, against))
    names = [name for name in prepared.order if name not in verifier.refused]
    with ThreadPoolExecutor(max_workers=prepared.session.profile.workers) as pool:
        found = list(pool.map(verifier.verify, names))
    verified = tuple(one for one in found if isinstance(one, Verified))
    failed = {name: one for name, one in zip(names, found, strict=True) if isinstance(one, str)}
    if not all(one.same for one in verified):
        prune(evidence.root, evidence.folder)
    return VerifyReport(against, verifier.changes, verified, verifier.refused | failed)


class _Verifier:
    def __init__(self, prepared: Prepared, evidence: Evidence, these: Sequence[Change]) -> None:
        self.changes = tuple(these)
        self._prepared, self._evidence = prepared, evidence
        self._runner = Runner.of(prepared, evidence)
        self._expected = prepared.plan.skipped
        self._artifacts = prepared.artifacts | self._expected
        self.refused = {name: why for name in prepared.order if (why := self._refusal(name)) is not None}
        """The products that cannot be verified, and why."""

    def _refusal(self, name: str) -> str | None:
        rule = self._prepared.compiled.rules.get(name)
        if rule is not None and rule.node.volatile:
            return "it is volatile, so no two runs need to agree"
        if rule is None or name not in self._expected:
            return "it is not up to date, so there is no table to compare with"
        if rule.rule.streams is not None:
            return "it is run by Python, which has no settings"
        if self._is_spared(rule):
            return f"its tier, {rule.rule.tier.value}, keeps it on one partition, so nothing would be another"
        missing = [
            entry for entry in rule.scans if entry in self._prepared.session.rules and entry not in self._artifacts
        ]
        return f"its input {missing[0]} is not up to date" if missing else None

    def _is_spared(self, rule: CompiledRule) -> bool:
        """Whether a rule runs under the same settings whatever is changed."""
        runner = self._runner
        other = replace(runner, profile=changed(runner.profile, self.changes))
        return runner.profile_of(rule) == other.profile_of(rule)

    def verify(self, name: str) -> Verified | str:
        """Return how a product compares; a text if it cannot be run with the other settings."""
        rule, started = self._prepared.compiled.rules[name], time.perf_counter()
        trials = _Trials(functools.partial(self._run, rule))
        try:
            found = trials.run(self.changes)
            if found.difference is None:
                return Verified(name, found.compared, trials.count, time.perf_counter() - started)
            cause, kept = self._keep(rule, self._cause(trials), found)
        except UserError as error:
            return f"it cannot be run with other settings: {error.message}"
        return Verified(
            name,
            found.compared,
            trials.count,
            time.perf_counter() - started,
            found.difference,
            cause,
            kept,
            rule.node.order_dependent,
            tuple(self._runner.called(rule)),
        )

    def _run(self, rule: CompiledRule, these: Sequence[Change], level: Level = "none") -> Rerun:
        profile = msgspec.structs.replace(changed(self._runner.profile, these), evidence=level)
        runner = replace(self._runner, profile=profile)
        sources, expected = self._prepared.session.sources, self._expected[rule.node.name]
        try:
            return rerun(runner, rule, sources, self._artifacts, expected, near=bool(these))
        except UserError as error:
            if error.code not in _FAULTS:
                raise
            return Rerun("rows", f"no rows, because it fails: {error.message}", "")

    def _cause(self, trials: _Trials) -> Cause:
        usual = trials.run(())
        if usual.difference is not None:
            return Cause((), repeatable=trials.run((), again=True).digest == usual.digest)
        found = smallest(self.changes, lambda these: trials.run(these).difference is not None)
        if trials.run((), again=True).difference is not None:  # it was the same by chance
            return Cause((), repeatable=False)
        return Cause(found)

    def _keep(self, rule: CompiledRule, cause: Cause, found: Rerun) -> tuple[Cause, str]:
        """Keep full evidence of a run that differs, and what differs; return its cause and the folder."""
        name = rule.node.name
        last = self._run(rule, cause.settings, "full")
        cause = replace(cause, repeatable=cause.repeatable and last.difference is not None)
        facts = {
            "product": name,
            "expected": self._expected[name],
            "found": last.digest,
            "difference": last.difference or found.difference,
            "settings": settings_fields(cause.settings),
            "repeatable": cause.repeatable,
        }
        return cause, str(self._evidence.keep_difference(name, facts))


class _Trials:
    """Runs of one product with some changes, each of which is made once."""

    def __init__(self, run: Callable[[Sequence[Change]], Rerun]) -> None:
        self._run = run
        self._known: dict[frozenset[str], Rerun] = {}
        self.count = 0

    def run(self, these: Sequence[Change], *, again: bool = False) -> Rerun:
        """Return how the product compares with these changes. again: even if that is known. Raises `UserError`."""
        key = frozenset(one.key for one in these)
        if again or key not in self._known:
            self.count += 1
            self._known[key] = self._run(these)
        return self._known[key]


def settings_fields(these: Sequence[Change]) -> list[dict[str, object]]:
    """Return changes as plain data; `was` is null for the engine's default."""
    return [{"setting": one.key, "value": one.value, "was": one.was} for one in these]
