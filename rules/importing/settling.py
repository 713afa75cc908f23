"""An imported project on disk, until it builds: its queries in our SQL, stubs for what cannot be run here.

A query is translated from its dialect as `rules translate` does, which refuses what is not known to mean the same. What
is refused is then read as our SQL, with the fixes of `rules check --fix`: it may build, and the report says what is
doubtful. Tests are rules for as long as that takes.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cache.removal import remove_draft
from compiler.dialects.translation import sketched
from compiler.errors import SqlError
from compiler.lint.check import World, check_rule
from compiler.lint.codes import OF_ERRORS
from compiler.lint.findings import Finding
from compiler.lint.translated import untranslated
from compiler.tree.big_stack import with_deep_stack
from rules.config.policy import Reporting, reported
from rules.config.project import Policy, load_project, read_text
from rules.files.project_paths import FILE, OWN_FOLDER
from rules.importing.drafts import Draft, DraftAside, DraftQuery, DraftRule
from rules.importing.project_text import check_text, project_text, rule_text
from rules.lint.checking import Checking
from rules.lint.fixes import rewrite, write
from rules.lint.project import check_project
from rules.loading.dialects import OURS
from rules.storage.store import open_store

_ROUNDS = 40
"""Of fixing: fixes of habits within one another take a round each."""
_SPOKEN = "it stays in the SQL of"
_NO_COLUMNS = (
    "the columns of what it reads are not known. It is translated in each build; rules translate --write writes that"
)
_TESTS = "rules/imported_tests"
_HABITS = frozenset({"R016", "R018", *(f"R0{number}" for number in range(30, 49))})
ERRORS = frozenset({*OF_ERRORS.values(), "R902", "R903"})
"""Codes of what keeps a rule from being built."""


@dataclass
class Settled:
    """What was found out. columns: types by column, by table."""

    columns: dict[str, dict[str, str]] = field(default_factory=dict)


def settle(made: Draft, root: Path, supply: Callable[[], None]) -> Settled:
    """Write the project, with its tests as rules, and bring it to where every rule compiles. Changes `made`.

    supply: writes the files of sources, each time that there are new ones.
    """
    settling = _Settling(made, root)
    for _ in range(2 * len(made.queries) + 2):  # a query in its dialect, then as ours, then none
        supply()
        settling.write()
        findings, work = settling.fixed()
        if not settling.without_broken(findings, work):
            break
    settling.translate(work)
    settling.write()
    for _ in range(len(made.queries) + 1):
        findings, work = checked(root)
        if not settling.without_broken(findings, work):
            break
        supply()
        settling.write()
    settling.note_doubts(work)
    columns = {
        name: {column[0]: column[1] for column in table["columns"]} for name, table in work.foresight.tables.items()
    }
    for name in (_TESTS, OWN_FOLDER):
        remove_draft(root, name)
    return Settled(columns)


def put(root: Path, path: str, text: str | bytes) -> None:
    """Write a file of the project."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text if isinstance(text, bytes) else text.encode())


def checked(root: Path) -> tuple[list[Finding], Checking]:
    """Check the project as `rules check` does, all codes included."""
    project = load_project(root)
    with open_store(root, _quiet, building=False) as store:
        work = check_project(project, store, _quiet)
    everything = Reporting(Policy(select=("ALL",), from_dialect=project.policy.from_dialect), (), ())
    return reported(work.records, everything, lambda path: read_text(root / path, path)), work


def _quiet(_message: str) -> None:
    """What the check says besides is found again by the build."""


