"""What is found in rules.toml: variables and sources that nothing uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.lint.comments import suppressions
from compiler.lint.findings import Found, Lines
from rules.config.project import Project
from rules.config.toml_positions import closest, key_places
from rules.files.project_paths import FILE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.lint.check_reach import Known
    from rules.lint.rule_records import Record


def project_file(project: Project, rules: Iterable[Known], *, complete: bool) -> Record:
    """Check rules.toml: variables that no rule uses, sources that none reads. A rule that is unreadable may do both.

    rules: all rules and contracts of sources. complete: whether all of them are readable.
    """
    text = project.text(FILE)
    lines = Lines(text)
    places = key_places(text)
    used, read = set[str](), set[str]()
    for rule in rules:
        used.update(rule.variables)
        read.update(rule.reads)
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
