"""CSV files as typed record batches, and the types of their columns. Streams.

In a file of one column an empty line is a row, whose value is NULL or, if nulls says so, the empty text.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from rules.files.source_listing import COMPRESSED
from rules.formats.contract import IngestError, first_line, require_distinct
from rules.formats.delimiters import delimiter_hint, likely_delimiter
from rules.formats.spelling import Column
from rules.formats.text_file import AS_UTF8, hint, require_text
from rules.formats.text_places import place_in_csv

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rules.formats.source import Source
    from rules.formats.text_file import TextFile

_BEGINNING = 1 << 18
"""Bytes that are read at first, if the first rows are not longer."""
_ROW = re.compile(r"Row #(\d+): ")
_COLUMN = re.compile(r"In CSV column #(\d+): ")
_FIELDS = re.compile(r"Expected (\d+) columns, got (\d+)")
_VALUE = re.compile(r"invalid value '(.*?)'?$", re.DOTALL)


def look(file: TextFile, source: Source, declared: Mapping[str, pa.DataType], block: int) -> dict[str, Any]:
    """Return what one file is found to hold, as plain data for `schema_of`. Raises `IngestError`.

    "rows": their number; "names": of the columns; "columns": records of those whose types are not declared.
    """
    with _located(file, source, None, single=False):
        require_text(file)
        names = _names(file, source, block)
    _require_distinct(file, source, names)
    columns = {name: Column() for name in names if name not in declared}
    floats = {name: dtype for name, dtype in declared.items() if pa.types.is_floating(dtype) and name in names}
    rows, single = 0, len(names) == 1
    with contextlib.suppress(pa.ArrowException), file.open() as stream:  # reading all of it says what is wrong
        # Most columns are text, as their first values show, and need not be read to the end.
        types = dict.fromkeys(columns, pa.string())
        for name, texts in _first(_reader(stream, file, source, types, _BEGINNING, len(names)), columns).items():
            columns[name].add(texts)
    wanted = [name for name, column in columns.items() if not column.is_settled] + list(floats)
    wanted = wanted or names[:1]
    with _located(file, source, None, single=single), file.open() as stream:
        types = dict.fromkeys(wanted, pa.string())
        for batch in _reader(stream, file, source, types, block, len(names), wanted):
            for name in wanted:
                if name in floats:
                    row = _unkept(batch.column(name), floats[name])
                    if row is not None:
                        raise _rounded(batch.column(name)[row].as_py(), name, file, source, rows + row + 1, names)
                elif name in columns:
                    columns[name].add(batch.column(name))
            rows += batch.num_rows
    return {"rows": rows, "names": names, "columns": {name: column.record() for name, column in columns.items()}}


def schema_of(looks: Sequence[tuple[TextFile, Mapping[str, Any]]], declared: Mapping[str, pa.DataType]) -> pa.Schema:
    """Return the schema of files that are read as one table, from what each holds. Raises `IngestError`."""
    names: list[str] = looks[0][1]["names"]
    columns = {name: Column() for name in names if name not in declared}
    for file, found in looks:
        if found["names"] != names:
            pairs = zip(names, found["names"], strict=False)
            other = next((at for at, pair in enumerate(pairs) if pair[0] != pair[1]), None)
            line, column = place_in_csv(file, 1, len(names) if other is None else other)
            hint_of_names = f"columns of the first file: {', '.join(names)}"
            raise IngestError(
                "has files of different columns", file=file.number, line=line, column=column, hint=hint_of_names
            )
        for name, record in found["columns"].items():
            columns[name].join(Column.of_record(record))
    return pa.schema([(name, columns[name].dtype() if name in columns else declared[name]) for name in names])


def _first(reader: Any, names: Iterable[str]) -> dict[str, pa.Array]:
    """Return the first values of columns."""
    batch = next(iter(reader), None)
    return {} if batch is None else {name: batch.column(name) for name in names}


def batches(file: TextFile, source: Source, schema: pa.Schema, block: int) -> Iterator[pa.RecordBatch]:
    """Yield a CSV file's rows with the columns and types of `schema`. Raises `IngestError`."""
    rows = 0
    last: pa.RecordBatch | None = None
    single = len(schema) == 1
    with _located(file, source, schema, single=single), file.open() as stream:
        types = {field.name: field.type for field in schema}
        for batch in _reader(stream, file, source, types, block, len(schema)):
            rows += batch.num_rows
            last = batch if batch.num_rows else last
            yield batch
        if last is not None and pa.types.is_string(schema.types[-1]):
            value = last.column(last.num_columns - 1)[-1].as_py()
            # A quote that is never closed swallows the rest of the file, line ends and all, into the last field.
            if value is not None and "\n" in value and not _tail(file).rstrip(b"\r\n").endswith(b'"'):
                row = rows + _before_rows(file, source, single=single)
                line, column = place_in_csv(file, row, len(schema) - 1, single=single)
                raise IngestError(
                    "has a quoted field that is never closed",
                    file=file.number,
                    line=line,
                    column=column,
                    hint='close it with ", and write a quote inside of a quoted field twice',
                )


