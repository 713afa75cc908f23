"""Reading source files: schemas, rows and digests of Parquet; text and Arrow files into typed Parquet. Streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq
import xxhash

from cache.digests import TableDigester, UnsupportedTypeError, hash_json
from compiler.schema import Schema
from rules.engine.types import parse_type, stored_schema, to_schema
from rules.project import Source

_BLOCK = 64 << 20
"""Bytes of text from which types are inferred; a later value that does not fit is an error, never a guess."""

_READ_ROWS = 1 << 16


class IngestError(Exception):
    """A source's file cannot be used; `file` is its position among the source's files."""

    def __init__(self, message: str, *, file: int = 0, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.hint = hint


def describe_parquet(paths: Sequence[Path], declared: Mapping[str, str]) -> tuple[Schema, int]:
    """Return the common schema and the row count of Parquet files. Raises `IngestError` where they disagree."""
    schema: pa.Schema | None = None
    rows = 0
    for number, path in enumerate(paths):
        try:
            with pq.ParquetFile(path) as file:
                found = stored_schema(file.schema_arrow)
                rows += file.metadata.num_rows
        except (pa.ArrowException, OSError) as error:
            raise IngestError(f"is not a readable Parquet file: {_first_line(error)}", file=number) from error
        if schema is not None and found != schema:
            raise IngestError(f"has files of different schemas: {_difference(schema, found)}", file=number)
        schema = found
    assert schema is not None
    _require_declared(schema, declared)
    return _checked(schema), rows


def chunk_digests(paths: Sequence[Path], columns: Sequence[str], schema: Schema) -> dict[str, str]:
    """Return for each column the digest of its encoded chunks and of what is needed to decode them.

    Equal digests mean equal values; the other way round only if the writer wrote them alike. Nothing is decoded.
    """
    types = {column.name: column.type for column in schema.columns}
    hashers = {column: xxhash.xxh3_128(f"{column}:{types[column]}".encode()) for column in columns}
    for number, path in enumerate(paths):
        try:
            with pq.ParquetFile(path) as file, path.open("rb") as raw:
                _hash_chunks(file.metadata, raw, hashers)
        except (pa.ArrowException, OSError) as error:
            raise IngestError(f"cannot be read: {_first_line(error)}", file=number) from error
    return {column: hasher.hexdigest() for column, hasher in hashers.items()}


def column_digests(paths: Sequence[Path], columns: Sequence[str]) -> dict[str, str]:
    """Return the digests of the values of some columns of Parquet files, read in order as one table."""
    digester: TableDigester | None = None
    for number, path in enumerate(paths):
        try:
            with pq.ParquetFile(path) as file:
                schema = pa.schema([file.schema_arrow.field(column) for column in columns])
                digester = digester or TableDigester(schema)
                for batch in file.iter_batches(_READ_ROWS, columns=list(columns), use_threads=False):
                    digester.update(batch.select(list(columns)))
        except (pa.ArrowException, OSError) as error:
            raise IngestError(f"is damaged: {_first_line(error)}", file=number) from error
    assert digester is not None
    return digester.finish().columns


def to_parquet(
    kind: str, paths: Sequence[Path], source: Source, target: Path
) -> tuple[Schema, int, dict[str, tuple[str, str]]]:
    """Write text or Arrow files as one Parquet file; return schema, rows, and name → (type, digest). Raises `IngestError`."""
    writer: pq.ParquetWriter | None = None
    digester: TableDigester | None = None
    schema: pa.Schema | None = None
    try:
        for number, path in enumerate(paths):
            try:
                for batch in _batches(kind, path, source):
                    if schema is None:
                        schema = stored_schema(_without_null_types(batch.schema))
                        _require_declared(schema, {} if kind in {"csv", "json"} else source.columns)
                        _checked(schema)
                        writer = pq.ParquetWriter(target, schema, compression="zstd")
                        digester = TableDigester(schema)
                    assert writer is not None
                    assert digester is not None
                    typed = _conform(batch, schema, number)
                    writer.write_batch(typed)
                    digester.update(typed)
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                hint = "declare the type with columns = { … } in rules.toml" if "onversion" in str(error) else None
                raise IngestError(f"is not readable as {kind}: {_first_line(error)}", file=number, hint=hint) from error
    finally:
        if writer is not None:
            writer.close()
    if digester is None or schema is None:
        raise IngestError("has no rows and no header, so no columns")
    digest = digester.finish()
    described = to_schema(schema)
    types = {column.name: column.type for column in described.columns}
    return described, digest.rows, {name: (types[name], value) for name, value in digest.columns.items()}


def table_digest(rows: int, columns: Mapping[str, tuple[str, str]]) -> str:
    """Return the digest by which an ingested table is stored."""
    return hash_json(["ingested", rows, [[name, *facts] for name, facts in columns.items()]])


def _batches(kind: str, path: Path, source: Source) -> Iterator[pa.RecordBatch]:
    types = {name: _declared_type(name, text) for name, text in source.columns.items()}
    if kind == "arrow":
        yield from _arrow_batches(path)
        return
    with pa.input_stream(str(path), compression="detect") as stream:
        if kind == "csv":
            reader = pa_csv.open_csv(
                stream,
                read_options=pa_csv.ReadOptions(block_size=_BLOCK, autogenerate_column_names=not source.header),
                parse_options=pa_csv.ParseOptions(delimiter=_delimiter(path, source), newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(
                    column_types=types,
                    null_values=source.nulls,
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
            _require_names(reader.schema.names, types)
            _require_distinct(reader.schema.names)
        else:
            parse = pa_json.ParseOptions(
                explicit_schema=pa.schema(list(types.items())) if types else None, unexpected_field_behavior="infer"
            )
            reader = pa_json.open_json(stream, pa_json.ReadOptions(block_size=_BLOCK), parse)
        empty = True
        for batch in reader:
            empty = False
            yield batch
        if empty:
            yield pa.RecordBatch.from_pylist([], reader.schema)


def _arrow_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as stream:
        try:
            reader = pa.ipc.open_file(stream)
            batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
        except pa.ArrowInvalid:
            stream.seek(0)
            reader = pa.ipc.open_stream(stream)
            batches = iter(reader)
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            yield pa.RecordBatch.from_pylist([], reader.schema)


def _hash_chunks(metadata: pq.FileMetaData, raw: object, hashers: Mapping[str, object]) -> None:
    for group_number in range(metadata.num_row_groups):
        group = metadata.row_group(group_number)
        for chunk_number in range(group.num_columns):
            chunk = group.column(chunk_number)
            hasher = hashers.get(chunk.path_in_schema.split(".")[0])
            if hasher is None:
                continue
            start = chunk.data_page_offset
            if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
                start = min(start, chunk.dictionary_page_offset)
            facts = (chunk.path_in_schema, chunk.physical_type, chunk.compression, chunk.encodings, chunk.num_values)
            hasher.update(repr((*facts, group.num_rows, chunk.total_compressed_size)).encode())  # type: ignore[attr-defined]
            raw.seek(start)  # type: ignore[attr-defined]
            left = chunk.total_compressed_size
            while left > 0:
                block = raw.read(min(left, 1 << 22))  # type: ignore[attr-defined]
                if not block:
                    raise OSError("the file ends inside a column")
                hasher.update(block)  # type: ignore[attr-defined]
                left -= len(block)


def _delimiter(path: Path, source: Source) -> str:
    return "\t" if source.delimiter == "," and ".tsv" in path.name.lower() else source.delimiter


def _conform(batch: pa.RecordBatch, schema: pa.Schema, number: int) -> pa.RecordBatch:
    """Cast a batch to the schema of the first one. Raises `IngestError` when names differ or values do not fit."""
    if batch.schema.names != schema.names:
        raise IngestError(f"has files of different columns: {_difference(schema, batch.schema)}", file=number)
    columns = []
    for field, column in zip(schema, batch.columns, strict=True):
        try:
            columns.append(column.cast(field.type))
        except pa.ArrowException as error:
            message = f"has a value in column '{field.name}' that is not {field.type}: {_first_line(error)}"
            raise IngestError(message, file=number, hint="declare the type with columns = { … }") from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _without_null_types(schema: pa.Schema) -> pa.Schema:
    """Columns without a single value get the type string: a column must have some type that SQL knows."""
    return pa.schema([field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema])


def _require_declared(schema: pa.Schema, declared: Mapping[str, str]) -> None:
    for name, text in declared.items():
        index = schema.get_field_index(name)
        if index < 0:
            raise IngestError(f"has no column '{name}', which rules.toml declares")
        wanted = stored_schema(pa.schema([pa.field(name, _declared_type(name, text))])).field(0).type
        if schema.field(index).type != wanted:
            raise IngestError(f"has type {schema.field(index).type} in column '{name}', where rules.toml declares {text}")


def _require_names(names: Sequence[str], types: Mapping[str, object]) -> None:
    for name in types:
        if name not in names:
            raise IngestError(f"has no column '{name}', which rules.toml declares", hint=f"columns: {', '.join(names)}")


def _require_distinct(names: Sequence[str]) -> None:
    for name in names:
        if list(names).count(name) > 1:
            raise IngestError(f"has two columns named '{name}'")


def _declared_type(name: str, text: str) -> pa.DataType:
    try:
        return parse_type(text)
    except ValueError as error:
        raise IngestError(f"declares column '{name}' with an {error}", hint="examples: string, int64, double, date") from error


def _checked(schema: pa.Schema) -> Schema:
    if len(set(schema.names)) != len(schema.names):
        _require_distinct(schema.names)
    try:
        return to_schema(schema)
    except UnsupportedTypeError as error:
        raise IngestError(f"has column '{error.column}' of type {error.dtype}, which is not supported") from error


def _difference(first: pa.Schema, second: pa.Schema) -> str:
    for name in dict.fromkeys([*first.names, *second.names]):
        one = first.field(name).type if name in first.names else "missing"
        other = second.field(name).type if name in second.names else "missing"
        if one != other:
            return f"column '{name}' is {one} in the first and {other} here"
    return "their columns stand in another order"


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
