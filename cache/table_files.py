"""A stored table as it is read: one Parquet file, or a folder with a link to the file of each of its parts."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

READ_ROWS = 1 << 16


def files_of(place: Path) -> tuple[Path, ...]:
    """Return the files of a stored table, in row order. Raises OSError."""
    return tuple(sorted(place.iterdir())) if place.is_dir() else (place,)


def schema_of(place: Path) -> pa.Schema:
    """Return the schema of a stored table. Raises OSError."""
    return pq.read_schema(files_of(place)[0])


def read_batches(
    place: Path, columns: Sequence[str] | None = None, batch_size: int = READ_ROWS
) -> Generator[pa.RecordBatch]:
    """Yield the rows of a stored table in order. columns: which (default: all). Raises OSError and Arrow's errors."""
    wanted = None if columns is None else list(columns)
    for path in files_of(place):
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield from file.iter_batches(batch_size=batch_size, columns=wanted, use_threads=False)


def rows_of(place: Path) -> int:
    """Return the number of rows of a stored table. Raises OSError."""
    return sum(pq.read_metadata(path).num_rows for path in files_of(place))


@contextlib.contextmanager
def opened(place: Path) -> Iterator[list[pq.ParquetFile]]:
    """Open the files of a stored table, in row order."""
    with contextlib.ExitStack() as held:
        yield [held.enter_context(pq.ParquetFile(path, page_checksum_verification=True)) for path in files_of(place)]
