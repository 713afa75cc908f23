"""Steps 1 and 2 of 7 for one run: a project's rules, loaded, and compiled on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graph.dag import Dag
from rules import noop
from rules.compiling import compile_rules
from rules.contracts.loading import with_contracts
from rules.errors import UserError, UserErrors
from rules.files import FileDigests
from rules.load import Rule, load_rules
from rules.memos import CompiledRule
from rules.profiles import Profile
from rules.project import Project, load_project
from rules.python.files import DeclaredFunction, PythonFiles
from rules.roots import FILE
from rules.sources.contents import Sources
from rules.store import Store
from rules.wiring import make_dag

if TYPE_CHECKING:
    from rules.ahead import Helpers


@dataclass(frozen=True)
class Loaded:
    """The loaded rules of a project.

    broken: what is wrong with rules, added to by compiling. trust_engine: see `compile_rules`. lasting: whether the
    files are those of the work tree, and not of a commit, and say all. helpers: if many rules are to be compiled.
    """

    project: Project
    profile: Profile
    rules: Mapping[str, Rule]
    dag: Dag
    broken: dict[str, UserError]
    sources: Sources
    files: FileDigests
    store: Store
    python: PythonFiles
    functions: Mapping[str, DeclaredFunction]
    helpers: Helpers | None = None
    trust_engine: bool = False
    lasting: bool = True

    def compile(self, wanted: Iterable[str]) -> dict[str, CompiledRule]:
        """Compile products with all that they read. Raises `UserError` for a source that cannot be opened."""
        needed = self.dag.closure(wanted)
        order = [name for name in self.dag.order if name in needed]
        read = {source for name in order for source in self.dag.inputs[name] if source in self.project.sources}
        schemas = {name: table.schema for name, table in self.sources.open(sorted(read)).items()}
        compiled = compile_rules(
            self.project,
            self.profile,
            self.store,
            self.rules,
            order,
            schemas,
            self.broken,
            python=self.python,
            functions=self.functions,
            trust_engine=self.trust_engine,
            helpers=self.helpers,
        )
        if self.lasting and len(compiled) == len(self.rules):
            self._remember(compiled)
        return compiled

    def _remember(self, compiled: Mapping[str, CompiledRule]) -> None:
        """Remember that every rule is compiled, for who asks next."""
        memos = {name: rule.memo for name, rule in compiled.items()}
        state = noop.compiled_snapshot(self.project, self.files, self.sources, memos)
        index = self.store.index
        if index.snapshot("compiled") != state:
            index.set_snapshot("compiled", state)


def load(
    project: Project, profile: str, store: Store, *, trust_engine: bool = False, keep_going: bool = False
) -> Loaded:
    """Load the rules of the project as it is now.

    Raises `UserError`, or `UserErrors` for rules that cannot be loaded; to keep going, these count as broken.
    """
    files = FileDigests(project.root, store.index)
    # Digested, then read again now that the store is ours: an edit from here on shows in the next no-op check.
    files.digest(FILE)
    project = load_project(project.root, project.given)
    sources = Sources(project, store.index, store.objects, files)
    loaded = load_at(project, profile, store, sources, files, keep_going=keep_going)
    return replace(loaded, trust_engine=trust_engine, lasting=not project.given)


def load_at(
    project: Project, profile: str, store: Store, sources: Sources, files: FileDigests, *, keep_going: bool = False
) -> Loaded:
    """Load the rules of a project that reads `sources`. files: digests of its rule files. Raises as `load` does."""
    settings = project.profile(profile)
    helpers: Helpers | None = None

    def start_helpers() -> None:
        nonlocal helpers
        if settings.cores > 1:
            from rules.ahead import Helpers

            helpers = Helpers(settings.cores)
            helpers.start()

    found = load_rules(project, store.index, files, expect_many=start_helpers)
    rules, wrong = with_contracts(project, store.index, found)
    if wrong and not keep_going:
        raise UserErrors(list(dict.fromkeys(wrong.values())))
    dag, broken = make_dag(project, rules)
    return Loaded(
        project,
        settings,
        rules,
        dag,
        broken | wrong,
        sources,
        files,
        store,
        found.python,
        found.functions,
        helpers,
        lasting=False,
    )
