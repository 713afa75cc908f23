"""Writers that take a table batch by batch: as CSV, as lines of JSON, as an Arrow file, as Parquet.

Equal tables, in equal batches, give equal bytes.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from rules.formats.cells import batch_records, plain
from rules.printable import printable_json
from rules.storage.encodings import writer_options


class RowWriter(Protocol):
    """Takes the batches of one table in order. It writes to a stream that its maker closes."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows. Raises OSError."""
        ...

    def close(self) -> None:
        """Write what belongs behind the last row. Raises OSError."""
        ...


class JsonWriter(RowWriter):
    """One JSON object a line."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, batch: pa.RecordBatch) -> None:
        """See `RowWriter`."""
        lines = (json.dumps(record, ensure_ascii=False) for record in batch_records(batch))
        self._out.writelines(printable_json(line).encode() + b"\n" for line in lines)

    def close(self) -> None:
        """See `RowWriter`."""


class CsvWriter(RowWriter):
    """CSV with a header: NULL is an empty field, an empty string is quoted, nested values are JSON."""

    def __init__(self, schema: pa.Schema, out: BinaryIO, delimiter: str = ",") -> None:
        self._schema = pa.schema(
            [pa.field(field.name, field.type if _is_native(field.type) else pa.string()) for field in schema]
        )
        self._writer = pa_csv.CSVWriter(out, self._schema, write_options=pa_csv.WriteOptions(delimiter=delimiter))

    def write(self, batch: pa.RecordBatch) -> None:
        """See `RowWriter`."""
        columns = [
            column if _is_native(column.type) else pa.array([cell_text(value) for value in plain(column)], pa.string())
            for column in batch.columns
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))

    def close(self) -> None:
        """See `RowWriter`."""
        self._writer.close()


class ArrowWriter(RowWriter):
    """An Arrow IPC file, which readers can map into memory."""

    def __init__(self, schema: pa.Schema, out: BinaryIO) -> None:
        self._writer = pa.ipc.new_file(out, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """See `RowWriter`."""
        self._writer.write_batch(batch)

    def close(self) -> None:
        """See `RowWriter`."""
        self._writer.close()


class ParquetWriter(RowWriter):
    """Parquet as products are stored. Every batch becomes a row group."""

    def __init__(self, schema: pa.Schema, out: BinaryIO) -> None:
        self._schema = schema
        self._out = out
        self._writer: pq.ParquetWriter | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """See `RowWriter`."""
        table = pa.Table.from_batches([batch])
        self._open(table).write_table(table, row_group_size=batch.num_rows)

    def close(self) -> None:
        """See `RowWriter`."""
        self._open(self._schema.empty_table()).close()

    def _open(self, sample: pa.Table) -> pq.ParquetWriter:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._out, self._schema, **writer_options(sample))
        return self._writer


def cell_text(value: Any) -> str | None:
    """Return a value of `rules.formats.cells.plain` as text; None for NULL."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_native(kind: Any) -> bool:
    """Whether CSV is written from this type as it is."""
    types = pa.types
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return bool(types.is_boolean(kind) or types.is_string(kind) or types.is_large_string(kind) or is_number)
