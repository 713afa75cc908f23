"""Remove and replace files. No other module of `rules` may do so; a test searches all of them for such calls.

Files are removed by names that only we give, from a folder that is opened without following a link, so nothing that a
link leads to is ever touched. What a person put beside our files keeps its place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TEMPORARY = re.compile(r"[0-9a-f]{32}(\.parquet(#\d+)?)?")
"""A file, link or folder in tmp/; with #1 behind it, one that the engine had not finished."""
_OBJECT = re.compile(r"[0-9a-f]{2,}\.parquet")
_PART = re.compile(r"part-\d{5,}\.parquet")
_BESIDE = re.compile(r"\..+\.[0-9a-f]{32}\.new")
"""A file or link that was to replace another when its process was killed."""


def remove_temporary(path: Path) -> None:
    """Remove a file or link in tmp/, if there is one. Raises OSError, or ValueError for another name than ours."""
    _remove(path, _TEMPORARY)


def remove_object(path: Path) -> None:
    """Remove an object, or a link in its place, if there is one. Raises as `remove_temporary` does.

    The object of a table in parts is a folder of links, which are removed with it.
    """
    _require(path, _OBJECT)
    with contextlib.suppress(FileNotFoundError), _opened(path.parent) as folder:
        if stat.S_ISDIR(os.lstat(path.name, dir_fd=folder).st_mode):
            _clear_links(folder, path.name)
        else:
            os.unlink(path.name, dir_fd=folder)


def remove_link(path: Path) -> None:
    """Remove a link. Raises OSError, also where it is no link."""
    with _opened(path.parent) as folder:
        if not stat.S_ISLNK(os.lstat(path.name, dir_fd=folder).st_mode):
            raise OSError(errno.EINVAL, "is no link", str(path))
        os.unlink(path.name, dir_fd=folder)


def remove_scratch(path: Path) -> None:
    """Remove a folder of tmp/ with all that is in it. Raises OSError, or ValueError for another name than ours.

    Links in it are removed themselves; a file system that is mounted in it is an error.
    """
    _require(path, _TEMPORARY)
    with _opened(path.parent) as folder:
        _clear(folder, path.name, os.fstat(folder).st_dev)


def is_temporary(name: str) -> bool:
    """Whether a name in tmp/ is one that we give."""
    return _TEMPORARY.fullmatch(name) is not None


def clear_beside(folder: Path) -> None:
    """Remove the unfinished replacements that killed processes left in a folder of the store. Raises OSError."""
    with os.scandir(folder) as entries:
        left = [entry.name for entry in entries if _BESIDE.fullmatch(entry.name)]
    for name in left:
        _remove(folder / name, _BESIDE)


def replace(fresh: Path, target: Path) -> None:
    """Move a file or link of ours to `target`, in one step, over the file or link that has that name.

    The caller knows that the name is ours. Raises OSError.
    """
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(target.lstat().st_mode):
            raise IsADirectoryError(errno.EISDIR, f"{target} is a folder where a file belongs; remove it", str(target))
    fresh.replace(target)


def rename(path: Path, fresh: Path) -> None:
    """Give a file of ours a name that no file has. Raises OSError."""
    path.rename(fresh)


def rewrite(target: Path, data: bytes, *, expected: bytes | None = None) -> bool:
    """Write a file whole or not at all, with the permissions that it has.

    expected: what must still be in it. Returns False, with nothing written, if something else is. Raises OSError.
    """
    fresh = name_beside(target)
    try:
        with fresh.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            fresh.chmod(stat.S_IMODE(target.stat().st_mode))
        if expected is not None and target.read_bytes() != expected:
            return False
        replace(fresh, target)
    finally:
        fresh.unlink(missing_ok=True)
    return True


def name_beside(target: Path) -> Path:
    """Return a name for what is to replace `target`; `clear_beside` removes what is left of that name."""
    return target.with_name(f".{target.name[:80]}.{os.urandom(16).hex()}.new")


def _remove(path: Path, names: re.Pattern[str]) -> None:
    _require(path, names)
    with contextlib.suppress(FileNotFoundError), _opened(path.parent) as folder:
        os.unlink(path.name, dir_fd=folder)


def _require(path: Path, names: re.Pattern[str]) -> None:
    if not names.fullmatch(path.name):
        raise ValueError(f"{path} has no name of ours")


def _clear_links(folder: int, name: str) -> None:
    """Remove a folder that holds links to parts, and nothing else. Raises OSError."""
    inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        with os.scandir(inside) as entries:
            listed = [entry.name for entry in entries if entry.is_symlink() and _PART.fullmatch(entry.name)]
        for link in listed:
            os.unlink(link, dir_fd=inside)
    finally:
        os.close(inside)
    os.rmdir(name, dir_fd=folder)


def _clear(folder: int, name: str, device: int) -> None:
    inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        if os.fstat(inside).st_dev != device:
            raise OSError(errno.EXDEV, "another file system is mounted there", name)
        with os.scandir(inside) as entries:
            listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for child, is_folder in listed:
            if is_folder:
                _clear(inside, child, device)
            else:
                os.unlink(child, dir_fd=inside)
    finally:
        os.close(inside)
    os.rmdir(name, dir_fd=folder)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open a folder, which must not be a link to one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
