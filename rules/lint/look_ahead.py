"""Many rules that nobody has looked at, looked at in helper processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.compiling.compile_rules import options_of
from rules.files.project_paths import DEFAULT_PROFILE
from rules.lint.rule_checks import asked_of, remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rules.lint.check_helpers import CheckHelpers
    from rules.lint.check_pool import Job, Looked
    from rules.lint.checking import Checking
    from rules.loading.rule import Rule


def look_ahead(
    work: Checking,
    rest: Sequence[str],
    resolve: Callable[[str], str | None],
    names: tuple[str, ...],
    rules: Mapping[str, Rule],
    helpers: CheckHelpers,
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
        asked = asked_of(work, rule, resolve)
        record, memos[name] = remembered(work, rule, asked)
        if record is not None:
            looked.add(name)
            work.know_found(rule, record)
            return None
        kept = helpers.take(rule.digest)
        text, table = kept.text if kept else rule.text(project), foresight.remembered(rule) if asked.plannable else None
        more = {"options": options_of(rule), "plans": asked.plannable, "table": table}
        more["tree"] = kept.tree if kept else None
        return job_of(text, rule.path, asked.world, asked.inputs, **more)

    def accept(name: str, found: Looked) -> None:
        looked.add(name)
        work.fresh[memos[name]] = found.record
        foresight.learn(found.learned)
        work.know_found(rules[name], found.record)

    profile = project.profile(DEFAULT_PROFILE)
    setting = Setting(names, project.variables, work.functions, foresight.engine.identity(profile), profile)
    inputs = {name: [one for table in rules[name].parsed.tables if (one := resolve(table))] for name in rest}
    work_ahead(helpers.helpers, setting, inputs, job, accept)
