"""Sources: files → content digest, schema, row count and column digests, each found out once per content.

Parquet is read where it lies. Text and Arrow files are ingested once into the store as typed Parquet, and read there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cache.keys import Content
from rules.files.lazy_paths import size_of
from rules.files.locations import is_url
from rules.formats.declared_types import spelled_as_declared
from rules.printable import without_secrets
from rules.sources.column_digests import ColumnDigests
from rules.sources.content_keys import content_key
from rules.sources.locating import format_of, hint_for, noting
from rules.sources.object_copies import ObjectCopies
from rules.sources.remembered_columns import remember_columns
from rules.sources.source_files import SourceFiles
from rules.sources.source_reader import SourceReader
from rules.sources.source_table import SourcePart, source_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from cache.index import Index
    from cache.objects import Objects
    from rules.config.project import Project
    from rules.errors import UserError
    from rules.files.file_digests import FileDigests
    from rules.formats.row_groups import FileRows
    from rules.formats.source import Source
    from rules.sources.source_table import SourceTable


class Sources:
    """The sources of one project, in one run."""

    def __init__(
        self,
        project: Project,
        index: Index,
        objects: Objects,
        files: FileDigests,
        copies: ObjectCopies | None = None,
    ) -> None:
        """copies: of the objects that the same run has asked for already."""
        self._project = project
        self._index = index
        self._objects = objects
        self.copies = ObjectCopies(objects, files) if copies is None else copies
        self._files = SourceFiles(project, files, self.copies)
        self._reader = SourceReader(index, objects, self._files)
        self._digests = ColumnDigests(index, self._files)
        self._tables: dict[str, SourceTable] = {}
        self._files_of_parts: dict[str, list[tuple[FileRows, ...]]] = {}

    def open(self, names: Iterable[str]) -> dict[str, SourceTable]:
        """Return the named sources, ingesting and digesting what is new. Raises `UserError` for one that fails."""
        wanted = list(names)
        broken: dict[str, UserError] = {}
        found = self.open_sound(wanted, broken)
        for name in wanted:
            if name in broken:
                raise broken[name]
        return found

    def open_sound(self, names: Iterable[str], broken: dict[str, UserError]) -> dict[str, SourceTable]:
        """Return those of the named sources that can be read. `broken` takes what is wrong with the others."""
        asked = [name for name in names if name not in broken]
        wanted = [name for name in asked if name not in self._tables]
        for name, (content, known) in self._known(wanted, broken).items():
            with noting(name, broken):
                record = known if known is not None else self._reader.read(name, content)
                self._tables[name] = source_table(self._index, self._files, name, content, record)
                if is_url(self._project.sources[name].path):
                    remember_columns(self._index, self._project.sources[name], self._tables[name].schema)
        return {name: self._tables[name] for name in asked if name not in broken}

    def is_known(self, name: str) -> bool:
        """Whether a source, as its files are now, can be opened without being read. Raises `UserError`."""
        if name in self._tables:
            return True
        broken: dict[str, UserError] = {}
        found = self._known([name], broken)
        if name in broken:
            raise broken[name]
        return found[name][1] is not None

    def _known(
        self, names: Sequence[str], broken: dict[str, UserError]
    ) -> dict[str, tuple[str, dict[str, Any] | None]]:
        """Return the keys of the content of sources, and what is remembered of each, if all that it needs is there.

        broken: takes what is wrong with sources, which are left out.
        """
        self._files.look(names, broken)
        contents: dict[str, str] = {}
        for name in names:
            if name not in broken:
                with noting(name, broken):
                    contents[name] = content_key(self._files, name)
        known = self._index.memo("contents", contents.values())
        found = {}
        for name, content in contents.items():
            record = known.get(content)
            if record is not None and not self._reader.is_usable(record, len(self._files.listing(name).files)):
                record = None
            found[name] = (content, record)
        return found

    def content(self, name: str, columns: Iterable[str]) -> Content:
        """Return the content of an opened source, restricted to `columns`; digests what was never digested."""
        table, wanted = self._tables[name], list(columns)
        types = {column.name: column.type for column in table.schema.columns}
        if table.artifact is not None:
            digests = {column: digest for column, (_, digest) in table.artifact.columns.items()}
            return Content(table.rows, {column: (types[column], digests[column]) for column in wanted})
        if table.parts:
            from cache.parts import composed  # with pyarrow

            return composed(self.part_contents(name, wanted))
        whole = SourcePart(table.content, table.rows, slice(0, len(table.files)))
        return self._digests.contents(table, [whole], wanted)[0]

    def part_contents(self, name: str, columns: Iterable[str]) -> list[Content]:
        """Return the contents of the parts of an opened source that has some, restricted to `columns`."""
        table, wanted = self._tables[name], list(columns)
        if table.artifact is None:
            return self._digests.contents(table, table.parts, wanted)
        artifacts = self._index.artifacts({part.artifact for part in table.parts if part.artifact is not None})
        found = (artifacts[part.artifact] for part in table.parts if part.artifact is not None)
        return [Content(one.rows, one.columns).restricted(wanted) for one in found]

    def paths(self, name: str) -> tuple[Path, ...]:
        """Return the Parquet files an opened source is read from, in row order."""
        table = self._tables[name]
        if table.artifact is not None:
            return tuple(map(self._objects.path, table.artifact.parts or (table.artifact.artifact,)))
        return tuple(self._files.path(name, file) for file in table.files)

    def size(self, name: str) -> int:
        """Return the bytes of what an opened source is read from; nothing is fetched for it. Raises `UserError`."""
        artifact = self._tables[name].artifact
        if artifact is not None:
            return artifact.bytes
        try:
            return sum(map(size_of, self.paths(name)))
        except OSError as error:  # gone since it was opened
            problem = f"cannot be read: {error.strerror}"
            raise self._files.error(name, problem, str(error.filename), hint_for(error)) from error

    def part_files(self, name: str) -> list[tuple[FileRows, ...]]:
        """Return the files of each part of an opened source that has some, or which row groups of a file it is."""
        from rules.formats.row_groups import FileRows

        if name not in self._files_of_parts:
            table, place = self._tables[name], self._objects.path
            self._files_of_parts[name] = [
                self._digests.files_of(table, one) if one.artifact is None else (FileRows(place(one.artifact)),)
                for one in table.parts
            ]
        return self._files_of_parts[name]

    def constants(self, name: str) -> dict[str, Any]:
        """Return the columns of an opened source that its folders' names hold: arrays with one value for each file."""
        return self._digests.constants(self._tables[name], slice(None))

    def table(self, name: str) -> SourceTable:
        """Return an opened source."""
        return self._tables[name]

    def inferred(self) -> list[dict[str, Any]]:
        """Return the opened text sources, each with the columns whose types rules.toml does not declare.

        "source", "path", "columns": names and types, these as rules.toml would spell them.
        """
        found = []
        for name in self.opened():
            source, table = self._project.sources[name], self._tables[name]
            columns = [one for one in table.schema.columns if one.name not in source.columns]
            if columns and format_of(self._project, name, table.files).infers_types:
                listed = [{"name": one.name, "type": spelled_as_declared(one.type)} for one in columns]
                found.append({"source": name, "path": without_secrets(source.path), "columns": listed})
        return found

    def is_opened(self, name: str) -> bool:
        """Whether this is the name of a source that was opened."""
        return name in self._tables

    def opened(self) -> list[str]:
        """Return the names of the sources that were opened."""
        return sorted(self._tables)

    def contents(self) -> dict[str, str]:
        """Return the keys of what is remembered of each opened source, by name, and of its parts and pieces."""
        whole = {name: table.content for name, table in self._tables.items()}
        parts = {
            f"{name} {number}": part.content
            for name, table in self._tables.items()
            for number, part in enumerate(table.parts)
        }
        looks = {
            f"{name} piece {number}": key
            for name, table in self._tables.items()
            for number, key in enumerate(table.looks)
        }
        return whole | parts | looks

    def listings(self) -> list[tuple[Source, tuple[str, ...]]]:
        """Return the sources that were opened whose files are found by their names, each with those it had then."""
        return self._files.matched_by_name()

    def outside(self) -> list[tuple[Source, tuple[str, ...]]]:
        """Return the sources that were opened which are URLs, each with those of its objects."""
        return self._files.outside()

    def require_unchanged(self, name: str, files: Iterable[str] | None = None) -> None:
        """Raise `UserError` if a file that is about to be read, or was, is not the one whose digest is in the keys.

        files: of the source; by default all.
        """
        table = self._tables[name]
        if table.artifact is None:  # the others are read from the store
            self._files.require_same(name, table.files if files is None else files)
