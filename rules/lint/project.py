"""`rules check`, the looking: every rule file of a project → what is found in it, by code, suppressed or not.

Nothing is executed. A rule is also planned on empty tables (`rules.lint.planned_rules`), so that what `plan` and
`build` would refuse is found here, in the same words. What is found in a rule is remembered by everything it was found
from, and the whole of it with the files' signatures, so that an unchanged project is answered without reading a rule,
and the engine is loaded for what is new alone. After a few edits in a project that is else as it was, only what these
can reach is looked at (`rules.lint.check_reach`). The policy is applied afterwards (`rules.config.policy`): it changes
what is reported, never what is found.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from compiler.lint.comments import suppressions
from rules.compiling import snapshots_taken
from rules.compiling.reach import BeyondReach
from rules.compiling.writer_columns import unwritable
from rules.errors import UserError
from rules.files.project_paths import DEFAULT_PROFILE, FILE
from rules.lint.check_helpers import CheckHelpers
from rules.lint.check_memory import Before, Kept, Settled
from rules.lint.check_reach import Known, may_be_narrow, reach_of_edits, to_record
from rules.lint.checking import Checking
from rules.lint.look_ahead import look_ahead
from rules.lint.planned_rules import Foresight
from rules.lint.policy_hook import rejected
from rules.lint.project_file import project_file
from rules.lint.project_functions import advise
from rules.lint.rule_checks import check_query, check_rule
from rules.lint.source_columns import open_sources
from rules.lint.static_contracts import foretold
from rules.lint.unreadable_rules import translate_unreadable
from rules.lint.worlds import Worlds
from rules.loading.contracts import Contracted, with_contracts
from rules.loading.input_binding import cut_dag, make_resolver
from rules.loading.load_rules import MANY, load_rules
from rules.sources.column_schemas import KnownSchemas
from rules.sources.contents import Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from graph.dag import Dag
    from rules.config.project import Project
    from rules.files.file_digests import FileDigests
    from rules.lint.check_reach import CheckReach
    from rules.loading.rule import Rule, RuleSet
    from rules.storage.store import Store

MISSED = 20
"""Rules that had to be looked at, after which it is expected of the others, too."""


def check_project(
    project: Project,
    store: Store,
    say: Callable[[str], None],
    *,
    tolerant: bool = False,
    last: tuple[Mapping[str, Any], Sequence[str]] | None = None,
) -> Checking:
    """Check every rule file of a project, and rules.toml. Raises `UserError` if rules.toml has an error.

    tolerant: a crash of the compiler is a finding in the rule, and no error. last: what `rules.snapshots.last_check`
    returned, where it is enough to look at what the edits since can reach: all records are then those of the whole
    project, and all else that is returned is of what was looked at.
    """
    reach = reach_of_edits(project, *last) if last is not None else None
    if reach is not None:
        with contextlib.suppress(BeyondReach):
            return _checked(project, store, say, reach.files(store, project), reach=reach)
    files = store.file_digests(project.root, project.unsaved)
    return _checked(project, store, say, files, tolerant=tolerant)


def _checked(
    project: Project,
    store: Store,
    say: Callable[[str], None],
    files: FileDigests,
    *,
    tolerant: bool = False,
    reach: CheckReach | None = None,
) -> Checking:
    """Check the rules that `files` has. Raises as `check_project` does, and `BeyondReach` for a reach that is none."""
    files.digest(FILE)
    with CheckHelpers(project) as helpers:
        loaded = load_rules(
            project,
            store.index,
            files,
            profile=project.profile(DEFAULT_PROFILE),
            memory=store.memory,
            parse_ahead=helpers.parse if helpers.may_help else None,
        )
        names = reach.names if reach is not None else (*project.sources, *loaded.rules)
        functions = {name: one.digest for name, one in loaded.functions.items()} if reach is None else reach.functions
        sources = Sources(project, store.index, store.objects, files)
        foresight = Foresight(project, store, loaded, names, make_resolver(names), functions)
        known = KnownSchemas(project, store.index, sources, files)
        work = Checking(project, store.index, files, sources, known, foresight, store.memory, tolerant, reach)
        work.functions = frozenset(functions)
        work.records = {path: {"found": [], "marks": []} for path in (*files.rule_files, FILE)}
        _look(work, loaded, names, helpers, say)
    store.index.remember("parsed", work.fresh)
    foresight.save()
    files.save()
    return work


def _look(
    work: Checking, loaded: RuleSet, names: tuple[str, ...], helpers: CheckHelpers, say: Callable[[str], None]
) -> None:
    """Find what is wrong with the rules that were loaded, and with rules.toml; recognise the project from then on."""
    project, resolve, reach = work.project, work.foresight.resolve, work.reach
    found = _with_contracts(work, loaded, names)
    rules, contracts = found.rules, found.sources if reach is None else {}
    for error in dict.fromkeys(found.wrong.values()):
        work.record_error(error)
    for function in loaded.functions.values():
        if function.error is not None:
            work.record_error(function.error)
        advise(work, function)
    dag, circles = cut_dag(project, rules, contracts, work.memory, names if reach is not None else ())
    for error in circles.values():
        work.record_error(error)
    declared = {rule.name: rule for rule in (*loaded.rules.values(), *rules.values(), *contracts.values())}
    now = {name: Known.of(rule, rules, resolve) for name, rule in declared.items()}
    keys = {name: rule.options.key for name, rule in rules.items()}
    if reach is not None:
        reach.require_enough(project, loaded, declared.values(), now, circles)
        reach.let_be_read(work, rules.values(), resolve)
        now, keys = reach.others | now, reach.keys | keys
    sound = open_sources(work, dag, rules, contracts, say)
    work.worlds = Worlds(project, work.known.schemas, resolve, names, work.functions, keys)
    _begin_looking(work, [*rules.values(), *contracts.values()])
    spoken = project.policy.from_dialect, project.dialect, project.spoken, project.folders
    before = Before((names, spoken), rules, dag, dict(work.known.schemas.known))
    work.same = work.memory.part(Kept).same(before)
    _check_all(work, dag, resolve, names, rules, helpers)
    translate_unreadable(work, loaded, resolve)
    promising = [*(rules[name] for name in dag.order), *contracts.values()]
    for rule in [one for one in promising if one.checks]:
        for check in rule.checks:
            if check.draft.is_authored:
                check_query(work, rule, check, resolve)
    wrong = [*found.wrong, *(reach.wrong if reach is not None else ())]
    of_file = project_file(project, now.values(), complete=not wrong)
    work.add(FILE, of_file)
    _look_at_promises(work, promising, resolve, names)
    work.memory.part(Kept).settle(before, work.same)
    _ask_policy(work, rules.values(), resolve)
    # The hook of a policy is asked each time, so a project that has one is never recognised.
    if circles or work.known.unnoticed or work.refused or project.policy.on_qualify:
        return
    of_others = len(work.records[FILE]["found"]) > len(of_file["found"])
    known = None
    if sound and not of_others and may_be_narrow(project, names, found.wrong, loaded.unloaded):
        facts = {name: one.with_memo(work.memos.get(name)) for name, one in now.items()}
        known = to_record(names, work.foresight.functions, facts, wrong)
    _remember(work, known)


def _remember(work: Checking, known: dict[str, Any] | None) -> None:
    """Recognise the project from now on. known: what a check of single rules has to know, None if there can be none.

    Of a reach, also make the records those of the whole project; raises `BeyondReach` if that is otherwise by now.
    """
    project, files, sources, reach = work.project, work.files, work.sources, work.reach
    if reach is None:
        work.records[FILE]["inferred"] = sources.inferred()
        if project.unsaved or not project.runs_python or files.digest(FILE) != project.digest:
            return  # what was found is not what a new process would find in the files
        closed, last_seen = work.known.closed, work.known.last_seen
        state = snapshots_taken.checked_snapshot(project, files, sources, closed, last_seen, work.records, known)
        work.index.set_snapshot("checked", state)
        return
    before = reach.before
    work.records[FILE]["inferred"] = before["found"][FILE]["inferred"]
    work.records = {**before["found"], **work.records}
    after = (
        snapshots_taken.rechecked_snapshot(before, reach.edited, files, sources, work.records, known) if known else None
    )
    if after is None:
        raise BeyondReach(FILE)
    work.index.set_snapshot("checked", after)


def _look_at_promises(
    work: Checking, promising: Sequence[Rule], resolve: Callable[[str], str | None], names: tuple[str, ...]
) -> None:
    """Find what is wrong with the options and contracts of rules, once the columns of all are known."""
    for rule in [one for one in promising if one.name not in work.same.settled or one.is_of_source]:
        foreseen = foretold(work.project, rule, work.known.schemas.known, resolve, names)
        wrong = [*foreseen, *_unwritable(work, rule)]
        for error in wrong:
            work.record_error(error)
        if not wrong and rule.name in work.looked:
            schema, table = work.known.schemas.known.get(rule.name), work.foresight.tables.get(rule.name)
            work.same.settled[rule.name] = Settled(work.looked[rule.name], schema, table, work.memos[rule.name])


def _check_all(
    work: Checking,
    dag: Dag,
    resolve: Callable[[str], str | None],
    names: tuple[str, ...],
    rules: Mapping[str, Rule],
    helpers: CheckHelpers,
) -> None:
    """Check every rule, inputs first; with helpers, once it shows that many were never looked at as they are now."""
    may_help = helpers.may_help
    for position, name in enumerate(dag.order):
        if may_help and work.missed >= MISSED and len(dag.order) - position >= MANY:
            may_help = False
            look_ahead(work, dag.order[position:], resolve, names, rules, helpers)
        check_rule(work, rules[name], resolve)


def _begin_looking(work: Checking, rules: Iterable[Rule]) -> None:
    """Let the process forget what it found in rules, if what all of them are looked at with has changed."""
    variables = {name: repr(value) for name, value in work.project.variables.items()}
    shared = (variables, work.functions, work.foresight.context)
    names = {rule.name for rule in rules}
    names.update(check.rule.name for rule in rules if rule.checks for check in rule.checks)
    work.memory.part(Kept).begin(shared, names)


def _with_contracts(work: Checking, loaded: RuleSet, names: Collection[str]) -> Contracted:
    """Return the rules that could be loaded, with their data checks, contracts of sources, and what is wrong.

    names: of all rules that there are.
    """
    try:
        found = with_contracts(work.project, work.index, loaded, work.memory, names)
    except UserError as error:
        found = Contracted(loaded.rules, {}, {**loaded.unloaded, "": error})
    sound = {name: rule for name, rule in found.rules.items() if name not in loaded.unloaded}
    return Contracted(sound, found.sources, found.wrong)


def _ask_policy(work: Checking, rules: Iterable[Rule], resolve: Callable[[str], str | None]) -> None:
    """Report the names that the project's hook rejects."""
    if not work.project.policy.on_qualify or not work.project.runs_python:
        return
    try:
        for rule, lines, found in rejected(work.project, rules, resolve):
            work.records[rule.path]["found"].append(lines.finding(rule.path, found).to_record())
            text = work.project.text(rule.path)
            marks = [mark.to_record() for mark in suppressions(text, toml=rule.in_python)]
            work.records[rule.path]["marks"] = marks
    except UserError as error:
        if error.where is not None:  # in the hook's file, which is no rule file
            work.records.setdefault(error.where.path, {"found": [], "marks": []})
        work.record_error(error)


def _unwritable(work: Checking, rule: Rule) -> list[UserError]:
    """Return what is wrong with the options of a rule's writer, where its columns are known with their types."""
    schema = work.known.schemas.known.get(rule.name)
    return list(unwritable(work.project, rule, schema)) if schema is not None and schema.arrow else []
