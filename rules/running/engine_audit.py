"""Audit on the other engine: run what one engine has made on the other, and compare. Two judges that share no code.

Only rules of which both are held to make the same table are run. A difference is evidence, not a verdict: it says that
one of the two is wrong, or the list in `compiler.spark.expressions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from compiler.compiled import Tier
from rules.compiling.compiled_rule import Placement
from rules.compiling.placement import spark_query
from rules.config.profiles import Place
from rules.engine.protocol import EngineError
from rules.engine.spark.identity import version
from rules.errors import FAILED, UserError
from rules.running.audit import Finding, audited, sample
from rules.running.evidence import Evidence, prune
from rules.running.query_runner import OpenTiesError, Runner
from rules.running.reruns import rerun
from rules.running.results import AuditReport

if TYPE_CHECKING:
    from rules.compiling.compiled_rule import CompiledRule
    from rules.compiling.placement import Placing
    from rules.planning.prepared import Prepared
    from rules.running.reruns import Rerun

_PLACES: Mapping[Place, str] = {"local": "locally", "spark": "on Spark"}
_HINT = "one of the engines, or what is known of both, is wrong: please report this"


def audit_on(
    prepared: Prepared,
    build: str,
    skipped: Mapping[str, str],
    artifacts: Mapping[str, str],
    share: float,
    engine: Place,
) -> AuditReport:
    """Run a share (0 to 1) of those of `skipped` (name → artifact) that the other engine has made on `engine`.

    artifacts: of all inputs. Raises `UserError` if the engine cannot be used.
    """
    placing = prepared.session.placing(prepared.compiled.rules)
    rules = {name: rule for name, rule in prepared.compiled.rules.items() if name in skipped}
    chosen = sample([name for name, rule in rules.items() if _was_made_elsewhere(rule, engine, placing)], share, build)
    if not chosen:
        return AuditReport(engine=engine)
    auditor = _Auditor.of(prepared, build, engine, artifacts)
    report = audited(chosen, lambda name: auditor.check(name, skipped[name]), auditor.runner.profile.workers)
    if report.differing:
        prune(auditor.runner.evidence.root, auditor.runner.evidence.folder)
    return replace(report, engine=engine)


def _was_made_elsewhere(rule: CompiledRule, engine: Place, placing: Placing) -> bool:
    """Whether the other engine has made a product which both are held to make alike."""
    return rule.is_on_cluster if engine == "local" else not rule.is_on_cluster and placing.why_local(rule) is None


@dataclass(frozen=True)
class _Auditor:
    prepared: Prepared
    runner: Runner
    engine: Place
    artifacts: Mapping[str, str]

    @classmethod
    def of(cls, prepared: Prepared, build: str, engine: Place, artifacts: Mapping[str, str]) -> _Auditor:
        """Return what runs products on an engine. Raises `UserError` if its client is not installed."""
        profile = msgspec.structs.replace(prepared.session.profile, engine=engine, evidence="none")
        session = replace(prepared.session, profile=profile)
        if session.cluster is not None:
            session.cluster.require(profile)
            try:
                session.cluster.reach()
            except EngineError as error:
                raise UserError(str(error), code="engine", exit_code=FAILED) from error
        evidence = Evidence(session.store.objects.root, build)
        runner = Runner.of(replace(prepared, session=session), evidence)
        return cls(prepared, replace(runner, settles_ties=False), engine, artifacts)

    def check(self, name: str, expected: str) -> Finding:
        rule, sources = self.prepared.compiled.rules[name].placed(Placement(self.engine)), self.runner.session.sources
        if rule.rule.tier is not Tier.CANONICAL:  # rows may tie in its ORDER BY, whose order is open
            rule = replace(rule, node=replace(rule.node, ordered=False))
        try:
            found = rerun(self.runner, rule, sources, self.artifacts, expected)
        except OpenTiesError:
            return Finding(is_tied=True)
        except UserError as error:
            return Finding(f"it cannot be run {_PLACES[self.engine]}: {error.message}", error.hint)
        if found.difference is None:
            return Finding()
        kept = self._keep(rule, expected, found)
        return Finding(f"run {_PLACES[self.engine]} it has {found.difference}; evidence: {kept}", _HINT)

    def _keep(self, rule: CompiledRule, expected: str, found: Rerun) -> Path:
        """Keep what differs, and the query of each engine; return the folder."""
        session, name = self.prepared.session, rule.node.name
        body = self.runner.bodies.body(rule)
        queries = {
            "local.sql": body.sql,
            "spark.sql": spark_query(rule, body, session.placing(self.prepared.compiled.rules).schemas),
        }
        versions = {"local": session.engine.identity(session.profile).version, "spark": version()}
        other = "spark" if self.engine == "local" else "local"
        facts = {
            "product": name,
            "expected": expected,
            "found": found.digest,
            "compared": found.compared,
            "difference": found.difference,
            "made_by": versions[other],
            "run_by": versions[self.engine],
        }
        return self.runner.evidence.keep_difference(name, facts, queries)
