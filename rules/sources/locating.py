"""Which files a source has and as what they are read; errors of sources, at the line of rules.toml or in the file."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from rules.errors import FAILED, UserError, Where
from rules.files.project_paths import FILE
from rules.files.source_listing import list_files
from rules.formats.registry import extensions, format_by_name, format_named, or_declared
from rules.formats.source_format import Format, Listing, ListingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from rules.config.project import Project
    from rules.files.file_digests import FileDigests
    from rules.formats.source import Source

_AS_READER = "whoever runs rules must be able to read it"
_ROOM = "make room, or set RULES_STORE to a folder on another disk"
_HINTS = {
    errno.EACCES: _AS_READER,
    errno.EPERM: _AS_READER,
    errno.EILSEQ: "rename it: the engine and the index take no other names",
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
}
OF_STORE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
"""What the system says of files that are written alone."""


def declared_format(source: Source) -> Format | None:
    """Return a source's format as its format or its path says it; None if only the names of its files can."""
    return format_named(source.format) if source.format is not None else format_by_name(source.path)


def lists_files(source: Source) -> bool:
    """Whether a source's format says which files it has, so that their names do not."""
    kind = declared_format(source)
    return kind is not None and kind.lists_files


def format_of(project: Project, name: str, files: Iterable[str]) -> Format:
    """Return a source's format: declared, or by the extension of its path or of its files. Raises `UserError`."""
    source = project.sources[name]
    known = declared_format(source)
    if known is not None:
        return known
    kinds = {format_by_name(file) for file in files}
    only = next(iter(kinds), None)
    if len(kinds) == 1 and only is not None:
        return only
    problem = (
        f"has files of several formats ('{source.path}')" if any(kinds) else f"has no known format ('{source.path}')"
    )
    raise declared_wrongly(project, name, problem, f"add {or_declared()}")


def source_listing(project: Project, name: str, files: FileDigests) -> Listing:
    """Return a source's files, as its format or their names say. Raises `UserError` if there are none.

    What a format looks at for that is noted in `files`.
    """
    source = project.sources[name]
    kind = declared_format(source)
    if kind is None or not lists_files(source):
        return Listing(source_files(project, name))
    try:
        return kind.listing(source, files)
    except ListingError as error:
        raise source_error(project, name, error.message, Where(error.path), error.hint) from error
    except OSError as error:
        shown = os.path.relpath(error.filename, project.root) if error.filename else source.path
        problem = f"cannot be listed: {error.strerror or error}"
        raise source_error(project, name, problem, Where(shown), hint_for(error)) from error


def names_below(path: str, files: Iterable[str]) -> list[str]:
    """Return the names of a source's files below the folder that its path names for all of them.

    So they are the same wherever that folder is.
    """
    fixed, *pattern = re.split(r"[*?[]", path, maxsplit=1)
    above = fixed.rpartition("/")[0] if pattern else path.rstrip("/")
    return [file.removeprefix(f"{above}/") if above else file for file in files]


def source_files(project: Project, name: str) -> tuple[str, ...]:
    """Return the files that a source's path names, sorted, relative to the project (absolute if outside).

    Raises `UserError` if there are none.
    """
    source, root = project.sources[name], project.root
    try:
        found = list_files(root, source.path, source.format, extensions())
    except OSError as error:
        shown = os.path.relpath(error.filename, root) if error.filename else source.path
        problem = f"cannot be listed: {error.strerror or error}"
        raise source_error(project, name, problem, Where(shown), hint_for(error)) from error
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


def unreadable(root: Path, file: str, error: OSError) -> tuple[str, str | None]:
    """Return what is wrong with a file that cannot be read, and what to do about it."""
    if isinstance(error, FileNotFoundError) and (root / file).is_symlink():
        return "has a link that leads nowhere", "let it lead to a file, or remove it"
    return f"cannot be read: {error.strerror or error}", hint_for(error)


def hint_for(error: OSError) -> str | None:
    """Return what to do about a file that the system refuses, None where only the message can help."""
    return _HINTS.get(error.errno) if error.errno is not None else None


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


def declared_wrongly(
    project: Project, name: str, problem: str, hint: str | None = None, keys: tuple[str, ...] = ("path",)
) -> UserError:
    """Return an error of a source at the line of rules.toml that must be corrected. keys: from the source's table."""
    return source_error(project, name, problem, project.source_where(name, *keys), hint)


def source_error(project: Project, name: str, problem: str, where: Where, hint: str | None = None) -> UserError:
    """Return an error of a source: a fact says where it is declared if that is elsewhere."""
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
