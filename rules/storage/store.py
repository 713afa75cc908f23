"""The store of one project root: its lock, objects and index, opened together, or read where it cannot be written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cache.errors import DamagedIndexError, ForeignStoreError, ObjectError, StoreError
from cache.index import set_aside
from cache.keys import Content
from cache.locks import BUILDERS, READERS, exclusive, shared
from cache.objects import Objects
from cache.ownership import examine
from cache.products import Products, retire
from cache.store_index import StoreIndex
from rules.errors import FAILED, REPLACED, ForeignMemoError, UserError, UserErrors
from rules.files.project_paths import heir_of, own_folder, root_key, store_root

if TYPE_CHECKING:
    from cache.records import Artifact, Product
    from cache.remote.action_records import ActionRecord
    from compiler.schema import Schema
    from rules.storage.shared_cache import SharedCache
    from rules.storage.shared_report import SharedReport

Say = Callable[[str], None]


@dataclass
class Store:
    """An open store. `say` warns the user."""

    objects: Objects
    index: StoreIndex
    say: Say
    links: Products | None = None
    """The products folder of the project root, of a build that can write it."""
    root: Path | None = None
    """The project root, whose rules.toml may name a shared cache."""
    lazy: bool = False
    """Whether what the shared cache has is fetched only once it is read."""
    _warned: set[str] = field(default_factory=set)
    _contents: dict[str, Content] = field(default_factory=dict)

    @cached_property
    def products(self) -> Mapping[str, Product]:
        """The products as they were when they were first asked for."""
        return self.index.products()

    @cached_property
    def states(self) -> Mapping[str, Product]:
        """The products and the checks, as they were when they were first asked for."""
        return {**self.products, **self.index.checks()}

    @cached_property
    def artifacts(self) -> dict[str, Artifact]:
        """What has been asked of the index: all that is pointed at in one go, for nobody asks for one alone."""
        return self.index.artifacts({state.artifact for state in self.states.values()})

    @cached_property
    def shared(self) -> SharedCache | None:
        """The shared cache that the project names. Raises `UserError` where its key cannot be read."""
        from rules.storage.shared_settings import shared_settings

        settings = shared_settings(self.root) if self.root is not None else None
        if settings is None or self.root is None:
            return None
        from rules.storage.shared_cache import SharedCache

        shared = SharedCache(settings, self.root, self.index, self.objects)
        shared.connection.prepare()
        return shared

    def finish_sharing(self, *, wait: bool = True) -> SharedReport | None:
        """End what is under way with the shared cache; return what it was of use for, None for nothing."""
        shared = self.__dict__.get("shared")
        if shared is None:
            return None
        report: SharedReport = shared.finish(wait_for_all=wait, say=self.say)
        del self.__dict__["shared"]
        if report.is_empty:
            return None
        with contextlib.suppress(StoreError):  # such as a full disk: these are counts
            self.index.add_shared_usage(report.usage)
            self.index.tidy_shared()
        return report

    def actions(self, keys: Iterable[str]) -> dict[str, str]:
        """Return action key → artifact, as far as it is known here, or found in the shared cache by this command."""
        wanted = list(keys)
        found = self.index.actions(wanted)
        shared: SharedCache | None = self.__dict__.get("shared")
        for key in wanted if shared is not None else ():
            if shared is not None and (key not in found or not self.present(found[key])):
                record = shared.record(key)
                if record is not None:
                    found[key] = record.artifact
                    self._learn(record)
        return found

    def find_actions(self, keys: Iterable[str], schema: Schema) -> dict[str, str]:
        """Return what `actions` does, after the shared cache was asked for those that are not here.

        schema: of the tables that they yield. It waits for the answers. Raises `UserError`.
        """
        wanted = list(keys)
        found = self.actions(wanted)
        shared = self.shared
        self.know(found.values())
        lacking = [key for key in wanted if key not in found or not self.present(found[key])] if shared else []
        if shared is not None and lacking:
            columns = tuple((column.name, column.type) for column in schema.columns)
            shared.look_up(dict.fromkeys(lacking, columns))
            found |= self.actions(lacking)
        return found

    def _learn(self, record: ActionRecord) -> None:
        """Take what the shared cache says of artifacts that are not here."""
        for one in record.artifacts():
            known = self.artifact(one.artifact)
            if known is None or not self._is_here(known):
                self.artifacts[one.artifact] = one

    def _is_here(self, artifact: Artifact) -> bool:
        if artifact.parts:
            return self.objects.has_parts(artifact.artifact, artifact.parts)
        return self.objects.intact(artifact.artifact, artifact.bytes, artifact.file_digest)

    def is_elsewhere(self, name: str) -> bool:
        """Whether an artifact is not in the store, and can be fetched from the shared cache."""
        artifact = self.artifact(name)
        if artifact is None or (self._is_here(artifact) and all(not self.is_elsewhere(one) for one in artifact.parts)):
            return False
        return self.shared is not None and self.shared.has(name)

    def is_of_others(self, name: str) -> bool:
        """Whether an artifact is another builder's, and was not in the store before this command."""
        return self.shared is not None and (self.shared.was_found(name) or self.is_elsewhere(name))

    def bring(self, name: str) -> bool:
        """Fetch an artifact from the shared cache, if it is not here; return whether it is here now."""
        if not self.is_elsewhere(name):
            return True
        assert self.shared is not None
        brought = self.shared.fetch(name).result()
        self.brought(name)
        return brought

    def brought(self, name: str) -> None:
        """Take note of what has been fetched: its file may be another one than the one that was known."""
        record = self.shared.source(name) if self.shared is not None else None
        for one in record.artifacts() if record is not None else ():
            if self._is_here(one):
                self.artifacts[one.artifact] = one

    def taken(self, key: str | None, artifact: str) -> ActionRecord | None:
        """Return the record by which this command took the artifact of an action from the shared cache, if it did."""
        record = self.shared.record(key) if self.shared is not None and key is not None else None
        return record if record is not None and record.artifact == artifact else None

    def record_action(
        self, key: str, artifact: Artifact, seconds: float, build: str, *, name: str | None = None
    ) -> None:
        """Record that an action yields an artifact, which is recorded, here and in the shared cache.

        name: of the product or check, None for a part.
        """
        self.index.add_action(key, artifact.artifact, seconds, build)
        if self.shared is not None:
            self.shared.keep_source(artifact.artifact)
            self.shared.tell(key, artifact, seconds, name)

    def artifact(self, name: str) -> Artifact | None:
        """Return an artifact by digest, if the index knows it."""
        if name not in self.artifacts:
            self.artifacts.update(self.index.artifacts([name]))
        return self.artifacts.get(name)

    def files(self, name: str) -> tuple[Path, ...]:
        """Return the files of a known artifact, in row order: one, or one for each of its parts. Raises KeyError."""
        artifact = self.artifact(name)
        if artifact is None:
            raise KeyError(name)
        return tuple(self.objects.path(one) for one in artifact.parts or (name,))

    def know(self, names: Iterable[str]) -> None:
        """Ask the index for several artifacts at once, which are about to be asked for one by one."""
        self.artifacts.update(self.index.artifacts(set(names) - self.artifacts.keys()))

    def present(self, name: str) -> bool:
        """Whether an artifact is known and its object is in place; says so if it is there and corrupt."""
        artifact = self.artifact(name)
        if artifact is None:
            return False
        parts = artifact.parts
        if parts:
            self.know(parts)
            here = self.objects.has_parts(name, parts) and all(map(self.present, parts))
            return here or self.is_elsewhere(name)
        intact = self.objects.intact(name, artifact.bytes, artifact.file_digest)
        if not intact and name not in self._warned and self.objects.exists(name):
            self._warned.add(name)
            self.say(f"warning: object {name} is corrupt: its bytes are not those that were written")
        return intact or self.is_elsewhere(name)

    def verify(self, artifact: Artifact) -> None:
        """Compare an object's bytes before it is used again. Raises `ObjectError`; what is corrupt is removed then.

        Of a table in parts, the bytes of all parts. What is not here is fetched from the shared cache, if it is there.
        """
        if self.is_elsewhere(artifact.artifact):
            self.bring(artifact.artifact)
            artifact = self.artifacts.get(artifact.artifact, artifact)
        if artifact.parts:
            self._verify_parts(artifact)
            return
        try:
            self.objects.verify(artifact.artifact, artifact.bytes, artifact.file_digest)
        except ObjectError:
            with contextlib.suppress(OSError):
                self.objects.discard(artifact.artifact)
            raise

    def _verify_parts(self, artifact: Artifact) -> None:
        self.know(artifact.parts)
        if not self.objects.has_parts(artifact.artifact, artifact.parts):
            with contextlib.suppress(OSError):
                self.objects.discard(artifact.artifact)
            raise ObjectError(f"object {artifact.artifact} has no links to its parts")
        for name in artifact.parts:
            part = self.artifact(name)
            if part is None:
                raise ObjectError(f"object {name}, a part, is missing from the store")
            self.verify(part)

    def stored(self, name: str, artifact: str) -> Artifact:
        """Return the artifact of a product whose object is about to be read: all its bytes are compared first.

        Raises `UserError`; what is corrupt is removed then, so that the next build makes it again.
        """
        found = self.artifact(artifact)
        hint = "rules build makes it again"
        if found is not None and self.is_elsewhere(artifact):
            self.bring(artifact)
            found = self.artifacts.get(artifact, found)
        if found is None or not self.objects.exists(artifact):
            message = f"the artifact of {name} is missing from the store"
            raise UserError(message, code="missing-object", hint=hint, exit_code=FAILED)
        try:
            self.verify(found)
        except ObjectError as error:
            with contextlib.suppress(StoreError):
                self.index.forget_built()  # which looks at products alone, and not at the failing rows of checks
            message = f"the stored table of {name} is damaged: its bytes are not those that were written"
            raise UserError(message, code="corrupt-object", hint=hint, exit_code=FAILED) from error
        return found

    def content(self, name: str) -> Content:
        """Return the content of a known artifact, the same object each time. Raises KeyError."""
        if name not in self._contents:
            artifact = self.artifact(name)
            if artifact is None:
                raise KeyError(name)
            self._contents[name] = Content(artifact.rows, artifact.columns)
        return self._contents[name]


