"""`rules translate`: rule files in another dialect → their text in our SQL, and what has no counterpart in it."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from compiler.errors import SqlError
from compiler.lint.check import World, of_error
from compiler.lint.findings import Finding, Found, Lines
from compiler.lint.translated import REFUSED, untranslated
from compiler.parse_rule import parse_rule
from compiler.tree.big_stack import with_deep_stack
from rules.config.front_matter import read_options
from rules.config.project import Project, read_text
from rules.errors import UserError, Where
from rules.lint.checking import Checking
from rules.lint.fixes import Rewritten
from rules.lint.project import check_project
from rules.loading.dialects import declared_dialect, in_ours, with_dialect
from rules.loading.input_binding import make_resolver
from rules.storage.store import Store


@dataclass(frozen=True)
class TranslatedFile:
    """A file in another dialect: its bytes in our SQL, None where findings tell why there are none."""

    path: str
    dialect: str
    before: bytes
    after: bytes | None
    findings: tuple[Finding, ...]

    @property
    def text(self) -> str:
        """The text in our SQL."""
        return (self.after or b"").decode("utf-8-sig")

    @property
    def rewritten(self) -> Rewritten | None:
        """The file as `rules.lint.fixes` writes and compares it; None if there is nothing to write."""
        return Rewritten(self.path, self.before, self.after, 0) if self.after not in {None, self.before} else None


def translate_files(
    project: Project, store: Store, paths: Iterable[str], say: Callable[[str], None]
) -> list[TranslatedFile]:
    """Translate files, whose paths are relative to the project; nothing is written.

    Raises `UserError` for one that is in our SQL as far as anybody says.
    """
    spoken: dict[str, str] = {}
    for path in paths:
        dialect = with_dialect(project, path, read_options(read_text(project.root / path, path), path)).dialect
        if dialect is None:
            hint = "--from DIALECT says which dialect it is in, or dialect = … in its options"
            raise UserError(f"{path} is in our SQL already", code="usage", where=Where(path), hint=hint)
        spoken[path] = dialect
    work = check_project(project, store, say)
    return [_translated(work, path, dialect) for path, dialect in spoken.items()]


def _translated(work: Checking, path: str, dialect: str) -> TranslatedFile:
    before = (work.project.root / path).read_bytes()
    text = read_text(work.project.root / path, path)
    lines = Lines(text)

    def refused(found: Iterable[Found]) -> TranslatedFile:
        return TranslatedFile(path, dialect, before, None, tuple(lines.finding(path, one) for one in found))

    known = work.worlds.get(path)
    try:
        world = known[1] if known is not None else _world(work, text, dialect)
    except SqlError as error:
        return refused([of_error(error, lines)])
    source, wrong = with_deep_stack(lambda: untranslated(text, world, dialect))
    if isinstance(wrong, SqlError):
        return refused([of_error(wrong, lines)])
    if source is None:
        unknown = Found(REFUSED, 0, 1, "the columns of what it reads are not known", "rules check tells why")
        return refused(wrong or [unknown])
    mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
    after = in_ours(source.text, path, declared=declared_dialect(replace(work.project, spoken={}), path) is not None)
    return TranslatedFile(path, dialect, before, mark + after.encode(), ())


def _world(work: Checking, text: str, dialect: str) -> World:
    """Return what a file that is no rule of the project is translated with. Raises `SqlError`."""
    project = work.project
    names = (*project.sources, *work.foresight.tables)
    resolve = make_resolver(names)
    for table in parse_rule(text, dialect).tables:
        name = resolve(table)
        if name in project.sources and name not in work.known.schemas.known:
            work.known.add_source(name)
    return World(work.known.schemas, resolve, names, project.variables, {}, work.functions)
