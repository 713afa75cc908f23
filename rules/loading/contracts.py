"""Step 1 of 7, load, for contracts: what front matter and rules.toml declare of a product, and its checks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from cache.index import Index
from compiler.compiled import Parsed
from compiler.errors import SqlError
from compiler.fingerprint import digest_of
from rules.config.contract import Contract, flaw, twice
from rules.config.front_matter import RuleOptions, option_place, option_string
from rules.config.project import Project
from rules.config.toml_positions import Keys, string_places
from rules.config.toml_types import did_you_mean
from rules.errors import FAILED, UserError, Where
from rules.files.project_paths import FILE
from rules.loading.check_queries import Draft, drafts
from rules.loading.compiler_identity import COMPILER
from rules.loading.rule import Check, Rule, RuleSet
from rules.loading.rule_texts import user_error
from rules.storage.memory import Memory

_VOLATILE = "add volatile = true beside sql (the check then runs in every build), or pass the value as a $var"


@dataclass(frozen=True)
class Contracted:
    """The rules of a project with their contracts and checks.

    sources: the contract of each source that has one, as a rule without a query. wrong: what is wrong with rules that
    cannot be loaded and with contracts, by product or source.
    """

    rules: dict[str, Rule]
    sources: dict[str, Rule]
    wrong: dict[str, UserError]


class _Kept:
    """The rules of the last run, with their contracts and without, by name."""

    def __init__(self) -> None:
        self.rules: dict[str, tuple[Rule, Rule]] = {}
        self.contracts: object = None


def with_contracts(
    project: Project,
    index: Index,
    loaded: RuleSet,
    memory: Memory | None = None,
    others: Collection[str] = (),
) -> Contracted:
    """Give rules and sources the contracts that rules.toml adds and the checks they come to.

    memory: of a process that does so again: an unchanged rule becomes the same object again. others: the names of rules
    that are there and were not loaded.
    Raises `UserError` for a contract of what is neither.
    """
    rules = loaded.rules
    for name in project.contracts if not loaded.unloaded else ():
        if name not in rules and name not in project.sources and name not in others:
            hint = did_you_mean(name, [*rules, *project.sources]) if rules or project.sources else None
            where = project.where("contracts", name)
            message = f"unknown product or source '{name}' in [contracts.{name}]"
            raise UserError(message, code="config", where=where, hint=hint)
    found = Contracted(dict(rules), {}, dict(loaded.unloaded))
    fresh: dict[str, Any] = {}
    for name in project.contracts:
        if name in project.sources:
            found.sources[name] = contract_of_source(name)
    kept = (memory or Memory()).part(_Kept)
    before = kept.rules if kept.contracts == project.contracts else {}
    kept.rules, kept.contracts = {}, project.contracts
    for known in (found.rules, found.sources):
        for name, rule in known.items():
            last = before.get(name)
            try:
                same = last is not None and (last[0] is rule or (rule.is_of_source and last[0] == rule))
                made = last[1] if last is not None and same else _with_contract(project, rule, index, fresh)
            except UserError as error:
                found.wrong[name] = error
            else:
                known[name] = made
                kept.rules[name] = rule, made
    index.remember("parsed", fresh)
    return found


def contract_of_source(name: str) -> Rule:
    """Return the contract of a source of which nothing is promised yet."""
    return Rule(name, FILE, "", RuleOptions(), Parsed((), ()), sql="")


def contract_where(project: Project, rule: Rule, *keys: str) -> Where:
    """Return where something of a rule's contract is declared: in its front matter, its decorator or rules.toml."""
    there = _in_table(project, rule, keys)
    if there is not None:
        return project.where(*there)
    return Where(rule.path, rule.line) if rule.in_python else option_place(rule.text(project), rule.path, *keys)


def query_places(project: Project, rule: Rule, draft: Draft) -> tuple[str, str, list[int]]:
    """Return the file of an authored check's query, its text, and the place in it of each character of the query."""
    there = _in_table(project, rule, draft.declared)
    path = FILE if there is not None else rule.path
    text = project.text(FILE) if there is not None else rule.text(project)
    places = string_places(text, there) if there is not None else option_string(text, path, *draft.declared)
    assert places is not None
    return path, text, places


