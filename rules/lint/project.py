"""`rules check`, the looking: every rule file of a project → what is found in it, by code, suppressed or not.

Nothing is executed. A rule is also planned on empty tables (`rules.lint.planned_rules`), so that what `plan` and
`build` would refuse is found here, in the same words. What is found in a rule is remembered by everything it was found
from, and the whole of it with the files' signatures, so that an unchanged project is answered without reading a rule,
and the engine is loaded for what is new alone. The policy is applied afterwards (`rules.config.policy`): it changes
what is reported, never what is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from cache.index import Index
from compiler.compile import parse_rule
from compiler.dialects.traced import Traced
from compiler.errors import SqlError
from compiler.fingerprint import fingerprint
from compiler.lint.check import World, of_error
from compiler.lint.codes import OF_ERRORS
from compiler.lint.comments import suppressions
from compiler.lint.findings import Finding, Found, Lines
from compiler.lint.translated import untranslated
from compiler.schema import Column, Schema
from compiler.tree.big_stack import with_deep_stack
from graph.dag import Dag
from rules import snapshots
from rules.compiling.compile_rules import options_of
from rules.compiling.writer_columns import unwritable
from rules.config.front_matter import read_options
from rules.config.project import Project, read_text
from rules.config.toml_positions import closest, key_places
from rules.errors import UserError
from rules.files.file_digests import FileDigests
from rules.files.project_paths import DEFAULT_PROFILE, FILE
from rules.lint.check_helpers import CheckHelpers
from rules.lint.check_memory import Before, Columns, Kept, Same, Seen, Settled
from rules.lint.planned_rules import Foresight, Table
from rules.lint.policy_hook import rejected
from rules.lint.rule_records import Record, look
from rules.lint.static_contracts import foretold, referred
from rules.lint.worlds import Worlds, habits_of
from rules.loading.compiler_identity import COMPILER
from rules.loading.contracts import Contracted, query_places, with_contracts
from rules.loading.dialects import in_ours, is_ours
from rules.loading.input_binding import cut_dag, make_resolver
from rules.loading.load_rules import MANY, load_rules
from rules.loading.rule import Check as DataCheck
from rules.loading.rule import Rule, RuleSet, options_record
from rules.python.rule_files import DeclaredFunction
from rules.sources.column_schemas import KnownSchemas
from rules.sources.contents import Sources
from rules.storage.memory import Memory
from rules.storage.store import Store

if TYPE_CHECKING:
    from rules.compiling.helpers import Helpers
    from rules.lint.check_pool import Job, Looked

MISSED = 20
"""Rules that had to be looked at, after which it is expected of the others, too."""


@dataclass
class Checking:
    """A project while it is checked. records: by path; worlds: what each parsed rule was checked against."""

    project: Project
    index: Index
    files: FileDigests
    sources: Sources
    known: KnownSchemas
    foresight: Foresight
    memory: Memory
    tolerant: bool = False
    records: dict[str, Record] = field(default_factory=dict)
    worlds: Worlds = field(init=False)
    same: Same = field(init=False)
    """The rules that need not be looked at again."""
    fresh: dict[str, Any] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()
    looked: dict[str, Record] = field(default_factory=dict)
    """What was found in the rules in SQL that were looked at and call no function of the project."""
    understood: set[str] = field(default_factory=set)
    """The rules and checks of data that the compiler did cope with."""
    missed: int = 0
    """How many rules and checks were looked at here, because nothing was remembered of them."""


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
        _record_error(work, error)
    work.functions = frozenset(loaded.functions)
    for function in loaded.functions.values():
        if function.error is not None:
            _record_error(work, function.error)
        _advise(work, function)
    dag, circles = cut_dag(project, rules, contracts, store.memory)
    for error in circles.values():
        _record_error(work, error)
    _open_sources(work, dag, rules, contracts, say)
    work.worlds = Worlds(project, known.schemas, resolve, names, work.functions, rules)
    _begin_looking(work, [*rules.values(), *contracts.values()])
    spoken = project.policy.from_dialect, project.dialect, project.spoken, project.folders
    before = Before((names, spoken), rules, dag, dict(known.schemas.known))
    work.same = work.memory.part(Kept).same(before)
    _check_all(work, dag, resolve, names, rules, helpers)
    _translate_unreadable(work, loaded, resolve)
    promising = [*(rules[name] for name in dag.order), *contracts.values()]
    for rule in [one for one in promising if one.checks]:
        for check in rule.checks:
            if check.draft.is_authored:
                _check_query(work, rule, check, resolve)
    _add(work, FILE, _configuration(project, promising, dag, complete=not wrong))
    work.records[FILE]["inferred"] = sources.inferred()
    store.index.remember("parsed", work.fresh)
    foresight.save()
    files.save()
    for rule in [one for one in promising if one.name not in work.same.settled or one.is_of_source]:
        foreseen = foretold(project, rule, work.known.schemas.known, resolve, names)
        wrong = [*foreseen, *_unwritable(work, rule)]
        for error in wrong:
            _record_error(work, error)
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
            _look_ahead(work, dag.order[position:], resolve, names, rules, helpers.helpers)
        _check(work, rules[name], resolve)


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


def _open_sources(
    work: Checking, dag: Dag, rules: Mapping[str, Rule], contracts: Mapping[str, Rule], say: Callable[[str], None]
) -> None:
    """Make the columns of sources known. Files that cannot be used are a finding; there need not be any yet."""
    promising = (*rules.values(), *contracts.values())
    read = {table for inputs in dag.inputs.values() for table in inputs} | contracts.keys()
    read |= {table for rule in promising for table in referred(rule).values()}
    read |= {table for rule in promising for check in rule.checks for table in check.rule.parsed.tables}
    for name in sorted(read & work.project.sources.keys()):
        error, has_files = work.known.add_source(name)
        known = work.known.schemas.known.get(name)
        if error is not None and has_files:
            _record_error(work, _at_declaration(work.project, name, error))
        elif error is not None and known is None:
            say(f"warning: what reads {name} is checked without its columns: {error.message}")
        if known is not None:
            work.foresight.know(name, known)


def _at_declaration(project: Project, name: str, error: UserError) -> UserError:
    """Return an error of a source at its line in rules.toml; the message says where in the file it is."""
    if error.where is None or error.where.path == FILE:
        return error
    message = f"{error.message}: {error.where}"
    return UserError(message, code=error.code, where=project.source_where(name), hint=error.hint)


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
        _record_error(work, error)


def _unwritable(work: Checking, rule: Rule) -> list[UserError]:
    """Return what is wrong with the options of a rule's writer, where its columns are known with their types."""
    schema = work.known.schemas.known.get(rule.name)
    return list(unwritable(work.project, rule, schema)) if schema is not None and schema.arrow else []


