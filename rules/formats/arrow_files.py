"""Reading files and streams of Arrow IPC: their schema, and their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from rules.formats.contract import IngestError, first_line
from rules.formats.registry import or_declared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def schema_of(path: Path) -> pa.Schema:
    """Return the schema of an Arrow file. Columns of type null are strings: every column must have a type of SQL.

    Raises `IngestError`.
    """
    try:
        with pa.memory_map(str(path)) as stream:
            schema = _reader(stream).schema
    except (pa.ArrowException, OSError) as error:
        raise IngestError(f"is not readable as Arrow IPC: {first_line(error)}", hint=_anew()) from error
    return pa.schema([field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema])


def batches_of(path: Path, number: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an Arrow file; number: its position among the source's files. Raises `IngestError`."""
    try:
        with pa.memory_map(str(path)) as stream:
            reader = _reader(stream)
            if isinstance(reader, pa.ipc.RecordBatchFileReader):
                yield from (reader.get_batch(position) for position in range(reader.num_record_batches))
            else:
                yield from reader
    except (pa.ArrowInvalid, OSError) as error:
        raise IngestError(f"is not readable as Arrow IPC: {first_line(error)}", file=number, hint=_anew()) from error


def rows_of(path: Path, number: int) -> int:
    """Return the number of rows of an Arrow file; number: as in `batches_of`. Raises `IngestError`."""
    return sum(batch.num_rows for batch in batches_of(path, number))


def _reader(stream: pa.NativeFile) -> pa.ipc.RecordBatchReader:
    """Open the file format, or else the stream format; what is neither raises ArrowInvalid."""
    try:
        return pa.ipc.open_file(stream)
    except pa.ArrowInvalid:
        stream.seek(0)
        return pa.ipc.open_stream(stream)


def _anew() -> str:
    return f"write it again; or if it is of another kind, say so: {or_declared('arrow')}"
