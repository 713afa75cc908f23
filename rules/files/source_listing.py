"""The files that a source's path names: a file, a glob or a folder. Light, because the no-op path needs it."""

# On the no-op path a Path object costs more than the system call it is made for.
from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from rules.files.project_paths import own_folder, store_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")
"""Endings of compressed files, after the extension."""


def extension_of(path: str) -> str:
    """Return the extension that says a file's format, in lower case, an ending such as `.gz` left aside."""
    name = path.lower()
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return os.path.splitext(name)[1]


def list_files(root: Path, path: str, declared: str | None, extensions: Mapping[str, str]) -> tuple[str, ...]:
    """Return a source's files now, perhaps none: sorted, relative to `root` unless `path` is absolute.

    declared: the format, by name; extensions: of the known formats, with their names.

    A folder means the files below it of the declared format (by name; if no name says so, for all), or of any
    known format. Names that begin with a dot or an underscore are left out, and so is the store. Links are followed;
    one that leads nowhere is among the files, so that who reads them fails.
    Raises OSError for a folder that cannot be read: leaving its files out would be a wrong table.
    """
    whole = os.path.join(root, path)
    if os.path.isfile(whole):
        return (path,)
    listing = _Listing(str(root), {os.path.abspath(store_root(root)), own_folder(str(root))})
    if os.path.isdir(whole):
        found = list(listing.below(path.rstrip("/") or "/", frozenset()))
        formats = {file: extensions.get(extension_of(file)) for file in found}
        known = [file for file, name in formats.items() if name is not None and declared in {None, name}]
        return tuple(sorted(known or (found if declared else [])))
    parts = [part for part in path.split("/") if part]
    if parts and parts[-1] == "**":
        parts.append("*")
    return tuple(sorted(set(listing.matches("/" if path.startswith("/") else "", parts, frozenset()))))


class _Listing:
    """Walks folders below the project's root, or anywhere else; never into the store."""

    def __init__(self, root: str, stores: set[str]) -> None:
        self._root = root
        self._stores = stores

    def below(self, base: str, above: frozenset[str]) -> Iterator[str]:
        """All visible files in `base` and below."""
        for entry in self._entries(base):
            path = os.path.join(base, entry.name)
            if entry.is_dir():
                # Underscores mark what writers keep for themselves (_temporary, _delta_log), but not _key=value.
                if not entry.name.startswith("_") or "=" in entry.name:
                    yield from self.below(path, self._deeper(base, above))
            elif _may_be_read(entry) and not entry.name.startswith("_"):
                yield path

    def matches(self, base: str, parts: list[str], above: frozenset[str]) -> Iterator[str]:
        """Files below `base` that match the rest of a glob."""
        part, rest = parts[0], parts[1:]
        if part == "**":
            yield from self.matches(base, rest, above)
            for entry in self._entries(base):
                if entry.is_dir():
                    yield from self.matches(os.path.join(base, entry.name), parts, self._deeper(base, above))
        elif not any(char in part for char in "*?["):
            path = os.path.join(base, part)
            if rest:
                if os.path.isdir(os.path.join(self._root, path)):
                    yield from self.matches(path, rest, above)
            elif os.path.isfile(os.path.join(self._root, path)):
                yield path
        else:
            for entry in self._entries(base, hidden=part.startswith(".")):
                if not fnmatchcase(entry.name, part):
                    continue
                path = os.path.join(base, entry.name)
                if rest and entry.is_dir():
                    yield from self.matches(path, rest, above)
                elif not rest and _may_be_read(entry):
                    yield path

    def _entries(self, base: str, *, hidden: bool = False) -> list[os.DirEntry[str]]:
        folder = os.path.join(self._root, base)
        with os.scandir(folder) as entries:
            return [
                entry
                for entry in entries
                if (hidden or not entry.name.startswith(".")) and os.path.abspath(entry.path) not in self._stores
            ]

    def _deeper(self, base: str, above: frozenset[str]) -> frozenset[str]:
        """Return the folders above what is in `base`. Raises OSError when a link has led back to one of them."""
        real = os.path.realpath(os.path.join(self._root, base))
        if real in above:
            raise OSError(0, "a symbolic link leads back to a folder above it", base)
        return above | {real}


def _may_be_read(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file, or a link to a file that is not there, such as one of a disk that is not mounted."""
    return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
