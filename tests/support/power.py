"""A model of a disk that loses power: what was synchronised survives, of everything else a part.

A file has the content that its last `fsync` saw and the changes since; a folder has names that a later `fsync` of the
folder makes durable. What POSIX leaves open is a `Loss`: a file system may keep names and lose what is in the files,
keep sizes and lose the bytes (delayed allocation), write names in order or not, and write some sectors and not others.
"""

from __future__ import annotations

import hashlib
import os
import random
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from support.file_operations import APPENDED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.file_operations import Operation

Loss = Literal["all", "content", "bytes", "names", "random", "ordered", "nothing"]
LOSSES: tuple[Loss, ...] = ("all", "content", "bytes", "names", "random", "ordered", "nothing")
"""What is lost of what was not synchronised: all of it; what is in files, while names stay; the bytes of it, while
sizes stay; the names, while what is in files stays; a random part; the names after a random moment, and random data;
nothing, as after a `kill -9`."""
_SECTOR = 512


@dataclass(eq=False)
class File:
    """A file, a link (target) or a folder (no data). changes: since the last synchronisation."""

    data: bytes | None = b""
    target: str | None = None
    stamp: int = 0
    mode: int = 0o644
    changes: list[Operation] = field(default_factory=list)


@dataclass(frozen=True)
class _Naming:
    """A change of names, which happens as a whole: each a folder, a name in it, and what it names then, or None."""

    effects: tuple[tuple[File, str, File | None], ...]


class Disk:
    """A disk that holds a copy of a folder, on which operations are carried out one by one."""

    def __init__(self, root: Path) -> None:
        """Take over what is in a folder, as if all of it had been synchronised long ago."""
        self.root = File(None)
        self._durable: dict[tuple[int, str], File] = {}
        self._names: dict[tuple[int, str], File] = {}
        self._pending: list[_Naming] = []
        self._files: list[File] = [self.root]
        for path in sorted(root.rglob("*")):
            status = path.lstat()
            kind = status.st_mode
            held = _read(path)
            data, target = (held, None) if isinstance(held, bytes) else (None, held)
            made = File(data, target, status.st_mtime_ns, stat.S_IMODE(kind))
            self._files.append(made)
            folder, name = self._place(str(path.relative_to(root)))
            self._names[id(folder), name] = self._durable[id(folder), name] = made

    def apply(self, one: Operation) -> None:
        """Carry out an operation."""
        if one.kind == "sync":
            self._synchronise(self._at(one.path))
        elif one.kind in {"write", "truncate", "stamp", "mode"}:
            file = self._at(one.path)
            end = len(_left(file, "nothing", random.Random(0)).data or b"") if one.at == APPENDED else one.at
            file.changes.append(replace(one, at=end))
        elif one.kind == "create":
            if self._find(one.path) is None:
                self._name((*self._place(one.path), self._made(File())))
        elif one.kind == "mkdir":
            self._name((*self._place(one.path), self._made(File(None))))
        elif one.kind == "symlink":
            self._name((*self._place(one.path), self._made(File(None, one.other))))
        elif one.kind == "link":
            self._name((*self._place(one.path), self._at(one.other)))
        elif one.kind == "unlink":
            self._name((*self._place(one.path), None))
        else:
            moved = self._at(one.path)
            self._name((*self._place(one.path), None), (*self._place(one.other), moved))

    def lose_power(self, loss: Loss, seed: int = 0) -> Remains:
        """Return what is left if the power goes now."""
        chance = random.Random(seed)
        names = dict(self._durable)
        kept = self._pending
        if loss in {"all", "names"}:
            kept = []
        elif loss == "random":
            kept = [one for one in kept if chance.random() < 0.5]
        elif loss == "ordered":
            kept = kept[: chance.randint(0, len(kept))]
        for naming in kept:
            _take(names, naming)
        files: dict[str, File] = {}
        self._walk(self.root, "", names, files, loss, chance)
        return Remains(files)

    def _walk(
        self,
        folder: File,
        path: str,
        names: dict[tuple[int, str], File],
        files: dict[str, File],
        loss: Loss,
        chance: random.Random,
    ) -> None:
        inside = sorted((name, one) for (where, name), one in names.items() if where == id(folder))
        for name, one in inside:
            place = f"{path}{name}"
            files[place] = _left(one, loss, chance)
            if one.data is None and one.target is None:
                self._walk(one, f"{place}/", names, files, loss, chance)

    def _made(self, one: File) -> File:
        self._files.append(one)  # so that no two have the same id
        return one

    def _name(self, *effects: tuple[File, str, File | None]) -> None:
        naming = _Naming(effects)
        _take(self._names, naming)
        self._pending.append(naming)

    def _synchronise(self, one: File) -> None:
        if one.data is not None:
            whole = _left(one, "nothing", random.Random(0))
            one.data, one.stamp, one.mode, one.changes = whole.data, whole.stamp, whole.mode, []
            return
        for naming in self._pending:
            if any(folder is one for folder, _, _ in naming.effects):
                _take(self._durable, naming)
        self._pending = [
            naming for naming in self._pending if not any(folder is one for folder, _, _ in naming.effects)
        ]

    def _find(self, path: str) -> File | None:
        found: File | None = self.root
        for part in PurePosixPath(path).parts:
            if found is None:
                return None
            found = self._names.get((id(found), part))
        return found

    def _at(self, path: str) -> File:
        found = self._find(path)
        assert found is not None, path
        return found

    def _place(self, path: str) -> tuple[File, str]:
        where = PurePosixPath(path)
        return self._at(str(where.parent)), where.name


