"""Sources: files → content digest, schema, row count and column digests, each found out once per content.

Parquet is read where it lies. Text and Arrow files are ingested once into the store as typed Parquet, and read there.
"""

from __future__ import annotations

import base64
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from cache.keys import Content
from cache.records import Artifact
from cache.removal import remove_temporary
from compiler.fingerprint import fingerprint
from compiler.schema import Column, Schema
from rules.config.machine import usable_cores
from rules.errors import FAILED, UserError, Where
from rules.files.lazy_paths import lazy_path, size_of
from rules.files.locations import is_url
from rules.formats.declared_types import spelled_as_declared
from rules.formats.source_format import IngestedFormat, Listing, ListingError, TableFiles
from rules.printable import without_secrets
from rules.sources.locating import (
    AS_READER,
    declared_wrongly,
    format_of,
    lists_files,
    names_below,
    noting,
    source_error,
    source_listing,
)
from rules.sources.object_copies import ObjectCopies
from rules.sources.object_stores import OutsideError
from rules.sources.remembered_columns import remember_columns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from cache.index import Index
    from cache.objects import Objects
    from rules.config.project import Project
    from rules.files.file_digests import FileDigests
    from rules.formats.contract import IngestError
    from rules.formats.partitions import Partitions
    from rules.formats.row_groups import FileRows
    from rules.formats.source import Source
    from rules.formats.source_format import Format, ReadTable


class SourcePart(NamedTuple):
    """A part of a source. content: the digest of what it is read as; artifact: what holds it, if it is ingested.

    files: which of the source's files are in a part that is not; groups: which row groups of its one file.
    """

    content: str
    rows: int
    files: slice = slice(0)
    artifact: str | None = None
    groups: tuple[int, ...] | None = None


