"""One file of text, and what its readers share: opening it, and what is said of a value that does not fit."""

from __future__ import annotations

import codecs
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import xxhash

from rules.formats.contract import IngestError
from rules.formats.text_blocks import block_digest

if TYPE_CHECKING:
    from rules.formats.source import Source
    from rules.formats.text_blocks import Block


AS_UTF8 = "save the file as UTF-8, for example: iconv -f LATIN1 -t UTF-8 OLD > NEW"
"""What to do about a text in another encoding."""

_NO_TEXT = {
    rb"\x1f\x8b": ("gzip", "decompress it (gunzip), or give the file a name that ends in .gz"),
    rb"\(\xb5/\xfd": ("zstd", "decompress it (unzstd), or give the file a name that ends in .zst"),
    rb"\x04\"M\x18": ("lz4", "decompress it (unlz4), or give the file a name that ends in .lz4"),
    rb"BZh[1-9]1AY&SY": ("bzip2", "decompress it (bunzip2), or give the file a name that ends in .bz2"),
    rb"\xfd7zXZ\0": ("xz", "decompress it (unxz)"),
    rb"PK\x03\x04": ("a ZIP archive, as workbooks are", "unpack it, or save the sheet as CSV in UTF-8"),
    rb"PAR1[\0-\x1f]": ("Parquet", 'declare format = "parquet"'),
    rb"ARROW1\0": ("Arrow IPC", 'declare format = "arrow"'),
}
"""Patterns of how files that are no text begin, after each format's specification; what they are, and what to do."""


class ChangedFileError(Exception):
    """A file is not the one that was cut into blocks. path: of it."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} changed while it was read")
        self.path = path


@dataclass(frozen=True)
class TextFile:
    """One file of a source, or a block of one. number: its position among the source's files."""

    path: Path
    number: int
    delimiter: str
    block: Block | None = None

    @property
    def is_beginning(self) -> bool:
        """Whether the first bytes of the file are read."""
        return self.block is None or not self.block.start or bool(self.block.head)

    def open(self) -> Any:
        """Open the file for reading bytes, decompressed by its extension.

        Who reads a block to its end gets `ChangedFileError` if it is not what it was.
        """
        if self.block is None:
            return pa.input_stream(str(self.path), compression="detect")
        return pa.PythonFile(_BlockReader(self.path, self.block), mode="r")


class _BlockReader(io.RawIOBase):
    """The head of a file and a block of it, as one file."""

    def __init__(self, path: Path, block: Block) -> None:
        super().__init__()
        self._path, self._block = path, block
        self._file = path.open("rb", buffering=0)
        self._ranges = [(0, block.head), (block.start, block.end)]
        self._hashers = [xxhash.xxh3_128() for _ in self._ranges]
        self._range = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while self._range < len(self._ranges):
            start, end = self._ranges[self._range]
            self._file.seek(start)
            part = self._file.read(end - start if size < 0 else min(size, end - start))
            self._hashers[self._range].update(part)
            start += len(part)
            self._ranges[self._range] = (start, end)
            if not part or start == end:
                self._range += 1
                if self._range == len(self._ranges):
                    self._require_unchanged()
            if part:
                return part
        return b""

    def readall(self) -> bytes:
        return b"".join(iter(self.read, b""))

    def close(self) -> None:
        self._file.close()
        super().close()

    def _require_unchanged(self) -> None:
        if block_digest([hasher.hexdigest() for hasher in self._hashers]) != self._block.digest:
            raise ChangedFileError(self._path)


def require_text(file: TextFile) -> None:
    """Raise `IngestError` for a file that begins as UTF-16, compressed files and tables of other formats do.

    Raises OSError.
    """
    with file.open() as stream:
        beginning = stream.read(16)
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        remedy = "save the file as UTF-8, for example: iconv -f UTF-16 -t UTF-8 OLD > NEW"
        raise IngestError("is UTF-16 and not UTF-8", file=file.number, line=1, column=1, hint=remedy)
    for mark, (kind, remedy) in _NO_TEXT.items():
        if re.match(mark, beginning):
            raise IngestError(f"is no text but {kind}", file=file.number, hint=remedy)


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
