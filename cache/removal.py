"""Remove and replace files. No other module of `rules` may do so; a test searches all of them for such calls.

Files are removed by names that only we give, from a folder that is opened without following a link, so nothing that a
link leads to is ever touched. What a person put beside our files keeps its place.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
from typing import TYPE_CHECKING

from cache.durability import synchronise
from cache.exchange import renamed
from cache.own_names import (
    BESIDE,
    BUILD,
    DOWNLOAD,
    GENERATION,
    OBJECT,
    PAGE_OF_DATA,
    PART,
    PARTIAL,
    TEMPORARY,
    WRITTEN,
    beside,
    is_exported,
    name_beside,
    shortened,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO


def remove_temporary(path: Path) -> None:
    """Remove a file or link in tmp/, if there is one. Raises OSError, or ValueError for another name than ours."""
    _remove(path, TEMPORARY)


def remove_partial(path: Path) -> None:
    """Remove the beginning of a file that was being fetched, if there is one. Raises as `remove_temporary` does."""
    _remove(path, PARTIAL)


def remove_object(path: Path) -> None:
    """Remove an object, or a link in its place, if there is one. Raises as `remove_temporary` does.

    The object of a table in parts is a folder of links, which are removed with it; so are files in place of these.
    """
    _require(path, OBJECT)
    with contextlib.suppress(FileNotFoundError), _opened(path.parent) as folder:
        _remove_one(folder, path.name)


def remove_written(path: Path) -> None:
    """Remove a product's published file, if there is one. Raises as `remove_temporary` does."""
    _remove(path, WRITTEN)


def remove_objects(folder: Path, names: Iterable[str]) -> None:
    """Remove objects, or links in their place, from a folder of the store, as far as they are there; then it, if empty.

    Raises OSError, or ValueError for another name than ours.
    """
    with contextlib.suppress(FileNotFoundError), _opened(folder) as shelf:
        for name in names:
            if not OBJECT.fullmatch(name):
                raise ValueError(f"{name} does not have one of our names")
            _remove_one(shelf, name)
        with contextlib.suppress(OSError):  # it holds others
            folder.rmdir()


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
    _require(path, TEMPORARY)
    with _opened(path.parent) as folder:
        _clear(folder, path.name, os.fstat(folder).st_dev)


def remove_evidence(path: Path) -> None:
    """Remove the folder of a build in evidence/ with all that is in it. Raises as `remove_scratch` does."""
    _require(path, BUILD)
    with contextlib.suppress(FileNotFoundError), _opened(path.parent) as folder:
        _clear(folder, path.name, os.fstat(folder).st_dev)


def remove_download(path: Path) -> None:
    """Remove the folder of a file in downloads/ with all that is in it. Raises as `remove_scratch` does."""
    _require(path, DOWNLOAD)
    with contextlib.suppress(FileNotFoundError), _opened(path.parent) as folder:
        _clear(folder, path.name, os.fstat(folder).st_dev)


def clear_beside(folder: Path) -> None:
    """Remove the unfinished replacements that killed processes left in a folder of the store. Raises OSError."""
    with os.scandir(folder) as entries:
        left = [entry.name for entry in entries if BESIDE.fullmatch(entry.name)]
    for name in left:
        _remove(folder / name, BESIDE)


def replace(fresh: Path, target: Path) -> None:
    """Move our own file or link to `target`, in one step, over the file or link that has that name.

    The caller knows that the name is ours. Raises OSError.
    """
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(target.lstat().st_mode):
            raise IsADirectoryError(errno.EISDIR, f"{target} is a folder where a file belongs; remove it", str(target))
    fresh.replace(target)


def rename(path: Path, fresh: Path) -> None:
    """Give one of our files a name that no file has. Raises OSError."""
    path.rename(fresh)


def rewrite(target: Path, data: bytes, *, expected: bytes | None = None) -> bool:
    """Write a file whole or not at all, with the permissions that it has.

    expected: what must still be in it. Returns False, with nothing written, if something else is. What killed processes
    left of it goes. Raises OSError.
    """
    _clear_former(target)
    fresh, file = _opened_beside(target)
    try:
        with file:
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


