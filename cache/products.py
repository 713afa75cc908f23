"""The products folder of a project root: for each product a link to the object that holds its last committed state.

Where its author wishes the file to be written in another way, the link leads to such a file, which belongs to the root.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from typing import TYPE_CHECKING

from cache.durability import synchronise
from cache.objects import seal
from cache.own_names import is_written, name_beside
from cache.ownership import claim, make_files
from cache.removal import clear_beside, remove_beside, remove_link, remove_written, replace
from cache.signatures import SEAL_NS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cache.objects import Objects

_TARGET = re.compile(
    r"(?:\.\.|/.*)/objects/[0-9a-f]{2}/[0-9a-f]+\.parquet|\.\./written/[^\W\d]\w*-[0-9a-f]{16}\.parquet"
)


class Products:
    """The folder `products` of a project root's own folder. Only links that we made are replaced or removed."""

    def __init__(self, own: Path, objects: Objects) -> None:
        """own: the folder `.rules` of the project root; objects: of the store, which may be the same folder."""
        self.folder = own / "products"
        self._written = own / "written"
        self._own = own
        self._folder, self._objects = str(self.folder), ".." if own == objects.root else str(objects.root)
        self._temporary = objects.temporary if own == objects.root else None
        self._moved = False

    def create(self) -> None:
        """Make the folder. Raises `ForeignStoreError` where `.rules` is not ours, and OSError."""
        claim(self._own)
        self.folder.mkdir(exist_ok=True)
        clear_beside(self.folder)
        if self._written.is_dir():
            clear_beside(self._written)
        make_files(self._own)

    def target(self, artifact: str) -> str:
        """Return what a product's link holds: where the object of an artifact is."""
        return f"{self._objects}/objects/{artifact[:2]}/{artifact[2:]}.parquet"

    def write(self, product: str, key: str, make: Callable[[Path], None]) -> str:
        """Return the name of a product's file of its own, made by `make` unless it is there. Raises OSError.

        key: 16 hexadecimal digits, of the table and of how it is written. make: writes to a path and
        synchronises it.
        """
        name = f"{product}-{key}.parquet"
        target = self._written / name
        with contextlib.suppress(FileNotFoundError):
            status = target.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_mtime_ns == SEAL_NS and status.st_nlink == 1:
                return name
        if not self._written.is_dir():
            self._written.mkdir(exist_ok=True)
            synchronise(self._own)
        fresh = name_beside(target)
        try:
            make(fresh)
            seal(fresh)
            replace(fresh, target)
            synchronise(self._written)
        finally:
            remove_beside(fresh)
        return name

    def leads_to(self, product: str, artifact: str) -> bool:
        """Whether a product's link leads to the object of an artifact."""
        try:
            return os.readlink(f"{self._folder}/{product}.parquet") == self.target(artifact)
        except OSError:  # there is none, or something else has that name
            return False

    def publish(self, product: str, artifact: str, written: str | None = None) -> None:
        """Point `products/NAME.parquet` at the object, or at what `write` returned. Repeating it changes nothing.

        Raises OSError, with what to remove where something else than a link has that name.
        """
        link = f"{self._folder}/{product}.parquet"
        target = self.target(artifact) if written is None else f"../written/{written}"
        try:
            if os.readlink(link) == target:
                return
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):  # another build of the root has just made it
                os.symlink(target, link)
                self._moved = True
                return
        except OSError:  # it is no link
            pass
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISLNK(os.lstat(link).st_mode):
                raise FileExistsError(f"{link} is something that rules did not make; remove it")
        fresh = self._temporary() if self._temporary is not None else name_beside(self.folder / product)
        fresh.symlink_to(target)
        replace(fresh, self.folder / f"{product}.parquet")
        self._moved = True

    def settle(self) -> None:
        """Let links that were moved lead where they do also after a power loss. Raises OSError."""
        if self._moved:
            for folder in (self._own.parent, self._own, self.folder):
                synchronise(folder)
            self._moved = False

    def unpublish(self, keep: set[str]) -> None:
        """Remove our links of products that the project no longer has, and files no link leads to. Raises OSError."""
        _remove_links(self.folder, keep)
        if self._written.is_dir():
            used = {os.path.basename(os.readlink(link)) for link in self.folder.iterdir() if link.is_symlink()}
            for file in self._written.iterdir():
                if is_written(file.name) and file.name not in used:
                    self.settle()  # else a power loss could bring back the link that led to it
                    remove_written(file)


def retire(folder: Path) -> None:
    """Remove our links from a products folder that is no longer written, which would be stale. Raises OSError."""
    if folder.is_dir():
        _remove_links(folder, set())


def _remove_links(folder: Path, keep: set[str]) -> None:
    with os.scandir(folder) as entries:
        names = [one.name for one in entries if one.name.endswith(".parquet")]
    for name in names:
        if name.removesuffix(".parquet") not in keep and _is_ours(folder / name):
            remove_link(folder / name)


def _is_ours(link: Path) -> bool:
    try:
        return _TARGET.fullmatch(os.readlink(link)) is not None
    except OSError:  # no link, or gone
        return False
