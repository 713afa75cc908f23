"""Sources: files → content digest, schema, row count and column digests, each found out once per content.

Parquet is read where it lies. Text and Arrow files are ingested once into the store as typed Parquet, and read there.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cache.keys import Content
from cache.records import Artifact
from compiler.fingerprint import fingerprint
from compiler.schema import Column, Schema
from rules.errors import FAILED, UserError, Where
from rules.printable import without_secrets
from rules.roots import FILE
from rules.sources.known import spelled_as_declared
from rules.sources.listing import COMPRESSED, format_by_name, list_files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cache.index import Index
    from cache.objects import Objects
    from rules.files import FileDigests
    from rules.project import Project, Source
    from rules.sources.partitions import Partitions

_READING = {"csv": 2, "json": 2}
"""Version of how bytes of a format become tables, 1 for others. Raise it when the same file would be read as another
table."""


@dataclass
class SourceTable:
    """A source whose content is known.

    files: relative to the project where inside. artifact: of an ingested source. partitions: columns that stand in the
    names of the folders of files that are read where they lie.
    """

    name: str
    files: tuple[str, ...]
    content: str
    schema: Schema
    rows: int
    artifact: Artifact | None
    partitions: Partitions | None = None


class Sources:
    """The sources of one project, in one run."""

    def __init__(self, project: Project, index: Index, objects: Objects, files: FileDigests) -> None:
        self._project = project
        self._index = index
        self._objects = objects
        self._files = files
        self._tables: dict[str, SourceTable] = {}
        self._listed: dict[str, tuple[str, ...]] = {}

    def open(self, names: Iterable[str]) -> dict[str, SourceTable]:
        """Return the named sources, ingesting and digesting what is new. Raises `UserError` for one that fails."""
        wanted = [name for name in names if name not in self._tables]
        for name in wanted:
            self._listed[name] = source_files(self._project.root, name, self._project.sources[name])
        self._digest_files(wanted)
        described = {name: self._describe(name) for name in wanted}
        known = self._index.memo("contents", [content for _, content in described.values()])
        for name, (files, content) in described.items():
            record = known.get(content)
            if record is not None and record["artifact"] is not None:
                artifact = self._index.artifacts([record["artifact"]]).get(record["artifact"])
                if artifact is None or not self._objects.has(artifact.artifact, artifact.bytes):
                    record = None
            if record is None:
                record = self._read(name, files)
                self._require_same_files(name, files)
                self._index.remember("contents", {content: record})
            self._tables[name] = self._table(name, files, content, record)
        return {name: self._tables[name] for name in names}

    def content(self, name: str, columns: Iterable[str]) -> Content:
        """Return the content of an opened source, restricted to `columns`; digests what was never digested."""
        table = self._tables[name]
        types = {column.name: column.type for column in table.schema.columns}
        if table.artifact is not None:
            digests = {column: digest for column, (_, digest) in table.artifact.columns.items()}
        else:
            digests = self._index.column_digests(table.content)
            missing = sorted(set(columns) - set(digests))
            if missing:
                digests |= self._digest_columns(table, missing)
        return Content(table.rows, {column: (types[column], digests[column]) for column in columns})

    def paths(self, name: str) -> tuple[Path, ...]:
        """Return the Parquet files an opened source is read from, in row order."""
        table = self._tables[name]
        if table.artifact is not None:
            return (self._objects.path(table.artifact.artifact),)
        return tuple(self._project.root / file for file in table.files)

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
            if columns and format_of(name, source, table.files) in {"csv", "json"}:
                listed = [{"name": one.name, "type": spelled_as_declared(one.type)} for one in columns]
                found.append({"source": name, "path": without_secrets(source.path), "columns": listed})
        return found

    def opened(self) -> list[str]:
        """Return the names of the sources that were opened."""
        return sorted(self._tables)

    def listings(self) -> list[tuple[Source, tuple[str, ...]]]:
        """Return the sources that were opened, each with the files it had then."""
        return [(self._project.sources[name], files) for name, files in sorted(self._listed.items())]

    def require_unchanged(self, name: str) -> None:
        """Raise `UserError` if a file that is about to be read, or was, is not the one whose digest is in the keys."""
        table = self._tables[name]
        if table.artifact is None:  # the others are read from the store
            self._require_same_files(name, table.files)

    def _require_same_files(self, name: str, files: Iterable[str]) -> None:
        for file in files:
            if not self._files.unchanged(file):
                raise UserError(
                    f"the source '{name}' changed while the build read it",
                    code="source-changed",
                    where=Where(file),
                    hint="build again when it is complete",
                    exit_code=FAILED,
                )

    def _digest_files(self, names: Iterable[str]) -> None:
        """Digest the files of several sources side by side. Raises `UserError` by the name of the source that fails."""
        owners = {file: name for name in names for file in self._listed[name]}
        try:
            self._files.digests(owners)
        except OSError:
            for file, name in owners.items():
                try:
                    self._files.digest(file)
                except OSError as error:
                    raise _source_error(name, f"cannot be read: {error.strerror or error}", file) from error

    def _describe(self, name: str) -> tuple[tuple[str, ...], str]:
        """Return the source's files, and the digest of all that decides what table they are read as."""
        source, files = self._project.sources[name], self._listed[name]
        kind = format_of(name, source, files)
        digests = self._files.digests(files)
        parts: dict[str, Any] = {
            "reading": _READING.get(kind, 1),
            "format": kind,
            "columns": list(source.columns.items()),
        }
        if kind == "csv":
            parts |= {"header": source.header, "nulls": source.nulls}
        partitions = self._partitions(name)
        if partitions is not None:
            parts["partitions"] = [partitions.names, partitions.values]
        parts["files"] = [
            [
                digests[file],
                _compression(file) if kind in {"csv", "json"} else "",
                delimiter_of(file, source) if kind == "csv" else "",
            ]
            for file in files
        ]
        return files, fingerprint({"source": parts})

    def _partitions(self, name: str) -> Partitions | None:
        """Return the columns in the names of a source's folders. Raises `UserError`."""
        files = self._listed[name]
        if not self._project.sources[name].partitions or not any("=" in file for file in files):
            return None
        from rules.sources import contract, partitions  # these load pyarrow, which other sources do without

        try:
            return partitions.partitions_of(files)
        except contract.IngestError as error:
            raise _source_error(name, error.message, files[error.file], error.hint) from error

    def constants(self, name: str) -> dict[str, Any]:
        """Return the columns of an opened source that its folders' names hold: arrays with one value for each file."""
        partitions = self._tables[name].partitions
        return {} if partitions is None else partitions.typed(self._project.sources[name].columns)

    def _read(self, name: str, files: tuple[str, ...]) -> dict[str, Any]:
        from rules.sources import contract, ingest, physical  # these load pyarrow, which known contents do without

        source = self._project.sources[name]
        kind = format_of(name, source, files)
        paths = [self._project.root / file for file in files]
        target = self._objects.temporary()
        try:
            for path, file in zip(paths, files, strict=True):
                if path.stat().st_size == 0:
                    raise _source_error(name, "is empty (0 bytes)", file)
            if kind == "parquet":
                schema, rows = physical.describe(paths, source, self._partitions(name))
                artifact = None
            else:
                delimiters = [delimiter_of(file, source) for file in files]
                schema, rows, columns = ingest.to_parquet(
                    kind, paths, delimiters, source, target, self._partitions(name)
                )
                digest = ingest.table_digest(rows, columns)
                size, file_digest = self._objects.adopt(target, digest, None)
                artifact = Artifact(digest, rows, size, file_digest, columns)
                self._index.add_artifact(artifact, build="")
        except contract.IngestError as error:
            raise _source_error(name, error.message, files[error.file], error.hint, error.line) from error
        except OSError as error:
            raise _source_error(
                name, f"cannot be read: {error.strerror or error}", str(error.filename or files[0])
            ) from error
        finally:
            target.unlink(missing_ok=True)
        return {
            "columns": [[column.name, column.type] for column in schema.columns],
            "arrow": base64.b64encode(schema.arrow).decode(),
            "rows": rows,
            "artifact": artifact and artifact.artifact,
        }

    def _table(self, name: str, files: tuple[str, ...], content: str, record: dict[str, Any]) -> SourceTable:
        columns = tuple(Column(*column) for column in record["columns"])
        artifact = self._index.artifacts([record["artifact"]])[record["artifact"]] if record["artifact"] else None
        schema = Schema(columns, base64.b64decode(record["arrow"]))
        partitions = self._partitions(name) if artifact is None else None
        return SourceTable(name, files, content, schema, record["rows"], artifact, partitions)

    def _digest_columns(self, table: SourceTable, columns: list[str]) -> dict[str, str]:
        from rules.sources import contract, physical

        paths = [self._project.root / file for file in table.files]
        constants = {one: values for one, values in self.constants(table.name).items() if one in columns}
        columns = [column for column in columns if column not in constants]
        try:
            chunks = physical.chunk_digests(paths, columns, table.schema)
            known = self._index.chunk_digests(chunks.values())
            digests = {column: known[chunk] for column, chunk in chunks.items() if chunk in known}
            digests |= physical.column_digests(paths, [one for one in columns if one not in digests], table.schema)
            digests |= physical.partition_digests(paths, constants) if constants else {}
        except contract.IngestError as error:
            raise _source_error(table.name, error.message, table.files[error.file], error.hint) from error
        self.require_unchanged(table.name)
        with self._index.transaction():
            self._index.remember_chunks({chunk: digests[column] for column, chunk in chunks.items()})
            self._index.remember_column_digests(table.content, digests)
        return digests