def _check(work: Checking, rule: Rule, resolve: Callable[[str], str | None]) -> None:
    same = work.same.settled.get(rule.name)
    if same is not None:
        _know_same(work, rule, same)
        return
    if rule.in_python:
        _compile(work, rule)
    else:
        record, world = _looked_at(work, rule, resolve)
        work.worlds.put(rule, world)
        _add(work, rule.path, record)
        _know_found(work, rule, record)
        if rule.name in work.understood and work.functions.isdisjoint(rule.parsed.functions):
            work.looked[rule.name] = record
    work.same.looked_at(rule.name, _columns(work, rule.name))


def _columns(work: Checking, name: str) -> Columns:
    return work.known.schemas.known.get(name), name in work.foresight.tables


def _know_same(work: Checking, rule: Rule, same: Settled) -> None:
    """Take what the last check found in a rule."""
    work.worlds.checked[rule.path] = rule
    _add(work, rule.path, same.record)
    if same.table is not None:
        work.foresight.tables[rule.name] = same.table
    if same.schema is not None:
        work.known.schemas.known[rule.name] = same.schema


def _know_found(work: Checking, rule: Rule, record: Record) -> None:
    """Let others read a rule in SQL, with as much as was found of its columns."""
    if record["table"] is not None:
        _know(work, rule, record["table"])
    elif record["columns"] is not None:
        work.known.schemas.add(rule.name, Schema(tuple(Column(*column) for column in record["columns"]), b""))


