"""The format Iceberg: tables of Apache Iceberg in folders, by the package pyiceberg, at any snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.errors import Flaw
from rules.formats.source_format import Files, Listing, Option
from rules.formats.table_format import TableFormat, flaw_of_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.formats.source import Source


class Iceberg(TableFormat):
    """Tables of Apache Iceberg."""

    name = "iceberg"
    options: tuple[Option, ...] = (Option("snapshot", int | None, None), Option("timestamp", str | None, None))

    def flaw(self, options: Mapping[str, Any]) -> Flaw | None:
        """See `Format`."""
        return flaw_of_time(options, "snapshot")

    def listing(self, source: Source, files: Files) -> Listing:
        """See `Format`."""
        from rules.formats import iceberg_metadata

        return iceberg_metadata.listing(source, files)
