"""`rules check`, the looking: every rule file of a project → what is found in it, by code, suppressed or not.

Nothing is executed. A rule is also planned on empty tables (`rules.lint.planned_rules`), so that what `plan` and
`build` would refuse is found here, in the same words. What is found in a rule is remembered by everything it was found
from, and the whole of it with the files' signatures, so that an unchanged project is answered without reading a rule,
and the engine is loaded for what is new alone. The policy is applied afterwards (`rules.config.policy`): it changes
what is reported, never what is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.lint.comments import suppressions
from rules import snapshots
from rules.compiling.writer_columns import unwritable
from rules.errors import UserError
from rules.files.project_paths import DEFAULT_PROFILE, FILE
from rules.lint.check_helpers import CheckHelpers
from rules.lint.check_memory import Before, Kept, Settled
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
    from collections.abc import Callable, Iterable, Mapping

    from graph.dag import Dag
    from rules.config.project import Project
    from rules.files.file_digests import FileDigests
    from rules.loading.rule import Rule, RuleSet
    from rules.storage.store import Store

MISSED = 20
"""Rules that had to be looked at, after which it is expected of the others, too."""


def check_project(project: Project, store: Store, say: Callable[[str], None], *, tolerant: bool = False) -> Checking:
    """Check every rule file of a project, and rules.toml. Raises `UserError` if rules.toml has an error.

    tolerant: a rule that the compiler cannot cope with, by a bug of ours, has that as a finding.
    """
    files = store.file_digests(project.root, project.unsaved)
    files.digest(FILE)
    with CheckHelpers(project) as helpers:
        return _checked(project, store, say, files, helpers, tolerant=tolerant)


def _checked(
    project: Project,
    store: Store,
    say: Callable[[str], None],
    files: FileDigests,
    helpers: CheckHelpers,
    *,
    tolerant: bool,
) -> Checking:
    sources = Sources(project, store.index, store.objects, files)
    loaded = load_rules(
        project,
        store.index,
        files,
        profile=project.profile(DEFAULT_PROFILE),
        memory=store.memory,
        parse_ahead=helpers.parse if helpers.may_help else None,
    )
    names = (*project.sources, *loaded.rules)
    resolve = make_resolver(names)
    known = KnownSchemas(project, store.index, sources, files)
    foresight = Foresight(project, store, loaded, names, resolve)
    work = Checking(project, store.index, files, sources, known, foresight, store.memory, tolerant=tolerant)
    work.records = {path: {"found": [], "marks": []} for path in (*files.rule_files, FILE)}
    rules, contracts, wrong = _with_contracts(work, loaded)
    for error in dict.fromkeys(wrong):
        work.record_error(error)
    work.functions = frozenset(loaded.functions)
    for function in loaded.functions.values():
        if function.error is not None:
            work.record_error(function.error)
        advise(work, function)
    dag, circles = cut_dag(project, rules, contracts, store.memory)
    for error in circles.values():
        work.record_error(error)
    open_sources(work, dag, rules, contracts, say)
    work.worlds = Worlds(project, known.schemas, resolve, names, work.functions, rules)
    _begin_looking(work, [*rules.values(), *contracts.values()])
    spoken = project.policy.from_dialect, project.dialect, project.spoken, project.folders
    before = Before((names, spoken), rules, dag, dict(known.schemas.known))
    work.same = work.memory.part(Kept).same(before)
    _check_all(work, dag, resolve, names, rules, helpers)
    translate_unreadable(work, loaded, resolve)
    promising = [*(rules[name] for name in dag.order), *contracts.values()]
    for rule in [one for one in promising if one.checks]:
        for check in rule.checks:
            if check.draft.is_authored:
                check_query(work, rule, check, resolve)
    work.add(FILE, project_file(project, promising, dag, complete=not wrong))
    work.records[FILE]["inferred"] = sources.inferred()
    store.index.remember("parsed", work.fresh)
    foresight.save()
    files.save()
    for rule in [one for one in promising if one.name not in work.same.settled or one.is_of_source]:
        foreseen = foretold(project, rule, work.known.schemas.known, resolve, names)
        wrong = [*foreseen, *_unwritable(work, rule)]
        for error in wrong:
            work.record_error(error)
        if not wrong and rule.name in work.looked:
            schema, table = work.known.schemas.known.get(rule.name), work.foresight.tables.get(rule.name)
            work.same.settled[rule.name] = Settled(work.looked[rule.name], schema, table)
    work.memory.part(Kept).settle(before, work.same)
    _ask_policy(work, rules.values(), resolve)
    # The hook of a policy is asked each time, so a project that has one is never recognised.
    lasting = not project.unsaved and project.runs_python
    if lasting and not (circles or known.unnoticed or project.policy.on_qualify):
        snapshots.remember_checked(
            project, files, sources, work.known.closed, work.known.last_seen, work.records, store.index
        )
    return work


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


def _with_contracts(work: Checking, loaded: RuleSet) -> tuple[dict[str, Rule], dict[str, Rule], list[UserError]]:
    """Return the rules that could be loaded, with their data checks, contracts of sources, and what is wrong."""
    try:
        found = with_contracts(work.project, work.index, loaded, work.memory)
    except UserError as error:
        found = Contracted(loaded.rules, {}, {**loaded.unloaded, "": error})
    sound = {name: rule for name, rule in found.rules.items() if name not in loaded.unloaded}
    return sound, found.sources, list(found.wrong.values())


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
