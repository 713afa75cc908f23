"""What is found in rules.toml: variables and sources that nothing uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.lint.comments import suppressions
from compiler.lint.findings import Found, Lines
from rules.config.project import Project, read_text
from rules.config.toml_positions import closest, key_places
from rules.files.project_paths import FILE
from rules.loading.input_binding import make_resolver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.dag import Dag
    from rules.lint.rule_records import Record
    from rules.loading.rule import Rule


def project_file(project: Project, rules: Iterable[Rule], dag: Dag, *, complete: bool) -> Record:
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
