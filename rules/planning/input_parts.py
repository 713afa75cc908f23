"""The inputs of a rule as they are when it runs, and the parts of those that have some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from cache.keys import Content
from cache.parts import composed
from rules.engine.protocol import EngineError
from rules.errors import UserError
from rules.formats.row_groups import FileRows
from rules.storage.types import stored_type, to_arrow, to_schema

if TYPE_CHECKING:
    from cache.records import Artifact
    from compiler.schema import Schema
    from rules.sources.contents import Sources
    from rules.storage.store import Store
    from rules.storage.stored_artifacts import Marks


@dataclass(frozen=True)
class InputPart:
    """A part of an input: its rows, in the columns that a rule scans, and the files or row groups that hold them.

    constants: as in `EngineInput`. artifacts: what holds it, unless files of the source do, which are `names`.
    count: of the parts of the input that it is, if several are read together.
    """

    content: Content
    files: tuple[FileRows, ...]
    constants: Mapping[str, Any]
    count: int = 1
    artifacts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def together(parts: Sequence[InputPart]) -> InputPart:
    """Return some parts of an input, in order, as one."""
    if len(parts) == 1:
        return parts[0]
    constants = {name: pa.concat_arrays([part.constants[name] for part in parts]) for name in parts[0].constants}
    files = tuple(file for part in parts for file in part.files)
    content, count = composed([part.content for part in parts]), sum(part.count for part in parts)
    artifacts, names = (part.artifacts for part in parts), (part.names for part in parts)
    return InputPart(content, files, constants, count, tuple(chain(*artifacts)), tuple(chain(*names)))


@dataclass(frozen=True)
class Inputs:
    """The inputs of a rule, sources and products. artifacts: of products."""

    store: Store
    sources: Sources
    artifacts: Mapping[str, str]

    def is_known(self, name: str) -> bool:
        """Whether the content of an input is known by now."""
        return self._is_source(name) or (name in self.artifacts and self._artifact(name) is not None)

    def has_parts(self, name: str) -> bool:
        """Whether a known input has several parts."""
        if self._is_source(name):
            return bool(self.sources.table(name).parts)
        artifact = self._artifact(name)
        return artifact is not None and bool(artifact.parts)

    def has_runs(self, name: str) -> bool:
        """Whether parts of an input that has some are runs of row groups of a file."""
        if not self._is_source(name):
            return False
        return any(file.groups is not None for files in self.sources.part_files(name) for file in files)

    def rows(self, name: str) -> int:
        """Return the number of rows of an input."""
        return self.sources.table(name).rows if self._is_source(name) else self.store.content(self.artifacts[name]).rows

    def content(self, name: str, columns: Sequence[str]) -> Content:
        """Return the content of an input, restricted to `columns`."""
        if self._is_source(name):
            return self.sources.content(name, columns)
        return self.store.content(self.artifacts[name]).restricted(columns)

    def parts(self, name: str, columns: Sequence[str]) -> tuple[InputPart, ...]:
        """Return the parts of an input that has some, in order, restricted to `columns`."""
        if not self._is_source(name):
            artifact = self._artifact(name)
            assert artifact is not None
            self.store.know(artifact.parts)
            return tuple(
                InputPart(
                    self.store.content(one).restricted(columns),
                    (FileRows(self.store.objects.path(one)),),
                    {},
                    artifacts=(one,),
                )
                for one in artifact.parts
            )
        constants = self.sources.constants(name)
        table = self.sources.table(name)
        found = zip(table.parts, self.sources.part_contents(name, columns), self.sources.part_files(name), strict=True)
        return tuple(
            InputPart(
                content,
                files,
                {key: values[part.files] for key, values in constants.items() if key in columns},
                artifacts=() if part.artifact is None else (part.artifact,),
                names=table.files[part.files],
            )
            for part, content, files in found
        )

    def schema(self, name: str) -> Schema:
        """Return the columns of an input that has parts, as they are stored."""
        if self._is_source(name):
            return self.sources.table(name).schema
        return to_schema(pq.read_schema(self.store.files(self.artifacts[name])[0]))

    def dtype(self, name: str, column: str) -> pa.DataType:
        """Return the type of a column of an input that has parts, as it is stored."""
        if self._is_source(name):
            return to_arrow(self.sources.table(name).schema).field(column).type
        first = self.store.files(self.artifacts[name])[0]
        return stored_type(pq.read_schema(first).field(column).type)

    def require_sound(self, name: str, parts: Sequence[InputPart] | None = None) -> Marks:
        """Raise `UserError` or `DamagedInputError` unless the files of an input, to be read, are those of its digests.

        parts: those whose files matter; by default all. Returns marks of those that are in the store.
        """
        marks = self.store.require_sound(name, self._stored(name, parts))
        self._require_source(name, parts)
        return marks

    @contextmanager
    def unchanged(self, read: Mapping[str, Sequence[InputPart] | None]) -> Iterator[None]:
        """Look at the files of inputs, or of parts of them, before they are read, and afterwards unless it was stopped.

        Raises as `require_sound` does, if anything wrote to them meanwhile too, whatever came of it: the engine takes
        some damage for fewer rows (a Parquet file without bytes for a table without rows), or for another fault.
        """
        marks = {name: self.require_sound(name, parts) for name, parts in read.items()}

        def require_untouched() -> None:
            for name, parts in read.items():
                self.store.require_untouched(name, marks[name])
                self._require_source(name, parts)

        try:
            yield
        except (EngineError, UserError):
            require_untouched()
            raise
        require_untouched()

    def _stored(self, name: str, parts: Sequence[InputPart] | None) -> list[str]:
        """Return the artifacts that hold an input, or parts of it."""
        if parts is not None:
            return [one for part in parts for one in part.artifacts]
        artifact = self._artifact(name)
        stored = [] if artifact is None else list(artifact.parts or (artifact.artifact,))
        self.store.know(stored)
        return stored

    def _require_source(self, name: str, parts: Sequence[InputPart] | None) -> None:
        """Compare the files of a source, or those of parts of it, if they are read where they lie."""
        if not self.is_stored(name):
            names = None if parts is None else [one for part in parts for one in part.names]
            self.sources.require_unchanged(name, names)

    def is_stored(self, name: str) -> bool:
        """Whether an input is read from the store."""
        return self._artifact(name) is not None

    def _is_source(self, name: str) -> bool:
        return self.sources.is_opened(name)

    def _artifact(self, name: str) -> Artifact | None:
        """Return what holds an input; None where files of a source do."""
        return self.sources.table(name).artifact if self._is_source(name) else self.store.artifact(self.artifacts[name])
