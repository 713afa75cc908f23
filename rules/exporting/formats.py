"""The formats of exported files, each declared once: its writer, and what it cannot hold.

Extensions are those of the source formats of the same names, so that what was exported can be a source elsewhere.
pyarrow is imported when something is written: the command line is parsed without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from rules.files.source_listing import COMPRESSED, extension_of
from rules.formats.registry import extensions

if TYPE_CHECKING:
    import pyarrow as pa

    from rules.exporting.row_writers import RowWriter


@dataclass(frozen=True)
class FileKind:
    """How one file is written: its extension, which for text may name a compression and tabs."""

    extension: str

    @property
    def compression(self) -> str | None:
        """The codec of a file of text, as pyarrow names it."""
        codecs = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
        return codecs.get(f".{self.extension.rsplit('.', 1)[-1]}")

    @property
    def delimiter(self) -> str:
        """What is between the fields of CSV."""
        return "\t" if self.extension.startswith(".tsv") else ","


@dataclass(frozen=True)
class ExportFormat:
    """A format with its writer."""

    name: str
    open: Callable[[pa.Schema, BinaryIO, FileKind], RowWriter]
    unfit: Callable[[pa.DataType], str | None]
    """Says of a column's type what of it the format cannot hold, and how a rule may write it instead."""
    is_text: bool = False
    """Whether a file may be compressed as a whole."""
    copies: bool = False
    """Whether a whole table is the file of the store, byte by byte."""
    skips_null_rows: bool = False
    """Whether a row of one NULL is an empty line, which readers skip."""


def _anything(kind: pa.DataType) -> str | None:
    del kind
    return None


def _plain_alone(kind: pa.DataType) -> str | None:
    import pyarrow as pa

    if pa.types.is_nested(kind):
        return "choose json or parquet, or let the rule make columns or a text of it"
    return _no_bytes(kind)


def _no_bytes(kind: pa.DataType) -> str | None:
    import pyarrow as pa

    if any(is_kind(kind) for is_kind in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
                                         pa.types.is_fixed_size_binary)):  # fmt: skip
        return "choose parquet or arrow, or let the rule make a text of it: encode(column, 'base64')"
    inner = [kind.field(at).type for at in range(kind.num_fields)] if pa.types.is_nested(kind) else []
    return next((hint for hint in map(_no_bytes, inner) if hint is not None), None)


def _parquet(schema: pa.Schema, out: BinaryIO, kind: FileKind) -> RowWriter:
    from rules.exporting.row_writers import ParquetWriter

    del kind
    return ParquetWriter(schema, out)


def _csv(schema: pa.Schema, out: BinaryIO, kind: FileKind) -> RowWriter:
    from rules.exporting.row_writers import CsvWriter

    return CsvWriter(schema, out, kind.delimiter)


def _json(schema: pa.Schema, out: BinaryIO, kind: FileKind) -> RowWriter:
    from rules.exporting.row_writers import JsonWriter

    del schema, kind
    return JsonWriter(out)


def _arrow(schema: pa.Schema, out: BinaryIO, kind: FileKind) -> RowWriter:
    from rules.exporting.row_writers import ArrowWriter

    del kind
    return ArrowWriter(schema, out)


EXPORTS: Mapping[str, ExportFormat] = {
    one.name: one
    for one in (
        ExportFormat("parquet", _parquet, _anything, copies=True),
        ExportFormat("csv", _csv, _plain_alone, is_text=True, skips_null_rows=True),
        ExportFormat("json", _json, _no_bytes, is_text=True),
        ExportFormat("arrow", _arrow, _anything),
    )
}
"""The first is the default, where DEST has no extension."""


def format_of(path: str) -> tuple[str | None, FileKind]:
    """Return the format that a file's name says, None for none, and how such a file is written."""
    extension = extension_of(path)
    name = extensions().get(extension)
    lowered = path.lower()
    ending = next((one for one in COMPRESSED if lowered.endswith(extension + one)), "") if name else ""
    return (name if name in EXPORTS else None), FileKind(extension + ending)
