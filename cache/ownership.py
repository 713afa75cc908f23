"""Which folders are ours: those with a marker that we wrote, and nothing else is ever written or removed.

A missing or empty folder becomes ours. So does a store of a version that wrote no marker, known by its index. All else
is refused, and so is a store in which a link, or a second name of a file, would lead a write outside.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from typing import TYPE_CHECKING

from cache.durability import synchronise
from cache.errors import ForeignStoreError, StoreError
from cache.readonly import is_index
from cache.removal import rewrite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MARKER = ".rules-store"
FORMAT = 1
README = """This folder is the local store of `rules`: results, digests and the index.
It can be deleted at any time; the next build makes it anew. Nothing in it is meant to be edited or committed.
"""
_HEAD = f"rules-store {FORMAT}\n".encode()
_MARK = re.compile(rb"rules-store (\d+)\n")
_TEXT = """rules-store {format}
id {id}
This file tells `rules` that the folder is its own. Without it nothing in the folder is used, changed or removed.
"""
_FOLDERS = ("tmp", "objects", "products", "evidence", "written", "downloads")
_FILES = ("lock", "readers", "index.sqlite", "index.sqlite-wal", "index.sqlite-shm", "index.sqlite-journal")
_SHELF = re.compile(r"[0-9a-f]{2}")
_LEFT = re.compile(rf"\.{re.escape(MARKER)}\.[0-9a-f]{{32}}\.new")
_SMALL = {"lock": (b"",), "readers": (b"",), "README": (b"", README.encode()), MARKER: (b"",)}
"""Files that a killed process may have left in a folder that it was about to make a store, with what may be in them."""


def claim(folder: Path) -> None:
    """Make a folder ours, if it may be. Raises `ForeignStoreError` if it may not, and OSError if it cannot be written.

    The folder itself must not be a link, and the one that it is in must be there: a project that was moved away while
    it was opened does not come to be where it was.
    """
    if examine(folder):
        return
    folder.mkdir(exist_ok=True)
    rewrite(folder / MARKER, _TEXT.format(format=FORMAT, id=os.urandom(16).hex()).encode())
    synchronise(folder)  # what comes into it without a marker would be nobody's


def make_below(store: Path, folder: Path) -> None:
    """Make a folder of a store, and those above it up to the store, which must be there. Raises OSError.

    Where a project was moved away or deleted meanwhile, no folder of its name comes to be.
    """
    if folder != store:
        make_below(store, folder.parent)
        folder.mkdir(exist_ok=True)


def make_files(folder: Path) -> None:
    """Write the .gitignore that hides a store from git, and the README that explains it. Raises OSError."""
    for name, text in ((".gitignore", "*\n"), ("README", README)):
        file = folder / name
        if not os.path.lexists(file) or _small(file, 1) == b"":  # a killed build may have left it empty
            rewrite(file, text.encode())


def examine(folder: Path) -> bool:
    """Return whether a folder carries our marker, False for one that may become ours.

    Raises `ForeignStoreError` for one that may not, and OSError where it cannot be read.
    """
    try:
        kind = folder.lstat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(kind):
        hint = "remove the link, or set RULES_STORE to the folder that it leads to"
        raise ForeignStoreError(f"the store {folder} is a link, which is not followed", hint=hint)
    if not stat.S_ISDIR(kind):
        raise ForeignStoreError(f"the store {folder} is no folder", hint=f"remove it, or {_ELSEWHERE}")
    if not _is_marked(folder):
        if _may_become_ours(folder):
            return False
        if not _is_marked(folder):  # else another process made it a store meanwhile
            message = f"{folder} is not empty, and no store of rules: it has no {MARKER} file"
            raise ForeignStoreError(message, hint=f"nothing in it was changed; {_ELSEWHERE}")
    _require_whole(folder)
    return True


def may_open_index(folder: str) -> bool:
    """Whether a folder carries today's marker and its index is no link: the cheap part of `examine`."""
    try:
        home, marker, *files = (os.lstat(f"{folder}{name}") for name in ("", f"/{MARKER}", "/index.sqlite"))
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                files.append(os.lstat(f"{folder}/index.sqlite{suffix}"))
        if not stat.S_ISDIR(home.st_mode) or not stat.S_ISREG(marker.st_mode):
            return False
        with open(f"{folder}/{MARKER}", "rb") as file:
            known = file.read(len(_HEAD)) == _HEAD
    except OSError:
        return False
    return known and all(stat.S_ISREG(one.st_mode) and one.st_nlink == 1 for one in files)


_ELSEWHERE = "set RULES_STORE to an empty folder, or to one that does not exist yet"


def _is_marked(folder: Path) -> bool:
    text = _small(folder / MARKER, 4096)
    mark = _MARK.match(text) if text is not None else None
    if mark is None:
        return False
    if int(mark[1]) > FORMAT:
        raise StoreError(f"the store {folder} was made by a newer version of rules", hint=f"upgrade, or {_ELSEWHERE}")
    return True


def _may_become_ours(folder: Path) -> bool:
    """Whether a folder without a marker is empty but for what we may have left, or a store of a former version."""
    with os.scandir(folder) as entries:
        others = [entry.name for entry in entries if not _is_left(folder, entry.name)]
    if not others:
        return True
    if "index.sqlite" not in others:
        return False
    _require_whole(folder)
    return is_index(folder / "index.sqlite")


def _is_left(folder: Path, name: str) -> bool:
    path = folder / name
    if name in _FOLDERS:
        return stat.S_ISDIR(path.lstat().st_mode) and not any(path.iterdir())
    if name == "lost+found":  # of a fresh file system
        return stat.S_ISDIR(path.lstat().st_mode)
    if name == ".gitignore":  # also a person's, who let git keep the folder; it is not overwritten
        return _small(path, 1) is not None
    if name in _SMALL:
        return _small(path, len(README) + 1) in _SMALL[name]
    return _LEFT.fullmatch(name) is not None


def _small(path: Path, most: int) -> bytes | None:
    """Return what begins a regular file, None for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.read(descriptor, most) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _require_whole(folder: Path) -> None:
    """Refuse a store in which a write to one of our names would go elsewhere."""
    for name in _FOLDERS:
        _require_kind(folder / name, stat.S_ISDIR, "a folder")
    for name in _FILES:
        _require_kind(folder / name, stat.S_ISREG, "a file")
    if not (folder / "objects").is_dir():
        return
    with os.scandir(folder / "objects") as entries:
        for entry in entries:
            if _SHELF.fullmatch(entry.name) and not entry.is_dir(follow_symlinks=False):
                _refuse(entry.path, "not a folder, or a link to one, which is not followed")


def _require_kind(path: Path, wanted: Callable[[int], bool], noun: str) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(status.st_mode):
        _refuse(path, "a link, which is not followed")
    if not wanted(status.st_mode):
        _refuse(path, f"not {noun}")
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1 and path.name not in {"lock", "readers"}:
        what = "a file that has another name elsewhere (a hard link), and would be changed there, too"
        _refuse(path, what, f"put a copy in its place: cp {path} copy && mv copy {path}")


def _refuse(path: Path | str, what: str, hint: str | None = None) -> None:
    raise ForeignStoreError(f"{path} in the store is {what}", hint=hint or f"remove {path}; a build makes it anew")
