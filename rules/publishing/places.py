"""Folders and buckets as places of versioned files: written once, listed, read back, and removed.

A folder is changed by one publish at a time, under a lock. In a bucket, published.json is replaced only if it is still
the one that was read.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import xxhash

from cache.durability import synchronise
from cache.filedigest import file_digest
from cache.locks import exclusive
from cache.own_names import is_exported, name_beside
from cache.remote.bucket import AbsentError, BucketError, Persistent
from cache.removal import clear_unfinished, remove_generation, remove_link, replace, rewrite
from rules.errors import FAILED, UserError
from rules.publishing.holding import NAME, TABLES, VIEWS, HeldFile, is_whole

if TYPE_CHECKING:
    from cache.remote.bucket import Entry
    from cache.remote.obstore_bucket import ObstoreBucket
    from rules.publishing.target import Say

T = TypeVar("T")
Make = Callable[[Path, Mapping[str, Path | None]], None]
"""Writes a version into a folder, but for files that are kept, by their path in it; where one is, it is linked."""
_LOCK = ".publish.lock"
_LARGEST = 1 << 30
"""Bytes of published.json and of views.sql, at most."""
_PIECE = 16 << 20
"""Bytes of an object that are read back at once."""
_READINGS = 5
"""How often an object is read back that seems to be another than was written: an answer may be wrong by itself."""
_PATIENCE = 60.0
"""Seconds for which a request is tried again."""
REQUEST_SECONDS = 10.0
"""Of a request that moves little."""


class Stamp(NamedTuple):
    """What a listing says of a file."""

    bytes: int
    modified: str


class Place(Protocol):
    """Where files are published. Paths are relative and have slashes. Every method raises `UserError`."""

    address: str
    """By which other programs find it: an absolute path, or a URL."""
    has_links: bool
    """Whether a table has a name of its own that leads to its current version."""

    def load(self) -> bytes | None:
        """Return published.json, None if there is none."""

    def save(self, data: bytes) -> None:
        """Replace published.json in one step."""

    def read(self, name: str) -> bytes | None:
        """Return a small file, None if there is none."""

    def put(self, name: str, data: bytes) -> None:
        """Replace a small file in one step."""

    def is_free(self) -> bool:
        """Whether nothing is here that has one of our names, though there is no published.json."""

    def stamps(self) -> dict[str, Stamp]:
        """List the files of all tables."""

    def digest(self, path: str) -> str | None:
        """Return the digest of a file, None if there is none."""

    def write(self, folder: str, make: Make, kept: Sequence[HeldFile]) -> tuple[HeldFile, ...]:
        """Let `make` write the files of a version into an empty folder or over an unfinished one, and put them here.

        kept: files of the version before that are files of this one too; returns all files.
        """

    def remove(self, folder: str, files: Iterable[str]) -> None:
        """Remove a version. files: those of it that no other version has."""

    def link(self, name: str) -> str | None:
        """Return where a name leads: to a path here, "" for something else than a link, None if there is nothing."""

    def links(self) -> dict[str, str]:
        """Return where the links here lead, by name."""

    def set_link(self, name: str, path: str | None) -> None:
        """Let a name lead to a path, or remove it."""

    def sweep(self, kept: set[str]) -> None:
        """Remove what killed publishes left, as far as nobody else can be writing it. kept: folders of versions."""


class Folder:
    """A folder of this machine."""

    has_links = True

    def __init__(self, root: Path, shown: str) -> None:
        """root: without links; shown: as the user wrote it."""
        self._root, self._shown = root, shown
        self.address = str(root)

    @contextlib.contextmanager
    def held(self, say: Say) -> Iterator[None]:
        """Make the folder if there is none, and let nobody else publish to it."""
        with self._errors():
            self._root.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            with self._errors():
                try:
                    stack.enter_context(exclusive(self._root / _LOCK, wait=False))
                except BlockingIOError:
                    say(f"waiting for another publish to {self._shown}")
                    stack.enter_context(exclusive(self._root / _LOCK, wait=True))
            yield

    def load(self) -> bytes | None:
        """As `Place` says."""
        return self.read(NAME)

    def save(self, data: bytes) -> None:
        """As `Place` says."""
        self.put(NAME, data)

    def read(self, name: str) -> bytes | None:
        """As `Place` says."""
        with self._errors():
            try:
                return (self._root / name).read_bytes()
            except FileNotFoundError:
                return None

    def put(self, name: str, data: bytes) -> None:
        """As `Place` says."""
        with self._errors():
            rewrite(self._root / name, data)
            synchronise(self._root)

    def is_free(self) -> bool:
        """As `Place` says."""
        return not os.path.lexists(self._root / TABLES) and not os.path.lexists(self._root / VIEWS)

    def stamps(self) -> dict[str, Stamp]:
        """As `Place` says."""
        found = {}
        with self._errors():
            for folder, _, names in os.walk(self._root / TABLES):
                for name in names:
                    path = Path(folder, name)
                    stat = path.lstat()
                    found[path.relative_to(self._root).as_posix()] = Stamp(
                        stat.st_size, f"{stat.st_mtime_ns} {stat.st_ctime_ns}"
                    )
        return found

    def digest(self, path: str) -> str | None:
        """As `Place` says."""
        with self._errors():
            try:
                return file_digest(self._root / path)
            except FileNotFoundError:
                return None

    def write(self, folder: str, make: Make, kept: Sequence[HeldFile]) -> tuple[HeldFile, ...]:
        """As `Place` says: `make` itself puts the folder in place in one step, see `rules.exporting.destination`."""
        target = self._root / folder
        with self._errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            make(target, {one.inside: self._root / one.path for one in kept})
            for above in (target.parent, target.parent.parent):
                synchronise(above)
            return tuple(self._file(path) for path in files_in(target))

    def _file(self, path: Path) -> HeldFile:
        stat = path.stat()
        shown = path.relative_to(self._root).as_posix()
        return HeldFile(shown, stat.st_size, file_digest(path), f"{stat.st_mtime_ns} {stat.st_ctime_ns}")

    def remove(self, folder: str, files: Iterable[str]) -> None:
        """As `Place` says."""
        del files
        with self._errors():
            remove_generation(self._root / folder)

    def link(self, name: str) -> str | None:
        """As `Place` says."""
        path = self._root / name
        if not os.path.lexists(path):
            return None
        return path.readlink().as_posix() if path.is_symlink() else ""

    def links(self) -> dict[str, str]:
        """As `Place` says."""
        with self._errors(), os.scandir(self._root) as entries:
            return {one.name: Path(one.path).readlink().as_posix() for one in entries if one.is_symlink()}

    def set_link(self, name: str, path: str | None) -> None:
        """As `Place` says."""
        target = self._root / name
        with self._errors():
            if path is None:
                remove_link(target)
            else:
                fresh = name_beside(target)
                fresh.symlink_to(path)
                replace(fresh, target)
            synchronise(self._root)

    def sweep(self, kept: set[str]) -> None:
        """As `Place` says."""
        with self._errors():
            clear_unfinished(self._root, (NAME, VIEWS))
            tables = self._root / TABLES
            for table in tables.iterdir() if tables.is_dir() else ():
                for path in table.iterdir() if table.is_dir() and not table.is_symlink() else ():
                    if f"{TABLES}/{table.name}/{path.name}" not in kept:
                        with contextlib.suppress(ValueError):  # it has another name than ours
                            remove_generation(path)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"{self._shown} cannot be published to: {error.strerror or error}"
            raise UserError(message, code="unwritable", exit_code=FAILED) from error


class Objects:
    """A bucket, below a prefix."""

    has_links = False

    def __init__(self, bucket: ObstoreBucket, address: str) -> None:
        self._bucket, self.address = bucket, address
        self._calls = Persistent(_PATIENCE)
        self._tag: str | None = None

    @classmethod
    def at(cls, url: str) -> Objects:
        """Return the bucket of a URL. Raises `UserError`."""
        try:
            from cache.remote.obstore_bucket import ObstoreBucket
        except ModuleNotFoundError as error:
            hint = "pip install 'leastwork-rules[remote]'"
            raise UserError("publishing to a bucket needs the package obstore", code="missing", hint=hint) from error
        try:
            return cls(ObstoreBucket(url, REQUEST_SECONDS), url.rstrip("/"))
        except BucketError as error:
            raise UserError(f"{url} cannot be published to: {error}", code="unreachable", exit_code=FAILED) from error

    def load(self) -> bytes | None:
        """As `Place` says."""
        data = b""
        for _ in range(_READINGS):
            try:
                data, self._tag = self._do(lambda: self._bucket.read_tagged(NAME, _LARGEST))
            except AbsentError:
                self._tag = None
                return None
            if is_whole(data):
                break
        return data

    def save(self, data: bytes) -> None:
        """As `Place` says."""
        tag = self._tag
        self._do(lambda: self._bucket.exchange(NAME, data, tag))
        if self.load() != data:  # whatever the answer was, which may have been lost
            message = f"{self.address} was published to by someone else at the same time"
            raise UserError(message, code="raced", hint="publish again; nothing was lost", exit_code=FAILED)

    def read(self, name: str) -> bytes | None:
        """As `Place` says."""
        try:
            return self._do(lambda: self._bucket.read(name, _LARGEST)).data
        except AbsentError:
            return None

    def put(self, name: str, data: bytes) -> None:
        """As `Place` says."""
        self._do(lambda: self._bucket.write(name, data))

    def is_free(self) -> bool:
        """As `Place` says."""
        return not self.stamps() and self.read(VIEWS) is None

    def stamps(self) -> dict[str, Stamp]:
        """As `Place` says."""
        listed = self._do(lambda: list(self._bucket.entries(f"{TABLES}/")))
        return {one.path: Stamp(one.bytes, _stamp(one)) for one in listed}

    def digest(self, path: str) -> str | None:
        """As `Place` says."""
        try:
            size = self._do(lambda: self._bucket.entry(path)).bytes
            hasher = xxhash.xxh3_128()
            for start in range(0, size, _PIECE):
                length = min(_PIECE, size - start)
                hasher.update(self._do(lambda: self._piece(path, start, length)))  # noqa: B023 — it is called at once
        except AbsentError:
            return None
        return hasher.hexdigest()

    def _piece(self, path: str, start: int, length: int) -> bytes:
        data = self._bucket.read_range(path, start, length)
        if len(data) != length:
            raise BucketError("an answer was cut short")
        return data

    def write(self, folder: str, make: Make, kept: Sequence[HeldFile]) -> tuple[HeldFile, ...]:
        """As `Place` says: every object is read back, and compared with the file that was sent; others stay."""
        with tempfile.TemporaryDirectory(prefix="rules-publish-") as scratch:
            made = Path(scratch, folder.rsplit("/", 1)[-1])
            make(made, {one.inside: None for one in kept})
            sent = [self.send(f"{folder}/{path.relative_to(made).as_posix()}", path) for path in files_in(made)]
            return tuple(sorted((*sent, *kept), key=lambda one: one.inside))

    def send(self, name: str, path: Path) -> HeldFile:
        """Write an object, and compare it with the file that was sent."""
        digest = file_digest(path)
        self._do(lambda: self._bucket.write(name, path))
        if all(self.digest(name) != digest for _ in range(_READINGS)):
            message = f"{self.address}/{name} does not hold what was written to it"
            raise UserError(message, code="unwritable", hint="publish again", exit_code=FAILED)
        entry = self._do(lambda: self._bucket.entry(name))
        return HeldFile(name, entry.bytes, digest, _stamp(entry))

    def create(self, name: str, path: Path) -> None:
        """Write an object that must not be there yet. Raises `UserError` if another one is, with the code raced."""
        data = path.read_bytes()
        self._do(lambda: self._bucket.exchange(name, data, None))
        digest = file_digest(path)  # the answer may have been lost, so what counts is what is there
        if all(self.digest(name) != digest for _ in range(_READINGS)):
            message = f"{self.address}/{name.partition('/')[0]} was committed to by someone else at the same time"
            raise UserError(message, code="raced", hint="publish again; nothing was lost", exit_code=FAILED)

    def remove_all(self, names: Iterable[str]) -> None:
        """Remove objects, in their order."""
        self._do(lambda: self._bucket.remove(names))

    def remove(self, folder: str, files: Iterable[str]) -> None:
        """As `Place` says."""
        above = folder.rpartition("/")[0]  # some files of a version may be in the folders of those before it
        names = [name for name in files if name.startswith(f"{above}/") and is_exported(name.rsplit("/", 1)[-1])]
        self._do(lambda: self._bucket.remove(names))

    def link(self, name: str) -> str | None:
        """As `Place` says."""
        del name
        return None

    def links(self) -> dict[str, str]:
        """As `Place` says."""
        return {}

    def set_link(self, name: str, path: str | None) -> None:
        """As `Place` says."""

    def sweep(self, kept: set[str]) -> None:
        """As `Place` says: what nothing leads to may be what another publish is about to name."""

    def _do(self, work: Callable[[], T]) -> T:
        try:
            return self._calls.call(work)
        except AbsentError:
            raise
        except BucketError as error:
            message = f"{self.address} cannot be published to: {error}"
            hint = "credentials and endpoint come from the environment, as for other clients"
            raise UserError(message, code="unreachable", hint=hint, exit_code=FAILED) from error


def _stamp(entry: Entry) -> str:
    return f"{entry.modified.isoformat()} {entry.tag or ''}"


def files_in(folder: Path) -> list[Path]:
    """Return the files of a version, sorted by path."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
