"""Which files a source has and as what they are read; errors of sources, at the line of rules.toml or in the file."""

from __future__ import annotations

import contextlib
import os
from difflib import get_close_matches
from typing import TYPE_CHECKING

from rules.errors import FAILED, UserError, Where
from rules.files.project_paths import FILE
from rules.formats.source_listing import COMPRESSED, format_by_name, list_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from rules.config.project import Project
    from rules.formats.source import Source

AS_READER = "whoever runs rules must be able to read it"
"""What to do about a file without permission."""


def format_of(project: Project, name: str, files: Iterable[str]) -> str:
    """Return a source's format: declared, or by the extension of its path or of its files. Raises `UserError`."""
    source = project.sources[name]
    known = source.format or format_by_name(source.path)
    if known is not None:
        return known
    kinds = sorted({format_by_name(file) or "" for file in files})
    if len(kinds) == 1 and kinds[0]:
        return kinds[0]
    problem = (
        f"has files of several formats ('{source.path}')" if any(kinds) else f"has no known format ('{source.path}')"
    )
    raise declared_wrongly(project, name, problem, 'add format = "parquet", "csv", "json" or "arrow"')


def source_files(project: Project, name: str) -> tuple[str, ...]:
    """Return a source's files, sorted, relative to the project (absolute if outside). Raises `UserError` if none."""
    source, root = project.sources[name], project.root
    if "://" in source.path:
        raise declared_wrongly(project, name, f"is a URL ('{source.path}'), which this version cannot read")
    try:
        found = list_files(root, source.path, source.format)
    except OSError as error:
        shown = os.path.relpath(error.filename, root) if error.filename else source.path
        problem = f"cannot be listed: {error.strerror or error}"
        raise source_error(project, name, problem, Where(shown), AS_READER) from error
    if found:
        return found
    if (root / source.path).is_dir():
        problem = f"matches no file: {source.path} is a folder without data files"
        hint = "name a file, or put files into the folder"
    elif (root / source.path).is_symlink():
        problem, hint = f"is a link that leads nowhere: {source.path}", "let it lead to a file, or name the file itself"
    elif (root / source.path).exists():
        problem, hint = f"is no regular file: {source.path}", "name a file, a folder or a pattern"
    elif any(char in source.path for char in "*?["):
        problem, hint = f"matches no file: {source.path}", "the pattern is relative to the folder of rules.toml"
    else:
        problem, hint = f"does not exist: {source.path}", _nearest(root, source.path)
    raise declared_wrongly(project, name, problem, hint)


def _nearest(root: Path, path: str) -> str:
    """Say what is wrong with a path that leads nowhere: its folder, or the name of the file in it."""
    folder, slash, file = path.rpartition("/")
    try:
        names = [entry.name for entry in (root / (folder + slash)).iterdir()]
    except OSError:
        return f"there is no folder {folder}{slash} that can be read; paths are relative to the folder of rules.toml"
    close = get_close_matches(file, names, n=1, cutoff=0.6)
    shown = f"{folder}/{close[0]}" if close and folder else "".join(close)
    return f"did you mean {shown}?" if close else "paths are relative to the folder of rules.toml"


def delimiter_of(file: str, source: Source) -> str:
    """Return what separates the fields of a text file: a tab in .tsv files, unless rules.toml names another."""
    tabs = source.delimiter == "," and ".tsv" in file.rsplit("/", 1)[-1].lower()
    return "\t" if tabs else source.delimiter


def compression_of(file: str) -> str:
    """Return the ending that says how a file is compressed, "" for none."""
    return next((suffix for suffix in COMPRESSED if file.endswith(suffix)), "")


def declared_wrongly(
    project: Project, name: str, problem: str, hint: str | None = None, keys: tuple[str, ...] = ("path",)
) -> UserError:
    """Return an error of a source at the line of rules.toml that is to be put right. keys: from the source's table."""
    return source_error(project, name, problem, project.source_where(name, *keys), hint)


def source_error(project: Project, name: str, problem: str, where: Where, hint: str | None = None) -> UserError:
    """Return an error of a source: a fact says where it is declared if it does not stand there."""
    facts = {} if where.path == FILE else {"declared": str(project.source_where(name))}
    return UserError(
        f"the source '{name}' {problem}", code="source", where=where, facts=facts, hint=hint, exit_code=FAILED
    )


@contextlib.contextmanager
def noting(name: str, broken: dict[str, UserError]) -> Iterator[None]:
    """Note what is wrong with a source instead of raising it."""
    try:
        yield
    except UserError as error:
        broken.setdefault(name, error)
