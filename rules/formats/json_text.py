"""JSON lines as typed record batches. Streams: see `rules.formats.json_schema` for the types of their fields."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rules.formats.contract import IngestError, first_line
from rules.formats.json_errors import broken_line, conflict, misfit, require_kept, require_utf8, typed
from rules.formats.json_numbers import NUMBERS, quoted
from rules.formats.json_schema import Seen, as_parsed, read_lines
from rules.formats.text_file import require_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rules.formats.source import Source
    from rules.formats.text_file import TextFile


def look(file: TextFile, source: Source, declared: Mapping[str, pa.DataType], block: int) -> dict[str, Any]:
    """Return what one file is found to hold, as plain data for `schema_of`; "rows": their number.

    Raises `IngestError`.
    """
    seen = Seen(declared)
    _require_lines(file)
    for number, lines in _blocks(file, block):
        whole = b"".join(lines)
        require_utf8(whole, lines, file, number)  # Arrow takes any bytes for a text
        require_kept(lines, declared, file, source, number)
        try:
            seen.add(whole)
        except pa.ArrowException as error:
            raise conflict(seen, file, source, number, lines, first_line(error)) from error
        except json.JSONDecodeError as error:  # Arrow takes an object over several lines
            raise broken_line(file, number, lines) from error
    return seen.record()


def schema_of(looks: Iterable[Mapping[str, Any]], declared: Mapping[str, pa.DataType]) -> pa.Schema:
    """Return the schema of files that are read as one table. Its metadata say which numbers are read as texts."""
    seen = Seen(declared)
    for found in looks:
        seen.join(Seen.of_record(found, declared))
    return seen.schema()


def batches(file: TextFile, source: Source, schema: pa.Schema, block: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file of JSON lines with the columns and types of `schema`. Raises `IngestError`."""
    texts = {tuple(path) for path in json.loads((schema.metadata or {}).get(NUMBERS, b"[]"))}
    parsed = as_parsed(schema)
    for number, lines in _blocks(file, block):
        whole = b"".join(lines)
        if not whole.strip():
            continue
        try:
            table = read_lines(quoted(whole, texts) if texts else whole, parsed, closed=True)
        except pa.ArrowException as error:
            raise misfit(file, source, schema, number, lines, first_line(error), texts) from error
        for batch in table.combine_chunks().to_batches():
            columns = [
                typed(column, field, file, source, number, lines)
                for column, field in zip(batch.columns, schema, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema.remove_metadata())


def _blocks(file: TextFile, size: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield whole lines, some `size` bytes at a time, and how many lines come before them."""
    number = 0
    try:
        with file.open() as stream, io.BufferedReader(stream) as lines:
            while block := lines.readlines(size):
                if number == 0 and file.is_beginning:
                    block[0] = block[0].removeprefix(b"\xef\xbb\xbf")
                yield number, block
                number += len(block)
    except OSError as error:
        raise IngestError(f"is not readable as JSON lines: {first_line(error)}", file=file.number) from error


def _require_lines(file: TextFile) -> None:
    try:
        require_text(file)
        with file.open() as stream:
            beginning = stream.read(1024)
    except OSError as error:
        raise IngestError(f"is not readable as JSON lines: {first_line(error)}", file=file.number) from error
    if beginning.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        raise IngestError(
            "is a JSON array, where one object a line is expected",
            file=file.number,
            line=1,
            column=1,
            hint="jq -c '.[]' FILE makes JSON lines of it",
        )