def create(target: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file that does not exist yet, whole or not at all. mode: its permissions, less the process's mask.

    What killed processes left of it goes. Raises FileExistsError if something has its name, and OSError.
    """
    try:
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        _clear_former(target)
        fresh, file = _opened_beside(target, mode)
        try:
            with file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                publish(fresh, target)
        finally:
            fresh.unlink(missing_ok=True)
        with contextlib.suppress(PermissionError):  # a folder that may be written and not read
            synchronise(target.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def _opened_beside(target: Path, mode: int = 0o666) -> tuple[Path, BinaryIO]:
    """Make a file that is to replace `target`; its lock, which ends with this process, keeps it from others."""
    while True:
        fresh = name_beside(target)
        file = os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb")
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if fresh.exists():  # else somebody took it for one that was left
            return fresh, file
        file.close()


def _clear_former(target: Path) -> None:
    """Remove the files that were to replace `target` and whose processes have ended."""
    for path in beside(target):
        with contextlib.suppress(OSError):  # another process is at it, or it is in nobody's way
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_beside(path)
            finally:
                os.close(descriptor)


def create_all(files: Mapping[Path, bytes]) -> None:
    """Write files that do not exist yet, all of them or, if one cannot be written, none. Raises OSError.

    Folders above them are made as they are needed, and stay.
    """
    made: list[Path] = []
    target: Path | None = None
    try:
        for target, data in files.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            create(target, data)
            made.append(target)
    except OSError as error:
        for one in made:
            with contextlib.suppress(OSError):
                one.unlink()
        raise OSError(error.errno, error.strerror, error.filename or str(target)) from error


def overwrite(file: BinaryIO, data: bytes) -> None:
    """Write an open file that can be made again: whoever reads it meanwhile, or after a crash, may see a part of it."""
    file.seek(0)
    file.write(data)
    file.truncate()


def cut_short(file: BinaryIO, size: int) -> None:
    """Let an open file that is being written end after some bytes, behind which it is written again."""
    file.seek(size)
    file.truncate()


def remove_page_of_data(path: Path) -> None:
    """Remove the data of a table or build that a site no longer has. Raises as `remove_temporary` does."""
    _remove(path, PAGE_OF_DATA)


def publish(fresh: Path, target: Path) -> None:
    """Give one of our files or folders a new name. Raises FileExistsError if something has that name, and OSError."""
    if renamed(str(fresh), str(target), "free"):
        return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    fresh.rename(target)


def take_place(fresh: Path, target: Path) -> None:
    """Give one of our folders the name of an empty folder, or of none. Raises OSError if something else has it."""
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(target)
    publish(fresh, target)


def remove_draft(draft: Path, name: str | None = None) -> None:
    """Remove a folder that `name_beside` has named, with all that is in it, or only `name` in it, if it is there.

    Raises OSError, or ValueError for another folder than ours.
    """
    _require(draft, BESIDE)
    path = draft if name is None else draft / name
    with contextlib.suppress(FileNotFoundError), _opened(path.parent) as folder:
        _clear(folder, path.name, os.fstat(folder).st_dev)


@contextlib.contextmanager
def draft_of(target: Path) -> Iterator[Path]:
    """Give a new folder beside `target`, held while it is in use; those that killed processes left there go.

    What is in it in the end goes, too: it is to be moved to `target` by then. Raises OSError.
    """
    for left in beside(target):
        with contextlib.suppress(OSError), _held_folder(left):
            remove_draft(left)
    fresh = name_beside(target)
    fresh.mkdir()
    with _held_folder(fresh):
        try:
            yield fresh
        finally:
            with contextlib.suppress(OSError):
                remove_draft(fresh)


@contextlib.contextmanager
def _held_folder(path: Path) -> Iterator[None]:
    """Hold the lock of a folder. Raises OSError if another process holds it, or it is no folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def exchange(fresh: Path, target: Path) -> None:
    """Let two folders, of which `fresh` is ours, change names. Raises OSError.

    In one step where the system can do that; else `target` does not exist for a moment.
    """
    if renamed(str(fresh), str(target), "exchange"):
        return
    aside = name_beside(target)
    target.rename(aside)
    fresh.rename(target)
    aside.rename(fresh)


def remove_beside(path: Path) -> bool:
    """Remove what `name_beside` has named: a file or link, or a folder with the exported files in it.

    Return whether all of it could go: a file of another name, and the folders above it, keep their place. Raises
    OSError, or ValueError for another name than ours.
    """
    _require(path, BESIDE)
    with _opened(path.parent) as folder:
        try:
            is_folder = stat.S_ISDIR(os.lstat(path.name, dir_fd=folder).st_mode)
        except FileNotFoundError:
            return True
        if is_folder:
            return _clear_exported(folder, path.name, os.fstat(folder).st_dev)
        os.unlink(path.name, dir_fd=folder)
    return True


def remove_generation(path: Path) -> bool:
    """Remove a version of a published table, finished or not, as far as only exported files are in it.

    Return whether all of it could go. Raises OSError, or ValueError for another name than ours.
    """
    if not GENERATION.fullmatch(path.name):
        _require(path, BESIDE)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), _opened(path.parent) as folder:
        return _clear_exported(folder, path.name, os.fstat(folder).st_dev)
    return True


