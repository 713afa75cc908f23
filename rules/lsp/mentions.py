"""Who calls a rule or a column by its name where a rename rewrites nothing: contracts, tests, targets, Python."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from rules.config.front_matter import RuleOptions
from rules.errors import UserError
from rules.files.project_paths import FILE
from rules.testing.test_files import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rules.config.contract import Contract
    from rules.lsp.workbench import Known, Workbench


def mention(bench: Workbench, known: Known, table: str, column: str | None) -> str | None:
    """Return a file that calls a rule, or a column of it, by its name and is no query of a rule; None if none does.

    Words are compared: the file may mean something else by them, but none is missed that means it.
    """
    rule = known.rules[table]
    own = _names(rule.options) if column is not None else [one.sql for one in rule.options.checks]
    if _says(own, column or table):
        return rule.path
    wanted = (table,) if column is None else (table, column)
    for path, texts in _elsewhere(bench, known, table):
        if all(_says(texts, one) for one in wanted):
            return path
    return None


def _elsewhere(bench: Workbench, known: Known, table: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the texts in which names of a rule and its columns can be, by file."""
    project = known.project
    yield from ((rule.path, list(_names(rule.options))) for rule in known.rules.values() if rule.name != table)
    yield from ((FILE, [name, *_names(contract)]) for name, contract in project.contracts.items())
    for target in (one.table for one in project.targets.values()):
        divided = (word for name, columns in target.partition_by.items() for word in (name, *columns))
        yield FILE, [*target.select, *target.exclude, *divided]
    yield FILE, list(project.policy.per_file_ignores)
    yield from _in_python(bench, [path for path in known.files if path.endswith(".py")])
    for file in sorted((bench.root / FOLDER).rglob("*")):
        if file.suffix in {".toml", ".sql"} and file.is_file():
            paths = [one.relative_to(bench.root).as_posix() for one in (file, *sorted(file.parent.glob("*.csv")))]
            yield paths[0], [file.stem, *_texts(bench, paths)]


def _in_python(bench: Workbench, files: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the texts of Python files. files: those of rules, which can import others from anywhere in the project.

    A rule that reads a table may leave it to what it imports to read a column.
    """
    others = [path for path in _python_files(bench.root) if path not in files] if files else []
    yield from ((path, _texts(bench, [path])) for path in (*files, *others))
    shared = _texts(bench, others)
    yield from ((path, [*_texts(bench, [path]), *shared]) for path in files if shared)


def _python_files(root: Path) -> Iterator[str]:
    """Yield the paths of a project's Python files, without those in hidden folders and in environments."""
    for folder, inside, files in os.walk(root):
        place = Path(folder)
        inside[:] = sorted(
            one for one in inside if not one.startswith(".") and not (place / one / "pyvenv.cfg").is_file()
        )
        yield from ((place / one).relative_to(root).as_posix() for one in sorted(files) if one.endswith(".py"))


def _names(contract: Contract) -> Iterator[str]:
    """Yield what a contract, or the options of a rule, calls by name, and the queries in it."""
    yield from contract.key
    yield from (one.sql for one in contract.checks)
    for name, column in contract.columns.items():
        yield from (name, column.references)
    if isinstance(contract, RuleOptions):
        writer = contract.writer
        yield from (*contract.order_by, *writer.sort_by, *writer.bloom_filters, *writer.partition_by, *writer.columns)


def _texts(bench: Workbench, paths: Iterable[str]) -> list[str]:
    """Return the texts of files, as they are being edited; without those that have gone or are no text."""
    found = []
    for path in paths:
        try:
            found.append(bench.text(path))
        except UserError:
            continue
    return found


def _says(texts: Iterable[str], name: str) -> bool:
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
    return any(word.search(text) for text in texts)
