"""The store of one project: its lock, objects and index, opened together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cache.errors import DamagedIndexError, StoreError
from cache.index import Index, set_aside
from cache.keys import Content
from cache.objects import Objects
from rules.errors import FAILED, UserError
from rules.roots import store_root

if TYPE_CHECKING:
    from pathlib import Path

    from cache.records import Artifact

Say = Callable[[str], None]


@dataclass
class Store:
    """An open store. `artifacts` keeps what has been asked of the index; `say` warns the user."""

    objects: Objects
    index: Index
    artifacts: dict[str, Artifact]
    say: Say
    _warned: set[str] = field(default_factory=set)

    def artifact(self, name: str) -> Artifact | None:
        """Return an artifact by digest, if the index knows it."""
        if name not in self.artifacts:
            self.artifacts.update(self.index.artifacts([name]))
        return self.artifacts.get(name)

    def present(self, name: str) -> bool:
        """Whether an artifact is known and its object is in place; says so if it is there and corrupt."""
        artifact = self.artifact(name)
        if artifact is None:
            return False
        intact = self.objects.intact(name, artifact.bytes, artifact.file_digest)
        if not intact and name not in self._warned and self.objects.path(name).exists():
            self._warned.add(name)
            self.say(f"warning: object {name} is corrupt: its bytes are not those that were written")
        return intact

    def content(self, name: str) -> Content:
        """Return the content of a known artifact. Raises KeyError."""
        artifact = self.artifact(name)
        if artifact is None:
            raise KeyError(name)
        return Content(artifact.rows, artifact.columns)


@contextlib.contextmanager
def open_store(root: Path, say: Say, *, building: bool) -> Iterator[Store]:
    """Open (and make) the store; a build holds its lock, and waits for another's. Raises `UserError`."""
    objects = Objects(store_root(root))
    path = objects.root / "index.sqlite"
    lock = objects.root / "lock"
    try:
        objects.create()
        with _lock(lock, say) if building else contextlib.nullcontext():
            if building:
                objects.clear_tmp()
            try:
                with _open_index(objects, path, lock, say, locked=building) as index:
                    known = index.artifacts({product.artifact for product in index.products().values()})
                    yield Store(objects, index, known, say)
            except DamagedIndexError as error:  # its first page was sound, so it was found out only now
                name = _set_aside(path, lock, error, locked=building)
                message = f"{error.message}; it was set aside as {name}"
                raise StoreError(message, hint="run this again: a new one is begun") from error
    except StoreError as error:
        raise UserError(error.message, code="store", hint=error.hint, exit_code=FAILED) from error
    finally:
        objects.close()


def _open_index(objects: Objects, path: Path, lock: Path, say: Say, *, locked: bool) -> Index:
    """Open the index, or begin a new one where there is none that can be used, and say so."""
    try:
        index = Index(path)
    except DamagedIndexError as error:
        name = _set_aside(path, lock, error, locked=locked)
        say(f"warning: {error.message}; it was set aside as {name} and a new one begun")
        return Index(path)
    if index.created and objects.any():
        say("warning: the index is missing; a new one is begun, and what it does not know is built again")
    return index


def _set_aside(path: Path, lock: Path, error: DamagedIndexError, *, locked: bool) -> str:
    """Rename the index. What only looks must not take it away from a build that uses it."""
    from filelock import FileLock, Timeout

    try:
        with contextlib.nullcontext() if locked else FileLock(lock, timeout=0):
            return set_aside(path)
    except Timeout:
        message = f"{error.message}, and another build is using it"
        raise StoreError(message, hint="try again when that has finished") from error
    except OSError as failure:
        raise StoreError(f"{error.message}, and cannot be set aside: {failure.strerror}") from error


@contextlib.contextmanager
def _lock(path: Path, say: Say) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("waiting for another build on this store to finish")
        lock.acquire()
    except OSError as error:
        message = f"cannot write the store at {path.parent}: {error.strerror or error}"
        raise StoreError(
            message, hint="the project folder must be writable, or set RULES_STORE to one that is"
        ) from error
    try:
        yield
    finally:
        lock.release()
