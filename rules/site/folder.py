"""The folder of a site: made, or brought up to date file by file, so that what has not changed keeps its bytes.

What a person put beside the site (a CNAME, a .git) keeps its place. A folder that holds anything but no site of ours is
refused, and files that the site no longer has are removed by names that only it gives.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cache.own_names import beside, is_page_of_data
from cache.removal import clear_unfinished, overwrite, remove_page_of_data, rewrite
from rules.errors import FAILED, USAGE, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARKER = "data/index.js"
"""The file by which a site is known."""
_MARK = b'site.receive("index",'


class Written(NamedTuple):
    """What was done to a folder: how many files it has of the site, their bytes, and how many were written, removed."""

    files: int
    bytes: int
    written: int
    removed: int


def require_usable(folder: Path, shown: str, store: Path) -> None:
    """Refuse a folder that is not to hold a site. Raises `UserError`."""
    if folder.resolve().is_relative_to(store.resolve()) or store.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{shown} is no place for a site: the store is there", code="usage", hint="name another folder")
    if folder.is_file():
        raise UserError(f"{shown} is a file, where a folder is to be written", code="exists", exit_code=USAGE)
    try:
        foreign = sorted(one.name for one in folder.iterdir() if not one.name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unwritable(shown, error) from error
    if foreign and not (_is_site(folder) or _is_begun(folder, foreign)):
        message = f"{shown} holds {foreign[0]}, and is no site that rules wrote"
        hint = "nothing of it was touched; name another folder with --out"
        raise UserError(message, code="exists", hint=hint, exit_code=USAGE)


def write_site(folder: Path, shown: str, made: Mapping[str, bytes]) -> Written:
    """Write the files of a site, and remove those of tables and builds that are gone.

    First comes the file by which it is known, so that what is left of it can be written again; last the page. Raises
    `UserError`.
    """
    written = removed = 0
    try:
        written += _mark(folder, made[_MARKER])
        for path in sorted(made.keys() - {_MARKER}, key=lambda one: (one == "index.html", one)):
            written += _write(folder, path, made[path])
        for kind in ("tables", "builds"):
            inside = folder / "data" / kind
            for file in sorted(inside.iterdir()) if inside.is_dir() else ():
                if is_page_of_data(file.name) and f"data/{kind}/{file.name}" not in made:
                    remove_page_of_data(file)
                    removed += 1
    except OSError as error:
        raise _unwritable(shown, error) from error
    return Written(len(made), sum(map(len, made.values())), written, removed)


def _mark(folder: Path, data: bytes) -> bool:
    """Write the file by which a site is known, whole or not at all; say whether it was written."""
    target = folder / _MARKER
    target.parent.mkdir(parents=True, exist_ok=True)
    _require_own(folder, _MARKER)
    clear_unfinished(target.parent, [target.name])
    with contextlib.suppress(FileNotFoundError):
        if not target.is_symlink() and target.read_bytes() == data:
            return False
    return rewrite(target, data)


def _require_own(folder: Path, path: str) -> None:
    """Raise OSError where a link leads the folder of a file out of the site."""
    if (folder / path).parent.resolve() != folder.resolve() / Path(path).parent:
        raise OSError(f"{path} is led elsewhere by a link")


def _write(folder: Path, path: str, data: bytes) -> bool:
    """Write a file unless it has these bytes; say whether it was written. Links in the folder are not followed."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    _require_own(folder, path)
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    with open(descriptor, "r+b") as file:  # noqa: PTH123  of a descriptor
        if file.read() == data:
            return False
        overwrite(file, data)
    return True


def _is_site(folder: Path) -> bool:
    try:
        with (folder / _MARKER).open("rb") as file:
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return False


def _is_begun(folder: Path, names: list[str]) -> bool:
    """Whether a folder with these visible names is what is left of a site before its marker was written."""
    marker = folder / _MARKER
    if names != [marker.parent.name] or marker.parent.is_symlink() or not marker.parent.is_dir():
        return False
    return sorted(marker.parent.iterdir()) == sorted(beside(marker))


def _unwritable(shown: str, error: OSError) -> UserError:
    message = f"{shown} cannot be written: {error.strerror or error}"
    return UserError(message, code="unwritable", exit_code=FAILED)