class _Settling:
    """The queries of a project by the paths of their files."""

    def __init__(self, made: Draft, root: Path) -> None:
        self.made, self.root = made, root
        self.queries: dict[str, DraftQuery] = {rule.path: rule for rule in made.rules.values()}
        for number, aside in enumerate(made.asides):
            if not aside.broken:
                self.queries[f"{_TESTS}/imported_test_{number}.sql"] = aside
        for rule in made.rules.values():
            rule.in_ours = rule.in_ours or bool(rule.stub) or rule.model is None

    def write(self) -> None:
        """Write all files."""
        remove_draft(self.root, "rules")
        (self.root / "rules").mkdir()
        put(self.root, FILE, project_text(self.made, spoken=True))
        for path, query in self.queries.items():
            own = rule_text(query) if isinstance(query, DraftRule) else check_text(query)
            put(self.root, path, _in_ours(own) if query.in_ours else own)

    def fixed(self) -> tuple[list[Finding], Checking]:
        """Fix what of a dialect is left in our SQL; return what is still found."""
        for _ in range(_ROUNDS):
            findings, work = checked(self.root)
            fixable = [one for one in findings if one.found.fix is not None and one.found.fix.translates]
            fixable = [one for one in fixable if self._is_loose(one.path)]
            files = rewrite(self.root, fixable, {path: world for path, (_, world) in work.worlds.items()})
            if not files:
                break
            write(self.root, files)
            for one in files:
                query = self.queries[one.path]
                query.body = without_block(one.after.decode())
                _add(query.notes, [_fix_note(found) for found in fixable if found.path == one.path])
        return findings, work

    def _is_loose(self, path: str) -> bool:
        query = self.queries.get(path)
        return query is not None and query.in_ours and bool(query.refused) and not self._is_stub(query)

    def _is_stub(self, query: DraftQuery) -> bool:
        return isinstance(query, DraftRule) and bool(query.stub)

    def without_broken(self, findings: Iterable[Finding], work: Checking) -> bool:
        """Read queries that do not compile as our SQL, or let their rules be stubs; return whether there were any.

        Those that do not compile because of what they read are left for the next time.
        """
        errors: dict[str, Finding] = {}
        for one in findings:
            query = self.queries.get(one.path)
            if query is None or self._is_stub(query) or one.found.code not in ERRORS:
                continue
            if isinstance(query, DraftRule) and query.model is None:
                continue
            if isinstance(query, DraftAside) and query.broken:
                continue
            errors.setdefault(one.path, one)
        failed = {query.name for path, query in self.queries.items() if path in errors and isinstance(query, DraftRule)}
        known = work.foresight.tables
        roots = [path for path in errors if all(one in known or one not in failed for one in self.queries[path].reads)]
        for path in roots or list(errors):
            self._give_way(path, errors[path])
        return bool(errors)

    def _give_way(self, path: str, error: Finding) -> None:
        query = self.queries[path]
        why = f"{error.found.message} ({error.found.code})"
        if query.frozen:  # it may be a variable that is not taken there
            query.body, query.frozen, query.variables = query.frozen, "", frozenset()
            return
        if not query.in_ours:
            query.in_ours, query.refused = True, why
            query.body = _as_written(query.body, self.made.origin.dialect)
            return
        if query.refused and query.refused != why:
            why = f"{query.refused}; read as our SQL: {why}"
        if isinstance(query, DraftRule) and query.model is not None and not query.model.has_table:
            self.made.inline(query, why)
            del self.queries[path]
        elif isinstance(query, DraftRule):
            self.made.stub(query, why)
        elif isinstance(query, DraftAside):
            query.broken = why
            del self.queries[path]

    def translate(self, work: Checking) -> None:
        """Write the queries that are still in their dialect in our SQL."""
        dialect = self.made.origin.dialect
        for path, query in self.queries.items():
            if query.in_ours or path not in work.worlds:
                query.in_ours = True
                continue
            _, world = work.worlds[path]
            source, _wrong = with_deep_stack(lambda: untranslated(query.body, world, dialect))  # noqa: B023 — called here
            if source is None and isinstance(query, DraftRule):
                query.spoken = dialect
                query.risks.append(f"{_SPOKEN} {dialect}: {_NO_COLUMNS}")
                continue
            query.in_ours = True
            if source is None:
                query.body = _as_written(query.body, dialect)
            if source is not None and source.text != query.body:
                _add(query.notes, _why(query.body, world, dialect))
                query.edits = list(_edits(query.body, source.text))
                query.body = source.text

    def note_doubts(self, work: Checking) -> None:
        """Say of what was not translated what may mean something else."""
        dialect = self.made.origin.dialect
        for path, query in self.queries.items():
            if not query.refused or not isinstance(query, DraftRule) or query.stub or path not in work.worlds:
                continue
            _, world = work.worlds[path]
            found = check_rule(query.body, replace(world, dialect=dialect)).found
            doubts = [f"{one.message} ({one.code})" for one in found if one.code in _HABITS and one.fix is None]
            _add(query.risks, [f"it was not known to mean the same: {query.refused}", *doubts])


def _as_written(text: str, dialect: str) -> str:
    """Return a query in our grammar as far as that is known, whatever it means."""
    try:
        return with_deep_stack(lambda: sketched(text, dialect)).text
    except (SqlError, RecursionError):
        return text


def _add(texts: list[str], more: Iterable[str]) -> None:
    texts += [one for one in dict.fromkeys(more) if one not in texts]


def _why(text: str, world: World, dialect: str) -> Iterator[str]:
    """Yield what of a query means something else here, as `rules check` says it."""
    try:
        source = with_deep_stack(lambda: sketched(text, dialect))
    except SqlError:
        return
    for one in check_rule(source.text, replace(world, dialect=dialect)).found:
        if one.fix is not None and one.fix.translates:
            yield f"{one.message} ({one.code})"


def _edits(before: str, after: str) -> Iterator[str]:
    """Yield the lines that a translation changed, as a diff."""
    lines = difflib.unified_diff(before.split("\n"), after.split("\n"), n=0, lineterm="")
    yield from (line for line in lines if not line.startswith(("---", "+++", "@@")))


def _fix_note(finding: Finding) -> str:
    fix = finding.found.fix
    return f"{finding.found.message} ({finding.found.code})" + (f": {fix.message}" if fix is not None else "")


def _in_ours(text: str) -> str:
    """Return a rule file with the option that its SQL is ours."""
    option = f'-- dialect = "{OURS}"'
    head = "-- /// rule\n"
    if text.startswith(head):
        return f"{head}{option}\n{text.removeprefix(head)}"
    return f"{head}{option}\n-- ///\n{text}"


def without_block(text: str) -> str:
    """Return the query of a rule file."""
    lines = text.split("\n")
    if not lines[0].startswith("-- /// rule"):
        return text.strip()
    return "\n".join(lines[lines.index("-- ///", 1) + 1 :]).strip()
