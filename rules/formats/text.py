"""The formats of text, CSV and JSON lines: ingested as typed record batches, in a stream.

Types that rules.toml does not declare are inferred from all values of all files (see `spelling`), so that they depend
on no block of text and on no order. A CSV file without a header has the columns f0, f1, …; in one with a header every
row must have as many fields. Quoted fields are never NULL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.files.source_listing import COMPRESSED
from rules.formats.source_format import Flaw, Format, Option, ReadTable, TableFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from rules.formats.source import Source

_CSV_READING = 2
_JSON_READING = 3
"""See `Format.reading`."""

_CSV_BLOCK = 16 << 20
_JSON_BLOCK = 32 << 20
"""Bytes of text that are parsed at a time."""


class Csv(Format):
    """CSV files, with any delimiter."""

    name = "csv"
    extensions: tuple[str, ...] = (".csv", ".tsv")
    options: tuple[Option, ...] = (
        Option("delimiter", str, ","),
        Option("header", bool, default=True),
        Option("nulls", tuple[str, ...], ("",)),
    )
    reading = _CSV_READING
    infers_types = True

    def flaw(self, options: Mapping[str, Any]) -> Flaw | None:
        """See `Format`."""
        delimiter = options["delimiter"]
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '\r\n"':
            return Flaw("delimiter", "'delimiter' must be a single ASCII character", 'for tabs: "\\t"')
        return None

    def settings(self, source: Source) -> Mapping[str, Any]:
        """See `Format`."""
        return {"header": source.options["header"], "nulls": source.options["nulls"]}

    def file_settings(self, source: Source, file: str) -> tuple[str, str]:
        """See `Format`. The delimiter is a tab in .tsv files, unless rules.toml names another."""
        delimiter = source.options["delimiter"]
        tabs = delimiter == "," and ".tsv" in file.rsplit("/", 1)[-1].lower()
        return _compression_of(file), "\t" if tabs else delimiter

    def read(self, table: TableFiles, target: Path) -> ReadTable:
        """See `Format`."""
        from rules.formats import csv_text, ingest
        from rules.formats.contract import declared_types
        from rules.formats.text_file import TextFile

        delimiters = [self.file_settings(table.source, file)[1] for file in table.files]
        files = [TextFile(path, number, delimiters[number]) for number, path in enumerate(table.paths)]

        def schema(source: Source) -> pa.Schema:
            declared = declared_types(source.columns)
            found = csv_text.infer(files, source, declared, _CSV_BLOCK)
            return _declared_schema(found, list(found.names), declared)

        def batches(source: Source, schema: pa.Schema, number: int) -> Iterator[pa.RecordBatch]:
            return csv_text.batches(files[number], source, schema, _CSV_BLOCK)

        return ingest.to_parquet(table, schema, batches, target)


class JsonLines(Format):
    """Files of one JSON object a line."""

    name = "json"
    extensions: tuple[str, ...] = (".json", ".jsonl", ".ndjson")
    reading = _JSON_READING
    infers_types = True

    def file_settings(self, source: Source, file: str) -> tuple[str, str]:
        """See `Format`."""
        del source
        return _compression_of(file), ""

    def read(self, table: TableFiles, target: Path) -> ReadTable:
        """See `Format`."""
        from rules.formats import ingest, json_text
        from rules.formats.contract import declared_types
        from rules.formats.text_file import TextFile

        files = [TextFile(path, number, "") for number, path in enumerate(table.paths)]

        def schema(source: Source) -> pa.Schema:
            declared = declared_types(source.columns)
            found = json_text.infer(files, source, declared, _JSON_BLOCK)
            missing = [name for name in declared if name not in found.names]  # a field may be, from all objects
            return _declared_schema(found, [*found.names, *missing], declared)

        def batches(source: Source, schema: pa.Schema, number: int) -> Iterator[pa.RecordBatch]:
            return json_text.batches(files[number], source, schema, _JSON_BLOCK)

        return ingest.to_parquet(table, schema, batches, target)


def _declared_schema(found: pa.Schema, names: Sequence[str], declared: Mapping[str, pa.DataType]) -> pa.Schema:
    """Return an inferred schema with the declared types. Raises `IngestError`."""
    import pyarrow as pa

    from rules.formats.contract import require_distinct, require_names

    require_names(names, declared)
    require_distinct(names)
    types = [(name, declared[name] if name in declared else found.field(name).type) for name in names]
    return pa.schema(types, found.metadata)


def _compression_of(file: str) -> str:
    """Return the ending that says how a file is compressed, "" for none."""
    return next((suffix for suffix in COMPRESSED if file.endswith(suffix)), "")