class _Keys(NamedTuple):
    """The key of a project root in a store's index, and of the root that takes over what knew no root."""

    root: str
    heir: str

    @classmethod
    def of(cls, root: Path, place: Path) -> _Keys:
        """Return the keys for a store at `place`."""
        return cls(root_key(str(root), str(place)), heir_of(str(root), str(place)))


@contextlib.contextmanager
def open_store(
    root: Path, say: Say, *, building: bool, asked: bool = False, collecting: bool = False
) -> Iterator[Store]:
    """Open (and make) the store of a project root; a build holds its lock, and waits for another's.

    What only looks needs nothing to be written: where the store cannot be, it is read, and what a look would have
    remembered is forgotten. asked: it is the store that is asked about, so one that cannot be read is an error, and not
    only a warning. collecting: no lock is held, because whoever removes objects takes all of them. Raises `UserError`.
    """
    place = store_root(root)
    try:
        if not building and not collecting and not _is_writable(place):
            with _reading(root, place, say, asked=asked) as store:
                yield store
        else:
            with _writing(root, place, say, building=building, collecting=collecting) as store:
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
def _writing(root: Path, place: Path, say: Say, *, building: bool, collecting: bool) -> Iterator[Store]:
    objects = Objects(place)
    path, lock = place / "index.sqlite", place / BUILDERS
    try:
        objects.create()
        alone = _lock(lock, say) if building else contextlib.nullcontext()
        with alone if building or collecting else shared(place / READERS):
            links = None
            if building:
                objects.clear_tmp()
                links = _links(root, objects, say)
            keys = _Keys.of(root, place)
            try:
                with (
                    _suspecting(path),
                    _open_index(objects, path, keys, lock, say, locked=building) as index,
                    _sharing(Store(objects, index, say, links, root)) as store,
                ):
                    yield store
            except DamagedIndexError as error:  # its first page was sound, so it was found out only now
                raise _replaced(objects, path, keys, lock, error, locked=building) from error
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


