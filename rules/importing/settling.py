"""An imported project on disk, until it builds: fixes of the dialect's habits, stubs for what cannot be run here.

What is wrong with a query is found as `rules check` finds it, and what it meant in its dialect is written as
`rules check --fix` writes it. Tests are rules for as long as that takes, so that they are fixed in the same way.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from compiler.lint.codes import OF_ERRORS
from compiler.lint.findings import Finding
from rules.config.policy import Reporting, reported
from rules.config.project import Policy, load_project, read_text
from rules.files.project_paths import FILE, own_folder
from rules.importing.drafts import Draft
from rules.importing.project_text import project_text, rule_text
from rules.lint.fixes import rewrite, write
from rules.lint.project import Checking, check_project
from rules.storage.store import open_store

_ROUNDS = 40
"""Of fixing: fixes of habits within one another take a round each."""
_TESTS = "rules/tests"
ERRORS = frozenset({*OF_ERRORS.values(), "R902", "R903"})
"""Codes of what keeps a rule from being built."""


@dataclass
class Settled:
    """What was found out. columns: types by column, by table; fixes: what was fixed, by path."""

    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    fixes: dict[str, list[str]] = field(default_factory=dict)


def settle(made: Draft, root: Path, supply: Callable[[], None]) -> Settled:
    """Write the project, with its tests as rules, and bring it to where every rule compiles. Changes `made`.

    supply: writes the files of sources, each time that there are new ones.
    """
    settled = Settled()
    supply()
    paths = _write(made, root)
    for _ in range(len(made.rules) + 1):
        findings, work = _translated(root, settled)
        _take_back(made, root, paths)
        broken = _broken(made, findings, paths)
        if not broken:
            break
        for name, why in broken.items():
            made.stub(made.rules[name], why)
        supply()
        paths = _write(made, root)
    _note(made, settled, findings, paths)
    for name, table in work.foresight.tables.items():
        settled.columns[name] = {column[0]: column[1] for column in table["columns"]}
    shutil.rmtree(root / _TESTS, ignore_errors=True)
    shutil.rmtree(own_folder(str(root)), ignore_errors=True)
    return settled


_HABITS = frozenset({"R016", "R018", *(f"R0{number}" for number in range(30, 49))})


def _write(made: Draft, root: Path) -> dict[str, str]:
    """Write all files; return the test that a rule file is, by path."""
    shutil.rmtree(root / "rules", ignore_errors=True)
    paths: dict[str, str] = {}
    put(root, FILE, project_text(made, dialect=True))
    for rule in made.rules.values():
        put(root, rule.path, rule_text(rule))
    for number, (test, check) in enumerate(made.checks.items()):
        if not check.broken:
            path = f"{_TESTS}/imported_test_{number}.sql"
            paths[path] = test
            block = "-- /// rule\n-- volatile = true\n-- ///\n" if check.volatile else ""
            put(root, path, f"{block}{check.body}\n")
    (root / "rules").mkdir(exist_ok=True)
    return paths


def put(root: Path, path: str, text: str | bytes) -> None:
    """Write a file of the project."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text if isinstance(text, bytes) else text.encode())


def _translated(root: Path, settled: Settled) -> tuple[list[Finding], Checking]:
    """Apply the fixes that keep what the dialect meant; return what is still found."""
    for _ in range(_ROUNDS):
        findings, work = checked(root)
        fixable = [one for one in findings if one.found.fix is not None and one.found.fix.translates]
        files = rewrite(root, fixable, {path: world for path, (_, world) in work.worlds.items()})
        if not files:
            break
        changed = {one.path for one in files}
        for one in fixable:
            if one.path in changed and one.found.fix is not None:
                message = f"{one.found.message} ({one.found.code}): {one.found.fix.message}"
                known = settled.fixes.setdefault(one.path, [])
                known += [message] if message not in known else []
        write(root, files)
    return findings, work


def checked(root: Path) -> tuple[list[Finding], Checking]:
    """Check the project as `rules check` does, all codes included."""
    project = load_project(root)
    with open_store(root, _quiet, building=False) as store:
        work = check_project(project, store, _quiet)
    everything = Reporting(Policy(select=("ALL",), from_dialect=project.policy.from_dialect), (), ())
    return reported(work.records, everything, lambda path: read_text(root / path, path)), work


def _quiet(_message: str) -> None:
    """What the check says besides is found again by the build."""


def _take_back(made: Draft, root: Path, paths: Mapping[str, str]) -> None:
    """Take the fixed texts into the draft."""
    for rule in made.rules.values():
        text = (root / rule.path).read_text(encoding="utf-8")
        if not rule.stub:
            rule.body = without_block(text)
    for path, test in paths.items():
        made.checks[test].body = without_block((root / path).read_text(encoding="utf-8"))


def without_block(text: str) -> str:
    """Return the query of a rule file."""
    lines = text.split("\n")
    if not lines[0].startswith("-- /// rule"):
        return text.strip()
    return "\n".join(lines[lines.index("-- ///", 1) + 1 :]).strip()


def _broken(made: Draft, findings: Iterable[Finding], paths: Mapping[str, str]) -> dict[str, str]:
    """Return the rules that do not compile, with the reason; not those that do not only because another does not."""
    by_path = {rule.path: rule for rule in made.rules.values()}
    errors: dict[str, str] = {}
    for one in findings:
        rule = by_path.get(one.path)
        if rule is not None and not rule.stub and rule.model is not None and one.found.code in ERRORS:
            errors.setdefault(rule.name, f"{one.found.message} ({one.found.code})")
    del paths
    return {
        name: why
        for name, why in errors.items()
        if not (made.rules[name].reads and set(made.rules[name].reads) & errors.keys())
    } or errors


def _note(made: Draft, settled: Settled, findings: Iterable[Finding], paths: Mapping[str, str]) -> None:
    """Write into the draft what was fixed, what may mean something else, and which tests do not compile."""
    rules = {rule.path: rule for rule in made.rules.values() if not rule.stub}
    for path, fixes in settled.fixes.items():
        if path in rules:
            rules[path].notes += fixes
        elif path in paths:
            made.checks[paths[path]].notes += fixes
    for one in findings:
        code, message = one.found.code, one.found.message
        check = made.checks.get(paths.get(one.path, ""))
        if check is not None and code in ERRORS and not check.broken:
            check.broken = f"{message} ({code})"
        elif code in _HABITS and one.path in rules:
            rules[one.path].risks.append(f"{message} ({code})" + (f"; {one.found.hint}" if one.found.hint else ""))
