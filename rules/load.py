"""Step 1 of 7, load: rule files → rules, by stat signature first, so that unchanged bytes skip all later work."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from sqlglot._version import __version__ as sqlglot_version

import compiler
from cache.filedigest import file_digest
from cache.index import Index
from compiler.catalogue import ENGINE
from compiler.compile import Parsed, parse_rule
from compiler.errors import SqlError
from compiler.fingerprint import FORMAT, digest_of
from rules.authoring import RuleOptions, read_options
from rules.errors import FAILED, UserError, Where
from rules.files import FileDigests
from rules.project import NAME, Project, config_where, read_text


def _compiler_identity() -> str:
    """Return what parses, compiles and plans: versions of SQLGlot and of the function catalogue, and our own source."""
    folders = (Path(compiler.__file__).parent, Path(__file__).parent / "engine")
    sources = sorted(path for folder in folders for path in folder.rglob("*.py"))
    digests = " ".join(file_digest(path) for path in sources)
    return digest_of(f"{FORMAT} {sqlglot_version} {ENGINE} {digests}".encode())


COMPILER = _compiler_identity()
"""Part of every memo key. Only memos depend on it: fingerprints carry the format version, which changes seldom."""


@dataclass(frozen=True)
class Rule:
    """A rule as its file says it. path: relative to the project, "/" between folders; digest: of the file's bytes."""

    name: str
    path: str
    digest: str
    options: RuleOptions
    parsed: Parsed

    def text(self, project: Project) -> str:
        """Read the rule's text. Raises `UserError` if it is no longer the one that was digested."""
        return _text(project, self.path, self.digest)


def rule_files(root: Path, folders: Iterable[str]) -> list[str]:
    """Return the paths, relative to the project, of all SQL rule files, sorted. Raises `UserError`."""
    found: list[str] = []
    for number, folder in enumerate(folders):
        try:
            _scan(os.path.join(root, folder), folder.rstrip("/"), found)
        except OSError as error:
            known = error.filename == os.path.join(root, folder)
            shown = folder if known else os.path.relpath(error.filename, root)
            what = {errno.ENOENT: "does not exist", errno.ENOTDIR: "is a file"}.get(error.errno or 0)
            message = f"the rule folder '{shown}' {what or f'cannot be read: {error.strerror}'}"
            where = config_where(root, "project", "rules", str(number))
            raise UserError(message, code="config", where=where, hint="see rules = [...] under [project]") from error
    return sorted(set(found))


def load_rules(project: Project, index: Index, files: FileDigests) -> tuple[dict[str, Rule], list[UserError]]:
    """Return the project's rules by name, and what is wrong with those that cannot be parsed.

    Raises `UserError` for what concerns no single rule: two of one name, a name that is no name.
    """
    paths = rule_files(project.root, project.rule_folders)
    names = _names(project, paths)
    digests = {path: _digest(files, path) for path in paths}
    memos = {path: f"{digest} {COMPILER}" for path, digest in digests.items()}
    known = index.memo("parsed", memos.values())
    rules: dict[str, Rule] = {}
    errors: list[UserError] = []
    fresh: dict[str, Any] = {}
    for path in paths:
        record = known.get(memos[path])
        if record is None:
            try:
                record = fresh[memos[path]] = _parse(project, path, digests[path])
            except UserError as error:
                errors.append(error)
                continue
        options = msgspec.convert(record["options"], RuleOptions)
        parsed = Parsed(tuple(record["tables"]), tuple(record["variables"]))
        rules[names[path]] = Rule(names[path], path, digests[path], options, parsed)
    index.remember("parsed", fresh)
    return rules, errors


def user_error(error: SqlError, path: str) -> UserError:
    """Return a compiler's error as one that names the file."""
    where = Where(path, error.line, error.column)
    return UserError(error.message, code=error.code, where=where, hint=error.hint, exit_code=FAILED)


def _text(project: Project, path: str, digest: str) -> str:
    """Read a rule file. What is made of it is remembered by its digest, so it must still be what was digested."""
    text = read_text(project.root / path, path)
    if file_digest(project.root / path) != digest:
        message = f"{path} changed while it was read"
        raise UserError(message, code="rule-changed", where=Where(path), hint="run the command again", exit_code=FAILED)
    return text


def _parse(project: Project, path: str, digest: str) -> Mapping[str, Any]:
    text = _text(project, path, digest)
    options = read_options(text, path)
    try:
        parsed = parse_rule(text)
    except SqlError as error:
        raise user_error(error, path) from error
    return {"tables": parsed.tables, "variables": parsed.variables, "options": msgspec.to_builtins(options)}


def _digest(files: FileDigests, path: str) -> str:
    try:
        return files.digest(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", code="unreadable", where=Where(path)) from error


def _names(project: Project, paths: list[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    owners: dict[str, str] = {name.lower(): f"[sources.{name}] of rules.toml" for name in project.sources}
    for path in paths:
        name = path.rsplit("/", 1)[-1].removesuffix(".sql")
        if not NAME.match(name):
            message = f"'{name}' is not a usable product name: letters, digits and _ only, no digit first"
            raise UserError(message, code="rule-name", where=Where(path), hint="rename the file", exit_code=FAILED)
        other = owners.get(name.lower())
        if other is not None:
            facts = {"here": path, "there": other}
            message = f"two tables are named '{name}'"
            hint = "the product of a rule is called after its file; rename one"
            raise UserError(message, code="duplicate-name", where=Where(path), facts=facts, hint=hint, exit_code=FAILED)
        owners[name.lower()] = path
        names[path] = name
    return names


def _scan(folder: str, shown: str, found: list[str]) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{shown}/{entry.name}"
            if entry.is_dir():
                _scan(entry.path, path, found)
            elif entry.name.endswith(".sql"):
                found.append(path)
