"""The formats of text, CSV and JSON lines: ingested as typed record batches, in a stream.

Types that rules.toml does not declare are inferred from all values of all files (see `spelling`), so that they depend
on no block of text and on no order. Large files are read in blocks (see `text_blocks`). A CSV file without a header has
the columns f0, f1, …; in one with a header every row must have as many fields. Quoted fields are never NULL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.errors import Flaw
from rules.files.lazy_paths import size_of
from rules.files.source_listing import COMPRESSED
from rules.formats.source_format import IngestedFormat, Option, Piece, TableFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from rules.formats.source import Source
    from rules.formats.text_file import TextFile

_CSV_READING = 2
_JSON_READING = 3
"""See `Format.reading`."""

_CSV_BLOCK = 16 << 20
_JSON_BLOCK = 32 << 20
"""Bytes of text that are parsed at a time."""
_LEAST_ROW = 2
"""Bytes of the shortest row."""


class Csv(IngestedFormat):
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
            return Flaw(("delimiter",), "'delimiter' must be a single ASCII character", 'for tabs: "\\t"')
        return None

    def settings(self, source: Source) -> Mapping[str, Any]:
        """See `Format`."""
        return {"header": source.options["header"], "nulls": source.options["nulls"]}

    def file_settings(self, source: Source, file: str) -> tuple[str, str]:
        """See `Format`. The delimiter is a tab in .tsv files, unless rules.toml names another."""
        delimiter = source.options["delimiter"]
        tabs = delimiter == "," and ".tsv" in file.rsplit("/", 1)[-1].lower()
        return _compression_of(file), "\t" if tabs else delimiter

    def pieces(self, table: TableFiles, number: int, digest: str, least: int) -> list[Piece]:
        """See `IngestedFormat`."""
        delimiter = self.file_settings(table.source, table.files[number])[1]
        return _pieces(table, number, digest, least, delimiter=delimiter, header=table.source.options["header"])

    def look(self, table: TableFiles, piece: Piece) -> dict[str, Any]:
        """See `IngestedFormat`."""
        from rules.formats import csv_text
        from rules.formats.contract import declared_types

        return csv_text.look(self._file(table, piece), table.source, declared_types(table.source.columns), _CSV_BLOCK)

    def schema(self, table: TableFiles, looks: Sequence[tuple[Piece, Mapping[str, Any]]]) -> pa.Schema:
        """See `IngestedFormat`."""
        from rules.formats import csv_text
        from rules.formats.contract import declared_types

        declared = declared_types(table.source.columns)
        found = csv_text.schema_of([(self._file(table, piece), one) for piece, one in looks], declared)
        return _declared_schema(found, list(found.names), declared)

    def batches(self, table: TableFiles, schema: pa.Schema, piece: Piece) -> Iterator[pa.RecordBatch]:
        """See `IngestedFormat`."""
        from rules.formats import csv_text

        return csv_text.batches(self._file(table, piece), table.source, schema, _CSV_BLOCK)

    def _file(self, table: TableFiles, piece: Piece) -> TextFile:
        return _text_file(table, piece, self.file_settings(table.source, table.files[piece.file])[1])


class JsonLines(IngestedFormat):
    """Files of one JSON object a line."""

    name = "json"
    extensions: tuple[str, ...] = (".json", ".jsonl", ".ndjson")
    reading = _JSON_READING
    infers_types = True
    takes_no_bytes = True

    def file_settings(self, source: Source, file: str) -> tuple[str, str]:
        """See `Format`."""
        del source
        return _compression_of(file), ""

    def pieces(self, table: TableFiles, number: int, digest: str, least: int) -> list[Piece]:
        """See `IngestedFormat`."""
        return _pieces(table, number, digest, least)

    def look(self, table: TableFiles, piece: Piece) -> dict[str, Any]:
        """See `IngestedFormat`."""
        from rules.formats import json_text
        from rules.formats.contract import declared_types

        declared = declared_types(table.source.columns)
        return json_text.look(_text_file(table, piece), table.source, declared, _JSON_BLOCK)

    def schema(self, table: TableFiles, looks: Sequence[tuple[Piece, Mapping[str, Any]]]) -> pa.Schema:
        """See `IngestedFormat`."""
        from rules.formats import json_text
        from rules.formats.contract import declared_types

        declared = declared_types(table.source.columns)
        found = json_text.schema_of((one for _, one in looks), declared)
        missing = [name for name in declared if name not in found.names]  # a field may be, from all objects
        return _declared_schema(found, [*found.names, *missing], declared)

    def batches(self, table: TableFiles, schema: pa.Schema, piece: Piece) -> Iterator[pa.RecordBatch]:
        """See `IngestedFormat`."""
        from rules.formats import json_text

        return json_text.batches(_text_file(table, piece), table.source, schema, _JSON_BLOCK)


def _text_file(table: TableFiles, piece: Piece, delimiter: str = "") -> TextFile:
    from rules.formats.text_file import TextFile

    return TextFile(table.paths[piece.file], piece.file, delimiter, piece.block)


def _pieces(
    table: TableFiles, number: int, digest: str, least: int, *, delimiter: str | None = None, header: bool = False
) -> list[Piece]:
    """Return the blocks of a file as pieces; the file itself, if it is compressed or not worth to be cut."""
    path = table.paths[number]
    if not _compression_of(table.files[number]) and size_of(path) > 2 * _LEAST_ROW * least:
        from rules.formats.text_blocks import blocks_of

        blocks = blocks_of(path, least, delimiter=delimiter, header=header)
        if len(blocks) > 1:
            return [Piece(number, block.digest, block) for block in blocks]
    return [Piece(number, digest)]


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
