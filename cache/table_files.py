"""A stored table as it is read: one Parquet file, or a folder with a link to the file of each of its parts."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from cache.digests import TableDigester, ingested_digest
from cache.errors import UnreadableTableError
from cache.levels import UnsupportedTypeError, type_name

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from cache.records import Facts

READ_ROWS = 1 << 16


def files_of(place: Path) -> tuple[Path, ...]:
    """Return the files of a stored table, in row order. Raises OSError."""
    return tuple(sorted(place.iterdir())) if place.is_dir() else (place,)


def schema_of(place: Path) -> pa.Schema:
    """Return the schema of a stored table. Raises OSError and `UnreadableTableError`."""
    with _understood(place):
        return pq.read_schema(files_of(place)[0])


def read_batches(
    place: Path, columns: Sequence[str] | None = None, batch_size: int = READ_ROWS
) -> Generator[pa.RecordBatch]:
    """Yield the rows of a stored table in order. columns: which (default: all).

    Raises OSError and `UnreadableTableError`.
    """
    wanted = None if columns is None else list(columns)
    for path in files_of(place):
        with contextlib.ExitStack() as held:
            with _understood(place):
                file = held.enter_context(pq.ParquetFile(path, page_checksum_verification=True))
                batches = file.iter_batches(batch_size=batch_size, columns=wanted, use_threads=False)
            while True:
                with _understood(place):
                    batch = next(batches, None)
                if batch is None:
                    break
                yield batch


def rows_of(place: Path) -> int:
    """Return the number of rows of a stored table. Raises OSError and `UnreadableTableError`."""
    with _understood(place):
        return sum(pq.read_metadata(path).num_rows for path in files_of(place))


def is_table_of(file: Path, rows: int, columns: Mapping[str, Facts]) -> bool:
    """Whether a file is a table of so many rows with these columns, by what its footer says. Raises OSError."""
    try:
        with _understood(file), pq.ParquetFile(file) as opened_file:
            kinds = [(field.name, type_name(field.type)) for field in opened_file.schema_arrow]
            found = opened_file.metadata.num_rows
    except (UnreadableTableError, UnsupportedTypeError):
        return False
    return found == rows and kinds == [(name, kind) for name, (kind, _) in columns.items()]


def names_by_content(file: Path) -> tuple[str, ...]:
    """Return what an object with the content of this file is called, if a rule or a source has made it.

    It reads all rows; what is no table has no name. Raises OSError.
    """
    try:
        schema = schema_of(file)
        digester = TableDigester(schema)
        for batch in read_batches(file):
            digester.update(batch)
        types = {field.name: type_name(field.type) for field in schema}
    except (UnreadableTableError, UnsupportedTypeError, ValueError):
        return ()
    found = digester.finish()
    return found.table, ingested_digest(found.rows, {name: (types[name], one) for name, one in found.columns.items()})


@contextlib.contextmanager
def opened(place: Path) -> Iterator[list[pq.ParquetFile]]:
    """Open the files of a stored table, in row order. Raises OSError and `UnreadableTableError`."""
    with contextlib.ExitStack() as held:
        with _understood(place):
            files = [
                held.enter_context(pq.ParquetFile(path, page_checksum_verification=True)) for path in files_of(place)
            ]
        yield files


@contextlib.contextmanager
def _understood(place: Path) -> Iterator[None]:
    """Raise `UnreadableTableError` for bytes that Arrow can make no table of, though they are those that were stored.

    Whoever wrote them has written something else, such as a builder that a shared cache should not have believed.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None:  # Arrow has none for what is in a file
            raise
        raise UnreadableTableError(place) from error
    except pa.ArrowException as error:
        if isinstance(error, MemoryError):
            raise
        raise UnreadableTableError(place) from error
