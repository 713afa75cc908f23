"""Step 1 of 7, load: the session of one run is made of all rules of a project, or of those that edits can reach."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from compiler.compiled import Parsed
from rules.compiling.reach import Reach
from rules.compiling.session import Session
from rules.config.project import Project, load_project
from rules.engine.clusters import cluster
from rules.engine.local import LOCAL
from rules.engine.protocol import Engine
from rules.files.file_digests import FileDigests
from rules.files.project_paths import FILE
from rules.loading.contracts import with_contracts
from rules.loading.input_binding import make_dag
from rules.loading.load_rules import load_rules
from rules.loading.rule_texts import Text
from rules.sources.contents import Sources
from rules.storage.store import Store
from rules.wording import plural

if TYPE_CHECKING:
    from graph.dag import Dag
    from rules.compiling.helpers import Helpers
    from rules.compiling.shared_memos import SharedMemos
    from rules.config.profiles import RuntimeProfile
    from rules.errors import UserError
    from rules.loading.contracts import Contracted
    from rules.loading.rule import RuleSet


class _Loaded(NamedTuple):
    """The rules that were loaded, with their contracts and their DAG. broken: the errors of its making."""

    found: RuleSet
    contracted: Contracted
    dag: Dag
    broken: dict[str, UserError]


def load(
    project: Project,
    profile: str,
    store: Store,
    *,
    given: Mapping[str, object] | None = None,
    engine: Engine = LOCAL,
    trust_engine: bool = False,
    reach: Reach | None = None,
) -> Session:
    """Load the rules of the project as it is now; rules that cannot be loaded are broken. Raises `UserError`.

    given: values of settings in place of the profile's; None leaves a setting. reach: what alone is to be looked at;
    then `BeyondReach` is raised, too.
    """
    files = store.file_digests(project.root) if reach is None else reach.files(store, project)
    # Digested, then read again now that the store is locked: the next no-op check sees an edit from here on.
    files.digest(FILE)
    project = load_project(project.root, project.given, project.settings)
    sources = Sources(project, store.index, store.objects, files)
    engine.require(project.profile(profile))
    cluster(project.profile(profile))  # which refuses one that cannot be
    if reach is None:
        memos = shared_memos(project, profile, store, engine)
        session = load_at(project, profile, store, sources, files, engine, memos)
    else:
        session = _load_reached(project, profile, store, sources, files, engine, reach)
    changed = {name: value for name, value in (given or {}).items() if value is not None}
    settings = msgspec.structs.replace(session.profile, **changed)
    lasting = not project.given and not project.settings and engine.lasting
    return replace(session, profile=settings, trust_engine=trust_engine, lasting=lasting)


def load_at(
    project: Project,
    profile: str,
    store: Store,
    sources: Sources,
    files: FileDigests,
    engine: Engine,
    memos: SharedMemos | None = None,
) -> Session:
    """Load the rules of a project that reads `sources`. files: digests of its rule files. Raises as `load` does.

    memos: of other builders, if they may be asked for.
    """
    settings = project.profile(profile)
    helpers: Helpers | None = None

    def parse_many(texts: Sequence[Text]) -> Sequence[Parsed | None]:
        nonlocal helpers
        from rules.compiling.compile_pool import Setting
        from rules.compiling.helpers import Helpers
        from rules.compiling.parse_pool import parse_ahead

        helpers = Helpers(settings.cores, engine, Setting)
        return parse_ahead(helpers, texts)

    with contextlib.ExitStack() as unless_loaded:
        unless_loaded.callback(lambda: helpers.close() if helpers is not None else None)
        found = load_rules(
            project,
            store.index,
            files,
            profile=settings,
            parse_ahead=parse_many if settings.cores > 1 else None,
            memory=store.memory,
            receive=memos.receive if memos is not None else None,
        )
        contracted = with_contracts(project, store.index, found, store.memory)
        dag, broken = make_dag(project, contracted.rules, contracted.sources, store.memory)
        unless_loaded.pop_all()
    loaded = _Loaded(found, contracted, dag, broken)
    return replace(_session(project, settings, store, sources, files, engine, loaded), helpers=helpers, memos=memos)


def _load_reached(
    project: Project,
    profile: str,
    store: Store,
    sources: Sources,
    files: FileDigests,
    engine: Engine,
    reach: Reach,
) -> Session:
    """Load what edits can reach, and of other products the states of those that it reads. Raises as `load` does."""
    settings, others, memos = project.profile(profile), reach.products, shared_memos(project, profile, store, engine)
    if memos is not None:
        memos.describe(reach.built["rule_files"])
    found = load_rules(project, store.index, files, profile=settings)
    contracted = with_contracts(project, store.index, found, others=others)
    dag, broken = make_dag(project, contracted.rules, contracted.sources, others=others)
    reach.require_enough(contracted.rules.values())
    reached = {*dag.inputs, *contracted.sources}
    store.look_only_at(reached, {one for inputs in dag.inputs.values() for one in inputs} - reached)
    loaded = _Loaded(found, contracted, dag, broken)
    return replace(_session(project, settings, store, sources, files, engine, loaded), memos=memos, reach=reach)


def _session(
    project: Project,
    settings: RuntimeProfile,
    store: Store,
    sources: Sources,
    files: FileDigests,
    engine: Engine,
    loaded: _Loaded,
) -> Session:
    return Session(
        project=project,
        profile=settings,
        store=store,
        files=files,
        sources=sources,
        python=loaded.found.python,
        functions=loaded.found.functions,
        rules=loaded.contracted.rules,
        contracts=loaded.contracted.sources,
        dag=loaded.dag,
        broken=loaded.broken | loaded.contracted.wrong,
        engine=engine,
        lasting=False,
    )


def require_trust(store: Store) -> None:
    """Forget, and say so, what came from writers of the shared cache whom the project does not trust any more."""
    count = store.shared.require_trust() if store.shared is not None else 0
    if count:
        results = plural(count, "result")
        store.say(f"{results} of writers that [cache] trust does not name are not believed any more, and made again")


def shared_memos(project: Project, profile: str, store: Store, engine: Engine) -> SharedMemos | None:
    """Return the memos of other builders, None without a shared cache. Raises `UserError`."""
    if store.shared is None:
        return None
    require_trust(store)
    from rules.compiling.shared_memos import SharedMemos

    identity = engine.identity(project.profile(profile))
    parts = (identity.version, identity.settings, identity.float_settings)
    return SharedMemos(store, store.shared, project, parts)