def _compile(work: Checking, rule: Rule) -> None:
    """Compile a rule in Python, the only way to know its columns."""
    if not work.foresight.can_plan(rule):
        return
    try:
        table = work.foresight.compile(rule)
    except UserError as error:
        _record_error(work, error)
    else:
        _know(work, rule, table)


def _know(work: Checking, rule: Rule, table: Table) -> None:
    """Let others read a rule whose columns the engine has determined."""
    work.foresight.tables[rule.name] = table
    work.known.schemas.add(rule.name, work.memory.part(Kept).schema(rule.name, table))


def _check_query(work: Checking, rule: Rule, check: DataCheck, resolve: Callable[[str], str | None]) -> None:
    """Check the query of a data check; findings have the place of the query, and no fix."""
    record, _ = _looked_at(work, check.rule, resolve)
    if not record["found"]:
        return
    path, text, places = query_places(work.project, rule, check.draft)
    lines = Lines(text)
    for found in (Finding.from_record(path, one).found for one in record["found"]):
        start, end = places[found.start], places[max(found.start, found.end - 1)] + 1
        moved = replace(found, start=start, end=end, fix=None)
        work.records[path]["found"].append(lines.finding(path, moved).to_record())


class _Asked(NamedTuple):
    """What is asked of a rule: what it is checked against, and by what its findings are remembered."""

    world: World
    inputs: Mapping[str, str | None]
    seen: Seen

    @property
    def plannable(self) -> bool:
        """Whether enough is known of what the rule reads."""
        return self.seen.plannable


def _asked(work: Checking, rule: Rule, resolve: Callable[[str], str | None]) -> _Asked:
    inputs = {table: resolve(table) for table in rule.parsed.tables}
    world = work.worlds.of(rule)
    plannable, known = work.foresight.can_plan(rule), work.known.schemas.known
    return _Asked(world, inputs, Seen.of(known, rule, inputs, world.keys, plannable=plannable, dialect=world.dialect))


def _looked_at(work: Checking, rule: Rule, resolve: Callable[[str], str | None]) -> tuple[Record, World]:
    """Return what is found in a rule, remembered or afresh, and what it is checked against."""
    asked = _asked(work, rule, resolve)
    record, memo = _remembered(work, rule, asked)
    if record is None:
        work.missed += 1
        plan = partial(work.foresight.plan, rule) if asked.plannable else None
        try:
            record = look(rule.text(work.project), rule.path, options_of(rule), asked.world, plan)
        except UserError:
            raise
        except Exception as error:
            if not work.tolerant:
                raise
            return _crash(work.project, rule, error), asked.world
        work.fresh[memo] = record
    work.memory.part(Kept).keep(rule.name, asked.seen, record)
    work.understood.add(rule.name)
    return record, asked.world


def _remembered(work: Checking, rule: Rule, asked: _Asked) -> tuple[Record | None, str]:
    """Return what is known to be found in a rule, and under which key it is, or would be, remembered."""
    record = work.memory.part(Kept).record(rule.name, asked.seen)
    if record is not None:
        return record, ""
    memo = _memo(work, rule, asked.inputs, asked.seen.keys, asked.world.names, plannable=asked.plannable)
    return work.fresh.get(memo) or work.index.memo("parsed", [memo]).get(memo), memo


