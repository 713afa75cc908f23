"""Compares files that were just written with their table: by row counts, and by digests of rows where types stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from cache.bags import bag_digest
from cache.digests import TableDigester
from cache.filedigest import file_digest
from cache.table_files import read_batches, schema_of
from rules.errors import FAILED, UserError
from rules.publishing.partition_contents import PartitionContent
from rules.publishing.target import StoredTable

_BLOCK = 64 << 20
"""Bytes of CSV that are parsed at once; a row must fit in."""
_CHUNK = 1 << 20


def require_same(table: StoredTable, files: list[Path], kind: str) -> None:
    """Raise `UserError` if files do not hold a table."""
    if kind == "parquet" and len(files) == 1 and table.file.is_file():
        same = file_digest(files[0]) == file_digest(table.file)
    elif kind in {"parquet", "arrow"}:
        schema = schema_of(table.file)
        read = (batch for path in files for batch in (read_batches(path) if kind == "parquet" else _arrow(path)))
        same = bag_digest(schema, read, schema.names) == bag_digest(schema, read_batches(table.file), schema.names)
    else:
        same = sum(_csv_rows(path) if kind == "csv" else _lines(path) for path in files) == table.rows
    _require(table, is_same=same)


def require_same_partitions(
    table: StoredTable,
    files: Iterable[Path],
    kind: str,
    contents: Mapping[str, PartitionContent],
    keys: tuple[str, ...],
) -> None:
    """Raise `UserError` unless each file holds the rows of its folder, in their order, of which it has only the rest.

    contents: by the folder's path, as far as folders are called by values.
    """
    rest = [field for field in schema_of(table.file) if field.name not in keys]
    for path in files:
        folder = "/".join(path.parts[-len(keys) - 1 : -1])
        wanted = contents[folder]
        if kind in {"parquet", "arrow"}:
            digester = TableDigester(pa.schema(rest))
            for batch in read_batches(path) if kind == "parquet" else _arrow(path):
                digester.update(batch)
            _require(table, is_same=digester.finish().table == wanted.digest(keys))
        else:
            _require(table, is_same=(_csv_rows(path) if kind == "csv" else _lines(path)) == wanted.rows)


def _require(table: StoredTable, *, is_same: bool) -> None:
    if not is_same:
        message = f"the files that were written of {table.product} do not hold its rows"
        raise UserError(message, code="unwritable", hint="publish again; please report this", exit_code=FAILED)


def _arrow(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as source:
        file = pa.ipc.open_file(source)
        for number in range(file.num_record_batches):
            yield file.get_batch(number)


def _csv_rows(path: Path) -> int:
    with path.open("rb") as file:
        names = pa_csv.open_csv(file, parse_options=pa_csv.ParseOptions(newlines_in_values=True)).schema.names
    reading = pa_csv.ReadOptions(block_size=_BLOCK, use_threads=False)
    parsing = pa_csv.ParseOptions(newlines_in_values=True)
    types = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    with pa_csv.open_csv(path, reading, parsing, types) as reader:
        return sum(batch.num_rows for batch in reader)


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(_CHUNK), b""))
