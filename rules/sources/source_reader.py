"""Files of a source that nobody has read yet → the record of its content: schema, row counts, what could be its parts.

Parquet is read where it lies. Text and Arrow files are ingested into the store as typed Parquet, and read there.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

from cache.records import Artifact
from cache.removal import remove_temporary
from compiler.fingerprint import fingerprint
from rules.files.lazy_paths import size_of
from rules.formats.source_format import IngestedFormat, TableFiles
from rules.sources.content_keys import file_settings, reading_settings
from rules.sources.locating import OF_STORE, format_of, hint_for

if TYPE_CHECKING:
    from cache.index import Index
    from cache.objects import Objects
    from compiler.schema import Schema
    from rules.formats.source_format import Format, ReadTable
    from rules.sources.source_files import SourceFiles


class SourceReader:
    """Reads the sources of a project."""

    def __init__(self, index: Index, objects: Objects, sources: SourceFiles) -> None:
        self._index = index
        self._objects = objects
        self._sources = sources
        self._least = sources.project.parts.min_rows

    def is_usable(self, record: dict[str, Any], files: int) -> bool:
        """Whether a remembered record of a source of so many files says all that is asked today, and all is there."""
        if record["artifact"] is None:
            return self._knows_parts(record, files)
        return self._is_ingested(record)

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

    def read(self, name: str, content: str) -> dict[str, Any]:
        """Read a source; return its record, which is remembered under the key of its content. Raises `UserError`."""
        files = self._sources.listing(name).files
        record = self._read(name, files)
        self._sources.require_same(name, files)
        self._index.remember("contents", {content: record})
        return record

    def _read(self, name: str, files: tuple[str, ...]) -> dict[str, Any]:
        from rules.formats.contract import IngestError  # with pyarrow, which known contents do without

        sources = self._sources
        source, listing = sources.project.sources[name], sources.listing(name)
        paths = tuple(sources.path(name, file) for file in files)
        try:
            kind = format_of(sources.project, name, files)
            for path, file in zip(paths, files, strict=True):
                if size_of(path) == 0 and not (kind.takes_no_bytes and not kind.file_settings(source, file)[0]):
                    raise sources.error(name, "is empty (0 bytes)", file, "write its columns, or leave the file out")
            table = TableFiles(source, paths, files, sources.partitions(name), listing.details, listing.notes)
            if isinstance(kind, IngestedFormat):
                found = kind.in_place(table)
                return self._ingest(name, kind, table) if found is None else self._in_place(table, found, None)
            if len(files) > 1:
                return self._read_by_footers(kind, table)
            return self._read_in_place(kind, table)
        except IngestError as error:
            raise sources.unusable(name, files, error) from error
        except OSError as error:
            # Arrow's own words name files of the store.
            said = str(error) if error.errno is None else os.strerror(error.errno)
            if error.errno in OF_STORE:
                problem = f"cannot be read into the store: {said}"
                raise sources.error(name, problem, files[0], hint_for(error)) from error
            shown = os.path.relpath(error.filename, sources.project.root) if error.filename else files[0]
            raise sources.error(name, f"cannot be read: {said}", shown, hint_for(error)) from error

    def _read_by_footers(self, kind: Format, table: TableFiles) -> dict[str, Any]:
        """Describe files, of which only those are opened, and objects fetched, that nobody has described."""
        digests = self._sources.digests(table.files)
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

            version = self._sources.copies.version(table.files[0])
            described["groups"] = [list(group) for group in group_digests(table.paths[0], schema, version)]
        return described

    def _ingest(self, name: str, kind: IngestedFormat, table: TableFiles) -> dict[str, Any]:
        from rules.sources.ingesting import Ingestion

        sources, listing = self._sources, self._sources.listing(name)
        ingestion = Ingestion(
            self._index,
            self._objects,
            kind,
            table,
            reading_settings(table.source, kind, listing),
            lambda number: file_settings(table.source, kind, listing, number),
            lambda number: sources.require_same(name, [table.files[number]]),
            self._least,
        )
        digests = sources.digests(table.files)
        found = ingestion.read([digests[file] for file in table.files])
        return {
            **_described(found.schema, found.artifact.rows, found.artifact),
            "file_rows": [],
            "min_rows": self._least,
            "parts": [list(part) for part in found.parts],
            "looks": list(found.looks),
        }


def _described(schema: Schema, rows: int, artifact: Artifact | None) -> dict[str, Any]:
    """Return what is remembered of any source."""
    return {
        "columns": [[column.name, column.type] for column in schema.columns],
        "arrow": base64.b64encode(schema.arrow).decode(),
        "rows": rows,
        "artifact": None if artifact is None else artifact.artifact,
    }