@contextlib.contextmanager
def _suspecting(path: Path) -> Iterator[None]:
    """Look whether an error that nobody foresaw comes from a damaged index. Raises `DamagedIndexError` then.

    SQLite does not know what the records in it ought to be, nor what bits of them have flipped.
    """
    try:
        yield
    except (UserError, UserErrors, StoreError, ObjectError, ForeignMemoError, BrokenPipeError):
        raise
    except Exception as error:
        from cache.salvage import faults  # with pyarrow

        fault = faults(path)
        if fault is None:
            raise
        raise DamagedIndexError(f"the index is damaged: {fault}") from error


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
            _suspecting(place / "index.sqlite"),
            _read_index(place, _Keys.of(root, place), say, asked=asked) as index,
            _sharing(Store(objects, index, say, root=root)) as store,
        ):
            yield store
    finally:
        objects.close()


def _read_index(place: Path, keys: _Keys, say: Say, *, asked: bool) -> StoreIndex:
    path = place / "index.sqlite"
    try:
        examine(place)
        return StoreIndex(path, root=keys.root, heir=keys.heir, in_memory=True)
    except ForeignStoreError:
        raise
    except (OSError, StoreError) as error:
        reason = (
            error.message if isinstance(error, StoreError) else f"the store {place} cannot be read: {error.strerror}"
        )
        if asked:
            raise StoreError(reason) from error
        say(f"warning: {reason}; the store is left alone, and what it knows is not used")
        return StoreIndex(None, root=keys.root)


