"""The store of one project: its lock, objects and index, opened together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cache.errors import StoreError
from cache.index import Index
from cache.keys import Content
from cache.objects import Objects
from cache.records import Artifact
from rules.errors import UserError
from rules.roots import store_root

Say = Callable[[str], None]


@dataclass
class Store:
    """An open store. `artifacts` keeps what has been asked of the index."""

    objects: Objects
    index: Index
    artifacts: dict[str, Artifact]

    def artifact(self, name: str) -> Artifact | None:
        """Return an artifact by digest, if the index knows it."""
        if name not in self.artifacts:
            self.artifacts.update(self.index.artifacts([name]))
        return self.artifacts.get(name)

    def present(self, name: str) -> bool:
        """Whether an artifact is known and its object is in place, of the right size."""
        artifact = self.artifact(name)
        return artifact is not None and self.objects.has(name, artifact.bytes)

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
    try:
        objects.create()
        with _lock(objects.root / "lock", say) if building else contextlib.nullcontext():
            if building:
                objects.clear_tmp()
            with Index(objects.root / "index.sqlite") as index:
                if index.warning:
                    say(f"warning: {index.warning}")
                known = index.artifacts({product.artifact for product in index.products().values()})
                yield Store(objects, index, known)
    except StoreError as error:
        raise UserError(error.message, code="store", hint=error.hint) from error


@contextlib.contextmanager
def _lock(path: Path, say: Say) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("waiting for another build on this store to finish")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
