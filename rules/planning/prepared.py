"""The request for a run, and everything that is known before it executes anything: plain data between the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from cache.keys import Content
from graph.causes import Cause
from graph.plan import Judgement, Known, Plan
from rules.compiling.memo_proof import Bodies
from rules.compiling.session import Compilation, Session
from rules.config.profiles import Evidence, Place
from rules.engine.local import LOCAL
from rules.engine.protocol import Engine, PartsRun
from rules.errors import UserError
from rules.files.project_paths import DEFAULT_PROFILE
from rules.planning.broken import broken_sources, lost_products
from rules.planning.inputs import artifacts_of_inputs
from rules.planning.unreached import Unreached


@dataclass(frozen=True)
class Request:
    """The request: which products, under which profile, and how to treat failures."""

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    force: tuple[str, ...] = ()
    profile: str = DEFAULT_PROFILE
    jobs: int | None = None
    evidence: Evidence | None = None
    """How much evidence is kept, if not what the profile says."""
    keep_going: bool = False
    audit: float = 0.0
    """The share of skipped products to run again, 0 to 1."""
    audit_remote: bool = False
    """Whether an audit runs only what came from the shared cache."""
    audit_engine: Place | None = None
    """The engine on which an audit runs what the other one has made."""
    runs_on: Place | None = None
    """Where rules run, if not where the profile says."""
    trust_engine_upgrade: bool = False
    """Whether to keep results of another version of the engine, if a sample of them proves the same."""
    timeout: float | None = None
    product_timeout: float | None = None
    """Seconds that the build, and each product, may take, if not what the profile says."""
    engine: Engine = LOCAL
    lazy: bool = False
    """Whether tables of a shared cache are fetched only once they are read."""
    explain: bool = False
    """Whether to find the causes of the verdicts of a plan."""
    brief: bool = False
    """Whether products that no edit can reach may be counted, and not listed."""

    @property
    def whole(self) -> bool:
        """Whether it selects every product of the project."""
        return not self.select and not self.exclude


@dataclass(frozen=True)
class Selection:
    """The products that a request selects."""

    order: tuple[str, ...]
    """Inputs first."""
    forced: frozenset[str]
    contracts: tuple[str, ...]
    """Sources whose contracts are verified even if nothing selected reads them."""


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before anything is executed: the results of steps 1 to 5."""

    request: Request
    session: Session
    selection: Selection
    compiled: Compilation
    known: Known
    """The last states of products, and how to compare with them."""
    contents: dict[str, Content]
    """The contents of inputs that this run does not build: sources, and products that are not selected."""
    plan: Plan
    causes: Mapping[str, list[Cause]] = field(default_factory=dict)
    """The causes by product, if the request asks for them."""
    parts: Mapping[str, PartsRun] = field(default_factory=dict)
    """How the products that will run do so by parts, if that was asked for."""
    fetches: Mapping[str, int] = field(default_factory=dict)
    """The bytes that will be fetched from the shared cache for products, if that was asked for."""
    unreached: Unreached = field(default_factory=Unreached)
    """The selected products that no edit can reach, which are in `order` no more than in anything else here."""

    @property
    def order(self) -> tuple[str, ...]:
        """The selected products, inputs first."""
        return self.selection.order

    @cached_property
    def bodies(self) -> Bodies:
        """The queries that may be executed."""
        return Bodies(self.session, self.compiled.rules)

    @property
    def artifacts(self) -> dict[str, str]:
        """The artifacts of inputs that this run does not build."""
        return artifacts_of_inputs(self.session, self.contents, self.known.products)

    @property
    def lost(self) -> dict[str, Judgement]:
        """Verdicts of the selected products that were not compiled: failed, or skipped because of an input."""
        return lost_products(self.order, self.session.dag, self.compiled.rules, self.session.broken)

    @property
    def broken_sources(self) -> dict[str, UserError]:
        """The errors of sources that this run reads or verifies."""
        broken, dag = self.session.broken, self.session.dag
        unread = {name: broken[name] for name in self.selection.contracts if name in broken}
        return unread | broken_sources(self.order, dag, broken, self.session.project.sources)

    @property
    def judgements(self) -> dict[str, Judgement]:
        """The verdict of every selected product, in the order in which they are built."""
        found = {**self.plan.judgements, **self.lost}
        return {name: found[name] for name in self.order}

    @property
    def summary(self) -> dict[str, int]:
        """The number of products by verdict; failed and skipped are included only if something is broken."""
        counts = self.plan.summary
        counts["clean"] += self.unreached.count
        if self.session.broken:
            counts |= {"failed": 0, "skipped": 0}
        for one in self.lost.values():
            counts[one.verdict] += 1
        return counts

    @property
    def errors(self) -> list[UserError]:
        """The errors of sources and of the selected products."""
        broken = self.session.broken
        products = (broken[name] for name in self.order if name in broken)
        return list(dict.fromkeys((*self.broken_sources.values(), *products)))
