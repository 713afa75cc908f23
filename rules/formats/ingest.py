"""Ingesting: text and Arrow files into one typed Parquet file, digested on the way. Streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cache.digests import TableDigester
from rules.formats import text
from rules.formats.contract import (
    ONE_SCHEMA,
    IngestError,
    checked,
    difference,
    first_line,
    require_declared,
    storable,
)
from rules.formats.text_file import TextFile
from rules.storage.encodings import statistics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from compiler.schema import Schema
    from rules.formats.partitions import Partitions
    from rules.formats.source import Source

_ANEW = 'write it again; or if it is of another kind, say so: format = "parquet", "csv" or "json"'


def to_parquet(
    kind: str,
    paths: Sequence[Path],
    delimiters: Sequence[str],
    source: Source,
    target: Path,
    partitions: Partitions | None = None,
) -> tuple[Schema, int, dict[str, tuple[str, str]]]:
    """Write text or Arrow files as one Parquet file, the columns in their folders' names last.

    Returns schema, row count, and name → (type, digest). Raises `IngestError`.
    """
    files = [TextFile(path, number, delimiters[number]) for number, path in enumerate(paths)]
    arrow = kind == "arrow"
    constants = partitions.typed(source.columns) if partitions is not None else {}
    inside = {name: declared for name, declared in source.columns.items() if name not in constants}
    source = msgspec.structs.replace(source, columns=inside)
    found = _arrow_schema(paths[0]) if arrow else text.infer(kind, files, source)
    if partitions is not None:
        partitions.require_apart(found.names, 0)
    if arrow:
        require_declared(storable(found), source.columns)
    whole = found
    for name, values in constants.items():
        whole = whole.append(pa.field(name, values.type))
    schema = storable(whole)
    described = checked(schema)
    digester = TableDigester(schema)
    try:
        with pq.ParquetWriter(
            target, schema, compression="zstd", write_statistics=statistics(schema), write_page_checksum=True
        ) as writer:
            for file in files:
                batches = _arrow_batches(file.path, file.number) if arrow else text.batches(kind, file, source, found)
                for batch in batches:
                    if batch.num_rows:
                        typed = _conform(_with_constants(batch, constants, file.number), schema, file.number)
                        writer.write_batch(typed)
                        digester.update(typed)
    except pa.ArrowNotImplementedError as error:
        raise IngestError(f"has a column that cannot be stored: {first_line(error)}") from error
    digest = digester.finish()
    types = {column.name: column.type for column in described.columns}
    return described, digest.rows, {name: (types[name], value) for name, value in digest.columns.items()}


def _with_constants(batch: pa.RecordBatch, constants: Mapping[str, pa.Array], number: int) -> pa.RecordBatch:
    for name, values in constants.items():
        batch = batch.append_column(name, pa.repeat(values[number], batch.num_rows))
    return batch


def _arrow_schema(path: Path) -> pa.Schema:
    """Return the schema of an Arrow file. Columns of type null are strings: every column must have a type of SQL."""
    try:
        with pa.memory_map(str(path)) as stream:
            schema = _arrow_reader(stream).schema
    except (pa.ArrowException, OSError) as error:
        raise IngestError(f"is not readable as Arrow IPC: {first_line(error)}", hint=_ANEW) from error
    return pa.schema([field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema])


def _arrow_batches(path: Path, number: int) -> Iterator[pa.RecordBatch]:
    try:
        with pa.memory_map(str(path)) as stream:
            reader = _arrow_reader(stream)
            if isinstance(reader, pa.ipc.RecordBatchFileReader):
                yield from (reader.get_batch(position) for position in range(reader.num_record_batches))
            else:
                yield from reader
    except (pa.ArrowInvalid, OSError) as error:
        raise IngestError(f"is not readable as Arrow IPC: {first_line(error)}", file=number, hint=_ANEW) from error


def _arrow_reader(stream: pa.NativeFile) -> pa.ipc.RecordBatchReader:
    """Open the file format, or else the stream format; what is neither raises ArrowInvalid."""
    try:
        return pa.ipc.open_file(stream)
    except pa.ArrowInvalid:
        stream.seek(0)
        return pa.ipc.open_stream(stream)


def _conform(batch: pa.RecordBatch, schema: pa.Schema, number: int) -> pa.RecordBatch:
    """Cast a batch to the stored types. Raises `IngestError` when names differ or values do not fit."""
    if batch.schema.names != schema.names:
        message = f"has files of different columns: {difference(schema, batch.schema)}"
        raise IngestError(message, file=number, hint=ONE_SCHEMA)
    columns = []
    for field, column in zip(schema, batch.columns, strict=True):
        try:
            columns.append(_decoded(column).cast(field.type))
        except pa.ArrowException as error:
            message = f"does not fit in column '{field.name}', which is {field.type}: {first_line(error)}"
            raise IngestError(message, file=number) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _decoded(column: pa.Array) -> pa.Array:
    """Undo encodings, from which Arrow does not cast to views."""
    if pa.types.is_dictionary(column.type):
        return _decoded(column.dictionary_decode())
    if pa.types.is_run_end_encoded(column.type):
        return _decoded(pc.run_end_decode(column))
    return column