def _open_index(objects: Objects, path: Path, keys: _Keys, lock: Path, say: Say, *, locked: bool) -> StoreIndex:
    """Open the index, or begin a new one where there is none that can be used, and say so."""
    try:
        index = StoreIndex(path, root=keys.root, heir=keys.heir)
    except DamagedIndexError as error:
        name = _set_aside(path, lock, error, locked=locked)
        say(f"warning: {error.message}; it was set aside as {name} and a new one begun")
        return _begun(objects, path, keys, name)
    if index.created and objects.any():
        say("warning: the index is missing; a new one is begun, and what it does not know is built again")
    return index


def _replaced(
    objects: Objects, path: Path, keys: _Keys, lock: Path, error: DamagedIndexError, *, locked: bool
) -> UserError:
    """Set aside an index that was found to be damaged while it was used, and begin a new one."""
    name = _set_aside(path, lock, error, locked=locked)
    _begun(objects, path, keys, name).close()
    return UserError(
        f"{error.message}; it was set aside as {name} and a new one begun",
        code=REPLACED,
        hint="run this again",
        exit_code=FAILED,
    )


def _begun(objects: Objects, path: Path, keys: _Keys, aside: str) -> StoreIndex:
    """Begin a new index with what is sound in the one that was set aside."""
    index = StoreIndex(path, root=keys.root, heir=keys.heir)
    if objects.any():
        from cache.salvage import salvage  # with pyarrow

        salvage(path.with_name(aside), index)
    return index


def _set_aside(path: Path, lock: Path, error: DamagedIndexError, *, locked: bool) -> str:
    """Rename the index. What only looks must not take it away from a build that uses it."""
    try:
        with contextlib.nullcontext() if locked else exclusive(lock, wait=False):
            return set_aside(path)
    except BlockingIOError:
        message = f"{error.message}, and another build is using it"
        raise StoreError(message, hint="try again when that has finished") from error
    except OSError as failure:
        raise StoreError(f"{error.message}, and cannot be set aside: {failure.strerror}") from error


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
