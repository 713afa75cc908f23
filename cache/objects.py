"""Step 7 of 7, store, the half that is files: immutable objects named by the digest of the table they hold.

Commit protocol: write to `tmp/`, fsync, rename into `objects/`, fsync the folder; only then does the index (one SQLite
transaction) speak of the object. A `kill -9` at any instant leaves at most an unnamed file in `tmp/` or an object that
nothing refers to yet.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from pathlib import Path

from cache.errors import ObjectError, StoreError
from cache.filedigest import file_digest

_README = """This folder is the local store of `rules`: results, digests and the index.
It can be deleted at any time; the next build makes it anew. Nothing in it is meant to be edited or committed.
"""


class Objects:
    """The folders of one store. Objects whose bytes this process has written or checked are not checked again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tmp = root / "tmp"
        self.products = root / "products"
        self._sound: set[str] = set()

    def create(self) -> None:
        """Make the store's folders. Raises `StoreError` when the place cannot be written."""
        try:
            for folder in (self.root, self.tmp, self.root / "objects", self.products):
                folder.mkdir(parents=True, exist_ok=True)
            for name, text in ((".gitignore", "*\n"), ("README", _README)):
                if not (self.root / name).exists():
                    (self.root / name).write_text(text)
        except OSError as error:
            message = f"cannot write the store at {self.root}: {error.strerror or error}"
            raise StoreError(message, hint="the project folder must be writable, or set RULES_STORE to one that is") from error

    def path(self, artifact: str) -> Path:
        """Return where the object of an artifact is, or would be."""
        return self.root / "objects" / artifact[:2] / f"{artifact[2:]}.parquet"

    def temporary(self) -> Path:
        """Return a fresh path in `tmp/`, on the same file system as the objects."""
        return self.tmp / f"{uuid.uuid4().hex}.parquet"

    def clear_tmp(self) -> None:
        """Remove what interrupted builds left. Call with the store's lock held."""
        for left in self.tmp.iterdir():
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()

    def adopt(self, written: Path, artifact: str, recorded: tuple[int, str] | None) -> tuple[int, str]:
        """Move a fully written file in as the object of `artifact`; return its size and the digest of its bytes.

        `recorded` is what the index says of the artifact. An object already in place that still is what was recorded
        stays, because other products point at it; otherwise the new file replaces it.
        """
        target = self.path(artifact)
        if recorded is not None and self.has(artifact, recorded[0]) and file_digest(target) == recorded[1]:
            written.unlink()
            self._sound.add(artifact)
            return recorded
        digest = file_digest(written)
        target.parent.mkdir(exist_ok=True)
        _fsync(written)
        written.chmod(0o444)
        written.replace(target)
        _fsync(target.parent)
        self._sound.add(artifact)
        return target.stat().st_size, digest

    def has(self, artifact: str, size: int) -> bool:
        """Whether the object is there and has the size it was written with."""
        try:
            return self.path(artifact).stat().st_size == size
        except OSError:
            return False

    def verify(self, artifact: str, size: int, digest: str) -> None:
        """Read the object and compare its bytes, once in this process. Raises `ObjectError` if they differ."""
        if artifact in self._sound:
            return
        path = self.path(artifact)
        try:
            actual_size = path.stat().st_size
            sound = actual_size == size and file_digest(path) == digest
        except FileNotFoundError:
            raise ObjectError(f"object {artifact} is missing from the store") from None
        if not sound:
            raise ObjectError(f"object {artifact} is corrupt: its bytes are not those that were written")
        self._sound.add(artifact)

    def discard(self, artifact: str) -> None:
        """Remove an object found to be corrupt."""
        with contextlib.suppress(FileNotFoundError):
            self.path(artifact).unlink()

    def link_target(self, artifact: str) -> str:
        """Return what a product's link holds: the object's path relative to the products folder."""
        return os.path.join("..", "objects", artifact[:2], f"{artifact[2:]}.parquet")

    def publish(self, product: str, artifact: str) -> None:
        """Point `products/NAME.parquet` at the object, atomically. Repeating it changes nothing."""
        link = self.products / f"{product}.parquet"
        target = self.link_target(artifact)
        with contextlib.suppress(OSError):
            if os.readlink(link) == target:
                return
        fresh = self.tmp / uuid.uuid4().hex
        fresh.symlink_to(target)
        fresh.replace(link)

    def unpublish(self, keep: set[str]) -> None:
        """Remove the links of products that the project no longer has."""
        for link in self.products.iterdir():
            if link.suffix == ".parquet" and link.stem not in keep:
                link.unlink()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