def _in_table(project: Project, rule: Rule, keys: Keys) -> Keys | None:
    """Return the keys of what rules.toml declares of a rule's contract; None for what it does not."""
    table = project.contracts.get(rule.name, Contract())
    there = keys
    if keys[0] == "checks":
        number = int(keys[1]) - len(rule.options.checks) + len(table.checks)  # after those of the rule itself
        declared = number >= 0
        there = ("checks", str(number), *keys[2:])
    else:
        declared = keys[1] in table.columns if keys[0] == "columns" else bool(getattr(table, keys[0]))
    return ("contracts", rule.name, *there) if declared else None


def check_error(project: Project, rule: Rule, draft: Draft, error: UserError) -> UserError:
    """Return an error about a check's query as one at its place in the query's file, or at the check's declaration."""
    where = _place(project, rule, draft, error)
    message = f"check {draft.title} of {rule.name}: {error.message}"
    hint = _VOLATILE if error.code == "undeclared-volatile" else error.hint
    return UserError(message, code=error.code, where=where, facts=error.facts, hint=hint, exit_code=FAILED)


def _place(project: Project, rule: Rule, draft: Draft, error: UserError) -> Where:
    if not draft.is_authored or error.where is None or error.where.line is None or error.where.column is None:
        return contract_where(project, rule, *draft.declared)
    from compiler.lint.findings import Lines  # whose places are those of errors, too

    path, text, places = query_places(project, rule, draft)
    offset = Lines(draft.sql).offset(error.where.line, error.where.column)
    return Where(path, *Lines(text).place(places[offset]))


def _with_contract(project: Project, rule: Rule, index: Index, fresh: dict[str, Any]) -> Rule:
    """Add what rules.toml declares of a product, and the checks that follow from all of it. Raises `UserError`."""
    options, table = rule.options, project.contracts.get(rule.name)
    if table is not None:
        again = twice(options, table)
        if again is not None:
            where = project.where("contracts", rule.name, *again)
            message = f"{rule.path} declares this too"
            raise UserError(message, code="config", where=where, hint="declare it in one of the two places")
        options = msgspec.structs.replace(
            options,
            key=options.key or table.key,
            columns={**options.columns, **table.columns},
            checks=(*options.checks, *table.checks),
            severity=options.severity or table.severity,
            exact=options.exact or table.exact,
        )
        wrong = flaw(options)
        if wrong is not None:  # each of the two is sound, but not what they come to together
            where = project.where("contracts", rule.name)
            raise UserError(wrong.message, code="config", where=where, hint=wrong.hint)
    rule = replace(rule, options=options)  # by which errors of checks tell what is declared where
    checks = []
    for draft in drafts(rule.name, options):
        digest = digest_of(draft.sql.encode())
        parsed = Parsed(draft.tables, ()) if draft.tables is not None else None
        if parsed is None:
            parsed = _parsed_check(project, rule, draft, f"{digest} {COMPILER}", index, fresh)
        of_check = RuleOptions(volatile=draft.volatile)
        name = f"{rule.name}.{draft.title}"
        checks.append(Check(Rule(name, rule.path, digest, of_check, parsed, rule.line, sql=draft.sql), draft))
    return replace(rule, checks=tuple(checks))


def _parsed_check(project: Project, rule: Rule, draft: Draft, memo: str, index: Index, fresh: dict[str, Any]) -> Parsed:
    record = fresh.get(memo) or index.memo("parsed", [memo]).get(memo)
    if record is None:
        from compiler.parse_rule import parse_rule

        try:
            parsed = parse_rule(draft.sql)
        except SqlError as error:
            raise check_error(project, rule, draft, user_error(error, rule.path)) from error
        record = fresh[memo] = {"tables": parsed.tables, "variables": parsed.variables, "functions": parsed.functions}
    return Parsed(tuple(record["tables"]), tuple(record["variables"]), tuple(record["functions"]))
