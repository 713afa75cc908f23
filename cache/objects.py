"""Step 7 of 7, store, the half that is files: immutable objects named by the digest of the table they hold.

Commit protocol: write to `tmp/`, fsync, rename into `objects/`, fsync the folder; only then does the index (one SQLite
transaction) speak of the object. A `kill -9` at any instant leaves at most an unnamed file in `tmp/` or an object that
nothing refers to yet.

An object is sealed: read-only, and stamped with one fixed time. A write to it leaves another stamp, so one `stat` tells
whether its bytes have to be compared; what changes bytes and leaves the stamp is found when the object is read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
import uuid
from typing import TYPE_CHECKING

from cache.errors import ObjectError, StoreError
from cache.filedigest import file_digest
from cache.signatures import SEAL_NS

if TYPE_CHECKING:
    from pathlib import Path

_README = """This folder is the local store of `rules`: results, digests and the index.
It can be deleted at any time; the next build makes it anew. Nothing in it is meant to be edited or committed.
"""


class Objects:
    """The folders of one store. Objects whose bytes this process has written or checked are not checked again.

    Worker threads may share it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tmp = root / "tmp"
        self.products = root / "products"
        self._objects, self._links = f"{root}/objects", f"{root}/products"
        self._sound: set[str] = set()
        self._adopted: dict[str, tuple[int, str]] = {}
        self._lock = threading.Lock()
        self._scratch: tuple[Path, int] | None = None

    def create(self) -> None:
        """Make the store's folders. Raises `StoreError` when the place cannot be written."""
        try:
            for folder in (self.root, self.tmp, self.root / "objects", self.products):
                folder.mkdir(parents=True, exist_ok=True)
            for name, text in ((".gitignore", "*\n"), ("README", _README)):
                file = self.root / name
                # A killed build may have left it empty. Whoever opens a pipe waits for ever.
                if not file.exists() or (file.is_file() and not file.stat().st_size):
                    file.write_text(text)
        except OSError as error:
            message = f"cannot write the store at {self.root}: {error.strerror or error}"
            raise StoreError(
                message, hint="the project folder must be writable, or set RULES_STORE to one that is"
            ) from error

    def path(self, artifact: str) -> Path:
        """Return where the object of an artifact is, or would be."""
        return self.root / "objects" / artifact[:2] / f"{artifact[2:]}.parquet"

    def close(self) -> None:
        """Remove this process's folder in `tmp/`."""
        with self._lock:
            if self._scratch is not None:
                folder, descriptor = self._scratch
                shutil.rmtree(folder, ignore_errors=True)  # the next build clears what is left
                os.close(descriptor)
                self._scratch = None

    def temporary(self) -> Path:
        """Return a fresh path in `tmp/`, on the same file system as the objects. Raises OSError."""
        return self._folder() / f"{uuid.uuid4().hex}.parquet"

    def clear_tmp(self) -> None:
        """Remove what killed processes left; what a running one uses (a plan takes no store lock) stays.

        Raises OSError.
        """
        for left in self.tmp.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if left.is_symlink() or not left.is_dir():
                    left.unlink()
                    continue
                descriptor = os.open(left, os.O_RDONLY)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left)
                except BlockingIOError:
                    continue
                finally:
                    os.close(descriptor)

    def _folder(self) -> Path:
        """Return this process's folder in `tmp/`, whose lock the system drops when the process ends in whatever way."""
        with self._lock:
            while self._scratch is None:
                folder = self.tmp / uuid.uuid4().hex
                folder.mkdir(parents=True)
                descriptor = os.open(folder, os.O_RDONLY)
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
        Otherwise the new file replaces it.
        """
        fresh = (written.stat().st_size, file_digest(written))
        _seal(written)
        _fsync(written)
        with self._lock:
            kept = self._adopted.get(artifact, recorded)
            for facts in (fresh,) if kept is None else (kept, fresh):
                if self._holds(artifact, *facts):
                    written.unlink()
                    break
            else:
                facts = fresh
                self._move(written, self.path(artifact))
            self._adopted[artifact] = facts
            self._sound.add(artifact)
        return facts

    @staticmethod
    def _move(written: Path, target: Path) -> None:
        if not target.parent.exists():
            target.parent.mkdir(exist_ok=True)
            _fsync(target.parent.parent)
        written.replace(target)
        _fsync(target.parent)

    def any(self) -> bool:
        """Whether any object is stored."""
        return any((self.root / "objects").iterdir())

    def has(self, artifact: str, size: int) -> bool:
        """Whether the object is there and has the size it was written with."""
        try:
            return self.path(artifact).stat().st_size == size
        except OSError:
            return False

    def intact(self, artifact: str, size: int, digest: str) -> bool:
        """Whether the object is there and, if anything wrote to it since it was sealed, still has its bytes."""
        path = f"{self._objects}/{artifact[:2]}/{artifact[2:]}.parquet"  # a Path takes longer to make than to stat
        try:
            status = os.stat(path)
            if status.st_size != size:
                return False
            if status.st_mtime_ns == SEAL_NS:
                return True
            if file_digest(path) != digest:
                return False
        except OSError:
            return False
        with contextlib.suppress(OSError):  # a copied store may not be ours to stamp; then it is read each time
            _seal(path)
        return True

    def verify(self, artifact: str, size: int, digest: str) -> None:
        """Read the object and compare its bytes, once in this process. Raises `ObjectError` if they differ."""
        if artifact in self._sound:
            return
        if not self.path(artifact).exists():
            raise ObjectError(f"object {artifact} is missing from the store")
        if not self._holds(artifact, size, digest):
            raise ObjectError(f"object {artifact} is corrupt: its bytes are not those that were written")
        self._sound.add(artifact)

    def _holds(self, artifact: str, size: int, digest: str) -> bool:
        path = self.path(artifact)
        try:
            return path.stat().st_size == size and file_digest(path) == digest
        except OSError:  # missing, or it cannot be read: either way of no use
            return False

    def discard(self, artifact: str) -> None:
        """Remove an object found to be corrupt."""
        self._sound.discard(artifact)
        with contextlib.suppress(FileNotFoundError):
            self.path(artifact).unlink()

    def link_target(self, artifact: str) -> str:
        """Return what a product's link holds: the object's path relative to the products folder."""
        return f"../objects/{artifact[:2]}/{artifact[2:]}.parquet"

    def publish(self, product: str, artifact: str) -> None:
        """Point `products/NAME.parquet` at the object, atomically. Repeating it changes nothing. Raises OSError."""
        link = f"{self._links}/{product}.parquet"
        target = self.link_target(artifact)
        with contextlib.suppress(OSError):
            if os.readlink(link) == target:
                return
        fresh = self._folder() / uuid.uuid4().hex
        fresh.symlink_to(target)
        fresh.replace(link)

    def unpublish(self, keep: set[str]) -> None:
        """Remove the links of products that the project no longer has."""
        for link in self.products.iterdir():
            if link.suffix == ".parquet" and link.stem not in keep:
                link.unlink()


def _seal(path: str | Path) -> None:
    os.utime(path, ns=(SEAL_NS, SEAL_NS))
    os.chmod(path, 0o444)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
