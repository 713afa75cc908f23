"""Sources: files → content digest, schema, row count and column digests, each found out once per content.

Parquet is read where it lies. Text and Arrow files are ingested once into the store as typed Parquet, and read there.
"""

from __future__ import annotations

import base64
import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache.index import Index
from cache.keys import Content
from cache.objects import Objects
from cache.records import Artifact
from compiler.fingerprint import fingerprint
from compiler.schema import Column, Schema
from rules.errors import FAILED, UserError, Where
from rules.load import FileDigests
from rules.project import Project, Source
from rules.roots import FILE

_EXTENSIONS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json",
    ".ndjson": "json", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
}  # fmt: skip
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")


@dataclass
class SourceTable:
    """A source whose content is known. files: relative to the project where inside; artifact: of an ingested source."""

    name: str
    files: tuple[str, ...]
    content: str
    schema: Schema
    rows: int
    artifact: Artifact | None


class Sources:
    """The sources of one project, in one run."""

    def __init__(self, project: Project, index: Index, objects: Objects, files: FileDigests) -> None:
        self._project = project
        self._index = index
        self._objects = objects
        self._files = files
        self._tables: dict[str, SourceTable] = {}

    def open(self, names: Iterable[str]) -> dict[str, SourceTable]:
        """Return the named sources, ingesting and digesting what is new. Raises `UserError` for the first that fails."""
        wanted = [name for name in names if name not in self._tables]
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

    def require_unchanged(self, name: str) -> None:
        """Raise `UserError` if a file of the source is no longer the one whose digest is in the keys."""
        table = self._tables[name]
        for file in table.files:
            if table.artifact is None and not self._files.unchanged(file):
                raise UserError(
                    f"the source '{name}' changed while the build read it",
                    code="source-changed",
                    where=Where(file),
                    hint="build again when it is complete",
                    exit_code=FAILED,
                )

    def _describe(self, name: str) -> tuple[tuple[str, ...], str]:
        source = self._project.sources[name]
        files = source_files(self._project.root, name, source)
        try:
            digests = self._files.digests(files)
        except OSError as error:
            raise _source_error(name, f"cannot be read: {error.strerror or error}", str(error.filename or files[0])) from error
        options = {
            "format": format_of(name, source), "columns": source.columns, "delimiter": source.delimiter,
            "header": source.header, "nulls": source.nulls,
        }  # fmt: skip
        return files, fingerprint({"source": options, "files": [digests[file] for file in files]})

    def _read(self, name: str, files: tuple[str, ...]) -> dict[str, Any]:
        from rules import ingest  # loads pyarrow, which known contents do without

        source = self._project.sources[name]
        kind = format_of(name, source)
        paths = [self._project.root / file for file in files]
        for path, file in zip(paths, files, strict=True):
            if path.stat().st_size == 0:
                raise _source_error(name, "is empty (0 bytes)", file)
        try:
            if kind == "parquet":
                schema, rows = ingest.describe_parquet(paths, source.columns)
                artifact = None
            else:
                target = self._objects.temporary()
                schema, rows, columns = ingest.to_parquet(kind, paths, source, target)
                digest = ingest.table_digest(rows, columns)
                size, file_digest = self._objects.adopt(target, digest, None)
                artifact = Artifact(digest, rows, size, file_digest, columns)
                self._index.add_artifact(artifact, build="")
        except ingest.IngestError as error:
            raise _source_error(name, error.message, files[error.file], error.hint) from error
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
        return SourceTable(name, files, content, schema, record["rows"], artifact)

    def _digest_columns(self, table: SourceTable, columns: list[str]) -> dict[str, str]:
        from rules import ingest

        paths = [self._project.root / file for file in table.files]
        try:
            chunks = ingest.chunk_digests(paths, columns, table.schema)
            known = self._index.chunk_digests(chunks.values())
            unknown = [column for column in columns if chunks[column] not in known]
            values = ingest.column_digests(paths, unknown) if unknown else {}
        except ingest.IngestError as error:
            raise _source_error(table.name, error.message, table.files[error.file], error.hint) from error
        digests = {column: values.get(column) or known[chunks[column]] for column in columns}
        self.require_unchanged(table.name)
        with self._index.transaction():
            self._index.remember_chunks({chunks[column]: digest for column, digest in digests.items()})
            self._index.remember_column_digests(table.content, digests)
        return digests


def format_of(name: str, source: Source) -> str:
    """Return a source's format, declared or by extension. Raises `UserError`."""
    if source.format is not None:
        return source.format
    path = source.path.lower()
    for suffix in _COMPRESSED:
        path = path.removesuffix(suffix)
    extension = os.path.splitext(path)[1]
    if extension in _EXTENSIONS:
        return _EXTENSIONS[extension]
    raise _source_error(name, f"has no known format ('{source.path}')", FILE, 'add format = "parquet", "csv", "json" or "arrow"')


def source_files(root: Path, name: str, source: Source) -> tuple[str, ...]:
    """Return a source's files, sorted, relative to the project (absolute if outside). Raises `UserError` if none."""
    if "://" in source.path:
        raise _source_error(name, f"is a URL ('{source.path}'), which this version cannot read", FILE)
    found = list_files(root, source)
    if not found:
        pattern = any(char in source.path for char in "*?[") or (root / source.path).is_dir()
        what = "matches no file" if pattern else "does not exist"
        raise _source_error(name, f"{what}: {source.path}", FILE, f"see path under [sources.{name}]")
    return found


def list_files(root: Path, source: Source) -> tuple[str, ...]:
    """Return the files a source's path stands for now, perhaps none."""
    path = os.path.join(root, source.path)
    if os.path.isfile(path):
        return (source.path,)
    if os.path.isdir(path):
        wanted = source.format or "parquet"
        found = [
            os.path.join(folder, file)
            for folder, _, files in os.walk(path)
            for file in files
            if _EXTENSIONS.get(_extension(file)) == wanted and not file.startswith((".", "_"))
        ]
    else:
        found = [file for file in glob.glob(path, recursive=True) if os.path.isfile(file)]
    prefix = os.path.join(root, "")
    return tuple(sorted(file.removeprefix(prefix) for file in found))


def _extension(file: str) -> str:
    name = file.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    return os.path.splitext(name)[1]


def _source_error(name: str, problem: str, file: str, hint: str | None = None) -> UserError:
    return UserError(f"the source '{name}' {problem}", code="source", where=Where(file), hint=hint, exit_code=FAILED)

