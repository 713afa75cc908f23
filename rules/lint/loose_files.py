"""`rules check --no-project`: files as they are, without schemas; what cannot be resolved is not guessed at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from compiler.errors import SqlError
from compiler.lint.check import World, check_rule, of_error
from compiler.lint.comments import suppressions
from compiler.lint.findings import Lines
from rules.config.front_matter import read_options
from rules.config.project import read_text
from rules.errors import UserError
from rules.loading.dialects import OURS

_SUFFIX = ".sql"


def check_files(root: Path, paths: list[str]) -> tuple[dict[str, Any], dict[str, World]]:
    """Return what is found in each file, and what each was checked against. Raises `UserError` for a missing path."""
    records: dict[str, Any] = {}
    worlds: dict[str, World] = {}
    world = World()
    for path in _files(root, paths):
        records[path] = {"found": [], "marks": []}
        try:
            text = read_text(root / path, path)
        except UserError as error:
            records[path]["found"].append(_unreadable(error, path))
            continue
        lines = Lines(text)
        found = []
        volatile, dialect = False, None
        try:
            options = read_options(text, path)
            volatile, dialect = options.volatile, None if options.dialect == OURS else options.dialect
        except UserError as error:
            found.append(of_error(_located(error), lines))
        found += check_rule(text, world, volatile=volatile, dialect=dialect).found
        records[path]["found"] = [lines.finding(path, one).to_record() for one in found]
        records[path]["marks"] = [mark.to_record() for mark in suppressions(text)]
        worlds[path] = world
    return records, worlds


def _files(root: Path, paths: list[str]) -> list[str]:
    """Return the files, and the SQL files of the folders, each once, in order."""
    found: dict[str, None] = {}
    for path in paths:
        whole = root / path
        if whole.is_dir():
            for folder, folders, names in os.walk(whole):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                inside = (Path(folder, name) for name in sorted(names) if name.endswith(_SUFFIX))
                found |= {os.path.relpath(one, root).replace(os.sep, "/"): None for one in inside}
        elif whole.exists():
            found[path] = None
        else:
            raise UserError(f"there is no file or folder {path}", code="usage")
    return list(found)


def _unreadable(error: UserError, path: str) -> dict[str, Any]:
    assert error.where is not None
    found = of_error(_located(error), Lines(""))
    record = Lines("").finding(path, found).to_record()
    line, column = error.where.line or 1, error.where.column or 1
    return {**record, "place": [line, column, line, column + 1]}


def _located(error: UserError) -> SqlError:
    assert error.where is not None
    line, column = error.where.line, error.where.column
    return SqlError(error.message, line=line, column=column, hint=error.hint, code=error.code)