@dataclass(frozen=True)
class Remains:
    """What a disk holds after it has lost power: files by path, the folders before what is in them."""

    files: dict[str, File]

    @property
    def digest(self) -> str:
        """The same for remains that are the same."""
        found = hashlib.sha256()
        for path, one in self.files.items():
            stamp = one.stamp if one.data is not None else 0
            found.update(repr((path, one.data, one.target, stamp, one.mode)).encode())
        return found.hexdigest()

    def restore(self, to: Path, like: Iterable[Path] = ()) -> None:
        """Make a folder that holds it.

        like: folders whose files, where they are the same, are used themselves: rules recognises a file by its inode.
        """
        to.mkdir()
        folders = list(like)
        for path, one in self.files.items():
            place = to / path
            if one.target is not None:
                place.symlink_to(one.target)
            elif one.data is None:
                place.mkdir()
            elif not any(_linked(folder / path, place, one) for folder in folders):
                place.write_bytes(one.data)
                os.utime(place, ns=(one.stamp, one.stamp)) if one.stamp else None
                place.chmod(one.mode)


def _linked(like: Path, place: Path, one: File) -> bool:
    """Give a file that is the same a second name. Files that rules writes to must not have two names."""
    if like.suffix not in {".parquet", ".sql", ".toml", ".csv"}:
        return False
    try:
        status = like.lstat()
    except OSError:
        return False
    same = stat.S_ISREG(status.st_mode) and status.st_mtime_ns == one.stamp and like.read_bytes() == one.data
    if same:
        os.link(like, place)
    return same


def _take(names: dict[tuple[int, str], File], naming: _Naming) -> None:
    for folder, name, one in naming.effects:
        if one is None:
            names.pop((id(folder), name), None)
        else:
            names[id(folder), name] = one


def _read(path: Path) -> str | bytes | None:
    """Return what a link or a file holds, None for a folder."""
    kind = path.lstat().st_mode
    return str(path.readlink()) if stat.S_ISLNK(kind) else path.read_bytes() if stat.S_ISREG(kind) else None


def _left(one: File, loss: Loss, chance: random.Random) -> File:
    """Return a file as it is found later."""
    if one.data is None or loss in {"all", "content"}:
        return File(one.data, one.target, one.stamp, one.mode)
    data, stamp, mode = bytearray(one.data), one.stamp, one.mode
    whole = loss in {"nothing", "names"}
    for change in one.changes:
        if change.kind == "write":
            end = change.at + len(change.data)
            data.extend(bytes(max(0, end - len(data))))
            if whole:
                data[change.at : end] = change.data
            elif loss != "bytes" and chance.random() < 0.7:
                _write_sectors(data, change, chance, torn=chance.random() < 0.3)
        elif change.kind == "truncate" and (whole or loss == "bytes" or chance.random() < 0.5):
            del data[change.at :]
            data.extend(bytes(change.at - len(data)))
        elif change.kind == "stamp" and (whole or chance.random() < 0.5):
            stamp = change.at
        elif change.kind == "mode" and (whole or chance.random() < 0.5):
            mode = change.at
    return File(bytes(data), None, stamp, mode)


def _write_sectors(data: bytearray, change: Operation, chance: random.Random, *, torn: bool) -> None:
    at, end = change.at, change.at + len(change.data)
    while at < end:
        stop = min(end, (at // _SECTOR + 1) * _SECTOR)
        if not torn or chance.random() < 0.5:
            data[at:stop] = change.data[at - change.at : stop - change.at]
        at = stop


def same_tree(root: Path, remains: Remains) -> list[str]:
    """Return the paths at which a folder is not what is left.

    SQLite's shared memory, which no call writes, is left out, and the order of what threads append to a file.
    """
    found = {str(path.relative_to(root)): _read(path) for path in root.rglob("*")}
    left = {path: one.target or one.data for path, one in remains.files.items()}
    for tree in (found, left):
        for path, data in tree.items():
            if path.endswith(".jsonl") and isinstance(data, bytes):
                tree[path] = b"".join(sorted(data.splitlines()))
    return sorted(
        path
        for path in found.keys() | left.keys()
        if not path.endswith("-shm") and (path not in found or path not in left or found[path] != left[path])
    )
