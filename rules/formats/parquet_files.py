"""Reading Parquet sources: schema, row count, and digests of their columns, by value or by encoded bytes."""

from __future__ import annotations

import base64
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from cache.digests import TableDigester
from cache.keys import hash_json
from rules.files.lazy_paths import having
from rules.formats import int96
from rules.formats.contract import (
    ONE_SCHEMA,
    IngestError,
    checked,
    difference,
    first_line,
    is_refused,
    require_declared,
)
from rules.formats.registry import or_declared
from rules.formats.row_groups import FileRows, RowGroup, UncutError, require_cuttable
from rules.storage.types import stored_schema, stored_type, to_arrow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from compiler.schema import Schema
    from rules.formats.partitions import Partitions
    from rules.formats.source import Source

_READ_ROWS = 1 << 16
_HASH_BYTES = 1 << 20
_DICTIONARY_BYTES = 1 << 14
"""The size of a stored dictionary up to which its column is read as one."""

Hashers: TypeAlias = dict[str, xxhash.xxh3_128]


def describe(
    paths: Sequence[Path],
    source: Source,
    partitions: Partitions | None = None,
    footers: dict[int, Any] | None = None,
) -> tuple[Schema, tuple[int, ...]]:
    """Return the common schema of Parquet files, the columns in their folders' names last, and the rows of each file.

    footers: as `TableFiles` has them. Raises `IngestError` where they disagree.
    """
    known = {} if footers is None else footers
    schema: pa.Schema | None = None
    text = ""
    rows: list[int] = []
    old: dict[str, None] = {}
    for number, path in enumerate(paths):
        if number not in known:
            known[number] = _footer(path, number)
        rows.append(known[number]["rows"])
        old |= dict.fromkeys(known[number]["int96"])
        if known[number]["arrow"] == text:
            continue
        text = known[number]["arrow"]
        found = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
        if schema is not None and found != schema:
            message = f"has files of different schemas: {difference(schema, found)}"
            raise IngestError(message, file=number, hint=ONE_SCHEMA)
        schema = found
    assert schema is not None
    for column in old:
        if int96.are_beyond(paths, column):
            place = schema.get_field_index(column)
            schema = schema.set(place, schema.field(place).with_type(int96.in_microseconds(schema.field(place).type)))
    if partitions is not None:
        partitions.require_apart(schema.names, 0)
        for name, values in partitions.typed(source.columns).items():
            schema = schema.append(pa.field(name, stored_type(values.type)))
    require_declared(schema, source.columns)
    return checked(schema), tuple(rows)


def _footer(path: Path, number: int) -> dict[str, Any]:
    """Return what the footer of a file says of it, as plain data. Raises `IngestError`."""
    try:
        with _opened(having(path, ())) as file:
            arrow = base64.b64encode(stored_schema(file.schema_arrow).serialize()).decode()
            return {"arrow": arrow, "rows": file.metadata.num_rows, "int96": int96.columns_of(file, _owners(file))}
    except (pa.ArrowException, OSError) as error:
        message = f"is not a readable Parquet file: {first_line(error)}"
        hint = f"write it again; or if it is of another kind, say so: {or_declared('parquet')}"
        raise IngestError(message, file=number, hint=hint) from error


def _opened(path: Path) -> pq.ParquetFile:
    """Open a file. Raises OSError and `pyarrow.ArrowException`."""
    return pq.ParquetFile(path, metadata=_metadata(path))


