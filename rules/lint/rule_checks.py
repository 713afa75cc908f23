"""What is found in one rule or check of data: remembered by all that it was found from, or found afresh."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from compiler.errors import SqlError
from compiler.fingerprint import fingerprint
from compiler.lint.check import World, of_error
from compiler.lint.findings import Finding, Lines
from rules.compiling.compile_rules import options_of
from rules.errors import UserError
from rules.lint.check_memory import Columns, Kept, Seen, Settled
from rules.lint.rule_records import Record, look
from rules.lint.worlds import habits_of
from rules.loading.compiler_identity import COMPILER
from rules.loading.contracts import query_places
from rules.loading.rule import Check as DataCheck
from rules.loading.rule import Rule, options_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rules.config.project import Project
    from rules.lint.checking import Checking


def check_rule(work: Checking, rule: Rule, resolve: Callable[[str], str | None]) -> None:
    """Find what is wrong with a rule, and let the rules that read it know its columns."""
    same = work.same.settled.get(rule.name)
    if same is not None:
        _know_same(work, rule, same)
        return
    if rule.in_python:
        _compile(work, rule)
    else:
        record, world = _looked_at(work, rule, resolve)
        work.worlds.put(rule, world)
        work.add(rule.path, record)
        work.know_found(rule, record)
        if rule.name in work.understood and work.functions.isdisjoint(rule.parsed.functions):
            work.looked[rule.name] = record
    work.same.looked_at(rule.name, _columns(work, rule.name))


def _columns(work: Checking, name: str) -> Columns:
    return work.known.schemas.known.get(name), name in work.foresight.tables


def _know_same(work: Checking, rule: Rule, same: Settled) -> None:
    """Take what the last check found in a rule."""
    work.worlds.checked[rule.path] = rule
    work.add(rule.path, same.record)
    work.memos[rule.name] = same.memo
    if same.table is not None:
        work.foresight.tables[rule.name] = same.table
    if same.schema is not None:
        work.known.schemas.known[rule.name] = same.schema


def _compile(work: Checking, rule: Rule) -> None:
    """Compile a rule in Python, the only way to know its columns."""
    if not work.foresight.can_plan(rule):
        return
    try:
        table = work.foresight.compile(rule)
    except UserError as error:
        work.record_error(error)
    else:
        work.know(rule.name, table)


def check_query(work: Checking, rule: Rule, check: DataCheck, resolve: Callable[[str], str | None]) -> None:
    """Check the query of a data check; findings have the place of the query, and no fix."""
    record, _ = _looked_at(work, check.rule, resolve)
    if not record["found"]:
        return
    path, text, places = query_places(work.project, rule, check.draft)
    lines = Lines(text)
    kept = work.record_of(path)
    for found in (Finding.from_record(path, one).found for one in record["found"]):
        start, end = places[found.start], places[max(found.start, found.end - 1)] + 1
        moved = replace(found, start=start, end=end, fix=None)
        kept["found"].append(lines.finding(path, moved).to_record())


class Asked(NamedTuple):
    """What is asked of a rule: what it is checked against, and by what its findings are remembered."""

    world: World
    inputs: Mapping[str, str | None]
    seen: Seen

    @property
    def plannable(self) -> bool:
        """Whether enough is known of what the rule reads."""
        return self.seen.plannable


def asked_of(work: Checking, rule: Rule, resolve: Callable[[str], str | None]) -> Asked:
    """Return what is asked of a rule now. resolve: as for `make_resolver`, the product or source of a name."""
    inputs = {table: resolve(table) for table in rule.parsed.tables}
    world = work.worlds.of(rule)
    plannable, known = work.foresight.can_plan(rule), work.known.schemas.known
    return Asked(world, inputs, Seen.of(known, rule, inputs, world.keys, plannable=plannable, dialect=world.dialect))


def _looked_at(work: Checking, rule: Rule, resolve: Callable[[str], str | None]) -> tuple[Record, World]:
    """Return what is found in a rule, remembered or afresh, and what it is checked against."""
    asked = asked_of(work, rule, resolve)
    record, memo = remembered(work, rule, asked)
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
    work.memory.part(Kept).keep(rule.name, asked.seen, record, memo)
    work.memos[rule.name] = memo
    work.understood.add(rule.name)
    return record, asked.world


def remembered(work: Checking, rule: Rule, asked: Asked) -> tuple[Record | None, str]:
    """Return what is known to be found in a rule, and under which key it is, or would be, remembered."""
    kept = work.memory.part(Kept).record(rule.name, asked.seen)
    if kept is not None:
        return kept
    memo = _memo(work, rule, asked.inputs, asked.seen.keys, asked.world.names, plannable=asked.plannable)
    return work.fresh.get(memo) or work.index.memo("parsed", [memo]).get(memo), memo


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


def _crash(project: Project, rule: Rule, error: Exception) -> Record:
    """Return what is found in a rule that the compiler cannot cope with."""
    message = f"it cannot be checked: internal error: {type(error).__name__}: {error}"
    found = of_error(SqlError(message, hint="this is a bug of rules; please report it"), Lines(rule.text(project)))
    record = Lines(rule.text(project)).finding(rule.path, found).to_record()
    return {"found": [record], "marks": [], "columns": None, "table": None}
