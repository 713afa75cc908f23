"""One file of text, and what its readers share: opening it, and what is said of a value that does not fit."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rules.formats.contract import IngestError

if TYPE_CHECKING:
    from rules.formats.source import Source


AS_UTF8 = "save the file as UTF-8, for example: iconv -f LATIN1 -t UTF-8 OLD > NEW"
"""What to do about a text in another encoding."""


@dataclass(frozen=True)
class TextFile:
    """One file of a source. number: its position among the source's files."""

    path: Path
    number: int
    delimiter: str


def open_text(path: Path) -> Any:
    """Open a file for reading bytes, decompressed by its extension."""
    return pa.input_stream(str(path), compression="detect")


def require_no_utf16(file: TextFile) -> None:
    """Raise `IngestError` for a file that begins as UTF-16 and UTF-32 do. Raises OSError."""
    with open_text(file.path) as stream:
        beginning = stream.read(2)
    if beginning in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        remedy = "save the file as UTF-8, for example: iconv -f UTF-16 -t UTF-8 OLD > NEW"
        raise IngestError("is UTF-16 and not UTF-8", file=file.number, line=1, column=1, hint=remedy)


def hint(source: Source, name: str) -> str:
    """Return what to do about a value that does not fit in a column."""
    if name in source.columns:
        return (
            f"rules.toml declares '{name}' as {source.columns[name]}: declare another type, or list the value in nulls"
        )
    key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
    return f'its type was inferred from the other values; declare it: columns = {{ {key} = "string" }}'


def usable(dtype: pa.DataType) -> pa.DataType:
    """Return what an inferred type is read as: no values at all are strings, and times have the engine's resolution."""
    if pa.types.is_null(dtype) or pa.types.is_binary(dtype):
        return pa.string()  # bytes that are no UTF-8 are then an error
    if pa.types.is_timestamp(dtype) and dtype.unit == "s":
        return pa.timestamp("us", dtype.tz)
    if pa.types.is_list(dtype):
        return pa.list_(usable(dtype.value_type))
    if pa.types.is_struct(dtype):
        return pa.struct([(field.name, usable(field.type)) for field in dtype])
    return dtype
