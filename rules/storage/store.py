"""The store of one project root: its lock, objects and index, opened together, or read where it cannot be written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cache.errors import DamagedIndexError, ForeignStoreError, ObjectError, StoreError
from cache.keys import Content
from cache.locks import BUILDERS, READERS, exclusive, shared
from cache.objects import Objects
from cache.products import Products, retire
from rules.errors import FAILED, UserError
from rules.files.file_digests import FileDigests
from rules.files.project_paths import heir_of, own_folder, store_root
from rules.storage.index_opening import RootKeys, open_index, read_index, replaced, suspecting
from rules.storage.memory import Memory
from rules.storage.stored_artifacts import StoredArtifacts

if TYPE_CHECKING:
    from cache.signatures import Signature

Say = Callable[[str], None]


@dataclass
class Store(StoredArtifacts):
    """An open store."""

    links: Products | None = None
    """The products folder of the project root, of a build that can write it."""
    memory: Memory = field(default_factory=Memory)
    """What this process keeps between its runs."""
    key_groups: dict[str, list[list[int]]] = field(default_factory=dict)
    """Which parts of a table share values of a column, by a digest of this column in all of them."""
    digests_as_one: dict[str, str] = field(default_factory=dict)
    """The digest that a column of several parts has as one column, by the digest that it has of these parts."""
    _contents: dict[str, Content] = field(default_factory=dict)

    def content(self, name: str) -> Content:
        """Return the content of a known artifact, the same object each time. Raises KeyError."""
        if name not in self._contents:
            artifact = self.artifact(name)
            if artifact is None:
                raise KeyError(name)
            made = partial(Content, artifact.rows, artifact.columns)
            self._contents[name] = self.memory.decoded.get("content", name, artifact, made)
        return self._contents[name]

    def file_digests(self, root: Path, unsaved: Mapping[str, str] | None = None) -> FileDigests:
        """Return the digests of the files of a project, as far as they are known here or in this process.

        unsaved: texts that count in place of files, by path.
        """
        kept = self.memory.part(_Files)
        if kept.known is None or kept.root != root:
            kept.known, kept.root = self.index.files(), root
        return FileDigests(root, self.index, kept.known, unsaved)


class _Files:
    """The files that this process has read."""

    def __init__(self) -> None:
        self.root: Path | None = None
        self.known: dict[str, tuple[Signature, str]] | None = None


@contextlib.contextmanager
def open_store(
    root: Path,
    say: Say,
    *,
    building: bool,
    asked: bool = False,
    collecting: bool = False,
    memory: Memory | None = None,
) -> Iterator[Store]:
    """Open (and make) the store of a project root; a build holds its lock, and waits for another's.

    What only looks needs nothing to be written: where the store cannot be, it is read, and what a look would have
    remembered is forgotten. asked: it is the store that is asked about, so one that cannot be read is an error, and not
    only a warning. collecting: no lock is held, because whoever removes objects takes all of them. memory: of a process
    that runs over the project again. Raises `UserError`.
    """
    place = store_root(root)
    if memory is not None:
        memory.runs += 1
    try:
        if not building and not collecting and not _is_writable(place):
            with _reading(root, place, say, asked=asked) as store:
                if memory is not None:
                    memory.index.close()  # it is of a store that could be written
                    memory.decoded.turn()
                    store.memory, store.index.decoded = memory, memory.decoded
                yield store
        else:
            with _writing(root, place, say, building=building, collecting=collecting, memory=memory) as store:
                yield store
    except ForeignStoreError as error:
        raise UserError(error.message, code="store", hint=error.hint) from error
    except ObjectError as error:
        raise UserError(str(error), code="store", hint="a build makes it anew", exit_code=FAILED) from error
    except StoreError as error:
        raise UserError(error.message, code="store", hint=error.hint, exit_code=FAILED) from error


def reading(root: Path) -> contextlib.AbstractContextManager[None]:
    """Return what lets no object be removed from the store of a project root while it is open."""
    return shared(store_root(root) / READERS)


def _is_writable(place: Path) -> bool:
    """Whether the store can be written, or made, as far as permissions and the file system tell."""
    if not os.path.lexists(place):
        above = place.parent
        while not above.exists() and above != above.parent:
            above = above.parent
        return os.access(above, os.W_OK | os.X_OK)
    index = "index.sqlite"
    needed = [place, *(place / name for name in ("tmp", "objects", index, f"{index}-wal", f"{index}-shm"))]
    return all(os.access(path, os.W_OK) for path in needed if path == place or path.exists())


@contextlib.contextmanager
def _writing(
    root: Path, place: Path, say: Say, *, building: bool, collecting: bool, memory: Memory | None
) -> Iterator[Store]:
    objects = Objects(place)
    path, lock = place / "index.sqlite", place / BUILDERS
    try:
        objects.create(above=place != Path(own_folder(str(root))))
        alone = _lock(lock, say) if building else contextlib.nullcontext()
        with alone if building or collecting else shared(place / READERS):
            links = None
            if building:
                objects.clear_tmp()
                links = _links(root, objects, say)
            keys = RootKeys.of(root, place)
            anew = partial(open_index, objects, path, keys, lock, say, locked=building)
            try:
                with (
                    suspecting(path),
                    memory.index.opened(path, keys, anew) if memory is not None else anew() as index,
                    _sharing(Store(objects, index, say, root, links=links, memory=memory or Memory())) as store,
                ):
                    yield store
            except DamagedIndexError as error:  # its first page was sound, so it was found out only now
                raise replaced(objects, path, lock, error, locked=building) from error
    finally:
        objects.close()


@contextlib.contextmanager
def _sharing(store: Store) -> Iterator[Store]:
    """End what is under way with the shared cache before the store is closed, and say what went wrong."""
    try:
        yield store
    except BaseException:
        store.finish_sharing(wait=False)
        raise
    report = store.finish_sharing()
    for warning in report.warnings if report is not None else ():
        store.say(warning)


def _links(root: Path, objects: Objects, say: Say) -> Products | None:
    """Return the products folder of a project root, None (and say so) where it cannot be made."""
    own = Path(own_folder(str(root)))
    links = Products(own, objects)
    try:
        links.create()
        if own != objects.root and heir_of(str(root), str(objects.root)):
            retire(objects.root / "products")  # where a former version put them for all roots
    except (OSError, ForeignStoreError) as error:
        if own == objects.root:
            raise
        reason = error.message if isinstance(error, ForeignStoreError) else error.strerror or str(error)
        say(f"warning: products cannot be linked in {links.folder}: {reason}; rules show prints them")
        return None
    return links


@contextlib.contextmanager
def _reading(root: Path, place: Path, say: Say, *, asked: bool) -> Iterator[Store]:
    """Open a store that cannot be written, or none: what is there is read, and what is found out kept in memory."""
    objects = Objects(place, read_only=True)
    try:
        with (
            shared(place / READERS),
            suspecting(place / "index.sqlite"),
            read_index(place, RootKeys.of(root, place), say, asked=asked) as index,
            _sharing(Store(objects, index, say, root)) as store,
        ):
            yield store
    finally:
        objects.close()


@contextlib.contextmanager
def _lock(path: Path, say: Say) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        try:
            try:
                held.enter_context(exclusive(path, wait=False))
            except BlockingIOError:
                say("waiting for another build on this store to finish")
                held.enter_context(exclusive(path, wait=True))
        except OSError as error:
            message = f"cannot write the store at {path.parent}: {error.strerror or error}"
            raise StoreError(
                message, hint="the project folder must be writable, or set RULES_STORE to one that is"
            ) from error
        yield
