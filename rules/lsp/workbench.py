"""What a language server knows of one project: texts that are not saved, findings, schemas, names, the last plan.

Everything here is plain Python with offsets; what the protocol calls things is in `rules.lsp.server` and beside it. A
check and a plan run in a thread of their own; what is asked meanwhile is answered from the last ones.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from compiler.lint.check import World, check_rule
from compiler.lint.codes import OF_ERRORS
from compiler.lint.findings import Finding, Lines
from compiler.lint.occurrences import Outline, joined, outline
from compiler.names.qualify import InputSchemas
from rules.config.front_matter import read_options
from rules.config.policy import Reporting, reported
from rules.config.project import Project
from rules.core import Core
from rules.errors import UserError, UserErrors, Where
from rules.files.project_paths import FILE
from rules.loading.dialects import declared_dialect, with_dialect
from rules.loading.input_binding import make_resolver
from rules.loading.rule_folders import rule_files
from rules.lsp.embedded import embedded, embedded_at
from rules.lsp.texts import Text, whole
from rules.planning.prepared import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from lsprotocol.types import TextDocumentContentChangeEvent

    from compiler.schema import Schema
    from rules.engine.signatures import Signature
    from rules.lint.checking import Checking
    from rules.loading.rule import Rule
    from rules.planning.prepared import Prepared


MOST_OUTLINES = 500
"""Texts of which the names are kept: a hover looks at all readers of a column."""
BREAKING = frozenset(OF_ERRORS.values()) | {"R002", "R003", "R004"}
"""Codes of what no build would accept."""


@dataclass(frozen=True)
class Known:
    """What the last check found. findings: to report, by path."""

    project: Project
    findings: Mapping[str, list[Finding]]
    rules: Mapping[str, Rule]
    """The rules in SQL that can be read, by name."""
    paths: Mapping[str, Rule]
    """The same, by path."""
    schemas: Mapping[str, Schema]
    """The columns of sources and products, as far as they are known."""
    worlds: Mapping[str, tuple[Rule, World]]
    """What each rule was checked against, by path."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    functions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The functions of the project that SQL may call, with the names of their parameters."""
    files: tuple[str, ...] = ()
    """All rule files, those too that cannot be read."""
    error: UserError | None = None
    """Why nothing could be checked."""

    @property
    def tables(self) -> list[str]:
        """The names of all sources and rules, as far as they are known."""
        return sorted({*self.project.sources, *self.schemas, *self.rules})


