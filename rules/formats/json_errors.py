"""Errors in JSON lines, each at the first line and field that is at fault."""

from __future__ import annotations

import bisect
import contextlib
import json
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from rules.formats.contract import IngestError
from rules.formats.csv_text import keeps
from rules.formats.json_numbers import is_long, numbers_in, quoted
from rules.formats.json_schema import Seen, as_parsed, read_lines
from rules.formats.text_file import AS_UTF8, hint
from rules.formats.text_places import column_in_json, unreadable_column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.formats.json_schema import Path
    from rules.formats.source import Source
    from rules.formats.text_file import TextFile

_CHANGED = re.compile(r"Column\(/([^/()]+)")
_TIME, _SOME_DAY = r"^\d\d:\d\d(:\d\d(\.\d+)?)?$", "1970-01-01"
_SHOWN = 60
"""Characters of a value that an error shows."""


def require_utf8(whole: bytes, lines: list[bytes], file: TextFile, number: int) -> None:
    """Raise `IngestError` at the first byte of a block that is no UTF-8. whole: its lines as one."""
    if whole.isascii() or unreadable_column(whole) is None:
        return
    places = ((place, unreadable_column(line)) for place, line in enumerate(lines))
    place, column = next((place, at) for place, at in places if at is not None)
    problem = "is not readable as JSON lines: the text is not UTF-8"
    raise IngestError(problem, file=file.number, line=number + place + 1, column=column, hint=AS_UTF8)


def require_kept(
    lines: list[bytes], declared: Mapping[str, pa.DataType], file: TextFile, source: Source, number: int
) -> None:
    """Raise `IngestError` for a whole number that a declared float would round."""
    floats = {name: dtype for name, dtype in declared.items() if pa.types.is_floating(dtype)}
    for place, line in enumerate(lines if floats else ()):
        if not (is_long(line) or any(map(pa.types.is_float32, floats.values()))) or not line.strip():
            continue
        with contextlib.suppress(ValueError):  # what is no JSON, its reader says
            for path, text in numbers_in(line):
                dtype = floats.get(path[0])
                if dtype is not None and len(path) == 1 and not keeps(text, dtype):
                    problem = f"does not fit in column '{path[0]}': {dtype} does not hold {text} exactly"
                    column = column_in_json(line, path[0])
                    where = number + place + 1
                    raise IngestError(problem, file=file.number, line=where, column=column, hint=hint(source, path[0]))


def typed(
    column: pa.Array, field: pa.Field, file: TextFile, source: Source, number: int, lines: list[bytes]
) -> pa.Array:
    """Cast what was parsed as strings. Raises `IngestError` at the first value that is none of the type."""
    if column.type == field.type:
        return column
    try:
        return _cast(column, field.type)
    except pa.ArrowException:
        for row in range(len(column)):
            try:
                _cast(column.slice(row, 1), field.type)
            except pa.ArrowException:
                line = [place for place, text in enumerate(lines) if text.strip()][row]
                shown = json.dumps(column[row].as_py(), ensure_ascii=False, default=str)
                dtype = source.columns.get(field.name, field.type)
                problem = f"does not fit in column '{field.name}': {_cut(shown)} is not {dtype}"
                raise IngestError(
                    problem,
                    file=file.number,
                    line=number + line + 1,
                    column=column_in_json(lines[line], field.name),
                    hint=hint(source, field.name),
                ) from None
        raise


def _cast(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Cast what was parsed as strings, also to times, of which Arrow makes none. Raises `pyarrow.ArrowException`."""
    if not pa.types.is_time(dtype):
        return column.cast(dtype)
    if not pc.all(pc.match_substring_regex(column, _TIME), min_count=0).as_py():
        raise pa.ArrowInvalid("not a time")
    moments = pc.binary_join_element_wise(_SOME_DAY, column, " ")
    return moments.cast(pa.timestamp(dtype.unit)).cast(dtype)


def conflict(seen: Seen, file: TextFile, source: Source, number: int, lines: list[bytes], message: str) -> IngestError:
    """Return what is wrong with a block that cannot be read as one table, at the first line which makes it so."""
    place = _first_bad(lines, None)
    if place is None:  # it fits by itself, not with what came before
        return misfit(file, source, seen.schema(), number, lines, message, set())
    before = b"".join(lines[:place])
    schema: pa.Schema | None = None
    if seen.found is not None:
        with contextlib.suppress(pa.ArrowException):
            seen.add(before)
        schema = seen.schema()
    return _described(file, source, schema, number + place + 1, lines[place], message)


def misfit(
    file: TextFile,
    source: Source,
    schema: pa.Schema,
    number: int,
    lines: list[bytes],
    message: str,
    texts: set[Path],
) -> IngestError:
    """Return what is wrong with the first line of a block that does not fit the schema."""
    given = [quoted(line, texts) if texts and line.strip() else line for line in lines]
    place = _first_bad(given, as_parsed(schema))
    line, text = (None, b"") if place is None else (number + place + 1, given[place])
    return _described(file, source, schema, line, text, message)


def _described(
    file: TextFile, source: Source, schema: pa.Schema | None, line: int | None, text: bytes, message: str
) -> IngestError:
    problem = re.sub(r"^JSON parse error: | in row \d+$", "", message)
    found = _CHANGED.search(problem)
    parsed = None if schema is None else as_parsed(schema)
    name = _field_at_fault(text, parsed) if parsed is not None else None
    if name is None or schema is None:
        with contextlib.suppress(ValueError):
            if not isinstance(json.loads(text), dict):
                problem = "the line is no object"
        return IngestError(
            f"is not readable as JSON lines: {problem}",
            file=file.number,
            line=line,
            column=column_in_json(text, found[1] if found else None) or (1 if line is not None else None),
            hint=hint(source, found[1]) if found else 'every line is one JSON object, as {"a": 1, "b": "x"}',
        )
    shown = json.dumps(json.loads(text)[name], ensure_ascii=False)
    kind = source.columns.get(name) or (schema.field(name).type if name in schema.names else "as before")
    problem = f"does not fit in column '{name}': {_cut(shown)} is not {kind}"
    return IngestError(problem, file=file.number, line=line, column=column_in_json(text, name), hint=hint(source, name))


def broken_line(file: TextFile, number: int, lines: list[bytes]) -> IngestError:
    """Return the error for the first line that is no JSON by itself."""
    columns = ((place, column_in_json(line, None)) for place, line in enumerate(lines) if line.strip())
    line, column = next(((number + place + 1, at) for place, at in columns if at is not None), (None, None))
    problem = "is not readable as JSON lines: the line is no whole object"
    hint = "every line is one JSON object: jq -c . FILE puts each on a line of its own"
    return IngestError(problem, file=file.number, line=line, column=column, hint=hint)


def _cut(shown: str) -> str:
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _first_bad(lines: list[bytes], schema: pa.Schema | None) -> int | None:
    """Find the first line that does not fit the schema, or the lines before it."""
    if _fits(b"".join(lines), schema):
        return None
    return bisect.bisect_left(range(len(lines)), 1, key=lambda last: not _fits(b"".join(lines[: last + 1]), schema))


def _fits(text: bytes, schema: pa.Schema | None) -> bool:
    if not text.strip():
        return True
    try:
        read_lines(text, schema, closed=schema is not None)
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
        if name in schema.names and not _fits(json.dumps({name: value}).encode(), schema):
            return str(name)
    return None
