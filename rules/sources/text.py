"""Reading text files, CSV and JSON lines, as typed record batches. Streams.

Types that rules.toml does not declare are inferred from the beginning of every file. A later value that does not fit is
an error, never a guess: what a column means must not depend on its millionth row. A CSV file without a header has the
columns f0, f1, …; in one with a header every row must have as many fields. Quoted fields are never NULL.
"""

from __future__ import annotations

import bisect
import contextlib
import csv
import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json

from rules.sources.contract import IngestError, declared_types, first_line, require_distinct, require_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rules.project import Source

_CSV_BLOCK = 16 << 20
_JSON_BLOCK = 32 << 20
"""Bytes of text that are parsed at a time, and from the first of which types are inferred."""

_WIDEST = 38
"""Digits of the widest integers that the engine computes with, as decimals."""

_SHOWN = 60
"""Characters of a value that an error shows."""

_ROW = re.compile(r"Row #(\d+): ")
_CSV_COLUMN = re.compile(r"In CSV column #(\d+): ")
_FIELDS = re.compile(r"Expected (\d+) columns, got (\d+)")
_VALUE = re.compile(r"invalid value '(.*?)'?$", re.DOTALL)


@dataclass(frozen=True)
class TextFile:
    """One file of a source. number: its position among the source's files."""

    path: Path
    number: int
    delimiter: str


def infer(kind: str, files: Sequence[TextFile], source: Source) -> pa.Schema:
    """Return the schema of text files read as one table: declared types, and inferred ones. Raises `IngestError`."""
    declared = declared_types(source.columns)
    found: pa.Schema | None = None
    for file in files:
        with _located(kind, file, source, None):
            schema = _beginning(file, source, declared) if kind == "csv" else _json_beginning(file)
        if found is not None and kind == "csv" and schema.names != found.names:
            known = ", ".join(found.names)
            raise IngestError(
                "has files of different columns", file=file.number, hint=f"columns of the first file: {known}"
            )
        found = schema if found is None else _unified(found, schema, kind)
    assert found is not None
    names: list[str] = list(found.names)
    if kind == "json":  # a field may be missing from every beginning
        names += [name for name in declared if name not in names]
    require_names(names, declared)
    require_distinct(names)
    return pa.schema(
        [(name, declared[name] if name in declared else _usable(found.field(name).type)) for name in names]
    )


