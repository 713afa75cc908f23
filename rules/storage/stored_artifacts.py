"""The artifacts of an open store: which there are, here or in the shared cache, and whether their bytes are whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cache.errors import DamagedInputError, ObjectError, StoreError, TouchedInputError, UnreadableObjectError
from cache.objects import Objects
from cache.store_index import StoreIndex
from rules.errors import FAILED, UserError

if TYPE_CHECKING:
    from cache.records import Artifact, Product
    from cache.remote.action_records import ActionRecord
    from cache.signatures import Signature
    from compiler.schema import Schema
    from rules.storage.shared_cache import SharedCache
    from rules.storage.shared_report import SharedReport
    from rules.storage.store import Say


Marks: TypeAlias = Mapping[str, "Signature | None"]
"""Artifacts, each with what its object looked like."""


@dataclass
class StoredArtifacts:
    """The artifacts of an open store. `say` warns the user."""

    objects: Objects
    index: StoreIndex
    say: Say
    root: Path | None = None
    """The project root, whose rules.toml may name a shared cache."""
    lazy: bool = False
    """Whether what the shared cache has is fetched only once it is read."""
    fetches_ahead: bool = False
    """Whether what a plan takes from the shared cache is fetched as soon as it is found there."""
    _warned: set[str] = field(default_factory=set)

    @cached_property
    def products(self) -> Mapping[str, Product]:
        """The products as they were when they were first asked for."""
        return {name: state for name, state in self.states.items() if "." not in name}

    @cached_property
    def states(self) -> Mapping[str, Product]:
        """The products and the checks, as they were when they were first asked for."""
        return self.index.products_and_checks()

    @cached_property
    def artifacts(self) -> dict[str, Artifact]:
        """What has been asked of the index: all that is pointed at in one go, for nobody asks for one alone."""
        return self.index.artifacts_in_use({state.artifact for state in self.states.values()})

    def look_only_at(self, tables: Iterable[str], read: Iterable[str]) -> None:
        """Let `states` be those of some tables and their checks, and of products that these read, without checks.

        `artifacts` are then those that these point at.
        """
        self.look_at_all()
        self.states = self.index.states_of(read) | self.index.states_with_checks(tables)
        self.artifacts = self.index.artifacts({state.artifact for state in self.states.values()})

    def look_at_all(self) -> None:
        """Let `states` be those of all products and checks again."""
        for what in ("states", "products", "artifacts"):
            self.__dict__.pop(what, None)

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
        """Whether an artifact is not in the store, or not for good yet, and can be fetched from the shared cache."""
        if "shared" in self.__dict__:
            if self.shared is None:
                return False
            if self.shared.is_under_way(name):
                return True
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

    def begin_fetching(self, names: Iterable[str]) -> None:
        """Begin to fetch artifacts of the shared cache, as far as they are not here, if this command will need them."""
        for name in names if self.fetches_ahead else ():
            if self.is_elsewhere(name):
                assert self.shared is not None
                self.shared.fetch(name)

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
            here = self.objects.has_parts(name, parts) and len(self.present_among(parts)) == len(set(parts))
            return here or self.is_elsewhere(name)
        intact = self.objects.intact(name, artifact.bytes, artifact.file_digest)
        if not intact and name not in self._warned and self.objects.exists(name):
            # It may have come from the shared cache, or another process, since it was looked for.
            if self.objects.intact(name, artifact.bytes, artifact.file_digest):
                return True
            self._warned.add(name)
            self.say(f"warning: object {name} is corrupt: its bytes are not those that were written")
        return intact or self.is_elsewhere(name)

    def present_among(self, names: Iterable[str]) -> set[str]:
        """Return those of many artifacts of which `present` is true; most are looked at without a call for each."""
        wanted = set(names)
        self.know(wanted)
        here = self.in_place(wanted)
        return here | {name for name in wanted - here if self.present(name)}

    def in_place(self, names: Iterable[str]) -> set[str]:
        """Return those of many known artifacts whose objects are in place, but for tables in parts."""
        known = self.artifacts
        found = {name: known[name] for name in names if name in known}
        return self.objects.in_place({name: one.bytes for name, one in found.items() if not one.parts})

    def verify(self, artifact: Artifact) -> None:
        """Compare an object's bytes before it is used again. Raises `ObjectError`; what is corrupt is removed then.

        Of a table in parts, the bytes of all parts. What is not here is fetched from the shared cache, if it is there.
        """
        if self.objects.is_verified(artifact.artifact):
            return
        if self.is_elsewhere(artifact.artifact):
            self.bring(artifact.artifact)
            artifact = self.artifacts.get(artifact.artifact, artifact)
        if artifact.parts:
            self._verify_parts(artifact)
            return
        try:
            self.objects.verify(artifact.artifact, artifact.bytes, artifact.file_digest)
        except UnreadableObjectError:
            raise
        except ObjectError:
            with contextlib.suppress(OSError):
                self.objects.discard(artifact.artifact)
            raise

    def is_as_named(self, name: str) -> bool:
        """Whether the rows of an artifact have the digests that it is named by; what is not here is not read."""
        artifact = self.artifact(name)
        if artifact is None or self.is_elsewhere(name):
            return True
        return all(self.objects.is_as_named(one) for one in artifact.parts or (name,))

    def require_sound(self, name: str, artifacts: Iterable[str]) -> Marks:
        """Compare the bytes of objects that hold the table `name`, or parts of it, which are about to be read.

        Returns what `require_untouched` is to be asked with afterwards. Raises `DamagedInputError`.
        """
        marks = {}
        for one in artifacts:
            if not self.objects.is_verified(one):
                try:
                    self.verify(self._part(one))
                except ObjectError as error:
                    raise DamagedInputError(name, error) from error
            marks[one] = self.objects.verified(one)
        return marks

    def require_untouched(self, name: str, marks: Marks) -> None:
        """Raise `DamagedInputError` or `TouchedInputError` if anything wrote to objects since `require_sound`."""
        for one in self.objects.touched(marks):
            self.require_sound(name, [one])
            raise TouchedInputError(name, ObjectError(f"object {one} was written to while it was read"))

    def is_linked(self, artifact: Artifact) -> bool:
        """Whether the links of a table in parts lead to its parts, whatever these hold."""
        return self.objects.has_parts(artifact.artifact, artifact.parts)

    def _verify_parts(self, artifact: Artifact) -> None:
        self.know(artifact.parts)
        try:
            self.objects.require_parts(artifact.artifact, artifact.parts)
        except UnreadableObjectError:
            raise
        except ObjectError:
            with contextlib.suppress(OSError):
                self.objects.discard(artifact.artifact)
            raise
        for name in artifact.parts:
            self.verify(self._part(name))

    def _part(self, name: str) -> Artifact:
        part = self.artifact(name)
        if part is None:
            raise ObjectError(f"object {name}, a part, is missing from the store")
        return part

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
        except UnreadableObjectError as error:
            message = f"the stored table of {name} cannot be read: {error}"
            raise UserError(message, code="unreadable-object", exit_code=FAILED) from error
        except ObjectError as error:
            with contextlib.suppress(StoreError):
                self.index.forget_built()  # which looks at products alone, and not at the failing rows of checks
            message = f"the stored table of {name} is damaged: its bytes are not those that were written"
            raise UserError(message, code="corrupt-object", hint=hint, exit_code=FAILED) from error
        return found
