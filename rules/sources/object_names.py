"""Which objects of a listing a source's path means, as `rules.files.source_listing` says it for files."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from rules.files.locations import WILDCARDS
from rules.files.source_listing import extension_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cache.remote.outside_store import ListedObject


def is_pattern(path: str) -> bool:
    """Whether a path below a bucket means the objects that match it."""
    return any(char in path for char in WILDCARDS)


def prefix_of(path: str) -> str:
    """Return what the keys of all objects begin with that a pattern or a folder means; it ends at a slash."""
    if not is_pattern(path):
        return path.rstrip("/") + "/" if path else ""
    above = re.split(r"[*?[]", path, maxsplit=1)[0].rpartition("/")[0]
    return f"{above}/" if above else ""


def chosen(
    path: str, found: Iterable[ListedObject], declared: str | None, extensions: Mapping[str, str]
) -> list[ListedObject]:
    """Return the objects that a pattern or a folder means.

    An empty object without an extension is what people make for a folder to show, so it is none of the data.
    """
    seen = [one for one in found if one.size or extension_of(one.path)]
    if is_pattern(path):
        parts = path.split("/")
        if parts[-1] == "**":
            parts.append("*")
        return [one for one in seen if _match(parts, one.path.split("/"))]
    prefix = prefix_of(path)
    seen = [one for one in seen if not _is_hidden(one.path.removeprefix(prefix))]
    formats = {one.path: extensions.get(extension_of(one.path)) for one in seen}
    known = [one for one in seen if formats[one.path] is not None and declared in {None, formats[one.path]}]
    return known or (seen if declared else [])


def _match(wanted: list[str], parts: list[str]) -> bool:
    """Whether a key matches a pattern: * within a folder, ** across them; hidden names only if the pattern says so."""
    if not wanted or not parts:
        return not wanted and not parts
    if wanted[0] == "**":
        return _match(wanted[1:], parts) or (
            len(parts) > 1 and not parts[0].startswith(".") and _match(wanted, parts[1:])
        )
    if not any(char in wanted[0] for char in WILDCARDS):
        return parts[0] == wanted[0] and _match(wanted[1:], parts[1:])
    if parts[0].startswith(".") and not wanted[0].startswith("."):
        return False
    return fnmatchcase(parts[0], wanted[0]) and _match(wanted[1:], parts[1:])


def _is_hidden(name: str) -> bool:
    *folders, file = name.split("/")
    if file.startswith((".", "_")):
        return True
    return any(one.startswith(".") or (one.startswith("_") and "=" not in one) for one in folders)