def clear_unfinished(folder: Path, names: Iterable[str]) -> None:
    """Remove what was to replace these files, and links, in a folder when its process was killed. Raises OSError.

    The caller knows that nobody else is replacing them.
    """
    starts = tuple(f".{shortened(name)}." for name in names)
    with os.scandir(folder) as entries:
        left = [one.name for one in entries
                if BESIDE.fullmatch(one.name) and (one.is_symlink() or one.name.startswith(starts))]  # fmt: skip
    for name in left:
        _remove(folder / name, BESIDE)


def _clear_exported(folder: int, name: str, device: int) -> bool:
    """Remove the exported files of a folder, and the folder if it is empty then; return whether it is gone."""
    inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    whole = True
    try:
        if os.fstat(inside).st_dev != device:
            return False  # another file system is mounted there
        with os.scandir(inside) as entries:
            listed = [
                (one.name, one.is_dir(follow_symlinks=False), one.is_file(follow_symlinks=False)) for one in entries
            ]
        for child, is_folder, is_file in listed:
            if is_folder:
                whole = _clear_exported(inside, child, device) and whole
            elif is_file and is_exported(child):
                os.unlink(child, dir_fd=inside)
            else:
                whole = False
    finally:
        os.close(inside)
    if whole:
        os.rmdir(name, dir_fd=folder)
    return whole


def _remove(path: Path, names: re.Pattern[str]) -> None:
    _require(path, names)
    with contextlib.suppress(FileNotFoundError), _opened(path.parent) as folder:
        os.unlink(path.name, dir_fd=folder)


def _require(path: Path, names: re.Pattern[str]) -> None:
    if not names.fullmatch(path.name):
        raise ValueError(f"{path} does not have one of our names")


def _remove_one(shelf: int, name: str) -> None:
    """Remove an object from its folder, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        try:
            os.unlink(name, dir_fd=shelf)
        except (IsADirectoryError, PermissionError):  # the latter is what some systems say of a folder, too
            if not stat.S_ISDIR(os.lstat(name, dir_fd=shelf).st_mode):
                raise
            _clear_links(shelf, name)


def _clear_links(folder: int, name: str) -> None:
    """Remove a folder that holds links to parts, or the files that a copy of the store made of them. Raises OSError."""
    inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        with os.scandir(inside) as entries:
            listed = [
                one.name
                for one in entries
                if PART.fullmatch(one.name) and (one.is_symlink() or one.is_file(follow_symlinks=False))
            ]
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
