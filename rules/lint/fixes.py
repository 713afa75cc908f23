"""`rules check --fix`: edits written into the files, byte for byte the same elsewhere."""

from __future__ import annotations

import codecs
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cache.removal import rewrite as rewrite_file
from compiler.lint.check import World
from compiler.lint.edits import apply, fixed
from compiler.lint.findings import Finding
from rules.config.front_matter import RuleOptions, read_options
from rules.errors import FAILED, UserError, Where
from rules.files.project_paths import writable_file


@dataclass(frozen=True)
class Rewritten:
    """A file with its fixes: its bytes before and after, and how many findings are fixed."""

    path: str
    before: bytes
    after: bytes
    count: int


def rewrite(root: Path, findings: Iterable[Finding], worlds: Mapping[str, World]) -> list[Rewritten]:
    """Return the files whose findings can be fixed, with the fixes; nothing is written.

    worlds: what each rule was checked against, by path. A fix that would change a rule's fingerprint is left out.
    """
    by_path: dict[str, list[Finding]] = {}
    for one in findings:
        if one.found.fix is not None:
            by_path.setdefault(one.path, []).append(one)
    changed: list[Rewritten] = []
    for path, fixable in by_path.items():
        before = (root / path).read_bytes()
        mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
        text = before.decode("utf-8-sig")
        if path in worlds:
            after, refused = fixed(text, [one.found for one in fixable], worlds[path])
            same = _options(text, path) == _options(after, path)
        else:
            edits = [edit for one in fixable if one.found.fix is not None for edit in one.found.fix.edits]
            after, refused = apply(text, edits), []
            same = path.endswith(".toml") and tomllib.loads(text) == tomllib.loads(after)
        if same and after != text:
            changed.append(Rewritten(path, before, mark + after.encode(), len(fixable) - len(refused)))
    return changed


def _options(text: str, path: str) -> RuleOptions:
    """Return a file's options without its dialect, which a fix may change with the SQL."""
    return msgspec.structs.replace(read_options(text, path), dialect=None)


def write(root: Path, files: Iterable[Rewritten]) -> None:
    """Put the fixed files in place, each atomically. Raises `UserError` for one that was edited meanwhile."""
    for one in files:
        target = writable_file(root, one.path)  # a link stays a link
        try:
            written = rewrite_file(target, one.after, expected=one.before)
        except OSError as error:
            message = f"cannot write {one.path}: {error.strerror or error}"
            raise UserError(message, code="unwritable", where=Where(one.path), exit_code=FAILED) from error
        if not written:
            message = f"{one.path} changed while it was fixed"
            hint = "run the command again"
            raise UserError(message, code="rule-changed", where=Where(one.path), hint=hint, exit_code=FAILED)


def diff_lines(one: Rewritten) -> list[str]:
    """Return a unified diff of one file."""
    before, after = (data.decode("utf-8-sig").splitlines(keepends=True) for data in (one.before, one.after))
    lines: list[str] = []
    for line in difflib.unified_diff(before, after, one.path, one.path):
        lines.append(line.rstrip("\r\n"))
        if not line.endswith("\n"):
            lines.append("\\ No newline at end of file")
    return lines
