"""Audit on the other engine: run what one engine has made on the other, and compare. Two judges that share no code.

Only rules of which both are held to make the same table are run. A difference is evidence, not a verdict: it says that
one of the two is wrong, or the list in `compiler.spark.expressions`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
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
from rules.running.audit import sample
from rules.running.evidence import Evidence, folder_of, prune
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
    with ThreadPoolExecutor(max_workers=auditor.runner.profile.workers) as pool:
        found = dict(zip(chosen, pool.map(lambda name: auditor.check(name, skipped[name]), chosen), strict=True))
    differing = {name: one.clause for name, one in found.items() if one.clause}
    if differing:
        prune(auditor.runner.evidence.root, auditor.runner.evidence.folder)
    return AuditReport(
        tuple(name for name in chosen if not found[name].is_tied),
        differing,
        {name: one.hint for name, one in found.items() if one.hint},
        engine,
        tuple(name for name in chosen if found[name].is_tied),
    )


def _was_made_elsewhere(rule: CompiledRule, engine: Place, placing: Placing) -> bool:
    """Whether the other engine has made a product which both are held to make alike."""
    return rule.is_on_cluster if engine == "local" else not rule.is_on_cluster and placing.why_local(rule) is None


@dataclass(frozen=True)
class _Found:
    """What came of one run: how it differs, in a clause. is_tied: the engines may break ties in different ways."""

    clause: str = ""
    hint: str = ""
    is_tied: bool = False


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

    def check(self, name: str, expected: str) -> _Found:
        rule, sources = self.prepared.compiled.rules[name].placed(Placement(self.engine)), self.runner.session.sources
        if rule.rule.tier is not Tier.CANONICAL:  # rows may tie in its ORDER BY, whose order is open
            rule = replace(rule, node=replace(rule.node, ordered=False))
        try:
            found = rerun(self.runner, rule, sources, self.artifacts, expected)
        except OpenTiesError:
            return _Found(is_tied=True)
        except UserError as error:
            return _Found(f"it cannot be run {_PLACES[self.engine]}: {error.message}", error.hint or "")
        if found.difference is None:
            return _Found()
        kept = self._keep(rule, expected, found)
        return _Found(f"run {_PLACES[self.engine]} it has {found.difference}; evidence: {kept}", _HINT)

    def _keep(self, rule: CompiledRule, expected: str, found: Rerun) -> Path:
        """Keep what differs, and the query of each engine; return the folder."""
        session, name = self.prepared.session, rule.node.name
        body = self.runner.bodies.body(rule)
        queries = {
            "local": body.sql,
            "spark": spark_query(rule, body, session.placing(self.prepared.compiled.rules).schemas),
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
        folder = self.runner.evidence.folder / folder_of(name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "difference.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        for engine, query in queries.items():
            (folder / f"{engine}.sql").write_text(query + "\n", encoding="utf-8")
        return folder
