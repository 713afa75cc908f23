"""From tables as rules write them to the DAG: which input each is, and what is wrong where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from compiler.errors import SqlError
from compiler.resolve import suggestion
from graph.dag import CycleError, Dag
from rules.contracts.loading import check_error
from rules.errors import FAILED, UserError, Where
from rules.load import Check, Rule, user_error
from rules.project import Project

if TYPE_CHECKING:
    pass


def make_dag(project: Project, rules: Mapping[str, Rule]) -> tuple[Dag, dict[str, UserError]]:
    """Return the DAG of all rules, and an error for each rule that reads what does not exist.

    A product comes after all that it and its checks read: it is published when they have passed.

    Raises `UserError` on cycles.
    """
    resolve = make_resolver([*project.sources, *rules])
    inputs: dict[str, tuple[str, ...]] = {}
    for_checks: dict[str, frozenset[str]] = {}
    errors: dict[str, UserError] = {}
    for name, rule in rules.items():
        found = [resolve(table) for table in rule.parsed.tables]
        missing = [table for table, known in zip(rule.parsed.tables, found, strict=True) if known is None]
        if missing:
            errors[name] = _unknown_input(project, rule, [*project.sources, *rules])
        own = set(found)
        for check in rule.checks:
            there = [resolve(table) for table in check.rule.parsed.tables]
            if None in there and name not in errors:
                unknown = check.rule.parsed.tables[there.index(None)]
                errors[name] = _unknown_in_check(project, rule, check, unknown, [*project.sources, *rules])
            found += [table for table in there if table != name]
        inputs[name] = tuple(dict.fromkeys(table for table in found if table is not None))
        for_checks[name] = frozenset(inputs[name]) - own
    dag = Dag(inputs, for_checks)
    try:
        dag.order  # noqa: B018 — asking for the order finds cycles
    except CycleError as error:
        first, read = rules[error.path[0]], error.path[1]
        if read not in {resolve(table) for table in first.parsed.tables}:
            raise _circle_of_check(project, first, read, str(error), resolve) from None
        raise cycle_error(project, first, resolve, error) from None
    return dag, errors


def cycle_error(project: Project, first: Rule, resolve: Callable[[str], str | None], error: CycleError) -> UserError:
    """Return the error for a cycle that goes through the rule `first`."""
    read = error.path[1]
    where = _where_read(project, first, lambda table: None if resolve(table) == read else table)
    hint = "a rule cannot read its own product, directly or through others"
    message = f"rules read one another in a circle: {error}"
    return UserError(message, code="cycle", where=where, hint=hint, exit_code=FAILED)


def make_resolver(names: Iterable[str]) -> Callable[[str], str | None]:
    """Return the function from a table's name as written (unquoted names come in lower case) to the project's name."""
    exact = {name: name for name in names}
    folded = {name.lower(): name for name in exact}
    return lambda written: exact.get(written) or folded.get(written)


def _unknown_input(project: Project, rule: Rule, known: list[str]) -> UserError:
    """Find where a rule names an unknown input: only now is its text parsed again."""
    if rule.in_python:
        resolve = make_resolver(known)
        table = next(table for table in rule.parsed.tables if resolve(table) is None)
        message = f"unknown input '{table}', a parameter of '{rule.name}'"
        hint = suggestion(table, known) or "an input is a source of rules.toml or another rule"
        return UserError(message, code="unknown-input", where=Where(rule.path, rule.line), hint=hint, exit_code=FAILED)
    from compiler.dialect import parse
    from compiler.resolve import bind_tables

    try:
        bind_tables(parse(rule.text(project)), make_resolver(known), known)
    except SqlError as error:
        return user_error(error, rule.path)
    table = rule.parsed.tables[0]
    return UserError(
        f"unknown input '{table}'", code="unknown-input", where=Where(rule.path), hint=suggestion(table, known)
    )


def _unknown_in_check(project: Project, rule: Rule, check: Check, table: str, known: list[str]) -> UserError:
    hint = suggestion(table, known) or "a check reads products and sources"
    error = UserError(f"unknown input '{table}'", code="unknown-input", hint=hint)
    return check_error(project, rule, check.draft, error)


def _circle_of_check(
    project: Project, rule: Rule, read: str, path: str, resolve: Callable[[str], str | None]
) -> UserError:
    check = next(one for one in rule.checks if read in {resolve(table) for table in one.rule.parsed.tables})
    message = f"it reads {read}, which is made of {rule.name} itself: {path}"
    hint = f"{rule.name} is published when its checks have passed; declare this one at {read}, as [[checks]]"
    return check_error(project, rule, check.draft, UserError(message, code="cycle", hint=hint))


def _where_read(project: Project, rule: Rule, resolve: Callable[[str], str | None]) -> Where:
    """Return where a rule names the table for which `resolve` has no answer."""
    if rule.in_python:
        return Where(rule.path, rule.line)
    from compiler.dialect import parse
    from compiler.resolve import bind_tables

    try:
        bind_tables(parse(rule.text(project)), resolve, ())
    except SqlError as error:
        return Where(rule.path, error.line, error.column)
    return Where(rule.path)
