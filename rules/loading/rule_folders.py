"""The files in a project's rule folders that hold rules."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from rules.config.project import Project, read_text
from rules.config.table_reading import place_in
from rules.errors import UserError
from rules.files.project_paths import FILE, beginning, is_rule_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def rule_files(root: Path, folders: Iterable[str]) -> list[str]:
    """Return the paths, relative to the project, of all rule files, sorted. Raises `UserError`."""
    found: list[str] = []
    for number, folder in enumerate(folders):
        try:
            _scan(os.path.join(root, folder), beginning(folder), found)
        except OSError as error:
            known = error.filename == os.path.join(root, folder)
            shown = folder if known else os.path.relpath(error.filename, root)
            what = {errno.ENOENT: "does not exist", errno.ENOTDIR: "is a file"}.get(error.errno or 0)
            message = f"the rule folder '{shown}' {what or f'cannot be read: {error.strerror}'}"
            where = place_in(read_text(root / FILE, FILE), "project", "rules", str(number))
            raise UserError(message, code="config", where=where, hint="see rules = [...] under [project]") from error
    return sorted(set(found))


def paths_of_rules(project: Project) -> list[str]:
    """Return the paths of all rule files, sorted, with those that an editor has not written yet. Raises `UserError`."""
    found = rule_files(project.root, project.rule_folders)
    folders = [beginning(folder) for folder in project.rule_folders]
    return sorted({*found, *(path for path in project.unsaved if any(_is_in(path, folder) for folder in folders))})


def _is_in(path: str, folder: str) -> bool:
    """Whether a file would be found in a folder, given by how the paths in it begin."""
    return path.startswith(folder) and not any(part.startswith(".") for part in path[len(folder) :].split("/"))


def _scan(folder: str, shown: str, found: list[str], above: tuple[str, ...] = ()) -> None:
    """Find the rule files in a folder and below. Raises OSError, also where a link leads back to a folder above it.

    shown: how their paths begin. above: this folder and those that led here, as paths without links.
    """
    above = above or (os.path.realpath(folder),)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{shown}{entry.name}"
            if entry.is_dir():
                real = os.path.realpath(entry.path) if entry.is_symlink() else f"{above[-1]}/{entry.name}"
                if real in above:
                    raise OSError(0, "it is a link to a folder above it", entry.path)
                _scan(entry.path, f"{path}/", found, (*above, real))
            elif is_rule_file(entry.name):
                found.append(path)
