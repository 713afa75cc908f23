"""The format Arrow: files and streams of Arrow IPC, which are ingested."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.formats.source_format import Format, ReadTable, TableFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from rules.formats.source import Source


class ArrowIpc(Format):
    """Arrow IPC, the file format and the stream format."""

    name = "arrow"
    extensions: tuple[str, ...] = (".arrow", ".feather", ".ipc")

    def read(self, table: TableFiles, target: Path) -> ReadTable:
        """See `Format`."""
        from rules.formats import arrow_files, ingest
        from rules.formats.contract import require_declared, storable

        def schema(source: Source) -> pa.Schema:
            found = arrow_files.schema_of(table.paths[0])
            require_declared(storable(found), source.columns)
            return found

        def batches(source: Source, schema: pa.Schema, number: int) -> Iterator[pa.RecordBatch]:
            del source, schema
            return arrow_files.batches_of(table.paths[number], number)

        return ingest.to_parquet(table, schema, batches, target)
