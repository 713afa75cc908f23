"""Ingesting: the files of a source into one typed Parquet file, digested on the way. Streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cache.digests import TableDigester
from rules.formats.contract import (
    ONE_SCHEMA,
    IngestError,
    checked,
    difference,
    first_line,
    storable,
)
from rules.formats.source_format import ReadTable, TableFiles
from rules.storage.encodings import statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from rules.formats.source import Source


def to_parquet(
    table: TableFiles,
    schema_of: Callable[[Source], pa.Schema],
    batches_of: Callable[[Source, pa.Schema, int], Iterator[pa.RecordBatch]],
    target: Path,
) -> ReadTable:
    """Write a table's files as one Parquet file, the columns in their folders' names last. Raises `IngestError`.

    schema_of: returns the common schema of the files; batches_of: yields the rows of one of them, by its position. Both
    take the source as if it had no other columns than those that are in the files.
    """
    constants = table.partitions.typed(table.source.columns) if table.partitions is not None else {}
    inside = {name: declared for name, declared in table.source.columns.items() if name not in constants}
    source = msgspec.structs.replace(table.source, columns=inside)
    found = schema_of(source)
    if table.partitions is not None:
        table.partitions.require_apart(found.names, 0)
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
            for number in range(len(table.paths)):
                for batch in batches_of(source, found, number):
                    if batch.num_rows:
                        typed = _conform(_with_constants(batch, constants, number), schema, number)
                        writer.write_batch(typed)
                        digester.update(typed)
    except pa.ArrowNotImplementedError as error:
        raise IngestError(f"has a column that cannot be stored: {first_line(error)}") from error
    digest = digester.finish()
    types = {column.name: column.type for column in described.columns}
    return ReadTable(described, digest.rows, {name: (types[name], value) for name, value in digest.columns.items()})


def _with_constants(batch: pa.RecordBatch, constants: Mapping[str, pa.Array], number: int) -> pa.RecordBatch:
    for name, values in constants.items():
        batch = batch.append_column(name, pa.repeat(values[number], batch.num_rows))
    return batch


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
