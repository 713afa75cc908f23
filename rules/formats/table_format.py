"""Table formats: folders of Parquet files whose metadata say which of them are in the table, and as what columns.

Files that hold the table's columns as they are, and all of whose rows are in it, are read where they lie. Of other
tables (rows deleted, columns renamed, added or of another type since a file was written) each file is ingested.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rules.errors import Flaw
from rules.formats.source_format import Files, IngestedFormat, Listing, ListingError, Piece, ReadTable, TableFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from rules.formats.source import Source

_TABLE_READING = 2
"""See `Format.reading`."""


class TableFormat(IngestedFormat):
    """What the table formats share. Details of their listings are as `rules.formats.table_files` has them."""

    lists_files = True
    reading = _TABLE_READING

    @abstractmethod
    def listing(self, source: Source, files: Files) -> Listing:
        """See `Format`."""
        ...

    def in_place(self, table: TableFiles) -> ReadTable | None:
        """See `IngestedFormat`."""
        from rules.formats import table_files

        return table_files.in_place(table)

    def look(self, table: TableFiles, piece: Piece) -> dict[str, Any]:
        """See `IngestedFormat`."""
        from rules.formats import table_files

        return {"rows": table_files.rows_of(table, piece.file)}

    def schema(self, table: TableFiles, looks: Sequence[tuple[Piece, Mapping[str, Any]]]) -> pa.Schema:
        """See `IngestedFormat`. It is the table's, whatever the files hold."""
        del looks
        from rules.formats import table_files

        return table_files.schema_inside(table)

    def batches(self, table: TableFiles, schema: pa.Schema, piece: Piece) -> Iterator[pa.RecordBatch]:
        """See `IngestedFormat`."""
        del schema
        from rules.formats import table_files

        return table_files.batches_of(table, piece.file)


def folder_of(source: Source) -> str:
    """Return the folder of a table. Raises `ListingError` for a pattern."""
    if any(char in source.path for char in "*?["):
        message = f"is one table, and its path is a pattern: {source.path}"
        raise ListingError(message, source.path, "name the folder of the table")
    return source.path.rstrip("/") or "/"


def flaw_of_time(options: Mapping[str, Any], other: str) -> Flaw | None:
    """Return what is wrong with the option `timestamp`, or with naming a state of a table twice. other: its option."""
    given = options["timestamp"]
    if given is None:
        return None
    if options[other] is not None:
        return Flaw(
            ("timestamp",), f"'timestamp' and '{other}' both name a state of the table", "leave one of them out"
        )
    try:
        datetime.fromisoformat(given)
    except ValueError:
        return Flaw(("timestamp",), f"'{given}' is no time", 'write it as "2026-01-31T12:00:00Z"')
    return None


def milliseconds_of(text: str) -> int:
    """Return a time in milliseconds since 1970; it is in UTC if it names no zone."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
