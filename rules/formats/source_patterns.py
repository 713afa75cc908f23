"""One entry of [sources] for many files: "seed_*" = { path = "seeds/*.csv" } makes a source of each file.

What the * of the path matches in a file's name takes the place of the * in the name. Light: no format is opened.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rules.files.source_listing import list_files
from rules.formats.registry import extensions, format_named, without_extension

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9_]*\*[A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class Pattern:
    """An entry of [sources] whose name is a pattern. key: its name; path, format: as it declares them.

    files: all that match now, in order; sources: name → file, of those that no other entry names by its path.
    """

    key: str
    path: str
    format: str | None
    files: tuple[str, ...]
    sources: Mapping[str, str]

    def stem_of(self, name: str) -> str | None:
        """Return what the * would match in the name of a source; None for a name that does not match."""
        before, _, after = self.key.partition("*")
        fits = name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after)
        return name[len(before) : len(name) - len(after)] if fits else None


class PatternError(Exception):
    """A pattern that cannot be used, or a file that it makes no source of. keys: from the entry down."""

    def __init__(
        self, message: str, hint: str, keys: tuple[str, ...] = (), facts: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.keys = keys
        self.facts = dict(facts or {})


def is_pattern(key: str) -> bool:
    """Whether an entry of [sources] declares many."""
    return _NAME.match(key) is not None


def expand(root: Path, key: str, entry: Mapping[str, Any], others: Mapping[str, Any]) -> Pattern:
    """Return a pattern with its sources. entry: its table; others: the entries without a *, which go first.

    Raises `PatternError`.
    """
    path, declared = entry["path"], entry.get("format")
    if "://" in path:
        message = f"'{path}' is a URL, and a pattern makes a source of each file on this machine"
        raise PatternError(message, f"{_REMEDY}, or declare each source by itself", ("path",))
    kind = format_named(declared) if declared is not None else None
    if kind is not None and kind.lists_files:
        message = f"a table of the format {kind.name} has several files, and a pattern makes a source of each"
        raise PatternError(
            message, f'declare each table: [sources.NAME] with path = "…" and format = "{kind.name}"', ("path",)
        )
    within = _within(path)
    try:
        files = list_files(root, path, declared, extensions())
    except OSError as error:
        shown = os.path.relpath(error.filename, root) if error.filename else path
        raise PatternError(f"{shown} cannot be listed: {error.strerror or error}", _REMEDY, ("path",)) from error
    named = {os.path.normpath(table["path"]) for table in others.values() if _has_path(table)}
    before, _, after = key.partition("*")
    sources: dict[str, str] = {}
    for file in files:
        name = f"{before}{_stem(file, within)}{after}"
        if os.path.normpath(file) in named or _has_path(others.get(name)):
            continue
        if not name.isascii() or not name.isidentifier():
            raise PatternError(
                f"{file} makes no usable name of a source: '{name}'",
                f'rename the file, or declare it by itself: [sources.NAME] with path = "{file}"',
            )
        if name in sources:
            facts = {"here": file, "there": sources[name]}
            hint = f'rename one of the files, or say which it is: [sources.{name}] with path = "{file}"'
            raise PatternError(f"two files make a source '{name}'", hint, facts=facts)
        sources[name] = file
    return Pattern(key, path, declared, files, sources)


_REMEDY = 'write path = "seeds/*.csv", or the path of a folder'


def _has_path(table: Any) -> bool:
    return isinstance(table, dict) and isinstance(table.get("path"), str)


def _within(path: str) -> re.Pattern[str] | None:
    """Return what finds the * of a path in the name of a file; None if it matches the whole name."""
    last = path.rstrip("/").rpartition("/")[2]
    if not any(char in last for char in "*?[") or last == "**":
        return None
    if last.count("*") != 1 or any(char in last for char in "?["):
        raise PatternError(f"the path of a pattern has one * in the name of the file, not '{last}'", _REMEDY, ("path",))
    before, _, after = last.partition("*")
    return re.compile(f"{re.escape(before)}(.*){re.escape(after)}\\Z", re.DOTALL)


def _stem(file: str, within: re.Pattern[str] | None) -> str:
    name = file.rpartition("/")[2]
    found = within.match(name) if within is not None else None
    return without_extension(found[1] if found is not None else name)