def _look_ahead(
    work: Checking,
    rest: Sequence[str],
    resolve: Callable[[str], str | None],
    names: tuple[str, ...],
    rules: Mapping[str, Rule],
    helpers: Helpers,
) -> None:
    """Look at rules in helper processes, inputs first. What they find is remembered, as if it were from earlier.

    Rules that read one in Python, or call functions of the project, are left: only this process may run that.
    """
    from rules.compiling.helpers import work_ahead
    from rules.lint.check_pool import Setting, job_of

    project, foresight = work.project, work.foresight
    looked = rules.keys() - set(rest)
    memos: dict[str, str] = {}

    def job(name: str) -> Job | None:
        rule = rules[name]
        read = {resolve(table) for table in rule.parsed.tables} & rules.keys()
        if rule.in_python or not read <= looked or not work.functions.isdisjoint(rule.parsed.functions):
            return None
        asked = _asked(work, rule, resolve)
        record, memos[name] = _remembered(work, rule, asked)
        if record is not None:
            looked.add(name)
            _know_found(work, rule, record)
            return None
        text, table = rule.text(project), foresight.remembered(rule) if asked.plannable else None
        more = {"options": options_of(rule), "plans": asked.plannable, "table": table}
        return job_of(text, rule.path, asked.world, asked.inputs, **more)

    def accept(name: str, found: Looked) -> None:
        looked.add(name)
        work.fresh[memos[name]] = found.record
        foresight.learn(found.learned)
        _know_found(work, rules[name], found.record)

    profile = project.profile(DEFAULT_PROFILE)
    setting = Setting(names, project.variables, work.functions, foresight.engine.identity(profile), profile)
    inputs = {name: [one for table in rules[name].parsed.tables if (one := resolve(table))] for name in rest}
    work_ahead(helpers, setting, inputs, job, accept)


def _translate_unreadable(work: Checking, loaded: RuleSet, resolve: Callable[[str], str | None]) -> None:
    """Give the findings of rules that cannot be read a fix, where they are SQL of the dialect that all comes from."""
    dialect = work.project.policy.from_dialect
    for name, error in loaded.unloaded.items() if dialect is not None else ():
        rule = loaded.rules.get(name)
        if rule is None or not rule.path.endswith(".sql") or OF_ERRORS.get(error.code) not in {"R900", "R901"}:
            continue
        text = rule.text(work.project)
        if is_ours(work.project, rule.path, read_options(text, rule.path)):
            continue
        world = World(
            work.known.schemas,
            resolve,
            (*work.project.sources, *loaded.rules),
            work.project.variables,
            {},
            work.functions,
            dialect,
        )
        source = translation_of(work, world, text, str(dialect))
        if source is not None:
            after = in_ours(source.text, rule.path, declared=True)
            work.worlds.put(rule, world)
            for record in work.records[rule.path]["found"]:
                said = f"write it in our SQL, as rules translate --from {dialect} does"
                record["fix"] = [said, [[0, len(text), after]], True]


def translation_of(work: Checking, world: World, text: str, dialect: str) -> Traced | None:
    """Return a text of another dialect in our SQL; None where any of it has no counterpart, or is not known."""
    try:
        tables = parse_rule(text, dialect).tables
    except SqlError:
        return None
    for table in tables:
        name = world.resolve(table) if world.resolve is not None else None
        if name in work.project.sources and name not in work.known.schemas.known:
            work.known.add_source(name)
    return with_deep_stack(lambda: untranslated(text, world, dialect))[0]


def _crash(project: Project, rule: Rule, error: Exception) -> Record:
    """Return what is found in a rule that the compiler cannot cope with."""
    message = f"it cannot be checked: internal error: {type(error).__name__}: {error}"
    found = of_error(SqlError(message, hint="this is a bug of rules; please report it"), Lines(rule.text(project)))
    record = Lines(rule.text(project)).finding(rule.path, found).to_record()
    return {"found": [record], "marks": [], "columns": None, "table": None}


def _add(work: Checking, path: str, record: Record) -> None:
    kept = work.records[path]
    work.records[path] = {"found": [*kept["found"], *record["found"]], "marks": record["marks"]}


