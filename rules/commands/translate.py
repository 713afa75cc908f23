"""`rules translate FILE…`: rules in another dialect, in our SQL: printed, compared or written."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.sql.foreign_table import DIALECTS
from rules.config.project import Project, load_project
from rules.errors import FAILED, UserError
from rules.files.project_paths import find_root
from rules.report.findings import finding_fields, text_lines
from rules.report.runs import document
from rules.storage.store import open_store

if TYPE_CHECKING:
    import argparse

    from rules.lint.translating import TranslatedFile
    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("paths", nargs="+", metavar="FILE", help="a SQL file of the project, or a folder of such")
    parser.add_argument(
        "--from",
        dest="dialect",
        choices=tuple(DIALECTS),
        metavar="DIALECT",
        help=f"the dialect of files that do not say theirs: {', '.join(DIALECTS)}",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="write the translation into the file")
    action.add_argument("--diff", action="store_true", help="print a unified diff instead of the translation")
    action.add_argument("--check", action="store_true", help="print nothing but what cannot be translated")


def run(options: argparse.Namespace, output: Output) -> int:
    """Translate; 1 where something has no counterpart, or with --diff where there is anything to translate."""
    from rules.lint.fixes import write
    from rules.lint.translating import translate_files

    root = find_root(options.project)
    project = load_project(root)
    paths = _paths(root, options.paths)
    if options.dialect is not None:
        project = _spoken(project, paths, options.dialect)
    with open_store(root, output.message, building=False) as store:
        files = translate_files(project, store, paths, output.message)
    changed = [one for file in files if (one := file.rewritten) is not None]
    if options.write:
        write(root, changed)
    _print(files, options, output)
    failed = any(file.findings for file in files)
    return FAILED if failed or (options.diff and changed) else 0


def _paths(root: Path, given: list[str]) -> list[str]:
    """Return the files, relative to the project, and the SQL files of folders. Raises `UserError`."""
    found: list[str] = []
    for path in given:
        whole = Path(path).absolute()
        if not whole.exists():
            raise UserError(
                f"there is no file or folder {path}", code="usage", hint="paths are relative to this folder"
            )
        files = sorted(whole.rglob("*.sql")) if whole.is_dir() else [whole]
        for file in files:
            relative = os.path.relpath(file.resolve(), root.resolve()).replace(os.sep, "/")
            if relative.startswith(".."):
                hint = "it is translated by the columns of the tables that the project knows"
                raise UserError(f"{path} is outside of the project {root}", code="usage", hint=hint)
            found.append(relative)
    return list(dict.fromkeys(found))


def _spoken(project: Project, paths: list[str], dialect: str) -> Project:
    """Return the project with a dialect for files that say none."""
    return replace(project, spoken={**project.spoken, **dict.fromkeys(paths, dialect)})


def _print(files: list[TranslatedFile], options: argparse.Namespace, output: Output) -> None:
    from rules.lint.fixes import diff_lines

    findings = [one for file in files for one in file.findings]
    if output.as_json:
        described: list[dict[str, Any]] = [
            {
                "path": file.path,
                "dialect": file.dialect,
                "text": None if file.after is None else file.text,
                "written": bool(options.write and file.rewritten is not None),
            }
            for file in files
        ]
        status = "failed" if findings else "ok"
        output.document(
            document("translate", status=status, files=described, findings=[finding_fields(one) for one in findings])
        )
        return
    for file in files:
        if options.diff and file.rewritten is not None:
            output.data("\n".join(diff_lines(file.rewritten)))
        elif not (options.diff or options.check or options.write) and file.after is not None:
            output.data((f"-- {file.path}\n" if len(files) > 1 else "") + file.text.rstrip("\n"))
    texts = {file.path: file.before.decode("utf-8-sig").split("\n") for file in files}
    for line in text_lines(findings, lambda path, number: texts[path][number - 1].rstrip("\r")):
        output.message(line)
    good = sum(file.after is not None for file in files)
    done = "written" if options.write else "translated" if not options.check else "can be translated"
    output.message(f"{good:,} of {len(files):,} files {done}")
