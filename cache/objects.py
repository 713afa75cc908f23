"""Step 7 of 7, store, the half that is files: immutable objects named by the digest of the table they hold.

Commit protocol: write to `tmp/`, fsync, rename into `objects/`, fsync the folder; only then does the index (one SQLite
transaction) speak of the object. A `kill -9` at any instant leaves at most an unnamed file in `tmp/` or an object that
nothing refers to yet.

An object is sealed: read-only, and stamped with one fixed time. A write to it leaves another stamp, so one `stat` shows
whether its bytes have to be compared; what changes bytes and leaves the stamp is found when the object is read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from cache.durability import synchronise
from cache.errors import ObjectError, StoreError, UnreadableObjectError
from cache.filedigest import file_digest
from cache.locks import READERS
from cache.own_names import is_partial, is_temporary
from cache.ownership import claim, make_below, make_files
from cache.removal import (
    remove_object,
    remove_objects,
    remove_partial,
    remove_scratch,
    remove_temporary,
    rename,
    replace,
)
from cache.signatures import SEAL_NS, Signature, signature_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_NAME = re.compile(r"[0-9a-f]{3,}")
_PARTIAL_SECONDS = 7 * 86_400
"""For so long the beginning of a file that was being fetched stays."""


class Objects:
    """The objects of one store, and its temporary files. What this process has written or checked is not checked again.

    Worker threads may share it.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        """read_only: write nothing into the store; new objects live in a temporary folder until it is closed."""
        self.root = root
        self.tmp = root / "tmp"
        self._objects = f"{root}/objects"
        self._sound: dict[str, Signature | None] = {}
        """Of objects that this process has written, or whose bytes it has compared: what they looked like then."""
        self.changes = 0
        """How often one of these was seen to look otherwise: what the engine learned of objects before may be wrong."""
        self._paths: dict[str, Path] = {}
        self._linked: dict[str, Sequence[str]] = {}
        """Tables in parts whose links were compared."""
        self._shelved = self._rooted = False
        """Whether the names of the folders of objects, and of the store, are known to survive a power loss."""
        self._adopted: dict[str, tuple[int, str]] = {}
        self._made: set[str] = set()
        """Artifacts whose objects this process has made, or found to hold what they are named by."""
        self._lock = threading.Lock()
        self._scratch: tuple[Path, int] | None = None
        self._read_only = read_only
        self._elsewhere: tempfile.TemporaryDirectory[str] | None = None
        self._moved: dict[str, Path] = {}

    def create(self, *, above: bool = False) -> None:
        """Make the store's folders. Raises `StoreError` when the place is not ours or cannot be written.

        above: make those above it, too, which are not a project's.
        """
        try:
            if above:
                self.root.parent.mkdir(parents=True, exist_ok=True)
            claim(self.root)
            for folder in (self.tmp, self.root / "objects"):
                folder.mkdir(exist_ok=True)
            make_files(self.root)
            if not os.path.lexists(self.root / READERS):  # who only looks may not be able to make it
                (self.root / READERS).touch()
        except OSError as error:
            message = f"cannot write the store at {self.root}: {error.strerror or error}"
            raise StoreError(
                message, hint="the project folder must be writable, or set RULES_STORE to one that is"
            ) from error

    @property
    def read_only(self) -> bool:
        """Whether nothing may be written into the store."""
        return self._read_only

    def path(self, artifact: str) -> Path:
        """Return where the object of an artifact is, or would be. Raises `ObjectError` for no artifact's name."""
        known = self._moved.get(artifact) or self._paths.get(artifact)
        if known is not None:
            return known
        path = self._paths[artifact] = Path(self._place(artifact))
        return path

    def _place(self, artifact: str) -> str:
        """Return what `path` does of an object in the store, as text: a Path takes longer to make than to stat."""
        if not _NAME.fullmatch(artifact):  # the index is data, and might lead elsewhere
            raise ObjectError(f"'{artifact}' is no name of an object")
        return f"{self._objects}/{artifact[:2]}/{artifact[2:]}.parquet"

    def close(self) -> None:
        """Remove this process's folder in `tmp/`."""
        with self._lock:
            if self._scratch is not None:
                folder, descriptor = self._scratch
                with contextlib.suppress(OSError):  # the next build clears what is left
                    remove_scratch(folder)
                os.close(descriptor)
                self._scratch = None
            if self._elsewhere is not None:
                self._elsewhere.cleanup()
                self._elsewhere = None

    def temporary(self) -> Path:
        """Return a fresh path in `tmp/`, on the same file system as the objects. Raises OSError."""
        return self._folder() / f"{uuid.uuid4().hex}.parquet"

    def clear_tmp(self) -> None:
        """Remove what killed processes left; what a running one uses (a plan takes no store lock) stays.

        Raises OSError.
        """
        for left in self.tmp.iterdir():
            if is_partial(left.name) and left.lstat().st_mtime < time.time() - _PARTIAL_SECONDS:
                with contextlib.suppress(OSError):
                    remove_partial(left)
            if not is_temporary(left.name):
                continue
            with contextlib.suppress(OSError):  # gone, or not to be removed: it is in nobody's way
                if left.is_symlink() or not left.is_dir():
                    remove_temporary(left)
                    continue
                descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove_scratch(left)
                except BlockingIOError:
                    continue
                finally:
                    os.close(descriptor)

    @contextlib.contextmanager
    def partial(self, sha256: str) -> Iterator[Path | None]:
        """Hold the place in `tmp/` where the beginning of a file is kept while it is fetched, also for a later process.

        Yields None where another process holds it, or nothing can be written. Raises OSError, and ValueError for
        what is no SHA-256.
        """
        place = self.tmp / f"{sha256}.partial"
        if not is_partial(place.name):
            raise ValueError(f"'{sha256}' is no SHA-256")
        if self._read_only:
            yield None
            return
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            yield place
        finally:
            os.close(descriptor)

    def _folder(self) -> Path:
        """Return this process's folder in `tmp/`, whose lock the system drops when the process ends in whatever way."""
        with self._lock:
            if self._read_only:
                if self._elsewhere is None:
                    self._elsewhere = tempfile.TemporaryDirectory(prefix="rules-")
                return Path(self._elsewhere.name)
            while self._scratch is None:
                folder = self.tmp / uuid.uuid4().hex
                make_below(self.root, folder)
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if folder.exists():  # else a build cleared it before it was locked
                    self._scratch = (folder, descriptor)
                else:
                    os.close(descriptor)
            return self._scratch[0]

    def adopt(self, written: Path, artifact: str, recorded: tuple[int, str] | None) -> tuple[int, str]:
        """Move a fully written file in as the object of `artifact`; return its size and the digest of its bytes.

        `recorded` is what the index says of the artifact. An object already in place that still is what was recorded,
        or what this process put there, or holds the same bytes, stays: other products point at it and may be read.
        Otherwise the new file replaces it; so it does if the object is not the table that it is named by, which a
        store or a shared cache may claim.
        """
        facts, lasts = self._take(written, artifact, recorded, (written.stat().st_size, file_digest(written)))
        self._made.add(artifact)
        if not lasts:
            self.settle([artifact])  # without the lock: disks do what several threads ask at once in one go
        return facts

    def place(self, written: Path, artifact: str, facts: tuple[int, str]) -> None:
        """Move a file in as `adopt` does, which has been compared with the size and digest that an index will have.

        It may not survive a power loss before `settle` has returned.
        """
        self._take(written, artifact, facts, facts)

    def settle(self, artifacts: Iterable[str]) -> None:
        """Let objects that were given their names keep them. Raises OSError."""
        if self._read_only:  # they are in a folder that goes with this process
            return
        for shelf in {self.path(one).parent for one in artifacts if one not in self._moved}:
            synchronise(shelf)
        self._settle_folders()

    def _take(
        self, written: Path, artifact: str, recorded: tuple[int, str] | None, fresh: tuple[int, str]
    ) -> tuple[tuple[int, str], bool]:
        """Move a file in; return the size and digest of the object, and whether its name is known to last."""
        seal(written, lasting=True)
        with self._lock:
            # Recorded in the index, it has survived; of one that another thread has just moved in that is not known.
            lasts = recorded is not None and artifact not in self._adopted
            kept, before = self._adopted.get(artifact, recorded), self.mark(artifact)
            for facts in dict.fromkeys((fresh,) if kept is None else (kept, fresh)):
                if self._holds(artifact, *facts) and (facts == fresh or self._is_as_named(artifact)):
                    remove_temporary(written)
                    break
            else:
                facts, lasts = fresh, False
                self._made.discard(artifact)
                self._move(written, artifact)
                before = self.mark(artifact)
            self._adopted[artifact] = facts
            self._sound[artifact] = before
        return facts, lasts

    def _move(self, written: Path, artifact: str) -> None:
        if self._read_only:
            self._moved[artifact] = written
            return
        target = self.path(artifact)
        self._shelve(target)
        replace(written, target)

    def _shelve(self, place: Path) -> None:
        """Make the folder of an object, if there is none."""
        if not place.parent.exists():
            place.parent.mkdir(exist_ok=True)
            self._shelved = False

    def _settle_folders(self) -> None:
        """Let the folders of objects keep their names."""
        with self._lock:
            if not self._shelved:
                synchronise(self._objects)
                self._shelved = True
            if not self._rooted:  # it is not known whether the process that made these folders came to this
                for folder in (self.root, self.root.parent):
                    synchronise(folder)
                self._rooted = True

    def adopt_parts(self, artifact: str, parts: Sequence[str]) -> None:
        """Make the object of a table in parts: a folder of links to the objects of its parts, which are in place.

        Raises OSError.
        """
        if self._read_only:
            self._link_elsewhere(artifact, parts)
            return
        with self._lock:
            if self.has_parts(artifact, parts):
                return
            fresh = self.tmp / uuid.uuid4().hex if self._scratch is None else self._scratch[0] / uuid.uuid4().hex
            fresh.mkdir()
            for number, target in enumerate(_links_to(parts)):
                os.symlink(target, f"{fresh}/part-{number:05d}.parquet")
            os.utime(fresh, ns=(SEAL_NS, SEAL_NS))
            synchronise(fresh)
            place = self.path(artifact)
            self._shelve(place)
            remove_object(place)  # it is none of this table
            rename(fresh, place)
            self._linked[artifact] = tuple(parts)
        self.settle([artifact])

    def _link_elsewhere(self, artifact: str, parts: Sequence[str]) -> None:
        folder = self._folder() / uuid.uuid4().hex
        folder.mkdir()
        for number, part in enumerate(parts):
            (folder / f"part-{number:05d}.parquet").symlink_to(self.path(part))
        self._moved[artifact] = folder

    def has_parts(self, artifact: str, parts: Sequence[str]) -> bool:
        """Whether the object of a table in parts is there, with links to the objects of these parts."""
        if artifact in self._moved:
            return True
        try:
            place = self._place(artifact)
            status = os.lstat(place)
            if not stat.S_ISDIR(status.st_mode):
                return False
            # A folder whose stamp is there has the links that were looked at before: any other would have moved it.
            if status.st_mtime_ns == SEAL_NS and self._linked.get(artifact) == parts:
                return True
            names = sorted(os.listdir(place))
            wanted = [f"part-{number:05d}.parquet" for number in range(len(parts))]
            if names != wanted or [os.readlink(f"{place}/{name}") for name in names] != list(_links_to(parts)):
                return False
            if status.st_mtime_ns != SEAL_NS and not self._read_only:
                os.utime(place, ns=(SEAL_NS, SEAL_NS))
            self._linked[artifact] = parts
        except (OSError, ObjectError):
            return False
        return True

    def any(self) -> bool:
        """Whether any object is stored."""
        folder = self.root / "objects"
        return folder.is_dir() and any(folder.iterdir())

    def exists(self, artifact: str) -> bool:
        """Whether something is in the place of the object."""
        return _NAME.fullmatch(artifact) is not None and os.path.lexists(self.path(artifact))

    def has(self, artifact: str, size: int) -> bool:
        """Whether the object is there and has the size it was written with."""
        return self._size(artifact) == size

    def _size(self, artifact: str) -> int | None:
        """Return the size of an object, None if there is none; a link is none."""
        found = self.mark(artifact)
        return found.size if found is not None else None

    def mark(self, artifact: str) -> Signature | None:
        """Return what tells whether anything writes to an object, or takes its place; None if it is no file.

        A file that takes its place may have its size, its sealed time and its inode number, if that is free again, but
        not the time of its last change of status.
        """
        try:
            return signature_of(os.lstat(self._moved.get(artifact) or self._place(artifact)))
        except (OSError, ObjectError):
            return None

    def intact(self, artifact: str, size: int, digest: str) -> bool:
        """Whether the object is there and, if anything wrote to it since it was sealed, still has its bytes."""
        if artifact in self._moved:
            return True
        try:
            path = self._place(artifact)
            status = os.lstat(path)
            if status.st_size != size or not stat.S_ISREG(status.st_mode):
                return False
            if status.st_mtime_ns == SEAL_NS:
                return True
            if file_digest(path) != digest:
                return False
        except (OSError, ObjectError):
            return False
        # A copied store may not be ours to stamp, and a file that has another name is not only ours: read each time.
        if not self._read_only and status.st_nlink == 1:
            with contextlib.suppress(OSError):
                seal(path)
        return True

    def in_place(self, sizes: Mapping[str, int]) -> set[str]:
        """Return those of many objects that are there, with these sizes, and sealed: what `intact` finds one by one.

        sizes: in bytes, by the names of artifacts that the index knows.
        """
        found, folder, lstat = set(), f"{self._objects}/", os.lstat
        for name, size in sizes.items():
            if not _NAME.fullmatch(name):  # the index is data
                continue
            try:
                status = lstat(f"{folder}{name[:2]}/{name[2:]}.parquet")
            except OSError:
                continue
            if status.st_size == size and status.st_mtime_ns == SEAL_NS and stat.S_ISREG(status.st_mode):
                found.add(name)
        return found

    def is_verified(self, artifact: str) -> bool:
        """Whether this process has written the object, or has compared its bytes, and nothing wrote to it since."""
        taken = self._sound.get(artifact)
        if taken is None or taken == self.mark(artifact):
            return taken is not None
        self._sound.pop(artifact, None)
        self.changes += 1
        return False

    def verified(self, artifact: str) -> Signature | None:
        """Return the mark of an object as it was when this process wrote it, or last compared its bytes."""
        return self._sound.get(artifact)

    def touched(self, marks: Mapping[str, Signature | None]) -> list[str]:
        """Return the objects that something wrote to, or took the place of, since they were `verified`."""
        found = [artifact for artifact, taken in marks.items() if taken is None or self.mark(artifact) != taken]
        self.changes += len(found)
        return found

    def verify(self, artifact: str, size: int, digest: str) -> None:
        """Read the object and compare its bytes, unless `is_verified`.

        Raises `ObjectError` if it is missing or they differ, `UnreadableObjectError` if the system refuses it.
        """
        if self.is_verified(artifact):
            return
        with _refusals(artifact):
            path = self.path(artifact)
            taken = signature_of(path.lstat())
            if taken is None or taken.size != size or file_digest(path) != digest:
                raise ObjectError(f"object {artifact} is corrupt: its bytes are not those that were written")
        self._sound[artifact] = taken

    def require_parts(self, artifact: str, parts: Sequence[str]) -> None:
        """Raise `ObjectError` unless `has_parts`, `UnreadableObjectError` if the system does not let that be seen."""
        if not self.has_parts(artifact, parts):
            with _refusals(artifact):
                os.listdir(self._place(artifact))
                raise ObjectError(f"object {artifact} has no links to its parts")

    def _holds(self, artifact: str, size: int, digest: str) -> bool:
        try:
            return self._size(artifact) == size and file_digest(self.path(artifact)) == digest
        except OSError:  # missing, or it cannot be read: either way of no use
            return False

    def is_as_named(self, artifact: str) -> bool:
        """Whether an object of one file holds the table that it is named by: its rows are read, once in this process.

        The bytes of an object are those that an index records, which may be a claim of whoever wrote a store or a
        shared cache.
        """
        with self._lock:
            return self._is_as_named(artifact)

    def _is_as_named(self, artifact: str) -> bool:
        if artifact not in self._made:
            from cache.table_files import names_by_content  # it imports pyarrow, which most commands have no use for

            try:
                if artifact not in names_by_content(self.path(artifact)):
                    return False
            except OSError:
                return False
            self._made.add(artifact)
        return True

    def discard(self, artifact: str) -> None:
        """Remove an object found to be corrupt, where the store can be written. Raises OSError."""
        self._sound.pop(artifact, None)
        self._made.discard(artifact)
        if not self._read_only:
            remove_object(self.path(artifact))

    def remove(self, artifacts: Iterable[str]) -> None:
        """Remove objects that nothing needs, as far as they are there. Raises OSError."""
        shelves: dict[str, list[str]] = {}
        for artifact in artifacts:
            if _NAME.fullmatch(artifact):
                shelves.setdefault(artifact[:2], []).append(f"{artifact[2:]}.parquet")
                self._sound.pop(artifact, None)
                self._made.discard(artifact)
        for shelf, names in shelves.items():
            remove_objects(self.root / "objects" / shelf, names)


def _links_to(parts: Sequence[str]) -> Iterator[str]:
    """Yield what the links of a table in parts hold: where the objects are, from the folder of the links."""
    return (f"../../{part[:2]}/{part[2:]}.parquet" for part in parts)


def seal(path: str | Path, *, lasting: bool = False) -> None:
    """Make a file read-only, and stamp it with the one time that tells that nobody wrote to it since.

    lasting: have its content on the disk then.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.utime(descriptor, ns=(SEAL_NS, SEAL_NS))
        os.fchmod(descriptor, 0o444)
        if lasting:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _refusals(artifact: str) -> Iterator[None]:
    """Say what the system refused of an object. Raises `ObjectError`, `UnreadableObjectError` if it may be sound."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectError(f"object {artifact} is missing from the store") from error
    except (NotADirectoryError, IsADirectoryError) as error:
        raise ObjectError(f"object {artifact} is corrupt: {error.strerror}") from error
    except OSError as error:
        raise UnreadableObjectError(f"object {artifact} cannot be read: {error.strerror or error}") from error
