"""Copies of files from elsewhere, by the digest of their bytes, in downloads/ of a store; the least used go first.

    downloads/DIGEST/data.csv.gz

Of a large Parquet file only some bytes may be there, see `cache.sparse_copies`; DIGEST then names its version.

The time of a folder says when its file was last used. Nothing but a copy is ever in here: without it a command fetches
the file again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from typing import TYPE_CHECKING

from cache.durability import synchronise
from cache.own_names import is_download
from cache.removal import remove_download, replace

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "downloads"
_SECTOR = 512
"""Bytes in which systems count what a file takes, whatever its blocks are."""
_EXTENSION = re.compile(r"(?:\.[a-z0-9]{1,12}){1,2}\Z")


class Downloads:
    """The copies of one store. root: the store's folder, or a temporary one of a process that may not write there."""

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER

    def place(self, digest: str, name: str) -> Path:
        """Return where the copy of a file is, or would be. name: of the file, whose extension says what it is."""
        if not is_download(digest):
            raise ValueError(f"'{digest}' is no digest of a file")
        extension = _EXTENSION.search(name.rpartition("/")[2].lower())
        return self._folder / digest / f"data{extension[0] if extension else ''}"

    def use(self, place: Path) -> None:
        """Note that a copy is used."""
        with contextlib.suppress(OSError):  # a store that is only read
            os.utime(place.parent)

    def add(self, written: Path, place: Path) -> None:
        """Move a file that is fully written to its place. Raises OSError."""
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.parent.is_symlink():  # rules makes none, and follows none
            raise NotADirectoryError(errno.ENOTDIR, "it is a link", os.fspath(place.parent))
        synchronise(written)
        replace(written, place)
        os.utime(place.parent)

    def remove(self, place: Path) -> None:
        """Remove a copy that is not what its name says. Raises OSError."""
        remove_download(place.parent)

    def trim(self, most: int) -> None:
        """Remove the copies that were used the longest time ago, until all of them together have `most` bytes.

        Nobody else may be reading the store. Raises OSError.
        """
        for _, _, name in self._beyond(most):
            remove_download(self._folder / name)

    def beyond(self, most: int) -> tuple[int, int]:
        """Return how many bytes `trim` would remove, and how many would stay. Raises OSError."""
        going = sum(size for _, size, _ in self._beyond(most))
        return going, self.bytes() - going

    def bytes(self) -> int:
        """Return how many bytes the copies have together. Raises OSError."""
        return sum(size for _, size, _ in self._found())

    def _beyond(self, most: int) -> list[tuple[int, int, str]]:
        found = sorted(self._found())
        total, count = sum(size for _, size, _ in found), 0
        while total > most:
            total -= found[count][1]
            count += 1
        return found[:count]

    def _found(self) -> list[tuple[int, int, str]]:
        """Return when each copy was last used, its size and its digest. Others may be adding and removing copies."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                if is_download(entry.name) and entry.is_dir(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError), os.scandir(entry.path) as files:
                        size = sum(_on_disk(file.stat(follow_symlinks=False)) for file in files)
                        found.append((entry.stat(follow_symlinks=False).st_mtime_ns, size, entry.name))
        return found


def _on_disk(status: os.stat_result) -> int:
    """Return how many bytes of a file are there: holes are none."""
    return min(status.st_size, status.st_blocks * _SECTOR or status.st_size)
