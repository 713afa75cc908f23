"""A product's table as Parquet, digested while it is written, so the digest is of the written data.

Equal tables give files of equal row groups, whatever their batches: an engine that reads them adds up their
floats in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cache.digests import TableDigest, TableDigester
from cache.levels import type_name
from compiler.schema import Schema
from rules.engine.protocol import EngineError, UnorderedError
from rules.storage.encodings import writer_options
from rules.storage.types import storable_type, to_arrow, written_schema

_PIECE = 1 << 16
"""The number of rows after which a row group may end."""
_GROUP_ROWS = 1 << 20
GROUP_BYTES = 8 << 20
"""The size of a row group, as digested. One is kept in memory while it is filled and the one before it is written."""


class ProductWriter:
    """Takes a product's batches in order. A context manager, which leaves the file complete or fails.

    From the second row group on, a thread encodes one while the caller makes the next.
    """

    def __init__(self, target: Path, schema: Schema, order: Sequence[str] = (), *, in_order: bool = True) -> None:
        """Write to `target` a table with `schema`.

        order: the columns by which rows are ordered if all of them fit one row group, otherwise they stay in the order
        in which they come; () leaves them in any case. in_order: whether that is an order to leave them in.
        """
        self._order, self._in_order = order, in_order
        self._types = [(column.name, column.type) for column in schema.columns]
        self._written = written_schema(to_arrow(schema))
        self._digester = TableDigester(self._written)
        self._target = target
        self._file: pq.ParquetWriter | None = None  # opened once a sample of the columns is known
        self._seen: pa.Schema | None = None
        self._group: list[pa.RecordBatch] = []
        self._group_rows = 0
        self._before = 0  # bytes digested before this group
        self._encoding: Future[None] | None = None
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if self._pool is not None:
                self._pool.shutdown()
        finally:
            if self._file is not None:
                self._file.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows. Raises `EngineError` unless they have the product's schema, in any layout, and OSError."""
        if self._seen is None or not batch.schema.equals(self._seen):
            self.require_planned(batch.schema)
            self._seen = batch.schema
        columns = [
            column if column.type.equals(field.type) else column.cast(field.type)
            for column, field in zip(batch.columns, self._written, strict=True)
        ]
        batch = pa.RecordBatch.from_arrays(columns, schema=self._written)
        while batch.num_rows:
            piece = batch.slice(0, _PIECE - self._group_rows % _PIECE)
            batch = batch.slice(piece.num_rows)
            self._digester.update(piece)
            self._group.append(piece)
            self._group_rows += piece.num_rows
            if self._group_rows % _PIECE == 0 and self._is_full():
                self._end_group()

    def require_planned(self, schema: pa.Schema) -> None:
        """Raise `EngineError` unless a schema is the product's, in any layout."""
        found = [(field.name, type_name(storable_type(field.type))) for field in schema]
        if found != self._types:
            raise EngineError(f"the engine returned the columns {found}, but it had planned {self._types}")

    def finish(self) -> TableDigest:
        """Write the remaining rows, and return the digest of all rows."""
        if self._pool is None and self._order and self._group_rows > 1:
            self._sort()
        if self._pool is None:
            self._encode(self._group)
        elif self._group:
            self._end_group()
        if self._encoding is not None:
            self._encoding.result()
        return self._digester.finish()

    def _is_full(self) -> bool:
        return self._group_rows >= _GROUP_ROWS or self._digester.bytes - self._before >= GROUP_BYTES

    def _sort(self) -> None:
        """Put the rows of the only row group in order: that of the values, NULL last."""
        table = pa.Table.from_batches(self._group, self._written)
        places = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in self._order])
        self._group, self._digester = table.take(places).combine_chunks().to_batches(), TableDigester(self._written)
        for batch in self._group:
            self._digester.update(batch)

    def _end_group(self) -> None:
        if not self._in_order:
            raise UnorderedError("too many rows, which come in no order")
        if self._encoding is not None:
            self._encoding.result()
        self._pool = self._pool or ThreadPoolExecutor(1)
        self._encoding = self._pool.submit(self._encode, self._group)
        self._group, self._group_rows, self._before = [], 0, self._digester.bytes

    def _encode(self, group: list[pa.RecordBatch]) -> None:
        # In one piece: pages end where a piece does, so that batches would decide on a file's bytes.
        table = pa.Table.from_batches(group, self._written).combine_chunks()
        group.clear()
        self._file = self._file or pq.ParquetWriter(self._target, self._written, **writer_options(table))
        if table.num_rows:
            self._file.write_table(table, row_group_size=_GROUP_ROWS)
