"""The format Parquet: its files are read where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.formats.source_format import Format, ReadTable, TableFiles

if TYPE_CHECKING:
    from pathlib import Path


class Parquet(Format):
    """Parquet files."""

    name = "parquet"
    extensions: tuple[str, ...] = (".parquet", ".pq")

    def read(self, table: TableFiles, target: Path) -> ReadTable:
        """See `Format`."""
        del target
        from rules.formats import parquet_files

        schema, rows = parquet_files.describe(table.paths, table.source, table.partitions, table.footers)
        return ReadTable(schema, sum(rows), file_rows=rows)
