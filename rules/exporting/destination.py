"""What the destination of an export is: a file, or a folder of files; and how it comes into being in one step.

Everything is written beside the destination, in a file or folder of a name that only we give, synchronised, and then
renamed: at any instant the destination is what it was or what it is to be. Of a folder that is replaced or added to,
every file must be one that an export wrote; anything else is a reason to refuse, and is never removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cache.own_names import beside, is_exported, name_beside
from cache.removal import exchange, publish, remove_beside, replace
from rules.errors import FAILED, USAGE, UserError

Mode = Literal["error", "overwrite", "append"]
_FORMER = "name another destination, or remove it yourself"


@dataclass(frozen=True)
class Destination:
    """Where a product goes. path: without links; shown: as the user wrote it. A folder unless `single`."""

    path: Path
    shown: str
    single: bool
    mode: Mode

    @classmethod
    def outside(cls, path: str, stores: Iterable[Path], single: bool, mode: Mode) -> Destination:  # noqa: FBT001
        """Return the destination that a user wrote. Raises `UserError` for one in a store."""
        place = Path(path).resolve()
        if Path(path).exists() and not place.exists():  # a pipe, which /dev/stdout leads to
            message = f"{path} is no file or folder"
            raise UserError(message, code="usage", hint="rules show NAME --format csv writes to the standard output")
        for store in stores:
            if place.is_relative_to(store.resolve()):
                message = f"{path} is in the store, where only builds write"
                raise UserError(message, code="usage", hint="name a place outside of it")
        return cls(place, path, single, mode)

    def require_usable(self) -> None:
        """Refuse a destination that cannot be written in this mode. Raises `UserError`."""
        path = self.path
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            self._require_parent()
            return
        except OSError as error:
            raise self._error(f"{self.shown} cannot be written: {error.strerror}", "unwritable", None) from error
        if self.single:
            self._require_replaceable_file(mode)
            return
        if not stat.S_ISDIR(mode):
            hint = "--single-file writes one file" if self.mode == "error" else "a file cannot be added to"
            raise self._error(f"{self.shown} is a file, where a folder is to be written", "exists", hint)
        own, foreign = self.files(), self._foreign()
        if self.mode == "error" and (own or foreign):
            hint = "--mode overwrite replaces what an export wrote there, --mode append adds to it"
            raise self._error(f"{self.shown} exists already", "exists", hint)
        if foreign:
            message = f"{self.shown} holds {foreign}, which no export wrote"
            raise self._error(message, "exists", f"nothing of it was touched; {_FORMER}")

    def files(self) -> list[str]:
        """Return the exported files in the folder that is there, as sorted paths in it."""
        found = [name for name in _walk(self.path) if is_exported(name.rsplit("/", 1)[-1])]
        return sorted(found)

    @contextlib.contextmanager
    def staged(self, rescued: Callable[[str], None]) -> Iterator[Path]:
        """Give a path to write to, and make what was written there the destination. Raises `UserError` and OSError.

        rescued: is called with where something was left that we do not remove.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._error(f"{self.shown} cannot be written: {error.strerror}", "unwritable", None) from error
        self._clear_former()
        fresh = name_beside(self.path)
        if self.single:
            fresh.open("xb").close()
        else:
            fresh.mkdir()
        with _held(fresh):
            try:
                yield fresh
                self._commit(fresh)
            finally:
                if os.path.lexists(fresh) and not remove_beside(fresh):
                    rescued(str(fresh))

    def _commit(self, fresh: Path) -> None:
        there = os.path.lexists(self.path)
        _synchronise(fresh)
        if there:
            fresh.chmod(stat.S_IMODE(self.path.stat().st_mode))
        if self.single and self.mode == "overwrite":
            replace(fresh, self.path)
        elif there and not self.single:
            self.require_usable()
            exchange(fresh, self.path)
        else:
            try:
                publish(fresh, self.path)
            except FileExistsError as error:
                hint = "--mode overwrite replaces it"
                raise self._error(f"{self.shown} has come into being meanwhile", "exists", hint) from error
        _synchronise_folder(self.path.parent)

    def _require_parent(self) -> None:
        above = self.path.parent
        while not above.exists() and above != above.parent:
            above = above.parent
        if not above.is_dir():
            raise self._error(f"{self.shown} cannot be written: {above} is no folder", "unwritable", None)

    def _require_replaceable_file(self, mode: int) -> None:
        if stat.S_ISDIR(mode):
            hint = f"--single-file {self.shown}/NAME.parquet names a file in it"
            raise self._error(f"{self.shown} is a folder, where a file is to be written", "exists", hint)
        if not stat.S_ISREG(mode):
            message = f"{self.shown} is no plain file, which cannot be replaced in one step"
            raise self._error(message, "unwritable", "rules show NAME --format csv prints rows")
        if self.mode == "error":
            raise self._error(f"{self.shown} exists already", "exists", "--mode overwrite replaces it")

    def _foreign(self) -> str | None:
        """Return what is in the folder that no export wrote: a file, or a folder without exported files.

        An empty folder that is called as that of a partition is none: somebody removed the file in it.
        """
        for name in _walk(self.path):
            is_partition = name.endswith("/") and all("=" in one for one in name[:-1].split("/"))
            if not is_partition and not is_exported(name.rsplit("/", 1)[-1]):
                return name
        return None

    def _clear_former(self) -> None:
        """Remove what exports to here left when they were killed. One that still runs holds its own."""
        for path in beside(self.path):
            with contextlib.suppress(OSError), _held(path):
                remove_beside(path)

    def _error(self, message: str, code: str, hint: str | None) -> UserError:
        return UserError(message, code=code, hint=hint, exit_code=FAILED if code == "unwritable" else USAGE)


def carry_over(files: Mapping[str, Path], fresh: Path) -> None:
    """Give `fresh` files under these paths in it: by links where the file system has them. Raises OSError."""
    for name, path in files.items():
        target = fresh / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, target, follow_symlinks=False)
        except OSError:
            shutil.copy2(path, target)


def _walk(folder: Path) -> Iterator[str]:
    """Yield the paths, in a folder, of everything that is no folder, and of empty folders, which end in a slash.

    Links are not followed.
    """
    pending = [""]
    while pending:
        place = pending.pop()
        with os.scandir(folder / place) as entries:
            listed = list(entries)
        if place and not listed:
            yield f"{place}/"
        for entry in listed:
            path = f"{place}/{entry.name}" if place else entry.name
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                yield f"{path} (a link or a special file)"


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold the lock of a file or folder that is being written. Raises OSError where another process holds it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _synchronise(path: Path) -> None:
    """Put the folders of what was written onto the disk; every file is there since it was closed."""
    if path.is_dir():
        for folder, _, _ in os.walk(path, topdown=False):
            _synchronise_folder(Path(folder))


def _synchronise_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