class Workbench:
    """One project that is being edited."""

    def __init__(self, root: Path, *, runs_python: bool) -> None:
        """runs_python: whether the user lets the server run the project's Python."""
        self.root = root
        self.runs_python = runs_python
        self.core = Core(root)
        self.known: Known | None = None
        self.plan: Prepared | None = None
        self.signatures: dict[str, Signature] = {}
        """How functions are called: of the engine, once it is loaded, and of the project."""
        self._of_engine: dict[str, Signature] = {}
        self._unsaved: dict[str, str] = {}
        self._lock = threading.Lock()
        self._outlines: dict[str, tuple[str, Known | None, Outline]] = {}

    def open(self, path: str, text: str) -> None:
        """Take the text of a file that an editor has open."""
        with self._lock:
            self._unsaved.pop(path, None)  # the last one is the one that was edited last
            self._unsaved[path] = whole(text)

    def change(self, path: str, changes: Iterable[TextDocumentContentChangeEvent]) -> None:
        """Take what an editor changed in the text of a file that it has open, one change after the other."""
        try:
            text = self.text(path)
        except UserError:  # there is no such file, and it was never opened
            text = ""
        for one in changes:
            text = Text(text).after(one)
        self.open(path, text)

    def close(self, path: str) -> None:
        """Let the file count again."""
        with self._lock:
            self._unsaved.pop(path, None)
            self._outlines.pop(path, None)

    @property
    def open_paths(self) -> list[str]:
        """The files that are open."""
        return list(self._unsaved)

    def text(self, path: str) -> str:
        """Return the text of a file as it is being edited. Raises `UserError`."""
        from rules.config.project import read_text

        unsaved = self._unsaved.get(path)
        return unsaved if unsaved is not None else read_text(self.root / path, path)

    def checked_text(self, path: str) -> str:
        """Return the text of a file as a check reads it: rules.toml counts as it is saved. Raises `UserError`."""
        from rules.config.project import read_text

        return read_text(self.root / FILE, FILE) if path == FILE else self.text(path)

    def unsaved(self) -> dict[str, str]:
        """Return the texts of rule files in SQL that differ from the files."""
        with self._lock:
            texts = {path: text for path, text in self._unsaved.items() if path.endswith(".sql")}
        return {path: text for path, text in texts.items() if not self._is_saved(path, text)}

    def _is_saved(self, path: str, text: str) -> bool:
        try:
            return (self.root / path).read_bytes() == text.encode()
        except OSError:
            return False

    def check(self, say: Callable[[str], None]) -> Known:
        """Check all rules, with the texts that are not saved; the result is `known` from now on."""
        unsaved = self.unsaved()
        try:
            checking = self.core.check(say, unsaved, runs_python=self.runs_python)
        except UserError as error:
            self.known = self._failed(error)
        except UserErrors as several:
            self.known = self._failed(several.errors[0])
        except Exception as error:  # noqa: BLE001 — a file that we cannot cope with costs one finding, in the last edited
            self.known = self._crashed(error)
        else:
            self.known = _known(checking)
            self.known = self._with_embedded(self.known)
        return self.known

    def _with_embedded(self, known: Known) -> Known:
        """Add what is wrong with the SQL in those Python files that are open, which `rules check` says of functions."""
        found = dict(known.findings)
        for path in [one for one in self.open_paths if one.endswith(".py")]:
            text, world = self.text(path), self.world(path)
            lines = Lines(text)
            for one in embedded(text) if world is not None and path in known.files else ():
                wrong = check_rule(one.text, world).found if one.alone and world is not None else ()
                breaking = [replace(each, fix=None) for each in wrong if each.code in BREAKING]
                found[path] = [*found.get(path, []), *(lines.finding(path, each) for each in breaking)]
        return replace(known, findings=found)

    def _crashed(self, error: Exception) -> Known:
        """Keep what is known, and say that there is nothing new because of a bug of ours."""
        paths = list(self._unsaved)
        message, hint = f"internal error: {type(error).__name__}: {error}", "this is a bug of rules; please report it"
        where = Where(paths[-1] if paths else FILE, 1, 1)
        failed = UserError(message, code="internal", where=where, hint=hint)
        if self.known is None:
            return self._failed(failed)
        others = {path: found for path, found in self.known.findings.items() if path != where.path}
        return replace(self.known, error=failed, findings=others)

    def _failed(self, error: UserError) -> Known:
        """Keep what is known, and say why there is nothing new."""
        if self.known is not None:
            return replace(self.known, error=error, findings={})
        return Known(Project(self.root, "", (), {}, {}), {}, {}, {}, {}, {}, error=error)

    def make_plan(self, observer: Any) -> Prepared | None:
        """Plan the project as it is saved; the result is `plan` from now on, None if there is none.

        There is none where a plan would run Python that the user has not allowed.
        """
        try:
            allowed = self.allows_all(self.project())
            self.plan = self.core.plan(Request(keep_going=True), observer) if allowed else None
        except (UserError, UserErrors):
            self.plan = None
        return self.plan

    def learn_signatures(self) -> None:
        """Make it known how functions are called. This loads the engine, so it follows a check, which mostly has."""
        from rules.engine.signatures import Signature, signatures

        if not self._of_engine:
            self._of_engine = signatures()
        own = self.known.functions if self.known is not None else {}
        called = {
            name: Signature(f"{name}({', '.join(names)})", "function of this project") for name, names in own.items()
        }
        self.signatures = self._of_engine | called

    def project(self) -> Project:
        """Return the project as rules.toml has it, which runs Python if the user allows it. Raises `UserError`."""
        return replace(self.core.project(), runs_python=self.runs_python)

    def allows_all(self, project: Project) -> bool:
        """Whether nothing that a command would run is forbidden: Python is allowed, or there is none in rules."""
        files = rule_files(project.root, project.rule_folders)
        return project.runs_python or not any(path.endswith(".py") for path in files)

    def product(self, path: str) -> str:
        """Return the name of the rule in a file."""
        return path.rsplit("/", 1)[-1].removesuffix(".sql")

    def dialect(self, path: str) -> str | None:
        """Return the dialect that the text of a rule is in, as it is being edited; None for ours.

        Of a text whose options are wrong, it is what rules.toml says.
        """
        if self.known is None:
            return None
        try:
            return with_dialect(self.known.project, path, read_options(self.text(path), path)).dialect
        except (UserError, UserErrors):
            return declared_dialect(self.known.project, path)

    def world(self, path: str) -> World | None:
        """Return what the rule in a file is checked against; one for a rule that could not be read, too."""
        known = self.known
        if known is None:
            return None
        checked = known.worlds.get(path)
        if checked is not None:
            return checked[1]
        schemas = InputSchemas()
        schemas.known.update(known.schemas)
        return World(schemas, make_resolver(known.tables), tuple(known.tables), known.variables)

    def sql_at(self, path: str, offset: int) -> str | None:
        """Return the text of the query that a character is in, see `rules.lsp.embedded`; None in what is no SQL."""
        if path.endswith(".py"):
            found = embedded_at(self.text(path), offset)
            return found.text if found is not None else None
        return self.text(path) if path.endswith(".sql") else None

    def outline(self, path: str, *, stale: bool = False) -> Outline | None:
        """Return the names in a file; None if its text cannot be parsed, or is in another dialect.

        stale: the names of the last text that could be parsed do, too.
        """
        world = self.world(path)
        if world is None or not path.endswith((".sql", ".py")):
            return None
        text, last = self.text(path), self._outlines.get(path)
        if last is not None and last[0] == text and last[1] is self.known:
            return last[2]
        found: Outline | None
        if path.endswith(".py"):
            found = joined(outline(one.text, world, "") for one in embedded(text))
        else:
            found = outline(text, world, self.product(path)) if self.dialect(path) is None else None
        if found is None:
            return last[2] if last is not None and stale else None
        self._outlines.pop(path, None)
        self._outlines[path] = text, self.known, found
        if len(self._outlines) > MOST_OUTLINES:
            self._outlines.pop(next(iter(self._outlines)), None)
        return found


def _known(checking: Checking) -> Known:
    project = checking.project
    findings: dict[str, list[Finding]] = {}
    for one in reported(checking.records, Reporting(project.policy), project.text):
        findings.setdefault(one.path, []).append(one)
    paths = checking.worlds.checked
    rules = {rule.name: rule for rule in paths.values()}
    schemas = dict(checking.known.schemas.known)
    functions = {name: one.names for name, one in checking.foresight.loaded.functions.items() if one.fault is None}
    files = tuple(path for path in checking.records if path.endswith((".sql", ".py")))
    return Known(project, findings, rules, paths, schemas, checking.worlds, project.variables, functions, files)
