"""A product's table for programs: as one stream, as several that may be read at once, as an asynchronous one.

It can be handed to whatever takes Arrow streams (`__arrow_c_stream__`): pyarrow, polars, pandas, DuckDB, DataFusion.
"""

from __future__ import annotations

from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from cache.table_files import READ_ROWS, files_of
from rules.arrow import plain_type
from rules.errors import UserError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
    from pathlib import Path


class Product:
    """A product's table as it was committed when this was made. Its file is held, so that no later build removes it."""

    def __init__(self, name: str, path: Path, columns: Sequence[str] | None = None) -> None:
        """columns: those to read, in this order, or one. Raises `UserError` for one that there is not."""
        self.name = name
        self.path = path
        self._files = [pa.OSFile(str(one)) for one in files_of(path)]
        self._groups: list[tuple[pa.OSFile, int]] = []
        self.rows = 0
        for one in self._files:
            with pq.ParquetFile(one) as file:
                self._groups += [(one, group) for group in range(file.metadata.num_row_groups)]
                self.rows += file.metadata.num_rows
                found: pa.Schema = file.schema_arrow
        self._columns = list(found.names if columns is None else [columns] if isinstance(columns, str) else columns)
        missing = [column for column in self._columns if column not in found.names]
        if missing:
            hint = f"its columns: {', '.join(found.names)}"
            raise UserError(f"unknown column '{missing[0]}' of {name}", code="unknown-column", hint=hint)
        fields = [found.field(column) for column in self._columns]
        self.schema = pa.schema([field.with_type(plain_type(field.type)) for field in fields])

    def read(self) -> pa.RecordBatchReader:
        """Return all rows, batch by batch, in the product's order."""
        return self._reader(self._groups)

    def partitions(self, count: int) -> list[pa.RecordBatchReader]:
        """Return at most `count` readers, together of all rows, each of neighbouring row groups.

        They are independent: read them at once, in threads, or one after the other. In their order they have the rows
        in the product's order. Raises ValueError for a count below 1.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        parts = min(count, len(self._groups)) or 1
        bounds = [len(self._groups) * part // parts for part in range(parts + 1)]
        return [self._reader(self._groups[start:end]) for start, end in pairwise(bounds)]

    async def stream(self) -> AsyncGenerator[pa.RecordBatch, None]:
        """Yield all rows, batch by batch, in the product's order; files are read and decoded in another thread."""
        import asyncio

        batches = self._batches(self._groups)
        try:
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                yield batch
        finally:
            await asyncio.to_thread(batches.close)  # type: ignore[attr-defined]

    def __aiter__(self) -> AsyncIterator[pa.RecordBatch]:
        return self.stream()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self._batches(self._groups)

    def __len__(self) -> int:
        return self.rows

    def __arrow_c_schema__(self) -> Any:
        """Hand the schema to another library, by Arrow's C data interface."""
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Hand all rows to another library, by Arrow's C stream interface."""
        return self.read().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return f"<product {self.name}: {self.rows:,} rows, {', '.join(self._columns)}>"

    def _reader(self, groups: Sequence[tuple[pa.OSFile, int]]) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(self.schema, self._batches(groups))

    def _batches(self, groups: Sequence[tuple[pa.OSFile, int]]) -> Iterator[pa.RecordBatch]:
        for one, pairs in groupby(groups, key=itemgetter(0)):
            wanted = [group for _, group in pairs]
            with pq.ParquetFile(one, pre_buffer=False, page_checksum_verification=True) as file:
                for batch in file.iter_batches(READ_ROWS, row_groups=wanted, columns=self._columns, use_threads=False):
                    yield batch.select(self._columns).cast(self.schema)
