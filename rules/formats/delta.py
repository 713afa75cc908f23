"""The format Delta: tables of Delta Lake in folders, by the package deltalake, at their last version or at another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.errors import Flaw
from rules.formats.source_format import Files, Listing, Option
from rules.formats.table_format import TableFormat, flaw_of_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.formats.source import Source


class Delta(TableFormat):
    """Tables of Delta Lake."""

    name = "delta"
    options: tuple[Option, ...] = (Option("version", int | None, None), Option("timestamp", str | None, None))

    def flaw(self, options: Mapping[str, Any]) -> Flaw | None:
        """See `Format`."""
        version = options["version"]
        if version is not None and version < 0:
            return Flaw(("version",), "'version' must not be negative", "the first one is 0")
        return flaw_of_time(options, "version")

    def listing(self, source: Source, files: Files) -> Listing:
        """See `Format`."""
        from rules.formats import delta_log

        return delta_log.listing(source, files)