def batches(kind: str, file: TextFile, source: Source, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield a text file's rows with the columns and types of `schema`. Raises `IngestError`."""
    with _located(kind, file, source, schema), _open(file.path) as stream:
        if kind == "csv":
            yield from _csv_batches(stream, file, source, schema)
        else:
            parsed = pa.schema([field.with_type(_json_type(field.type)) for field in schema])
            reader = pa_json.open_json(stream, _json_read(), _json_parse(parsed))
            for batch in reader:
                columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _open(path: Path) -> Any:
    return pa.input_stream(str(path), compression="detect")


# CSV


def _csv_reader(stream: Any, file: TextFile, source: Source, types: dict[str, pa.DataType]) -> Any:
    return pa_csv.open_csv(
        stream,
        # On one thread errors have row numbers, and it is hardly slower.
        pa_csv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK, autogenerate_column_names=not source.header),
        pa_csv.ParseOptions(delimiter=file.delimiter, newlines_in_values=True),
        pa_csv.ConvertOptions(
            column_types=types,
            null_values=list(source.nulls),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _csv_batches(stream: Any, file: TextFile, source: Source, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    rows = 0
    last: pa.RecordBatch | None = None
    for batch in _csv_reader(stream, file, source, {field.name: field.type for field in schema}):
        rows += batch.num_rows
        last = batch if batch.num_rows else last
        yield batch
    if last is not None and pa.types.is_string(schema.types[-1]):
        value = last.column(last.num_columns - 1)[-1].as_py()
        # A quote that is never closed swallows the rest of the file, line ends and all, into the last field.
        if value is not None and "\n" in value and not _tail(file.path).rstrip(b"\r\n").endswith(b'"'):
            line = _line_of_row(file, rows + source.header)
            raise IngestError("has a quoted field that is never closed", file=file.number, line=line)


def _beginning(file: TextFile, source: Source, declared: dict[str, pa.DataType]) -> pa.Schema:
    """Infer the types of a CSV file from its first block."""
    with _open(file.path) as stream:
        schema = _csv_reader(stream, file, source, declared).schema
    floats = [field.name for field in schema if pa.types.is_float64(field.type) and field.name not in declared]
    if floats and len(set(schema.names)) == len(schema.names):
        wide = _wide_integers(file, source, declared, floats)
        schema = pa.schema([field.with_type(wide.get(field.name, field.type)) for field in schema])
    return schema


def _wide_integers(
    file: TextFile, source: Source, declared: dict[str, pa.DataType], floats: Sequence[str]
) -> dict[str, pa.DataType]:
    """Find columns of integers too wide for int64, which a float would round."""
    with _open(file.path) as stream:
        try:
            block = next(iter(_csv_reader(stream, file, source, declared | dict.fromkeys(floats, pa.string()))))
        except StopIteration:
            return {}
    found = {}
    for name in floats:
        values = block.column(block.schema.get_field_index(name)).drop_null()
        if pc.all(pc.match_substring_regex(values, r"^\s*[+-]?[0-9]+\s*$")).as_py():
            longest = pc.max(pc.utf8_length(pc.utf8_trim_whitespace(values))).as_py()
            found[name] = pa.decimal128(_WIDEST, 0) if longest <= _WIDEST else pa.string()
    return found


def _tail(path: Path) -> bytes:
    tail = b""
    with _open(path) as stream:
        while block := stream.read(1 << 20):
            tail = (tail + block)[-1024:]
    return tail


def _line_of_row(file: TextFile, row: int) -> int | None:
    """Return the line on which a row begins; rows may span lines, and blank lines are no rows."""
    with (
        _open(file.path) as stream,
        io.TextIOWrapper(io.BufferedReader(stream), "utf-8", "replace", newline="") as text,
    ):
        reader = csv.reader(text, delimiter=file.delimiter)
        line, count = 1, 0
        with contextlib.suppress(csv.Error):  # a field too long for Python's reader
            for fields in reader:
                count += bool(fields)
                if count == row and fields:
                    return line
                line = reader.line_num + 1
    return None


# JSON lines


def _json_read() -> Any:
    return pa_json.ReadOptions(use_threads=False, block_size=_JSON_BLOCK)


def _json_parse(schema: pa.Schema | None) -> Any:
    behaviour = "infer" if schema is None else "error"
    return pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=behaviour)


def _json_beginning(file: TextFile) -> pa.Schema:
    with _open(file.path) as stream:
        if stream.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            raise IngestError(
                "is a JSON array, where one object a line is expected",
                file=file.number,
                line=1,
                hint="jq -c '.[]' FILE makes JSON lines of it",
            )
    with _open(file.path) as stream:
        return pa_json.open_json(stream, _json_read(), _json_parse(None)).schema


def _json_type(dtype: pa.DataType) -> pa.DataType:
    """Return the type that a declared type is parsed as: JSON writes dates as strings."""
    return pa.string() if pa.types.is_date(dtype) or pa.types.is_time(dtype) else dtype


def _line_of_json(file: TextFile, schema: pa.Schema | None) -> tuple[int, bytes] | None:
    """Find the first line that does not fit the schema, or the lines before it: its number, and the line."""
    with _open(file.path) as stream, io.BufferedReader(stream) as lines:
        number = 0
        while block := lines.readlines(_JSON_BLOCK):
            if not _fits(b"".join(block), schema):
                good = bisect.bisect_left(
                    range(len(block)), 1, key=lambda last: not _fits(b"".join(block[: last + 1]), schema)
                )
                return number + good + 1, block[good]
            number += len(block)
    return None


def _fits(text: bytes, schema: pa.Schema | None) -> bool:
    if not text.strip():
        return True
    try:
        options = pa_json.ReadOptions(use_threads=False, block_size=len(text) + 1)
        pa_json.read_json(io.BytesIO(text), options, _json_parse(schema))
    except pa.ArrowException:
        return False
    return True


def _field_at_fault(line: bytes, schema: pa.Schema) -> str | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    for name, value in record.items():
        if not _fits(json.dumps({name: value}).encode(), schema):
            return str(name)
    return None


# Types


def _usable(dtype: pa.DataType) -> pa.DataType:
    """Return what an inferred type is read as: no values at all are strings, and times have the engine's resolution."""
    if pa.types.is_null(dtype) or pa.types.is_binary(dtype):
        return pa.string()  # bytes that are no UTF-8 are then an error
    if pa.types.is_timestamp(dtype) and dtype.unit == "s":
        return pa.timestamp("us", dtype.tz)
    if pa.types.is_time32(dtype):
        return pa.time64("us")
    if pa.types.is_list(dtype):
        return pa.list_(_usable(dtype.value_type))
    if pa.types.is_struct(dtype):
        return pa.struct([(field.name, _usable(field.type)) for field in dtype])
    return dtype


def _unified(first: pa.Schema, second: pa.Schema, kind: str) -> pa.Schema:
    """Unify what two files' beginnings say."""
    fields: dict[str, pa.DataType] = {}
    for field in (*first, *second):
        fields[field.name] = _wider(fields[field.name], field.type, kind) if field.name in fields else field.type
    return pa.schema(list(fields.items()))


def _wider(one: pa.DataType, other: pa.DataType, kind: str) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    numbers = [dtype for dtype in (one, other) if pa.types.is_integer(dtype) or pa.types.is_floating(dtype)]
    if len(numbers) == 2:  # noqa: PLR2004 — both of them
        return pa.float64()
    if len(numbers) == 1 and (pa.types.is_decimal(one) or pa.types.is_decimal(other)):
        return pa.float64() if pa.types.is_floating(numbers[0]) else pa.decimal128(_WIDEST, 0)
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other) and one.tz == other.tz:
        return pa.timestamp("ns", one.tz)
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        return pa.struct(list(_unified(pa.schema(list(one)), pa.schema(list(other)), kind)))
    if pa.types.is_list(one) and pa.types.is_list(other):
        return pa.list_(_wider(one.value_type, other.value_type, kind))
    # All text is a string. In JSON only strings are, and what is none is an error when it is read.
    return pa.string() if kind == "csv" or not numbers else one


# Errors


@contextlib.contextmanager
def _located(kind: str, file: TextFile, source: Source, schema: pa.Schema | None) -> Iterator[None]:
    """Turn what Arrow says of a text file into an error that names line, column and remedy."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        made = _csv_error if kind == "csv" else _json_error
        raise made(file, source, schema, first_line(error)) from error


def _csv_error(file: TextFile, source: Source, schema: pa.Schema | None, message: str) -> IngestError:
    row = _ROW.search(message)
    line = _line_of_row(file, int(row[1])) if row else None
    fields = _FIELDS.search(message)
    if fields:
        found = f"has a row of {_plural(int(fields[2]))}, where the first has {_plural(int(fields[1]))}"
        return IngestError(
            found, file=file.number, line=line, hint="quote fields that hold the delimiter or a line end"
        )
    column = _CSV_COLUMN.search(message)
    if column is None:
        return IngestError(f"is not readable as CSV: {_ROW.sub('', message)}", file=file.number, line=line)
    name = _name_of(file, source, schema, int(column[1]))
    problem = _ROW.sub("", _CSV_COLUMN.sub("", message))
    value = _VALUE.search(problem)
    dtype = schema.field(name).type if schema is not None and name in schema.names else source.columns.get(name, "text")
    if value:
        problem = f"'{value[1]}' is not {dtype}"
    elif "UTF8" in problem:
        problem = "the text is not UTF-8"
    return IngestError(
        f"does not fit in column '{name}': {problem}", file=file.number, line=line, hint=_hint(source, name)
    )


def _json_error(file: TextFile, source: Source, schema: pa.Schema | None, message: str) -> IngestError:
    parsed = None if schema is None else pa.schema([field.with_type(_json_type(field.type)) for field in schema])
    located = _line_of_json(file, parsed)
    problem = re.sub(r"^JSON parse error: | in row \d+$", "", message)
    line, text = located if located is not None else (None, b"")
    name = _field_at_fault(text, parsed) if parsed is not None else None
    if name is None or schema is None:
        with contextlib.suppress(ValueError):
            if not isinstance(json.loads(text), dict):
                problem = "the line is no object"
        return IngestError(f"is not readable as JSON lines: {problem}", file=file.number, line=line)
    if name not in schema.names:
        problem = f"has a field '{name}' that the beginning of the file does not have"
    else:
        shown = json.dumps(json.loads(text)[name], ensure_ascii=False)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        problem = f"does not fit in column '{name}': {shown} is not {schema.field(name).type}"
    return IngestError(problem, file=file.number, line=line, hint=_hint(source, name))


def _name_of(file: TextFile, source: Source, schema: pa.Schema | None, number: int) -> str:
    if schema is not None:
        return str(schema.names[number])
    if not source.header:
        return f"f{number}"
    with (
        _open(file.path) as stream,
        io.TextIOWrapper(io.BufferedReader(stream), "utf-8-sig", "replace", newline="") as text,
    ):
        return next(csv.reader(text, delimiter=file.delimiter))[number]


def _hint(source: Source, name: str) -> str:
    if name in source.columns:
        return (
            f"rules.toml declares '{name}' as {source.columns[name]}: declare another type, or list the value in nulls"
        )
    key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
    return f'its type was inferred from the beginning of the file; declare it: columns = {{ {key} = "string" }}'


def _plural(count: int) -> str:
    return f"{count} field{'' if count == 1 else 's'}"