def _reader(
    stream: Any,
    file: TextFile,
    source: Source,
    types: Mapping[str, pa.DataType],
    block: int,
    width: int,
    wanted: Sequence[str] | None = None,
) -> Any:
    """Open a file of `width` columns. wanted: the only columns to read."""
    single = width == 1
    return pa_csv.open_csv(
        stream,
        # On one thread errors have row numbers, and it is hardly slower.
        pa_csv.ReadOptions(
            use_threads=False,
            block_size=block,
            autogenerate_column_names=not source.options["header"],
            skip_rows=_blank_lines(file) if single and source.options["header"] else 0,
        ),
        pa_csv.ParseOptions(delimiter=file.delimiter, newlines_in_values=True, ignore_empty_lines=not single),
        pa_csv.ConvertOptions(
            column_types=types,
            include_columns=wanted,
            null_values=list(source.options["nulls"]),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _names(file: TextFile, source: Source, block: int) -> list[str]:
    for size in (_BEGINNING, block):
        with file.open() as stream:
            try:
                names: list[str] = _reader(stream, file, source, {}, size, 0).schema.names
            except pa.ArrowException:
                if size == block:
                    raise
            else:
                return names
    raise AssertionError


def _blank_lines(file: TextFile) -> int:
    """Return how many empty lines a file begins with."""
    count = 0
    with file.open() as stream, io.BufferedReader(stream) as lines:
        for line in lines:
            if line.removeprefix(b"\xef\xbb\xbf").strip(b"\r\n"):
                break
            count += 1
    return count


def _unkept(texts: pa.Array, dtype: pa.DataType) -> int | None:
    """Return the row of the first whole number that a float type would round, or number that it has no room for."""
    if not _may_be_rounded(texts, dtype):
        return None
    return next(
        (row for row, text in enumerate(texts.to_pylist()) if text is not None and not keeps(text, dtype)), None
    )


def _rounded(text: str, name: str, file: TextFile, source: Source, row: int, names: Sequence[str]) -> IngestError:
    single = len(names) == 1
    row += _before_rows(file, source, single=single)
    line, column = place_in_csv(file, row, list(names).index(name), single=single)
    problem = f"does not fit in column '{name}': {source.columns[name]} does not hold {text} exactly"
    return IngestError(problem, file=file.number, line=line, column=column, hint=hint(source, name))


def _before_rows(file: TextFile, source: Source, *, single: bool) -> int:
    """Return how many rows, as `place_in_csv` counts, come before the first one of values."""
    if not source.options["header"]:
        return 0
    return 1 + (_blank_lines(file) if single else 0)


def _may_be_rounded(texts: pa.Array, dtype: pa.DataType) -> bool:
    """Whether any value is so large that floats have gaps there."""
    try:
        sizes = pc.abs(texts.cast(dtype))
    except pa.ArrowInvalid:
        return True
    largest = pc.max(sizes).as_py()
    return largest is not None and largest >= (2**24 if pa.types.is_float32(dtype) else 2**53)


def keeps(text: str, dtype: pa.DataType) -> bool:
    """Whether a float type has room for a number, and keeps it if it is whole."""
    if not re.fullmatch(r"\s*[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?\s*", text):
        return True  # a word, or what the type's own reader rejects
    value = pa.scalar(text.strip().removeprefix("+")).cast(dtype).as_py()
    whole = re.fullmatch(r"\s*[+-]?([0-9]+)(?:\.0*)?\s*", text)
    return value not in {float("inf"), float("-inf")} and (whole is None or abs(int(value)) == int(whole[1]))


def _tail(file: TextFile) -> bytes:
    tail = b""
    with file.open() as stream:
        while block := stream.read(1 << 20):
            tail = (tail + block)[-1024:]
    return tail


@contextlib.contextmanager
def _located(file: TextFile, source: Source, schema: pa.Schema | None, *, single: bool) -> Iterator[None]:
    """Turn what Arrow says of a CSV file into an error that names line, column and remedy."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _error(file, source, schema, first_line(error), single=single) from error


def _error(file: TextFile, source: Source, schema: pa.Schema | None, message: str, *, single: bool) -> IngestError:
    row = int(numbered[1]) if (numbered := _ROW.search(message)) else None
    fields = _FIELDS.search(message)
    if fields:
        line, at = place_in_csv(file, row or 0, min(int(fields[1]), int(fields[2])), single=single)
        found = f"has a row of {_plural(int(fields[2]))}, where the first has {_plural(int(fields[1]))}"
        mark = likely_delimiter(_header(file)) if int(fields[1]) == 1 else None
        remedy = "quote fields that hold the delimiter or a line end" if mark is None else delimiter_hint(mark)
        return IngestError(found, file=file.number, line=line, column=at, hint=remedy)
    column = _COLUMN.search(message)
    problem = _ROW.sub("", _COLUMN.sub("", message))
    unreadable = "UTF8" in problem or "utf-8" in problem
    if column is None:
        line, at = place_in_csv(file, row or 1, 0, single=single, unreadable=unreadable)
        if unreadable:
            told_of = "has a header that is not UTF-8" if source.options["header"] else "is not UTF-8"
            return IngestError(told_of, file=file.number, line=line, column=at, hint=AS_UTF8)
        if "Empty CSV" in problem:
            missing = "write the names of the columns into the first line, or leave the file out"
            return IngestError("has no columns: every line is empty", file=file.number, hint=missing)
        problem = problem.removeprefix("CSV parse error: ")
        if file.path.name.endswith(COMPRESSED):
            remedy = "is it compressed as its name says, and complete?"
        else:
            remedy = "quotes, the delimiter and line ends must be those of RFC 4180; see delimiter under [sources.NAME]"
        where = line if row else None
        return IngestError(f"is not readable as CSV: {problem}", file=file.number, line=where, hint=remedy)
    number = int(column[1])
    line, at = place_in_csv(file, row or 0, number, single=single, unreadable=unreadable)
    name = _name_of(file, source, schema, number)
    value = _VALUE.search(problem)
    inferred = schema.field(name).type if schema is not None and name in schema.names else "text"
    dtype = source.columns.get(name, inferred)
    if value:
        problem = f"'{value[1]}' is not {dtype}"
    elif unreadable:
        problem = "the text is not UTF-8"
    remedy = AS_UTF8 if unreadable else hint(source, name)
    problem = f"does not fit in column '{name}': {problem}"
    return IngestError(problem, file=file.number, line=line, column=at, hint=remedy)


def _require_distinct(file: TextFile, source: Source, names: Sequence[str]) -> None:
    try:
        require_distinct(names)
    except IngestError as error:
        again = next((at for at, name in enumerate(names) if name in names[:at]), None)
        if source.options["header"] and again is not None:
            error.line, error.column = place_in_csv(file, _before_rows(file, source, single=len(names) == 1), again)
        raise


def _name_of(file: TextFile, source: Source, schema: pa.Schema | None, number: int) -> str:
    if schema is not None:
        return str(schema.names[number])
    return _header(file)[number] if source.options["header"] else f"f{number}"


def _header(file: TextFile) -> list[str]:
    """Return the fields of the first line that has any."""
    with (
        file.open() as stream,
        io.TextIOWrapper(io.BufferedReader(stream), "utf-8-sig", "replace", newline="") as text,
    ):
        return next(fields for fields in csv.reader(text, delimiter=file.delimiter) if fields)


def _plural(count: int) -> str:
    return f"{count} field{'' if count == 1 else 's'}"
