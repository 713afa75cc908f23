"""What a run is asked for, and everything that is known before it executes anything: plain data between the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cache.keys import Content
from cache.records import Artifact
from graph.causes import Cause
from graph.dag import Dag
from graph.plan import Known, Plan
from rules.errors import UserError
from rules.files import FileDigests
from rules.load import Rule
from rules.memos import CompiledRule
from rules.profiles import Profile
from rules.project import Project
from rules.proving import Bodies
from rules.python.files import DeclaredFunction, PythonFiles
from rules.roots import DEFAULT_PROFILE
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

    order: the selected products, inputs first. broken: what is wrong with rules that cannot be built. contents: what is
    known of inputs that are not part of this run. artifacts: those met while planning, by digest. causes: by product,
    if they were asked for.
    """

    project: Project
    dag: Dag
    rules: Mapping[str, Rule]
    compiled: Mapping[str, CompiledRule]
    broken: Mapping[str, UserError]
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
