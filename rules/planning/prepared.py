"""What a run is asked for, and everything that is known before it executes anything: plain data between the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cache.keys import Content
from cache.records import Artifact
from graph.causes import Cause
from graph.dag import Dag
from graph.plan import Judgement, Known, Plan
from rules.compiling.compiled_rule import CompiledContract, CompiledRule
from rules.compiling.memo_proof import Bodies
from rules.config.profiles import Profile
from rules.config.project import Project
from rules.errors import UserError
from rules.files.file_digests import FileDigests
from rules.files.project_paths import DEFAULT_PROFILE
from rules.loading.rules import Rule
from rules.python.rule_files import DeclaredFunction, PythonFiles
from rules.sources.contents import Sources


@dataclass(frozen=True)
class Request:
    """What is asked for: which products, under which profile, and how failures are met.

    audit: the share of skipped products to run again, 0 to 1. trust_engine_upgrade: keep what another version of the
    engine computed, if a sample of it proves the same. explain: find out the causes of the verdicts of a plan.
    """

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    force: tuple[str, ...] = ()
    profile: str = DEFAULT_PROFILE
    jobs: int | None = None
    keep_going: bool = False
    audit: float = 0.0
    trust_engine_upgrade: bool = False
    explain: bool = False


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before anything is executed.

    order: the selected products, inputs first. contracts: of sources; contracted: those that this run verifies,
    compiled. broken: what is wrong with rules that cannot be built and sources that cannot be read. broken_sources: of
    those that this run reads. lost: verdicts of the selected products for which that leaves no other: failed, or
    skipped because of what they read. contents: what is known of inputs that are not part of this run. artifacts: those
    met while planning, by digest. causes: by product, if they were asked for.
    """

    project: Project
    dag: Dag
    rules: Mapping[str, Rule]
    compiled: Mapping[str, CompiledRule]
    contracts: Mapping[str, Rule]
    contracted: Mapping[str, CompiledContract]
    broken: Mapping[str, UserError]
    broken_sources: Mapping[str, UserError]
    lost: Mapping[str, Judgement]
    order: tuple[str, ...]
    forced: frozenset[str]
    plan: Plan
    known: Known
    contents: dict[str, Content]
    sources: Sources
    files: FileDigests
    profile: Profile
    artifacts: Mapping[str, Artifact]
    python: PythonFiles
    functions: Mapping[str, DeclaredFunction]
    bodies: Bodies
    causes: Mapping[str, list[Cause]] = field(default_factory=dict)

    @property
    def judgements(self) -> dict[str, Judgement]:
        """The verdict of every selected product, in the order in which they are built."""
        found = {**self.plan.judgements, **self.lost}
        return {name: found[name] for name in self.order}

    @property
    def summary(self) -> dict[str, int]:
        """Number of products by verdict; those that a whole project never has are there if something is broken."""
        counts = self.plan.summary
        if self.broken:
            counts |= {"failed": 0, "skipped": 0}
        for one in self.lost.values():
            counts[one.verdict] += 1
        return counts

    @property
    def errors(self) -> list[UserError]:
        """What is wrong with sources and with the selected products."""
        products = (self.broken[name] for name in self.order if name in self.broken)
        return list(dict.fromkeys((*self.broken_sources.values(), *products)))