@dataclass
class SourceTable:
    """A source whose content is known.

    files: relative to the project where inside. artifact: of an ingested source. partitions: columns in the
    names of the folders of files that are read where they lie. parts: of a large table, else (). looks: the keys of
    what is remembered of the pieces of an ingested source.
    """

    name: str
    files: tuple[str, ...]
    content: str
    schema: Schema
    rows: int
    artifact: Artifact | None
    partitions: Partitions | None = None
    parts: tuple[SourcePart, ...] = ()
    looks: tuple[str, ...] = ()


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
        self._files = files
        self.copies = ObjectCopies(objects, files) if copies is None else copies
        self._tables: dict[str, SourceTable] = {}
        self._listed: dict[str, Listing] = {}
        self._paths: dict[str, Path] = {}
        """Of files of the project: a Path takes longer to make than a file to look at."""
        self._files_of_parts: dict[str, list[tuple[FileRows, ...]]] = {}

    def open(self, names: Iterable[str]) -> dict[str, SourceTable]:
        """Return the named sources, ingesting and digesting what is new. Raises `UserError` for one that fails."""
        wanted, broken = list(names), dict[str, UserError]()
        found = self.open_sound(wanted, broken)
        for name in wanted:
            if name in broken:
                raise broken[name]
        return found

    def open_sound(self, names: Iterable[str], broken: dict[str, UserError]) -> dict[str, SourceTable]:
        """Return those of the named sources that can be read. `broken` takes what is wrong with the others."""
        asked = [name for name in names if name not in broken]
        wanted = [name for name in asked if name not in self._tables]
        for name, (files, content, known) in self._known(wanted, broken).items():
            with noting(name, broken):
                record = known if known is not None else self._read_new(name, files, content)
                self._tables[name] = self._table(name, files, content, record)
                if is_url(self._project.sources[name].path):
                    remember_columns(self._index, self._project.sources[name], self._tables[name].schema)
        return {name: self._tables[name] for name in asked if name not in broken}

    def _read_new(self, name: str, files: tuple[str, ...], content: str) -> dict[str, Any]:
        record = self._read(name, files)
        self._require_same_files(name, files)
        self._index.remember("contents", {content: record})
        return record

    def is_known(self, name: str) -> bool:
        """Whether a source, as its files are now, can be opened without being read. Raises `UserError`."""
        if name in self._tables:
            return True
        broken: dict[str, UserError] = {}
        found = self._known([name], broken)
        if name in broken:
            raise broken[name]
        return found[name][2] is not None

    def _known(
        self, names: Sequence[str], broken: dict[str, UserError]
    ) -> dict[str, tuple[tuple[str, ...], str, dict[str, Any] | None]]:
        """Return the files of sources, the digest of their content, and what is remembered of it, if all is there.

        broken: takes what is wrong with sources, which are left out.
        """
        self._list_outside(names, broken)
        for name in names:
            with noting(name, broken):
                if not is_url(self._project.sources[name].path):
                    self._listed[name] = source_listing(self._project, name, self._files)
        self._digest_files([name for name in names if name not in broken], broken)
        described: dict[str, tuple[tuple[str, ...], str]] = {}
        for name in names:
            if name not in broken:
                with noting(name, broken):
                    described[name] = self._describe(name)
        known = self._index.memo("contents", [content for _, content in described.values()])
        found = {}
        for name, (files, content) in described.items():
            record = known.get(content)
            if record is not None and record["artifact"] is None and not self._knows_parts(record, len(files)):
                record = None
            if record is not None and record["artifact"] is not None and not self._is_ingested(record):
                record = None
            found[name] = (files, content, record)
        return found

    def _list_outside(self, names: Sequence[str], broken: dict[str, UserError]) -> None:
        """List the sources that are URLs, and have the digests of their objects; `broken` takes what is wrong."""
        outside = {name: self._project.sources[name] for name in names if is_url(self._project.sources[name].path)}
        tables = [name for name, source in outside.items() if lists_files(source)]
        for name in tables:
            with noting(name, broken):
                self._listed[name] = self._table_outside(name, outside.pop(name))
        for name, found in (self.copies.of_sources(outside) if outside else {}).items():
            if isinstance(found, OutsideError):
                broken.setdefault(name, declared_wrongly(self._project, name, found.problem, found.hint))
            else:
                self._listed[name] = Listing(found)

    def _table_outside(self, name: str, source: Source) -> Listing:
        """List a table on an object store. Raises `UserError`."""
        try:
            return self.copies.table(source, format_of(self._project, name, ()))
        except OutsideError as error:
            raise declared_wrongly(self._project, name, error.problem, error.hint) from error
        except ListingError as error:
            raise source_error(self._project, name, error.message, Where(error.path), error.hint) from error

    def _path(self, name: str, file: str) -> Path:
        """Return where a file of a source is; for an object its copy, which is fetched once somebody opens it."""
        if not is_url(file):
            if file not in self._paths:
                self._paths[file] = self._project.root / file
            return self._paths[file]

        def bring(columns: Collection[str] | None) -> None:  # raises `UserError`
            try:
                self.copies.bring(file, columns)
            except OutsideError as error:
                raise declared_wrongly(self._project, name, error.problem, error.hint) from error

        return lazy_path(self.copies.place(file), self.copies.size(file), bring, self.copies.origin(file))

    def _knows_parts(self, record: dict[str, Any], files: int) -> bool:
        """Whether it is known what could be parts of files that are read where they lie."""
        is_large_file = files == 1 and record["rows"] >= self._least
        return len(record.get("file_rows", ())) == files and (not is_large_file or "groups" in record)

    def _is_ingested(self, record: dict[str, Any]) -> bool:
        """Whether what was ingested is in the store, cut into parts as it would be now."""
        least = self._least
        if record.get("min_rows") != least and (record.get("parts") or record["rows"] >= least):
            return False
        name = record["artifact"]
        artifact = self._index.artifacts([name]).get(name)
        if artifact is None or not artifact.parts:
            return artifact is not None and self._objects.has(name, artifact.bytes)
        parts = self._index.artifacts(artifact.parts)
        return self._objects.has_parts(name, artifact.parts) and all(
            part in parts and self._objects.has(part, parts[part].bytes) for part in artifact.parts
        )

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
        return self._contents(table, [SourcePart(table.content, table.rows, slice(0, len(table.files)))], wanted)[0]

    def part_contents(self, name: str, columns: Iterable[str]) -> list[Content]:
        """Return the contents of the parts of an opened source that has some, restricted to `columns`."""
        table, wanted = self._tables[name], list(columns)
        if table.artifact is None:
            return self._contents(table, table.parts, wanted)
        artifacts = self._index.artifacts({part.artifact for part in table.parts if part.artifact is not None})
        found = (artifacts[part.artifact] for part in table.parts if part.artifact is not None)
        return [Content(one.rows, one.columns).restricted(wanted) for one in found]

    def _contents(self, table: SourceTable, parts: Sequence[SourcePart], columns: list[str]) -> list[Content]:
        types = {column.name: column.type for column in table.schema.columns}
        known = self._index.column_digests([part.content for part in parts])
        digests = [known.get(part.content, {}) for part in parts]
        missing = {place: sorted(set(columns) - set(one)) for place, one in enumerate(digests)}
        new = [place for place, some in missing.items() if some]
        cores = usable_cores()
        if len(new) < cores:
            for place in new:
                digests[place] |= self._digest_columns(table, parts[place], missing[place], cores)
        else:
            ended = threading.Event()

            def work(place: int) -> dict[str, str]:
                return self._digest_columns(table, parts[place], missing[place], 1, ended)

            with ThreadPoolExecutor(cores) as pool:
                try:
                    for place, some in zip(new, pool.map(work, new), strict=True):
                        digests[place] |= some
                except BaseException:  # such as an interrupt, which would wait for all parts
                    ended.set()
                    raise
        return [
            Content(part.rows, {column: (types[column], one[column]) for column in columns})
            for part, one in zip(parts, digests, strict=True)
        ]

    def paths(self, name: str) -> tuple[Path, ...]:
        """Return the Parquet files an opened source is read from, in row order."""
        table = self._tables[name]
        if table.artifact is not None:
            return tuple(map(self._objects.path, table.artifact.parts or (table.artifact.artifact,)))
        return tuple(self._path(name, file) for file in table.files)

    def size(self, name: str) -> int:
        """Return the bytes of what an opened source is read from; nothing is fetched for it. Raises `UserError`."""
        artifact = self._tables[name].artifact
        if artifact is not None:
            return artifact.bytes
        try:
            return sum(map(size_of, self.paths(name)))
        except OSError as error:  # gone since it was opened
            raise self._error(name, f"cannot be read: {error.strerror}", str(error.filename), AS_READER) from error

    def part_files(self, name: str) -> list[tuple[FileRows, ...]]:
        """Return the files of each part of an opened source that has some, or which row groups of a file it is."""
        from rules.formats.row_groups import FileRows

        if name not in self._files_of_parts:
            table, place = self._tables[name], self._objects.path
            self._files_of_parts[name] = [
                self._files_of(table, one) if one.artifact is None else (FileRows(place(one.artifact)),)
                for one in table.parts
            ]
        return self._files_of_parts[name]

    def _files_of(self, table: SourceTable, part: SourcePart) -> tuple[FileRows, ...]:
        from rules.formats.row_groups import FileRows

        return tuple(FileRows(self._path(table.name, file), part.groups) for file in table.files[part.files])

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
        found = [(self._project.sources[name], listing.files) for name, listing in sorted(self._listed.items())]
        return [(source, files) for source, files in found if not lists_files(source) and not is_url(source.path)]

    def outside(self) -> list[tuple[Source, tuple[str, ...]]]:
        """Return the sources that were opened which are URLs, each with those of its objects."""
        found = [(self._project.sources[name], listing.files) for name, listing in sorted(self._listed.items())]
        return [
            (source, (source.path,) if lists_files(source) else files) for source, files in found if is_url(source.path)
        ]

    def require_unchanged(self, name: str) -> None:
        """Raise `UserError` if a file that is about to be read, or was, is not the one whose digest is in the keys."""
        table = self._tables[name]
        if table.artifact is None:  # the others are read from the store
            self._require_same_files(name, table.files)

    def _require_same_files(self, name: str, files: Iterable[str]) -> None:
        for file in files:
            if not (self.copies.unchanged(file) if is_url(file) else self._files.unchanged(file)):
                raise UserError(
                    f"the source '{name}' changed while the build read it",
                    code="source-changed",
                    where=Where(file),
                    hint="build again when it is complete",
                    exit_code=FAILED,
                )

    def _digest_files(self, names: Iterable[str], broken: dict[str, UserError]) -> None:
        """Digest the files of several sources side by side; `broken` takes what cannot be read."""
        try:
            self._files.digests(dict.fromkeys(file for name in names for file in self._listed[name].files))
        except OSError:
            for name in names:
                for file in self._listed[name].files:
                    with noting(name, broken):
                        self._digest(name, file)

    def _digest(self, name: str, file: str) -> str:
        try:
            return self._files.digest(file)
        except OSError as error:
            raise self._error(name, f"cannot be read: {error.strerror or error}", file, AS_READER) from error

    def _unusable(self, name: str, files: Sequence[str], error: IngestError) -> UserError:
        """Return what is wrong with a file: at its place there, or where rules.toml declares what it does not keep."""
        file = files[error.file] if files else self._project.sources[name].path
        if not error.declared:
            return self._error(name, error.message, file, error.hint, error.line, error.column)
        found = declared_wrongly(self._project, name, error.message, error.hint, error.declared)
        found.facts["file"] = file
        return found

    def _error(
        self,
        name: str,
        problem: str,
        file: str,
        hint: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> UserError:
        return source_error(self._project, name, problem, Where(file, line, column), hint)

    def _describe(self, name: str) -> tuple[tuple[str, ...], str]:
        """Return the source's files, and the digest of all that decides what table they are read as."""
        files = self._listed[name].files
        (content,) = self._digests(name, [slice(0, len(files))], self._partitions(name))
        return files, content

    def _digests(
        self, name: str, slices: Sequence[slice], partitions: Partitions | None, groups: Sequence[str] = ()
    ) -> list[str]:
        """Return, for each of some slices of a source's files, the digest of all that decides how it is read.

        groups: for each slice of one file the digest of the row groups that are read of it, if these are not all.
        """
        source, listing = self._project.sources[name], self._listed[name]
        kind = format_of(self._project, name, listing.files)
        digests = self._files.digests(listing.files)
        common = self._settings(name, kind)
        found, numbers = [], range(len(listing.files))
        for place, some in enumerate(slices):
            read = [
                [groups[place] if groups else digests[file], *self._of_file(kind, source, listing, number)]
                for number, file in zip(numbers[some], listing.files[some], strict=True)
            ]
            folders = {} if partitions is None else {"partitions": [partitions.names, partitions.values[some]]}
            found.append(fingerprint({"source": {**common, **folders, "files": read}}))
        return found

    @staticmethod
    def _of_file(kind: Format, source: Source, listing: Listing, number: int) -> tuple[str, ...]:
        """Return all that decides how one of the files is read, besides its bytes."""
        note = listing.note(number)
        return (*kind.file_settings(source, listing.files[number]), *([note] if note else []))

    def _settings(self, name: str, kind: Format) -> dict[str, Any]:
        """Return all that decides how a source is read, besides its files."""
        source, details = self._project.sources[name], self._listed[name].details
        return {
            "reading": kind.reading,
            "format": kind.name,
            "columns": list(source.columns.items()),
            **kind.settings(source),
            **({"details": details} if details else {}),
        }

    def _partitions(self, name: str) -> Partitions | None:
        """Return the columns that a table's listing or the names of its folders hold. Raises `UserError`."""
        files, partitions = self._listed[name].files, self._listed[name].partitions
        if partitions is not None or lists_files(self._project.sources[name]):
            return partitions
        if not self._project.sources[name].partitions or not any("=" in file for file in files):
            return None
        from rules.formats.contract import IngestError  # these load pyarrow, which other sources do without
        from rules.formats.partitions import partitions_of

        try:
            return partitions_of(files)
        except IngestError as error:
            raise self._unusable(name, files, error) from error

    def constants(self, name: str, some: slice = slice(None)) -> dict[str, Any]:
        """Return the columns of an opened source that its folders' names hold: arrays with one value for each file.

        some: of its files.
        """
        partitions = self._tables[name].partitions
        if partitions is None:
            return {}
        values = partitions.typed(self._project.sources[name].columns)
        return {column: array[some] for column, array in values.items()}

    def _read(self, name: str, files: tuple[str, ...]) -> dict[str, Any]:
        from rules.formats.contract import IngestError  # with pyarrow, which known contents do without

        source = self._project.sources[name]
        paths = tuple(self._path(name, file) for file in files)
        try:
            for path, file in zip(paths, files, strict=True):
                if size_of(path) == 0:
                    raise self._error(name, "is empty (0 bytes)", file, "write its columns, or leave the file out")
            listing = self._listed[name]
            table = TableFiles(source, paths, files, self._partitions(name), listing.details, listing.notes)
            kind = format_of(self._project, name, files)
            if isinstance(kind, IngestedFormat):
                found = kind.in_place(table)
                return self._ingest(name, kind, table) if found is None else self._in_place(table, found, None)
            if len(files) > 1:
                return self._read_by_footers(kind, table)
            return self._read_in_place(kind, table)
        except IngestError as error:
            raise self._unusable(name, files, error) from error
        except OSError as error:
            shown = os.path.relpath(error.filename, self._project.root) if error.filename else files[0]
            raise self._error(name, f"cannot be read: {error.strerror or error}", shown, AS_READER) from error

    def _read_by_footers(self, kind: Format, table: TableFiles) -> dict[str, Any]:
        """Describe files, of which only those are opened, and objects fetched, that nobody has described."""
        digests = self._files.digests(table.files)
        keys = [fingerprint({"footer": digests[file]}) for file in table.files]
        known = self._index.memo("contents", keys)
        table = table._replace(footers={place: known[key] for place, key in enumerate(keys) if key in known})
        assert table.footers is not None
        record = self._read_in_place(kind, table)
        read = {keys[place]: {"artifact": None, **footer} for place, footer in table.footers.items()}
        self._index.remember("contents", {key: footer for key, footer in read.items() if key not in known})
        return {**record, "looks": keys}

    def _read_in_place(self, kind: Format, table: TableFiles) -> dict[str, Any]:
        """Describe files of Parquet; those that a format of another kind makes of its own are ingested."""
        from cache.digests import ingested_digest

        target, artifact = self._objects.temporary(), None
        try:
            read = kind.read(table, target)
            if read.columns is not None:
                digest = ingested_digest(read.rows, read.columns)
                size, file_digest = self._objects.adopt(target, digest, None)
                artifact = Artifact(digest, read.rows, size, file_digest, read.columns)
                self._index.add_artifact(artifact, build="")
        finally:
            remove_temporary(target)
        return self._in_place(table, read, artifact)

    def _in_place(self, table: TableFiles, read: ReadTable, artifact: Artifact | None) -> dict[str, Any]:
        schema, rows, _, file_rows = read
        described = {**_described(schema, rows, artifact), "file_rows": list(file_rows), "min_rows": self._least}
        if len(file_rows) == 1 and rows >= self._least:
            from rules.formats.parquet_files import group_digests

            version = self.copies.version(table.files[0])
            described["groups"] = [list(group) for group in group_digests(table.paths[0], schema, version)]
        return described

    def _ingest(self, name: str, kind: IngestedFormat, table: TableFiles) -> dict[str, Any]:
        from rules.sources.ingesting import Ingestion

        ingestion = Ingestion(
            self._index,
            self._objects,
            kind,
            table,
            self._settings(name, kind),
            lambda number: self._of_file(kind, table.source, self._listed[name], number),
            lambda number: self._require_same_files(name, [table.files[number]]),
            self._least,
        )
        digests = self._files.digests(table.files)
        found = ingestion.read([digests[file] for file in table.files])
        return {
            **_described(found.schema, found.artifact.rows, found.artifact),
            "file_rows": [],
            "min_rows": self._least,
            "parts": [list(part) for part in found.parts],
            "looks": list(found.looks),
        }

    @property
    def _least(self) -> int:
        return self._project.parts.min_rows

    def _table(self, name: str, files: tuple[str, ...], content: str, record: dict[str, Any]) -> SourceTable:
        columns = tuple(Column(*column) for column in record["columns"])
        artifact = self._index.artifacts([record["artifact"]])[record["artifact"]] if record["artifact"] else None
        schema = Schema(columns, base64.b64decode(record["arrow"]))
        partitions = self._partitions(name) if artifact is None else None
        if artifact is None:
            parts = self._parts(name, files, record, partitions)
        else:
            parts = tuple(SourcePart(key, rows, artifact=one) for key, one, rows in record.get("parts", ()))
        looks = tuple(record.get("looks", ()))
        return SourceTable(name, files, content, schema, record["rows"], artifact, partitions, parts, looks)

    def _parts(
        self, name: str, files: tuple[str, ...], record: Mapping[str, Any], partitions: Partitions | None
    ) -> tuple[SourcePart, ...]:
        """Return the parts of a large source of several files, or of one of several row groups, else ()."""
        if record["rows"] < self._least:
            return ()
        from cache.parts import cut  # with pyarrow

        if len(files) == 1:
            return self._runs(name, record, partitions)
        rows = record["file_rows"]
        pieces = list(zip(names_below(self._project.sources[name].path, files), rows, strict=True))
        slices = cut(pieces, self._least)
        if len(slices) == 1:
            return ()
        contents = self._digests(name, slices, partitions)
        return tuple(SourcePart(content, sum(rows[one]), one) for one, content in zip(slices, contents, strict=True))

    def _runs(self, name: str, record: Mapping[str, Any], partitions: Partitions | None) -> tuple[SourcePart, ...]:
        """Return the runs of row groups of a source's one file, if there are several."""
        from cache.parts import runs
        from rules.formats.row_groups import RowGroup

        groups, whole = [RowGroup(*group) for group in record["groups"]], slice(0, 1)
        slices = runs([(group.mark, group.rows) for group in groups], self._least)
        if len(slices) < 2:  # noqa: PLR2004
            return ()
        read = [fingerprint({"groups": [record["arrow"], *(group.content for group in groups[one])]}) for one in slices]
        contents = self._digests(name, [whole] * len(slices), partitions, read)
        return tuple(
            SourcePart(content, sum(group.rows for group in groups[one]), whole, groups=tuple(range(len(groups))[one]))
            for one, content in zip(slices, contents, strict=True)
        )

    def _digest_columns(
        self,
        table: SourceTable,
        part: SourcePart,
        columns: list[str],
        workers: int,
        ended: threading.Event | None = None,
    ) -> dict[str, str]:
        """Return the digests of some columns of a part. workers, ended: as for `column_digests`."""
        from rules.formats import parquet_files
        from rules.formats.contract import IngestError

        files = table.files[part.files]
        rows = self._files_of(table, part)
        constants = {one: values for one, values in self.constants(table.name, part.files).items() if one in columns}
        columns = [column for column in columns if column not in constants]
        try:
            chunks = parquet_files.chunk_digests(rows, columns, table.schema)
            known = self._index.chunk_digests(chunks.values())
            digests = {column: known[chunk] for column, chunk in chunks.items() if chunk in known}
            unknown = [column for column in columns if column not in digests]
            digests |= parquet_files.column_digests(rows, unknown, table.schema, workers, ended)
            digests |= parquet_files.partition_digests(rows, constants) if constants else {}
        except IngestError as error:
            raise self._unusable(table.name, files, error) from error
        self._require_same_files(table.name, files)
        with self._index.transaction():
            self._index.remember_chunks({chunk: digests[column] for column, chunk in chunks.items()})
            self._index.remember_column_digests(part.content, digests)
        return digests


def _described(schema: Schema, rows: int, artifact: Artifact | None) -> dict[str, Any]:
    """Return what is remembered of any source."""
    return {
        "columns": [[column.name, column.type] for column in schema.columns],
        "arrow": base64.b64encode(schema.arrow).decode(),
        "rows": rows,
        "artifact": None if artifact is None else artifact.artifact,
    }
