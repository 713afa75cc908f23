"""Digests of the project's files, read again only when their stat signatures say that they may have changed."""

from __future__ import annotations

import errno
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cache.filedigest import digest_of_bytes, file_digest, open_regular
from cache.signatures import Signature, is_settled, signature
from rules.files.project_paths import is_text
from rules.files.source_listing import list_files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from cache.index import Index


class FileDigests:
    """Digests of files by path relative to the project, known from the index where the signature still holds.

    A file written just before it was read could be written again without a new time stamp. Its signature proves
    nothing, now or later, so it is not remembered, and `unchanged` compares the bytes. `absent` holds the paths that
    were looked for and must not come to be, `matched` the patterns that must match the same files, `read_by_python` the
    files that Python files have read, `folders` and `environment` the states of what else they have, `rule_files` the
    rule files of the run, which are those of `only` if it is not None.
    """

    def __init__(
        self,
        root: Path | str,
        index: Index,
        known: dict[str, tuple[Signature, str]] | None = None,
        unsaved: Mapping[str, str] | None = None,
    ) -> None:
        """known: what this process has read earlier; what is read now is added. By default, what the index knows.

        unsaved: texts that count in place of files, by path.
        """
        self._root = os.fspath(root)
        self._index = index
        self._known = index.files() if known is None else known
        self._fresh: list[tuple[str, Signature, str]] = []
        self._unsettled: set[str] = set()
        self.seen: dict[str, tuple[Signature, str]] = {}
        self.absent: set[str] = set()
        self.matched: dict[str, tuple[str, ...]] = {}
        self.folders: dict[str, str | None] = {}
        self.environment: dict[str, str | None] = {}
        self.read_by_python: set[str] = set()
        self.rule_files: list[str] = []
        self.only: list[str] | None = None
        for path, text in (unsaved or {}).items():
            data = text.encode(errors="surrogatepass")
            self.seen[path] = (Signature(len(data), -1, -1, -1), digest_of_bytes(data))

    def digest(self, path: str) -> str:
        """Return a file's digest, reading it only if it may have changed. Raises OSError."""
        if path not in self.seen:
            self._look(path)
        return self.seen[path][1]

    def look(self, paths: Iterable[str]) -> None:
        """Find the known files among many that are unchanged: what `digest` does one by one, in a tight loop."""
        seen, known, root = self.seen, self._known, f"{self._root}/"
        for path in paths:
            was = known.get(path)
            if was is None or path in seen or path.startswith("/"):
                continue
            try:
                now = os.stat(root + path)
            except OSError:
                continue  # `digest` says so
            if (now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino) == was[0] and stat.S_ISREG(now.st_mode):
                seen[path] = was

    def digests(self, paths: Collection[str]) -> dict[str, str]:
        """Return the digests of several files, reading side by side those that may have changed. Raises OSError."""
        self.look(paths)
        wanted = [path for path in dict.fromkeys(paths) if path not in self.seen]
        if len(wanted) > 1:
            with ThreadPoolExecutor() as pool:
                list(pool.map(self.digest, wanted))
        return {path: self.digest(path) for path in paths}

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, None if there is none; a change of either is noticed from now on. Raises OSError."""
        try:
            self.digest(path)  # first, so that a change in between shows
            with open(os.path.join(self._root, path), "rb", opener=open_regular) as file:
                return file.read()
        except FileNotFoundError:
            self.absent.add(path)
            return None

    def beside(self) -> FileDigests:
        """Return the digests of other files of which the same is remembered; they say nothing about the project."""
        return FileDigests(self._root, self._index)

    def known(self, path: str, taken: Signature) -> str | None:
        """Return the digest of what has this signature under this name, None if that is not known.

        path: perhaps a URL, whose signature says what the server does of the object.
        """
        known = self._known.get(path)
        return known[1] if known is not None and known[0] == taken else None

    def note(
        self, path: str, taken: Signature, digest: str, *, settled: bool = True, remembered_as: str | None = None
    ) -> None:
        """Take what was found of a file that is read elsewhere. settled: whether its signature proves its bytes.

        remembered_as: the name under which `known` finds it, if that is not its path.
        """
        name = path if remembered_as is None else remembered_as
        self.seen[path] = (taken, digest)
        self._unsettled.discard(path)
        if not settled:
            self._unsettled.add(path)
        elif self._known.get(name) != (taken, digest):
            self._fresh.append((name, taken, digest))

    def matching(self, pattern: str) -> tuple[str, ...]:
        """Return the files that a path with `*` names, sorted; from now on it is noticed when they are others.

        Raises OSError.
        """
        if pattern not in self.matched:
            from pathlib import Path

            self.matched[pattern] = list_files(Path(self._root), pattern, None, {})
        return self.matched[pattern]

    def exists(self, path: str) -> bool:
        """Whether there is a file."""
        return os.path.exists(os.path.join(self._root, path))

    def absolute(self, path: str) -> str:
        """Return where a file is that is named relative to the project."""
        return os.path.join(self._root, path)

    def have(self, folder: str, needed: Callable[[list[str]], Iterable[str]]) -> None:
        """Do nothing: the files of the project are on this machine. See `rules.formats.source_format.Files`."""

    def unchanged(self, path: str) -> bool:
        """Whether the file still is the one whose digest was given."""
        taken, digest = self.seen[path]
        try:
            same = signature(os.path.join(self._root, path)) == taken
            return same and (path not in self._unsettled or file_digest(os.path.join(self._root, path)) == digest)
        except OSError:
            return False

    def save(self) -> None:
        """Remember in the index what was read."""
        self._index.remember_files(self._fresh)
        self._known.update({path: (taken, digest) for path, taken, digest in self._fresh})
        self._fresh = []

    def records(self) -> list[tuple[str, Signature, str]]:
        """Return path, signature and digest of every file that was looked at.

        A signature that proves nothing has times that no file has, so that the file is read again.
        """
        return [
            (path, Signature(taken.size, -1, -1, taken.inode) if path in self._unsettled else taken, digest)
            for path, (taken, digest) in self.seen.items()
        ]

    def _look(self, path: str) -> None:
        if not path.isascii() and not is_text(path):
            raise OSError(errno.EILSEQ, "its name is not UTF-8", path)
        began = time.time_ns()
        taken = signature(os.path.join(self._root, path))
        known = self._known.get(path)
        if known is not None and known[0] == taken:
            self.seen[path] = known
            return
        digest = file_digest(os.path.join(self._root, path))
        self.seen[path] = (taken, digest)
        # Settled before the reading began: a write during the reading then shows in the signature.
        if not is_settled(taken, began):
            self._unsettled.add(path)
        elif signature(os.path.join(self._root, path)) == taken:
            self._fresh.append((path, taken, digest))
