"""The folder of a site: made, or brought up to date file by file, so that what has not changed keeps its bytes.

What a person put beside the site (a CNAME, a .git) keeps its place. A folder that holds anything but no site of ours is
refused, and files that the site no longer has are removed by names that only it gives.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cache.removal import is_page_of_data, overwrite, remove_page_of_data
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
    if foreign and not _is_site(folder):
        message = f"{shown} holds {foreign[0]}, and is no site that rules wrote"
        hint = "nothing of it was touched; name another folder with --out"
        raise UserError(message, code="exists", hint=hint, exit_code=USAGE)


def write_site(folder: Path, shown: str, made: Mapping[str, bytes]) -> Written:
    """Write the files of a site, the page last, and remove those of tables and builds that are gone.

    Raises `UserError`.
    """
    written = removed = 0
    try:
        for path in sorted(made, key=lambda one: (one == "index.html", one)):
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


def _write(folder: Path, path: str, data: bytes) -> bool:
    """Write a file unless it has these bytes; say whether it was written. Links in the folder are not followed."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.parent.resolve() != folder.resolve() / Path(path).parent:
        raise OSError(f"{path} is led elsewhere by a link")
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


def _unwritable(shown: str, error: OSError) -> UserError:
    message = f"{shown} cannot be written: {error.strerror or error}"
    return UserError(message, code="unwritable", exit_code=FAILED)
