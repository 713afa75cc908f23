"""What is known of sources' columns without the engine: from their files, an earlier look, or as declared."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from compiler.names.qualify import InputSchemas
from compiler.schema import Column, Schema, schema_of, schema_record
from rules.errors import UserError
from rules.files.locations import is_url
from rules.files.source_listing import list_files
from rules.formats.declared_types import spelled
from rules.formats.registry import extensions
from rules.sources.locating import lists_files, source_listing
from rules.sources.remembered_columns import columns_last_seen, columns_memo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.index import Index
    from rules.config.project import Project
    from rules.files.file_digests import FileDigests
    from rules.sources.contents import Sources


class KnownSchemas:
    """Schemas by name, in the form that the compiler wants.

    closed: path, format and files of the sources that could not be opened. unnoticed: whether one of these files cannot
    even be digested, so that nobody would notice a change of it. last_seen: the memos that the columns of sources on
    object stores and web servers were taken from, for which no server is asked.
    """

    def __init__(self, project: Project, index: Index, sources: Sources, files: FileDigests) -> None:
        self.schemas = InputSchemas()
        self.closed: list[list[Any]] = []
        self.unnoticed = False
        self.last_seen: dict[str, Any] = {}
        self._project = project
        self._index = index
        self._sources = sources
        self._files = files

    def add_source(self, name: str) -> tuple[UserError | None, bool]:
        """Make the columns of a source known, by an earlier look or as declared where it cannot be opened.

        Returns why it cannot be, and whether there are files of it at all.
        """
        source = self._project.sources[name]
        if is_url(source.path):
            seen = columns_last_seen(self._index, source)
            if seen is not None:
                self.last_seen[columns_memo(source)] = schema_record(seen)
                self.schemas.add(name, seen)
                return None, True
        memo = f"columns of {name}"
        try:
            schema = self._sources.open([name])[name].schema
        except UserError as error:
            found = self._remembered(name, memo) or self._declared(name)
            if found is not None:
                self.schemas.add(name, found)
            return error, self._close(name)
        record = schema_record(schema)
        if is_url(source.path):
            self.last_seen[columns_memo(source)] = record
        if self._index.memo("schemas", [memo]).get(memo) != record:
            self._index.remember("schemas", {memo: record})
        self.schemas.add(name, schema)
        return None, True

    def _remembered(self, name: str, memo: str) -> Schema | None:
        """Return the columns that the source last had, if rules.toml declares no others by now."""
        record = self._index.memo("schemas", [memo]).get(memo)
        if record is not None:
            found = schema_of(record)
        else:
            compiled = self._index.snapshot("compiled") or {"tables": {}}
            found = Schema(tuple(Column(column, "unknown") for column in compiled["tables"].get(name, [])), b"")
        return found if found.columns and set(self._project.sources[name].columns) <= set(found.names) else None

    def _declared(self, name: str) -> Schema | None:
        declared = self._project.sources[name].columns
        columns = tuple(Column(column, spelled(kind)) for column, kind in declared.items())
        return _in_arrow(declared) or (Schema(columns, b"") if columns else None)

    def _close(self, name: str) -> bool:
        """Note a source that cannot be opened; return whether there are files of it."""
        source, found = self._project.sources[name], list[str]()
        if is_url(source.path):
            self.unnoticed = True  # nobody notices when the server can be reached again
            return False
        if lists_files(source):  # what its listing looks at is noted by itself
            there = (self._project.root / source.path).exists()
            with contextlib.suppress(UserError):
                found = list(source_listing(self._project, name, self._files).files)
        else:
            with contextlib.suppress(OSError):
                found = list(list_files(self._project.root, source.path, source.format, extensions()))
            there = bool(found)
            self.closed.append([source.path, source.format, found])
        for file in found:
            try:
                self._files.digest(file)  # so that a change of it is noticed
            except OSError:
                self.unnoticed = True
        return there


def _in_arrow(declared: Mapping[str, str]) -> Schema | None:
    """Return declared columns as the engine has them when it reads a file that keeps to them; None for no columns."""
    import pyarrow as pa

    from cache.levels import UnsupportedTypeError
    from rules.storage.types import parse_type, to_schema

    try:
        fields = [pa.field(name, parse_type(kind)) for name, kind in declared.items()]
        return to_schema(pa.schema(fields)) if fields else None
    except (ValueError, UnsupportedTypeError):
        return None
