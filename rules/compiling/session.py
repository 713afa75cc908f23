"""The session of one run, which `load_session.py` makes: it performs steps 2 and 3, compile and fingerprint."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from compiler.compiled import Parsed
from compiler.schema import Schema, schema_of, schema_record
from graph.dag import Dag
from rules.compiling import snapshots_taken
from rules.compiling.compile_order import CompileOrder
from rules.compiling.compile_rules import Tables, Work
from rules.compiling.compiled_rule import CompiledContract, CompiledRule, from_head
from rules.compiling.reach import BeyondReach, Reach
from rules.compiling.unchanged_rules import Unchanged
from rules.compiling.writer_columns import require_writable
from rules.config.front_matter import RuleOptions
from rules.config.profiles import Profile
from rules.config.project import Project
from rules.engine.clusters import cluster
from rules.engine.protocol import Engine
from rules.errors import UserError
from rules.files.file_digests import FileDigests
from rules.files.locations import is_url
from rules.loading.input_binding import make_resolver
from rules.loading.load_rules import MANY
from rules.loading.rule import Rule
from rules.python.rule_files import DeclaredFunction, PythonFiles
from rules.sources.contents import Sources
from rules.sources.remembered_columns import columns_last_seen
from rules.storage.store import Store

if TYPE_CHECKING:
    from rules.compiling.helpers import Helpers
    from rules.compiling.placement import Placing
    from rules.compiling.shared_memos import SharedMemos


@dataclass(frozen=True)
class Compilation:
    """The result of compiling some rules: the rules, and the contracts of sources compiled with them, by name."""

    rules: Mapping[str, CompiledRule]
    contracts: Mapping[str, CompiledContract]
    last_seen: Mapping[str, Schema] = field(default_factory=dict)
    """Columns of sources that were not opened."""

    @cached_property
    def by_name(self) -> dict[str, CompiledRule]:
        """Every query of these rules and contracts: products, and checks of products and sources."""
        found = {rule.node.name: rule for rule in self.rules.values()}
        found |= {
            one.compiled.node.name: one.compiled for rule in self.rules.values() if rule.checks for one in rule.checks
        }
        return found | {
            one.compiled.node.name: one.compiled for owner in self.contracts.values() for one in owner.checks
        }

    def to_build(self, project: Project, order: Collection[str], contracts: Collection[str]) -> Compilation:
        """Return what building the products of `order` needs of it: see `verified`.

        Raises `UserErrors` for products that cannot be written as their rules wish.
        """
        found = self.verified(order, contracts)
        require_writable(project, (found.rules[name] for name in order if name in found.rules))
        return found

    def verified(self, order: Iterable[str], contracts: Collection[str]) -> Compilation:
        """Return the same, with the contracts of only the sources that the products of `order` read, or `contracts`."""
        if not self.contracts:
            return self
        compiled = [self.rules[name] for name in order if name in self.rules]
        read = {entry for rule in compiled for one in rule.all for entry in one.scans}
        kept = {name: one for name, one in self.contracts.items() if name in read or name in contracts}
        return Compilation(self.rules, kept, self.last_seen)


@dataclass(frozen=True)
class Session:
    """The state of one run: made once, by `load`, and used by every later step."""

    project: Project
    profile: Profile
    store: Store
    engine: Engine
    """The engine that plans and runs queries."""
    files: FileDigests
    sources: Sources
    python: PythonFiles
    functions: Mapping[str, DeclaredFunction]
    """The functions of the project that SQL may call."""
    rules: Mapping[str, Rule]
    contracts: Mapping[str, Rule]
    """The contracts of sources that have one."""
    dag: Dag
    broken: dict[str, UserError]
    """The errors of rules and sources; compiling adds those it finds."""
    unreadable: dict[str, UserError] = field(default_factory=dict)
    """The errors of sources that could not be opened."""
    made: set[str] = field(default_factory=set)
    """The memos of rules that this process compiled itself, which need no proof."""
    helpers: Helpers | None = None
    """Processes that compile, if they were started already because many rules are new."""
    trust_engine: bool = False
    """Whether results of another version of the engine count."""
    memos: SharedMemos | None = None
    """What other builders have compiled, where there is a shared cache."""
    reach: Reach | None = None
    """What the edits since the last complete build can reach, if that is all that this run looks at: then `rules` and
    `dag` have no other products, but for the inputs that the DAG names."""
    lasting: bool = True
    """Whether a later command would run the same: the project in the work tree as it is, on the engine that commands
    use; not a commit's, one with other variables, or one on another engine."""

    def compile(
        self, wanted: Iterable[str], contracts: Collection[str] = (), *, as_last_seen: bool = False
    ) -> Compilation:
        """Compile products with everything that they read; errors are added to `broken`.

        contracts: sources whose contracts are compiled too, even if no wanted product reads them. as_last_seen: no
        server is asked for a source that was ever read as it is declared now; it is taken to have the columns it had.
        """
        resolve = make_resolver(self._tables)
        checks = (check.rule for name in contracts for check in self.contracts[name].checks)
        for_checks = {resolve(table) or "" for check in checks for table in check.parsed.tables}
        asked = {*wanted, *(for_checks & self.rules.keys())}
        needed = self.dag.closure(asked) if len(asked) < len(self.dag.order) else asked
        order = [name for name in self.dag.order if name in needed]
        read = {source for name in order for source in self.dag.inputs[name]} | for_checks | set(contracts)
        asked_for = sorted(read & self.project.sources.keys())
        last_seen = self._last_seen(asked_for) if as_last_seen else {}
        sources = self.sources.open_sound([name for name in asked_for if name not in last_seen], self.unreadable)
        self.broken.update({name: error for name, error in self.unreadable.items() if name not in self.broken})
        work = self.work(trust_engine=self.trust_engine)
        work.memos.made = self.made
        records = {name: schema_record(table.schema) for name, table in sources.items()}
        records |= {name: schema_record(schema) for name, schema in last_seen.items()}
        if self.reach is None:
            unchanged = work.recall(records, self.rules, self.dag, self.broken)
        else:
            work.know_sources(records)
            unchanged, outside = Unchanged(self.dag), self._outside(work)
        others = [self.rules[name] for name in order if unchanged.get(name) is None and name not in self.broken]
        self._compile_ahead(work, [one for rule in others for one in rule.all])
        promised = {name: rule for name, rule in self.contracts.items() if name in read}
        run = CompileOrder(work, self.rules, promised, self.broken, unchanged)
        for rule in run.ready(order):
            try:
                run.add(rule, work.compile(rule))
            except UserError as error:
                run.fail(rule, error)
        work.memos.save()
        if self.reach is not None:
            return Compilation(outside | run.compiled, run.contracted)
        work.forget_but([*self.rules.values(), *self.contracts.values()])
        if len(run.compiled) == len(self.rules):
            work.keep(run.compiled)
            if self.lasting and self.store.memory.runs <= 1 and not last_seen:
                self._remember(run.compiled)
        # Where rules run depends on sources that were opened; who asks for less runs none.
        rules = run.compiled if last_seen else self._placed(run.compiled)
        return Compilation(rules, run.contracted, last_seen)

    @property
    def products(self) -> Collection[str]:
        """The names of all products of the project."""
        return self.rules if self.reach is None else self.reach.products

    @property
    def _tables(self) -> list[str]:
        """The names of all sources and products."""
        return [*self.project.sources, *self.products]

    def _outside(self, work: Work) -> dict[str, CompiledRule]:
        """Let a compiler know the products that reached rules read and no edit reaches; return their rules.

        They are as the last states of their products have them, whatever their files look like. Raises `BeyondReach`.
        """
        found = {}
        read = dict.fromkeys(one for name in self.dag.order for one in self.dag.inputs[name])
        for name in read.keys() - self.rules.keys() - self.project.sources.keys():
            last = self.store.states.get(name)
            head = work.memos.head(last.memo) if last is not None else None
            if last is None or head is None:
                raise BeyondReach(name)
            rule = Rule(name, "", last.record.text, RuleOptions(), Parsed((), ()))
            made = from_head(rule, last.memo, head, tuple, keeps_order=self.profile.keeps_order)
            found[name], work.known[name] = made, made.table
        return found

    def _last_seen(self, names: Iterable[str]) -> dict[str, Schema]:
        """Return the columns of sources elsewhere that were read before."""
        found = {}
        for name in names:
            source = self.project.sources[name]
            schema = columns_last_seen(self.store.index, source) if is_url(source.path) else None
            if schema is not None:
                found[name] = schema
        return found

    @cached_property
    def cluster(self) -> Engine | None:
        """The engine that the profile has beside the one which plans, and runs what the other cannot."""
        return cluster(self.profile)

    def _placed(self, compiled: dict[str, CompiledRule]) -> dict[str, CompiledRule]:
        """Return rules with their places, if there are several."""
        if self.cluster is None:
            return compiled
        from rules.compiling.placement import BySize

        by_size = None
        if self.profile.engine == "auto":
            sizes = {name: self.sources.size(name) for name in self.sources.opened()}
            by_size = BySize.of(self.dag, sizes, self.profile.spark_from_mb)
        return self.placing(compiled).placed(compiled, self.cluster.identity(self.profile), by_size)

    def placing(self, compiled: Mapping[str, CompiledRule]) -> Placing:
        """Return what knows which of some rules can run on Spark. compiled: with all that they read."""
        from rules.compiling.placement import Placing

        schemas = {name: schema_of(rule.table) for name, rule in compiled.items()}
        schemas |= {name: self.sources.table(name).schema for name in self.sources.opened()}
        given = {name for name in self.sources.opened() if self.sources.constants(name)}
        return Placing(schemas, given, self.store.index)

    def share_memos(self, compiled: Compilation) -> None:
        """Begin to send what this run has compiled to other builders."""
        if self.memos is not None and self.lasting:
            self.memos.share(compiled.rules.values(), compiled.contracts.values(), self.made)

    def work(self, *, trust_engine: bool = False) -> Work:
        """Return a compiler of this project's rules, which knows no input yet."""
        work = Work(
            self.project,
            self.profile,
            self.store,
            Tables(self._tables, self.store.states, few=self.reach is not None),
            python=self.python,
            functions=self.functions,
            engine=self.engine,
        )
        work.trust_engine = trust_engine
        work.memos.know(self.memos.heads if self.memos is not None else {})
        return work

    def errors(self, names: Iterable[str]) -> list[UserError]:
        """Return the errors of products, and of everything that they read."""
        needed = self.dag.closure(names)
        needed |= {source for name in needed for source in self.dag.inputs[name]}
        return list(dict.fromkeys(error for name, error in self.broken.items() if name in needed))

    def unsound(self) -> set[str]:
        """Return the rules that are known to be broken, and those that read one or a broken source."""
        found: set[str] = set()
        for name in self.dag.order if self.broken else ():
            if name in self.broken or any(one in found or one in self.broken for one in self.dag.inputs[name]):
                found.add(name)
        return found

    def _compile_ahead(self, work: Work, rules: Sequence[Rule]) -> None:
        """Compile rules in parallel, if many of them were never compiled as they are now."""
        helpers = self.helpers
        try:
            received = self.memos.names if self.memos is not None else set()
            if (
                sum(rule.name.partition(".")[0] not in received and work.is_new(rule) for rule in rules) >= MANY
                and self.profile.cores > 1
            ):
                from rules.compiling.compile_pool import Setting, compile_ahead
                from rules.compiling.helpers import Helpers

                helpers = helpers or Helpers(self.profile.cores, self.engine, Setting)
                compile_ahead(work, rules, helpers)
        finally:
            if helpers is not None:
                helpers.close()

    def _remember(self, compiled: Mapping[str, CompiledRule]) -> None:
        """Remember that every rule is compiled, for later callers.

        It is a record of the whole project, so a process that plans after every edit does so once.
        """
        memos = {name: rule.memo for name, rule in compiled.items()}
        state = snapshots_taken.compiled_snapshot(self.project, self.files, self.sources, memos)
        index = self.store.index
        if index.snapshot("compiled") != state:
            index.set_snapshot("compiled", state)