def _metadata(path: Path) -> pq.FileMetaData:
    """Return the footer of a file, read once for all of its parts. Raises OSError and `pyarrow.ArrowException`."""
    status = path.stat()
    return _metadata_of(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@functools.lru_cache(maxsize=4)
def _metadata_of(path: Path, *_: int) -> pq.FileMetaData:
    """The other arguments say which version of the file it is.

    A footer and its schema hold each other, so that what is read for each part stays until a collection of garbage: of
    a file of 524 row groups some 7 MB for each of 52 parts, several times.
    """
    return pq.read_metadata(path)


def chunk_digests(files: Sequence[FileRows], columns: Sequence[str], schema: Schema) -> dict[str, str]:
    """Return for each column of some rows the digest of its encoded chunks and of what is needed to decode them.

    Equal digests mean equal values; the other way round only if the writer wrote them alike. Nothing is decoded. The
    result is empty for files whose physical columns cannot be told apart.
    """
    types = {column.name: column.type for column in schema.columns}
    hashers: Hashers = {column: xxhash.xxh3_128(repr((column, types[column])).encode()) for column in columns}
    for number, (whole, groups) in enumerate(files):
        path = having(whole, columns)
        try:
            with _opened(path) as file, path.open("rb", buffering=0) as raw:
                owners = _owners(file)
                if owners is None:
                    return {}
                _hash_levels(file, hashers)
                for group in range(file.num_row_groups) if groups is None else groups:
                    _hash_chunks(file, group, owners, raw, hashers)
        except (pa.ArrowException, OSError) as error:
            raise IngestError(f"cannot be read: {first_line(error)}", file=number) from error
    return {column: hasher.hexdigest() for column, hasher in hashers.items()}


def group_digests(path: Path, schema: Schema, version: str | None = None) -> list[RowGroup]:
    """Return the row groups of a file, [] if it has one, or if they cannot be read one by one.

    version: of a file of which only columns are here, what is another one if its bytes are; then nothing is read but
    the first column, which decides about the cuts. Raises `IngestError`.
    """
    try:
        with _opened(having(path, ())) as file:
            owners = _owners(file)
            if owners is None or file.num_row_groups < 2 or not owners:  # noqa: PLR2004
                return []
            require_cuttable(path)
            names = [column.name for column in schema.columns if column.name in owners]
            names = names if version is None else names[:1]
            found = []
            with having(path, names).open("rb", buffering=0) as raw:
                for group in range(file.num_row_groups):
                    hashers: Hashers = {name: xxhash.xxh3_128() for name in names}
                    _hash_levels(file, hashers)
                    _hash_chunks(file, group, owners, raw, hashers)
                    digests = [hasher.hexdigest() for hasher in hashers.values()]
                    content = ["row group", digests] if version is None else ["row group of", version, group]
                    found.append(RowGroup(hash_json(content), digests[0], file.metadata.row_group(group).num_rows))
            return found
    except UncutError:
        return []
    except (pa.ArrowException, OSError) as error:
        raise IngestError(f"cannot be read: {first_line(error)}", file=0) from error


class EndedError(Exception):
    """Nobody waits for the digests any more."""


def column_digests(
    paths: Sequence[FileRows],
    columns: Sequence[str],
    schema: Schema,
    workers: int = 1,
    ended: threading.Event | None = None,
) -> dict[str, str]:
    """Return the digests of the values of some columns of Parquet files, read in order as one table.

    workers: how many threads share the columns, at most. ended: is set when nobody waits for them any more. Raises
    `IngestError`, and `EndedError` then.
    """
    types = {field.name: field.type for field in to_arrow(schema)}
    workers = min(workers, max(len(columns), 1))
    shares = [columns[number::workers] for number in range(workers)]
    ended = ended or threading.Event()
    found: dict[str, str] = {}
    if workers == 1:
        found |= _digests_of(paths, columns, types, ended)
        return {column: found[column] for column in columns}
    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            for digests in pool.map(lambda share: _digests_of(paths, share, types, ended), shares):
                found |= digests
        except BaseException:  # such as an interrupt, which would wait for all columns
            ended.set()
            raise
    return {column: found[column] for column in columns}


def partition_digests(files: Sequence[FileRows], columns: Mapping[str, pa.Array]) -> dict[str, str]:
    """Return the digests of columns that have one value for each file."""
    rows = [_count(_metadata(having(path, ())), groups) for path, groups in files]
    digests = {}
    for name, values in columns.items():
        digester = TableDigester(pa.schema([pa.field(name, values.type)]))
        for value, count in zip(values, rows, strict=True):
            for start in range(0, count, _READ_ROWS):
                repeated = pa.repeat(value, min(_READ_ROWS, count - start))
                digester.update(pa.RecordBatch.from_arrays([repeated], names=[name]))
        digests[name] = digester.finish().columns[name]
    return digests


def _count(footer: pq.FileMetaData, groups: Sequence[int] | None) -> int:
    return sum(footer.row_group(group).num_rows for group in _numbers(footer, groups))


def _numbers(footer: pq.FileMetaData, groups: Sequence[int] | None) -> Sequence[int]:
    return range(footer.num_row_groups) if groups is None else groups


def _digests_of(
    files: Sequence[FileRows], columns: Sequence[str], types: Mapping[str, pa.DataType], ended: threading.Event
) -> dict[str, str]:
    """Return the digests of columns, of which one is held at a time. A file is opened once for all: that takes long.

    ended: is set when nobody waits for them any more.
    """
    digesters: dict[str, TableDigester] = {}
    for number, (whole, groups) in enumerate(files):
        path = having(whole, columns)
        try:
            footer = _metadata(path)
            few, numbers = _of_few_values(footer, groups, columns), list(_numbers(footer, groups))
            with int96.Reader(path, metadata=footer, pre_buffer=False, read_dictionary=few) as reader:
                for column in columns:
                    file, field = reader.opened(column, types[column])
                    digester = digesters.get(column)
                    if digester is None:
                        digester = digesters[column] = TableDigester(pa.schema([field]))
                    for batch in file.iter_batches(_READ_ROWS, numbers, [column], use_threads=False):
                        if ended.is_set():
                            raise EndedError
                        digester.update(batch.select([column]))
        except (pa.ArrowException, OSError) as error:
            refused = is_refused(error)
            message = f"{'cannot be read' if refused else 'is damaged'}: {first_line(error)}"
            hint = None if refused else "write or copy the file again"
            raise IngestError(message, file=number, hint=hint) from error
    return {column: digester.finish().columns[column] for column, digester in digesters.items()}


def _of_few_values(footer: pq.FileMetaData, numbers: Sequence[int] | None, columns: Sequence[str]) -> list[str]:
    """Return the columns of texts that are wholly stored as small dictionaries, so that decoding can leave them so.

    Texts are made of them for digesting in half the time. Of a large dictionary it would take twice as long, and a
    writer gives up a dictionary only once it is large.
    """
    places = {footer.schema.column(place).path: place for place in range(footer.num_columns)}
    texts = [name for name in columns if name in places and _is_text(footer.schema.column(places[name]))]
    groups = [footer.row_group(number) for number in _numbers(footer, numbers)] if texts else []
    return [name for name in texts if all(_has_small_dictionary(group.column(places[name])) for group in groups)]


def _is_text(column: pq.ColumnSchema) -> bool:
    return bool(column.physical_type == "BYTE_ARRAY" and column.max_repetition_level == 0)


def _has_small_dictionary(chunk: pq.ColumnChunkMetaData) -> bool:
    if not chunk.has_dictionary_page or chunk.dictionary_page_offset is None:
        return False
    size: int = chunk.data_page_offset - chunk.dictionary_page_offset
    return 0 < size <= _DICTIONARY_BYTES


def _owners(file: pq.ParquetFile) -> list[str] | None:
    """Return for each physical column the name of the column it is a part of; its path does not tell (`a.b`)."""
    owners = [field.name for field in file.schema_arrow for _ in range(_leaves(field.type))]
    return owners if len(owners) == file.metadata.num_columns else None


def _leaves(dtype: pa.DataType) -> int:
    if isinstance(dtype, pa.BaseExtensionType):
        return _leaves(dtype.storage_type)
    return sum(_leaves(dtype.field(number).type) for number in range(dtype.num_fields)) if dtype.num_fields else 1


def _hash_levels(file: pq.ParquetFile, hashers: Hashers) -> None:
    """Hash whether levels may be NULL, which decides what the bytes of a chunk mean."""
    levels = file.schema_arrow  # made anew at each question
    for column, hasher in hashers.items():
        hasher.update(repr(str(levels.field(column))).encode())


def _hash_chunks(file: pq.ParquetFile, number: int, owners: Sequence[str], raw: BinaryIO, hashers: Hashers) -> None:
    """Hash the chunks of one row group."""
    group = file.metadata.row_group(number)
    view = memoryview(bytearray(_HASH_BYTES))
    for chunk_number, owner in enumerate(owners):
        hasher = hashers.get(owner)
        if hasher is None:
            continue
        chunk, column = group.column(chunk_number), file.schema.column(chunk_number)
        start = chunk.data_page_offset
        if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
            start = min(start, chunk.dictionary_page_offset)
        facts = (
            column.path, column.physical_type, column.length, str(column.logical_type), column.max_definition_level,
            column.max_repetition_level, chunk.compression, chunk.encodings, chunk.num_values, group.num_rows,
            chunk.total_compressed_size,
        )  # fmt: skip
        hasher.update(repr(facts).encode())
        raw.seek(start)
        left = chunk.total_compressed_size
        while left > 0:
            count = raw.readinto(view[: min(left, _HASH_BYTES)])  # type: ignore[attr-defined]
            if not count:
                raise OSError("the file ends inside a column")
            hasher.update(view[:count])
            left -= count