def format_of(name: str, source: Source, files: Iterable[str]) -> str:
    """Return a source's format: declared, or by the extension of its path or of its files. Raises `UserError`."""
    known = source.format or format_by_name(source.path)
    if known is not None:
        return known
    kinds = sorted({format_by_name(file) or "" for file in files})
    if len(kinds) == 1 and kinds[0]:
        return kinds[0]
    problem = (
        f"has files of several formats ('{source.path}')" if any(kinds) else f"has no known format ('{source.path}')"
    )
    raise _source_error(name, problem, FILE, 'add format = "parquet", "csv", "json" or "arrow"')


def source_files(root: Path, name: str, source: Source) -> tuple[str, ...]:
    """Return a source's files, sorted, relative to the project (absolute if outside). Raises `UserError` if none."""
    if "://" in source.path:
        raise _source_error(name, f"is a URL ('{source.path}'), which this version cannot read", FILE)
    try:
        found = list_files(root, source.path, source.format)
    except OSError as error:
        shown = os.path.relpath(error.filename, root) if error.filename else source.path
        raise _source_error(name, f"cannot be listed: {error.strerror or error}", shown) from error
    if not found:
        pattern = any(char in source.path for char in "*?[") or (root / source.path).is_dir()
        what = "matches no file" if pattern else "does not exist"
        raise _source_error(name, f"{what}: {source.path}", FILE, f"see path under [sources.{name}]")
    return found


def delimiter_of(file: str, source: Source) -> str:
    """Return what separates the fields of a text file: a tab in .tsv files, unless rules.toml names another."""
    tabs = source.delimiter == "," and ".tsv" in file.rsplit("/", 1)[-1].lower()
    return "\t" if tabs else source.delimiter


def _compression(file: str) -> str:
    return next((suffix for suffix in COMPRESSED if file.endswith(suffix)), "")


def _source_error(name: str, problem: str, file: str, hint: str | None = None, line: int | None = None) -> UserError:
    where = Where(file, line)
    return UserError(f"the source '{name}' {problem}", code="source", where=where, hint=hint, exit_code=FAILED)
