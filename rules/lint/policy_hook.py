"""`[policy] on_qualify`: a function of the project that is asked about every table name of every rule, once qualified.

    def internal_only(name):  # in policy.py
        if name.table.startswith("raw_") and not name.rule.startswith("stg_"):
            return "raw tables are read by staging rules only"

What it returns is a finding at that name; None lets it be. The file is imported by `rules check` alone, each time:
nothing remembers what it said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from compiler.dialects.traced import Traced, line_and_column, offset_of
from compiler.dialects.translation import sketched
from compiler.errors import SqlError
from compiler.lint.findings import Found, Lines
from compiler.names.resolve import fold, outside_tables
from compiler.sql.dialect import parse
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.positions import position
from rules.errors import FAILED, UserError, Where
from rules.python.faults import located
from rules.python.importing import ProjectModules

if TYPE_CHECKING:
    from pathlib import Path

    from rules.config.project import Project
    from rules.loading.rule import Rule

CODE = "R023"


@dataclass(frozen=True)
class QualifiedName:
    """A table that a rule reads. rule: its name; table: the input's; kind: which sort of input that is.

    tags: of the rule. written: the name as it stands in the rule.
    """

    rule: str
    table: str
    kind: Literal["source", "product"]
    tags: tuple[str, ...]
    written: str


Hook = Callable[[QualifiedName], Any]


def rejected(
    project: Project, rules: Iterable[Rule], resolve: Callable[[str], str | None]
) -> Iterator[tuple[Rule, Lines, Found]]:
    """Yield a finding for each name that the project's hook rejects. Raises `UserError` where the hook itself fails."""
    hook = _hook(project)
    for rule in rules:
        text = project.text(rule.path)
        lines = Lines(text)
        for written, place in _names(rule, text).items():
            table = resolve(written)
            if table is None:
                continue
            kind: Literal["source", "product"] = "source" if table in project.sources else "product"
            said = _asked(project, hook, QualifiedName(rule.name, table, kind, rule.options.tags, written))
            if said is not None:
                start = lines.offset(*place)
                hint = f"{project.policy.on_qualify} rejects it"
                yield rule, lines, Found(CODE, start, start + len(written), f"{table}: {said}", hint)


def _names(rule: Rule, text: str) -> Mapping[str, tuple[int, int]]:
    """Return the names of the tables that a rule reads, with the place of the first mention."""
    if rule.in_python:
        return dict.fromkeys(rule.parsed.tables, (rule.line or 1, 1))

    dialect = rule.options.dialect

    def work() -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        source = Traced.of(text) if dialect is None else sketched(text, dialect)
        for table in outside_tables(parse(source.text)):
            line, column = position(table.this)
            place = source.origin(offset_of(source.text, line or 1, column or 1))
            found.setdefault(fold(table.this), line_and_column(text, place))
        return found

    try:
        return with_deep_stack(work)
    except SqlError:  # which is a finding of its own
        return {}


def _asked(project: Project, hook: Hook, name: QualifiedName) -> str | None:
    """Return what the hook says of a name. Raises `UserError`, located in the project."""
    path = project.policy.on_qualify.partition(":")[0]
    try:
        said = hook(name)
    except Exception as error:
        raise located(error, str(project.root), path) from error
    if said is None or isinstance(said, str):
        return said
    message = f"{project.policy.on_qualify} returns {type(said).__name__}, not a text or None"
    raise UserError(message, code="policy", where=Where(path), hint="return why the name is rejected", exit_code=FAILED)


class _Importing:
    """What the project's modules are read with; it lives as long as they do."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.modules = ProjectModules(str(root), self.read, self.running)

    def read(self, path: str) -> bytes:
        """Return the bytes of a file of the project."""
        return (self._root / path).read_bytes()

    def running(self, path: str) -> contextlib.AbstractContextManager[None]:
        """Collect nothing of what a file declares."""
        del path
        return contextlib.nullcontext()


def _hook(project: Project) -> Hook:
    """Import the hook. Raises `UserError`."""
    path, _, name = project.policy.on_qualify.partition(":")
    if not (project.root / path).is_file():
        raise _unusable(project, f"there is no file {path}", "the path is relative to the project")
    importing = _Importing(project.root)
    try:
        found = getattr(importing.modules.module(path), name, None)
    except Exception as error:
        raise located(error, str(project.root), path) from error
    if not callable(found):
        raise _unusable(project, f"{path} has no function '{name}'", f"write: def {name}(name): …")

    def ask(asked: QualifiedName) -> Any:
        with importing.modules.visible(path):
            return found(asked)

    return ask


def _unusable(project: Project, message: str, hint: str) -> UserError:
    return UserError(message, code="policy", where=project.where("policy", "on_qualify"), hint=hint)
