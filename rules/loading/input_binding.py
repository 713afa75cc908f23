"""From tables as rules write them to the DAG: which input each is, and what is wrong where there is none."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from compiler.errors import SqlError
from compiler.suggestions import suggestion
from graph.dag import CycleError, Dag
from rules.config.project import Project
from rules.errors import FAILED, UserError, Where
from rules.files.project_paths import FILE
from rules.loading.contracts import check_error
from rules.loading.rule import Check, Rule
from rules.loading.rule_texts import user_error
from rules.storage.memory import Memory


class _Cut:
    """The last DAG without a circle, and what it was made from."""

    def __init__(self) -> None:
        self.names: tuple[list[str], ...] = ()
        self.rules: list[Rule] = []
        self.dag: Dag | None = None


class _Bound:
    """The DAG of the last run, where nothing was wrong."""

    def __init__(self) -> None:
        self.dag: Dag | None = None


def make_dag(
    project: Project,
    rules: Mapping[str, Rule],
    contracts: Mapping[str, Rule],
    memory: Memory | None = None,
    others: Collection[str] = (),
) -> tuple[Dag, dict[str, UserError]]:
    """Return the DAG of all rules, and an error for each rule or source that reads what does not exist, or itself.

    contracts: of sources, by source. A product comes after all that it and its checks read: it is published when they
    have passed. It also comes after what the checks of its sources read: these are settled before anything reads them.

    memory: of a process that does so again: as long as all rules read the same, the DAG is the same object. others: the
    names of rules that are there and were not loaded; they are inputs alone.
    """
    names = [*project.sources, *rules, *(name for name in others if name not in rules)]
    kept = (memory or Memory()).part(_Bound)
    resolve = make_resolver(names)
    dag, errors = cut_dag(project, rules, contracts, memory, others)
    if dag is kept.dag:  # made from the same tables, all of which there were
        return dag, {}
    for name, rule in rules.items():
        if any(resolve(table) is None for table in rule.parsed.tables):
            errors[name] = _unknown_input(project, rule, names)
    for name, rule in (*rules.items(), *contracts.items()):
        for check in rule.checks:
            unknown = next((table for table in check.rule.parsed.tables if resolve(table) is None), None)
            if unknown is not None and name not in errors:
                errors[name] = _unknown_in_check(project, rule, check, unknown, names)
    kept.dag = dag if not errors else None
    return dag, errors


def _read_alike(one: Rule, other: Rule) -> bool:
    """Whether two rules and their checks read tables of the same names."""
    return one is other or [each.parsed.tables for each in one.all] == [each.parsed.tables for each in other.all]


def cut_dag(
    project: Project,
    rules: Mapping[str, Rule],
    contracts: Mapping[str, Rule],
    memory: Memory | None = None,
    others: Collection[str] = (),
) -> tuple[Dag, dict[str, UserError]]:
    """Return the DAG (see `make_dag`), cut where it would be a circle, and an error for each of these places.

    A circle that a check closes is the fault of that check: the error is then one of its product or source.
    """
    kept, every = (memory or Memory()).part(_Cut), [*rules.values(), *contracts.values()]
    tables = [*project.sources], [*rules], [*contracts], [*others]
    if kept.dag is not None and kept.names == tables and all(map(_read_alike, kept.rules, every)):
        kept.rules = every
        return kept.dag, {}
    dag, errors = _cut(project, rules, contracts, others)
    kept.names, kept.rules, kept.dag = tables, every, dag if not errors else None
    return dag, errors


def _cut(
    project: Project, rules: Mapping[str, Rule], contracts: Mapping[str, Rule], others: Collection[str]
) -> tuple[Dag, dict[str, UserError]]:
    resolve = make_resolver([*project.sources, *rules, *others])
    edges = _Edges.of(rules, contracts, resolve)
    errors: dict[str, UserError] = {}
    while True:
        dag = edges.dag()
        try:
            dag.order  # noqa: B018 — asking for the order finds cycles
        except CycleError as error:
            owner, read, path = edges.cut(error.path)
            rule = contracts[owner] if owner in contracts else rules[owner]
            by_rule = read in {resolve(table) for table in rule.parsed.tables}
            refusal = (_circle if by_rule else _circle_of_check)(project, rule, read, path, resolve)
            errors.setdefault(owner, refusal)
        else:
            return dag, errors


@dataclass(frozen=True)
class _Edges:
    """What each rule reads, and what else the checks of each product and of each source with a contract read."""

    own: Mapping[str, dict[str, None]]
    of_checks: Mapping[str, dict[str, None]]
    contracts: Collection[str]

    @classmethod
    def of(
        cls, rules: Mapping[str, Rule], contracts: Mapping[str, Rule], resolve: Callable[[str], str | None]
    ) -> _Edges:
        def read(rule: Rule) -> dict[str, None]:
            return dict.fromkeys(found for table in rule.parsed.tables if (found := resolve(table)) is not None)

        own = {name: read(rule) for name, rule in rules.items()}
        of_checks = {}
        for name, rule in (*rules.items(), *contracts.items()):
            found = {entry: None for check in rule.checks for entry in read(check.rule)}
            of_checks[name] = {entry: None for entry in found if entry != name and entry not in own.get(name, ())}
        return cls(own, of_checks, contracts.keys())

    def dag(self) -> Dag:
        inputs: dict[str, tuple[str, ...]] = {}
        for name, own in self.own.items():
            found = own | self.of_checks[name]
            for source in tuple(found):
                found |= self.of_checks[source] if source in self.contracts else {}
            inputs[name] = tuple(found)
        return Dag(inputs, {name: frozenset(inputs[name]) - own.keys() for name, own in self.own.items()})

    def cut(self, circle: Sequence[str]) -> tuple[str, str, tuple[str, ...]]:
        """Cut a circle, at a check if it can be; return whose fault it was, what that reads, and the way around."""
        steps = list(itertools.pairwise(circle))
        by_check = [at for at, (name, read) in enumerate(steps) if read not in self.own[name]]
        at = by_check[0] if by_check else 0
        around = (*circle[at:-1], *circle[:at])  # from whoever reads too much, once around
        name, read = steps[at]
        if not by_check:
            del self.own[name][read]
            return name, read, (*around, name)
        if read in self.of_checks[name]:
            del self.of_checks[name][read]
            return name, read, (*around, name)
        inputs = self.own[name] | self.of_checks[name]
        source = next(one for one in inputs if one in self.contracts and read in self.of_checks[one])
        del self.of_checks[source][read]
        return source, read, (source, *around[1:], name, source)


def make_resolver(names: Iterable[str]) -> Callable[[str], str | None]:
    """Return the function from a table's name as written (unquoted names come in lower case) to the project's name."""
    exact = {name: name for name in names}

    @functools.cache
    def folded() -> dict[str, str]:  # which few projects need
        return {name.lower(): name for name in exact}

    return lambda written: exact.get(written) or folded().get(written)


def _circle(
    project: Project, first: Rule, read: str, path: Sequence[str], resolve: Callable[[str], str | None]
) -> UserError:
    """Return the error for rules that read one another in a circle, which begins with `first` and what it reads."""
    where = _where_read(project, first, lambda table: None if resolve(table) == read else table)
    hint = "a rule cannot read its own product, directly or through others"
    message = f"rules read one another in a circle: {' → '.join(path)}"
    return UserError(message, code="cycle", where=where, hint=hint, exit_code=FAILED)


def _circle_of_check(
    project: Project, rule: Rule, read: str, path: Sequence[str], resolve: Callable[[str], str | None]
) -> UserError:
    """Return the error for a check that reads what is made of the very table that it is a check of."""
    check = next(one for one in rule.checks if read in {resolve(table) for table in one.rule.parsed.tables})
    message = f"it reads {read}, which is made of {rule.name} itself: {' → '.join(path)}"
    verb = "read" if rule.path == FILE else "published"
    hint = f"{rule.name} is {verb} when its checks have passed; declare this one at {read}, as [[checks]]"
    return check_error(project, rule, check.draft, UserError(message, code="cycle", hint=hint))


def _unknown_input(project: Project, rule: Rule, known: list[str]) -> UserError:
    """Find where a rule names an unknown input: only now is its text parsed again."""
    if rule.in_python:
        resolve = make_resolver(known)
        table = next(table for table in rule.parsed.tables if resolve(table) is None)
        message = f"unknown input '{table}', a parameter of '{rule.name}'"
        hint = suggestion(table, known) or "an input is a source of rules.toml or another rule"
        return UserError(message, code="unknown-input", where=Where(rule.path, rule.line), hint=hint, exit_code=FAILED)
    from compiler.parse_rule import require_inputs

    try:
        require_inputs(rule.text(project), rule.options.dialect, make_resolver(known), known)
    except SqlError as error:
        found = user_error(error, rule.path)
        resolve = make_resolver(known)
        lost = [(one, table) for one in project.patterns for table in rule.parsed.tables if resolve(table) is None]
        missing = next(((one, stem) for one, table in lost if (stem := one.stem_of(table)) is not None), None)
        if missing is not None and "did you mean" not in (found.hint or ""):
            found.hint = f"no file of {missing[0].path} is called {missing[1]}"
        return found
    table = rule.parsed.tables[0]
    return UserError(
        f"unknown input '{table}'", code="unknown-input", where=Where(rule.path), hint=suggestion(table, known)
    )


def _unknown_in_check(project: Project, rule: Rule, check: Check, table: str, known: list[str]) -> UserError:
    hint = suggestion(table, known) or "a check reads products and sources"
    error = UserError(f"unknown input '{table}'", code="unknown-input", hint=hint)
    return check_error(project, rule, check.draft, error)


def _where_read(project: Project, rule: Rule, resolve: Callable[[str], str | None]) -> Where:
    """Return where a rule names the table for which `resolve` has no answer."""
    if rule.in_python:
        return Where(rule.path, rule.line)
    from compiler.parse_rule import require_inputs

    try:
        require_inputs(rule.text(project), rule.options.dialect, resolve, ())
    except SqlError as error:
        return Where(rule.path, error.line, error.column)
    return Where(rule.path)