def _memo(
    work: Checking,
    rule: Rule,
    inputs: Mapping[str, str | None],
    keys: Mapping[str, tuple[str, ...]],
    names: tuple[str, ...],
    *,
    plannable: bool,
) -> str:
    """Return the key of what is found in a rule: all that it is found from."""
    known = work.known.schemas.known
    shown = [
        [table, name, [[one.name, one.type] for one in known[name].columns] if name in known else None]
        for table, name in inputs.items()
    ]
    variables = {name: repr(work.project.variables.get(name)) for name in rule.parsed.variables}
    # Suggestions come from all names, so those count where one is asked for.
    lost = [sorted(names)] if None in inputs.values() else []
    lost += [sorted(work.project.variables)] if not work.project.variables.keys() >= variables.keys() else []
    parts: dict[str, object] = {
        "text": rule.digest,
        "compiler": COMPILER,
        "inputs": shown,
        "vars": variables,
        "lost": lost,
    }
    parts["functions"] = sorted(work.functions)
    parts["planned"] = work.foresight.context if plannable else None
    parts["dialect"] = habits_of(work.project, rule)
    parts["options"] = options_record(rule)
    return "check " + fingerprint({**parts, "keys": {name: list(key) for name, key in keys.items()}})


def _advise(work: Checking, function: DeclaredFunction) -> None:
    """Report a function that could be a faster one; one that is declared in no rule file is nobody's to check."""
    if function.advice is None or function.file not in work.records:
        return
    text = work.project.text(function.file)
    lines = Lines(text)
    start = lines.offset(function.line, 1)
    message, hint = function.advice
    found = Found("R022", start, start + len(lines.line(function.line)), message, hint)
    work.records[function.file]["found"].append(lines.finding(function.file, found).to_record())
    work.records[function.file]["marks"] = [mark.to_record() for mark in suppressions(text, toml=True)]


def _record_error(work: Checking, error: UserError) -> None:
    """Record an error of a file as a finding in it."""
    assert error.where is not None
    path = error.where.path
    try:
        text = work.project.text(path)
    except UserError:  # not text, which is what the error says
        text = ""
    lines = Lines(text)
    line, column = error.where.line or 1, error.where.column or 1
    said = SqlError(error.message, line=line, column=column, hint=error.hint, code=error.code)
    found = of_error(said, lines)
    record = lines.finding(path, found).to_record()
    if not text:
        record["place"] = [line, column, line, column + 1]
    work.records[path]["found"].append(record)
    work.records[path]["marks"] = [mark.to_record() for mark in suppressions(text, toml=path == FILE)]


def _configuration(project: Project, rules: Iterable[Rule], dag: Dag, *, complete: bool) -> Record:
    """Check rules.toml: variables that no rule uses, sources that none reads. A rule that is unreadable may do both."""
    text = read_text(project.root / FILE, FILE)
    lines = Lines(text)
    places = key_places(text)
    used = {name for rule in rules for one in rule.all for name in one.parsed.variables} if project.variables else set()
    read = {name for inputs in dag.inputs.values() for name in inputs}
    resolve = make_resolver(project.sources)
    for_checks = (check.rule for rule in rules for check in rule.checks)
    read |= {resolve(table) or "" for check in for_checks for table in check.parsed.tables}
    found: list[Found] = []
    empty = {one.key: one.path for one in project.patterns if not one.files}
    idle = [one.key for one in project.patterns if read.isdisjoint(one.sources)]
    unread = sorted(name for name in set(project.sources) - read if project.pattern_of(name) is None)
    for table, code, names, message in (
        ("vars", "R014", sorted(set(project.variables) - used), "no rule uses the variable '{}'"),
        ("sources", "R015", unread, "no rule reads the source '{}'"),
        ("sources", "R015", sorted(idle), "no rule reads a source of '{}'"),
    ):
        for name in names if complete else ():
            start = lines.offset(*closest(places, (table, name)))
            hint = f"no file matches {empty[name]}" if name in empty else "remove it"
            found.append(Found(code, start, start + len(name), message.format(name), hint))
    return {
        "found": [lines.finding(FILE, one).to_record() for one in found],
        "marks": [mark.to_record() for mark in suppressions(text, toml=True)],
    }
