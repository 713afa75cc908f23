"""The format Arrow: files and streams of Arrow IPC, which are ingested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.formats.source_format import IngestedFormat, Piece, TableFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa


class ArrowIpc(IngestedFormat):
    """Arrow IPC, the file format and the stream format."""

    name = "arrow"
    extensions: tuple[str, ...] = (".arrow", ".feather", ".ipc")

    def look(self, table: TableFiles, piece: Piece) -> dict[str, Any]:
        """See `IngestedFormat`."""
        from rules.formats import arrow_files

        return {"rows": arrow_files.rows_of(table.paths[piece.file], piece.file)}

    def schema(self, table: TableFiles, looks: Sequence[tuple[Piece, Mapping[str, Any]]]) -> pa.Schema:
        """See `IngestedFormat`. It is that of the first file."""
        del looks
        from rules.formats import arrow_files
        from rules.formats.contract import require_declared, storable

        found = arrow_files.schema_of(table.paths[0])
        require_declared(storable(found), table.source.columns)
        return found

    def batches(self, table: TableFiles, schema: pa.Schema, piece: Piece) -> Iterator[pa.RecordBatch]:
        """See `IngestedFormat`."""
        del schema
        from rules.formats import arrow_files

        return arrow_files.batches_of(table.paths[piece.file], piece.file)
