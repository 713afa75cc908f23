"""Ingesting: pieces of a source into one typed Parquet file, digested on the way. Streams."""

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
from rules.formats.source_format import Piece, ReadTable, TableFiles
from rules.storage.encodings import statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from compiler.schema import Schema


_ROWS = 1 << 13
_GROUP_ROWS, _GROUP_BYTES = 1 << 20, 16 << 20
"""Of a part: what may be the rows of a row group are so many times `_ROWS`; and its size in bytes, as digested."""


def inside(table: TableFiles) -> TableFiles:
    """Return a table whose source has no other columns than those that are in its files. Raises `IngestError`."""
    if table.partitions is None:
        return table
    declared = {name: kind for name, kind in table.source.columns.items() if name not in table.partitions.names}
    return table._replace(source=msgspec.structs.replace(table.source, columns=declared), partitions=None)


def to_parquet(
    table: TableFiles,
    found: pa.Schema,
    pieces: Sequence[Piece],
    batches_of: Callable[[Piece], Iterator[pa.RecordBatch]],
    target: Path,
    is_part: bool = False,  # noqa: FBT001, FBT002
) -> ReadTable:
    """Write pieces of a table as one Parquet file, the columns in the folders' names last. Raises `IngestError`.

    found: the schema of the files; batches_of: yields the rows of one piece. is_part: whether equal rows get equal row
    groups, however they are cut into pieces and batches.
    """
    constants = _constants(table)
    schema = _stored(table, found, constants)
    described = checked(schema)
    digester = TableDigester(schema)
    rows = (
        _conform(_with_constants(batch, constants, piece.file), schema, piece.file)
        for piece in pieces
        for batch in batches_of(piece)
        if batch.num_rows
    )
    try:
        with pq.ParquetWriter(
            target, schema, compression="zstd", write_statistics=statistics(schema), write_page_checksum=True
        ) as writer:
            for group in _groups(rows, digester) if is_part else _each(rows, digester):
                writer.write_table(pa.Table.from_batches(group, schema))
    except pa.ArrowNotImplementedError as error:
        raise IngestError(f"has a column that cannot be stored: {first_line(error)}") from error
    digest = digester.finish()
    types = {column.name: column.type for column in described.columns}
    return ReadTable(described, digest.rows, {name: (types[name], value) for name, value in digest.columns.items()})


def described(table: TableFiles, found: pa.Schema) -> Schema:
    """Return the schema of a table that is ingested. found: that of the files. Raises `IngestError`."""
    return checked(_stored(table, found, _constants(table)))


def _constants(table: TableFiles) -> dict[str, pa.Array]:
    return table.partitions.typed(table.source.columns) if table.partitions is not None else {}


def _stored(table: TableFiles, found: pa.Schema, constants: Mapping[str, pa.Array]) -> pa.Schema:
    if table.partitions is not None:
        table.partitions.require_apart(found.names, 0)
    whole = found
    for name, values in constants.items():
        whole = whole.append(pa.field(name, values.type))
    return storable(whole)


def _each(rows: Iterable[pa.RecordBatch], digester: TableDigester) -> Iterator[list[pa.RecordBatch]]:
    """Digest rows, and yield each batch as a row group."""
    for batch in rows:
        digester.update(batch)
        yield [batch]


def _groups(rows: Iterable[pa.RecordBatch], digester: TableDigester) -> Iterator[list[pa.RecordBatch]]:
    """Digest rows, and yield those of each row group, which follow from the rows alone."""
    group: list[pa.RecordBatch] = []
    count, before = 0, 0
    for batch in rows:
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, _ROWS - count % _ROWS)
            digester.update(piece)
            group.append(piece)
            start, count = start + piece.num_rows, count + piece.num_rows
            if count % _ROWS == 0 and (count >= _GROUP_ROWS or digester.bytes - before >= _GROUP_BYTES):
                yield group
                group, count, before = [], 0, digester.bytes
    if group:
        yield group


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
