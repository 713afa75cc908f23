"""JSON lines as typed record batches, and the types of their fields. Streams.

Numbers are integers, or doubles if these keep them to the last digit; integers beyond 64 bits are decimals, and other
numbers that no double keeps are texts. Texts are timestamps if all of a field are spelled alike (see `spelling`).
"""

from __future__ import annotations

import bisect
import contextlib
import io
import json
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from rules.formats.contract import IngestError, first_line
from rules.formats.csv_text import keeps
from rules.formats.json_numbers import NUMBERS, Numbers, is_long, numbers_in, quoted
from rules.formats.spelling import Column
from rules.formats.text_file import AS_UTF8, hint, open_text, require_no_utf16, usable
from rules.formats.text_places import column_in_json, unreadable_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rules.formats.source import Source
    from rules.formats.text_file import TextFile

Path = tuple[str, ...]
"""Where a value stands in an object: the names of fields, ITEM for the items of a list."""

ITEM = "[]"
_CHANGED = re.compile(r"Column\(/([^/()]+)")
_SHOWN = 60
"""Characters of a value that an error shows."""


def infer(files: Sequence[TextFile], source: Source, declared: Mapping[str, pa.DataType], block: int) -> pa.Schema:
    """Return the schema of JSON files read as one table. Raises `IngestError`.

    Its metadata say which numbers are read as texts.
    """
    seen = _Seen(declared)
    for file in files:
        _require_lines(file)
        for number, lines in _blocks(file, block):
            whole = b"".join(lines)
            _require_utf8(whole, lines, file, number)  # Arrow takes any bytes for a text
            _require_kept(lines, declared, file, source, number)
            try:
                seen.add(whole)
            except pa.ArrowException as error:
                raise _conflict(seen, file, source, number, lines, first_line(error)) from error
            except json.JSONDecodeError as error:  # Arrow takes an object over several lines
                raise _broken_line(file, number, lines) from error
    return seen.schema()


def batches(file: TextFile, source: Source, schema: pa.Schema, block: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file of JSON lines with the columns and types of `schema`. Raises `IngestError`."""
    texts = {tuple(path) for path in json.loads((schema.metadata or {}).get(NUMBERS, b"[]"))}
    parsed = pa.schema([field.with_type(_parsed(field.type)) for field in schema])
    for number, lines in _blocks(file, block):
        whole = b"".join(lines)
        if not whole.strip():
            continue
        try:
            table = _read(quoted(whole, texts) if texts else whole, parsed, closed=True)
        except pa.ArrowException as error:
            raise _misfit(file, source, schema, number, lines, first_line(error), texts) from error
        for batch in table.combine_chunks().to_batches():
            columns = [
                _typed(column, field, file, source, number, lines)
                for column, field in zip(batch.columns, schema, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema.remove_metadata())


class _Seen:
    """What the objects read so far hold.

    texts: by path, what may be timestamps; plain: what cannot; numbers: those that are long; quoted: what is read as it
    is spelled, because rules.toml wants texts.
    """

    def __init__(self, declared: Mapping[str, pa.DataType]) -> None:
        self.found: pa.Schema | None = None
        self._declared = declared
        self._texts: dict[Path, Column] = {}
        self._numbers: dict[Path, Numbers] = {}
        self._quoted: set[Path] = set()
        self._plain: set[Path] = set()

    def add(self, text: bytes) -> None:
        """Look at the objects of more lines. Raises ArrowException."""
        if not text.strip():
            return
        known = self._explicit()
        try:
            table = _read(quoted(text, self._quoted) if self._quoted else text, known)
        except pa.ArrowException:
            # Numbers where rules.toml wants texts are read as they are spelled.
            self._quoted |= {(name,) for name, dtype in self._declared.items() if pa.types.is_string(dtype)}
            if not self._quoted:
                raise
            table = _read(quoted(text, self._quoted), self._explicit())
        stamps = [path for path, dtype in _leaves(table.schema) if pa.types.is_timestamp(dtype)]
        stamps = [path for path in stamps if path not in self._plain and path[0] not in self._declared]
        schema = (
            table.schema
        )  # whose fields stand in the order of the text, which what is known beforehand would change
        if stamps:
            schema = _as_strings(schema, set(stamps))
            self._texts |= {path: Column(of_timestamps=True) for path in stamps}
            table = _read(quoted(text, self._quoted) if self._quoted else text, self._explicit())
        long = is_long(text)
        for path, dtype in _leaves(table.schema):
            if pa.types.is_string(dtype) and path not in self._texts:
                self._plain.add(path)
            elif path in self._texts:
                self._texts[path].add(_values(table, path))
            elif pa.types.is_floating(dtype) and not long:
                self._numbers.setdefault(path, Numbers()).whole = False
        if long:
            for path, number in numbers_in(text):
                self._numbers.setdefault(path, Numbers()).add(number)
        self.found = schema if self.found is None else _unified(self.found, schema)

    def schema(self) -> pa.Schema:
        """Return the schema of all objects."""
        found = self.found if self.found is not None else pa.schema([])
        texts: set[Path] = set(self._quoted)

        def dtype_of(path: Path, dtype: pa.DataType) -> pa.DataType:
            if path in self._texts:
                return self._texts[path].dtype() if pa.types.is_string(dtype) else dtype
            if path in self._numbers and (pa.types.is_floating(dtype) or pa.types.is_integer(dtype)):
                exact = self._numbers[path].dtype(dtype)
                if pa.types.is_string(exact):
                    texts.add(path)
                return exact
            return usable(dtype)

        fields = [(field.name, _mapped((field.name,), field.type, dtype_of)) for field in found]
        return pa.schema(fields, {NUMBERS: json.dumps(sorted(texts)).encode()} if texts else None)

    def _explicit(self) -> pa.Schema:
        """Return what is known to be text, so that it is not taken for timestamps."""
        tree = _with_texts(self._texts)
        tree |= {path[0]: pa.string() for path in self._quoted}
        return pa.schema(list(tree.items()))


def _as_strings(schema: pa.Schema, paths: set[Path]) -> pa.Schema:
    def change(path: Path, dtype: pa.DataType) -> pa.DataType:
        return pa.string() if path in paths else dtype

    return pa.schema([(field.name, _mapped((field.name,), field.type, change)) for field in schema])


def _with_texts(texts: Iterable[Path]) -> dict[str, pa.DataType]:
    """Return types that hold strings at the paths of `texts`, and nothing else."""
    tree: dict[str, Any] = {}
    for path in texts:
        node = tree
        for name in path:
            node = node.setdefault(name, {})
    return {name: _type_of(node) for name, node in tree.items()}


def _type_of(node: dict[str, Any]) -> pa.DataType:
    if not node:
        return pa.string()
    if ITEM in node:
        return pa.list_(_type_of(node[ITEM]))
    return pa.struct([(name, _type_of(inner)) for name, inner in node.items()])


def _leaves(schema: pa.Schema) -> Iterator[tuple[Path, pa.DataType]]:
    pending: list[tuple[Path, pa.DataType]] = [((field.name,), field.type) for field in schema]
    while pending:
        path, dtype = pending.pop()
        if pa.types.is_struct(dtype):
            pending += [((*path, field.name), field.type) for field in dtype]
        elif pa.types.is_list(dtype):
            pending.append(((*path, ITEM), dtype.value_type))
        else:
            yield path, dtype


def _values(table: pa.Table, path: Path) -> pa.Array:
    """Return the values at a path, of all rows."""
    values = pa.concat_arrays(table.column(path[0]).chunks)
    for name in path[1:]:
        values = values.flatten() if name == ITEM else pc.struct_field(values, name)
    return values


def _mapped(path: Path, dtype: pa.DataType, change: Any) -> pa.DataType:
    """Return a type with its leaves changed."""
    if pa.types.is_struct(dtype):
        return pa.struct([(field.name, _mapped((*path, field.name), field.type, change)) for field in dtype])
    if pa.types.is_list(dtype):
        return pa.list_(_mapped((*path, ITEM), dtype.value_type, change))
    return change(path, dtype)


def _blocks(file: TextFile, size: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield whole lines, some `size` bytes at a time, and how many lines come before them."""
    number = 0
    try:
        with open_text(file.path) as stream, io.BufferedReader(stream) as lines:
            while block := lines.readlines(size):
                if number == 0:
                    block[0] = block[0].removeprefix(b"\xef\xbb\xbf")
                yield number, block
                number += len(block)
    except OSError as error:
        raise IngestError(f"is not readable as JSON lines: {first_line(error)}", file=file.number) from error


def _require_lines(file: TextFile) -> None:
    try:
        require_no_utf16(file)
        with open_text(file.path) as stream:
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


def _read(text: bytes, schema: pa.Schema | None, *, closed: bool = False) -> pa.Table:
    """Parse lines. closed: whether they have no other fields than `schema`."""
    behaviour = "error" if closed else "infer"
    options = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=behaviour)
    read = pa_json.ReadOptions(use_threads=False, block_size=len(text) + 1)
    return pa_json.read_json(io.BytesIO(text), read, options)


def _parsed(dtype: pa.DataType) -> pa.DataType:
    """Return the type that a column is parsed as: dates, times and timestamps are strings in JSON."""
    if pa.types.is_date(dtype) or pa.types.is_time(dtype) or pa.types.is_timestamp(dtype):
        return pa.string()
    if pa.types.is_struct(dtype):
        return pa.struct([(field.name, _parsed(field.type)) for field in dtype])
    if pa.types.is_list(dtype):
        return pa.list_(_parsed(dtype.value_type))
    return dtype


def _unified(first: pa.Schema, second: pa.Schema) -> pa.Schema:
    """Unify what two blocks say."""
    fields: dict[str, pa.DataType] = {}
    for field in (*first, *second):
        fields[field.name] = _wider(fields[field.name], field.type) if field.name in fields else field.type
    return pa.schema(list(fields.items()))


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if all(pa.types.is_integer(dtype) or pa.types.is_floating(dtype) for dtype in (one, other)):
        return pa.float64()
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        return pa.struct(list(_unified(pa.schema(list(one)), pa.schema(list(other)))))
    if pa.types.is_list(one) and pa.types.is_list(other):
        return pa.list_(_wider(one.value_type, other.value_type))
    return one  # what is of another kind is an error when it is read


# Errors


def _require_utf8(whole: bytes, lines: list[bytes], file: TextFile, number: int) -> None:
    """Raise `IngestError` at the first byte of a block that is no UTF-8. whole: its lines as one."""
    if whole.isascii() or unreadable_column(whole) is None:
        return
    places = ((place, unreadable_column(line)) for place, line in enumerate(lines))
    place, column = next((place, at) for place, at in places if at is not None)
    problem = "is not readable as JSON lines: the text is not UTF-8"
    raise IngestError(problem, file=file.number, line=number + place + 1, column=column, hint=AS_UTF8)


def _require_kept(
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


def _typed(
    column: pa.Array, field: pa.Field, file: TextFile, source: Source, number: int, lines: list[bytes]
) -> pa.Array:
    """Cast what was parsed as strings. Raises `IngestError` at the first value that is none of the type."""
    if column.type == field.type:
        return column
    try:
        return column.cast(field.type)
    except pa.ArrowException:
        for row in range(len(column)):
            try:
                column.slice(row, 1).cast(field.type)
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


def _conflict(
    seen: _Seen, file: TextFile, source: Source, number: int, lines: list[bytes], message: str
) -> IngestError:
    """Return what is wrong with a block that cannot be read as one table, at the first line which makes it so."""
    place = _first_bad(lines, None)
    if place is None:  # it fits by itself, not with what came before
        return _misfit(file, source, seen.schema(), number, lines, message, set())
    before = b"".join(lines[:place])
    schema: pa.Schema | None = None
    if seen.found is not None:
        with contextlib.suppress(pa.ArrowException):
            seen.add(before)
        schema = seen.schema()
    return _described(file, source, schema, number + place + 1, lines[place], message)


def _misfit(
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
    place = _first_bad(given, pa.schema([field.with_type(_parsed(field.type)) for field in schema]))
    line, text = (None, b"") if place is None else (number + place + 1, given[place])
    return _described(file, source, schema, line, text, message)


def _described(
    file: TextFile, source: Source, schema: pa.Schema | None, line: int | None, text: bytes, message: str
) -> IngestError:
    problem = re.sub(r"^JSON parse error: | in row \d+$", "", message)
    told = _CHANGED.search(problem)
    parsed = None if schema is None else pa.schema([field.with_type(_parsed(field.type)) for field in schema])
    name = _field_at_fault(text, parsed) if parsed is not None else None
    if name is None or schema is None:
        with contextlib.suppress(ValueError):
            if not isinstance(json.loads(text), dict):
                problem = "the line is no object"
        return IngestError(
            f"is not readable as JSON lines: {problem}",
            file=file.number,
            line=line,
            column=column_in_json(text, told[1] if told else None) or (1 if line is not None else None),
            hint=hint(source, told[1]) if told else 'every line is one JSON object, as {"a": 1, "b": "x"}',
        )
    shown = json.dumps(json.loads(text)[name], ensure_ascii=False)
    kind = source.columns.get(name) or (schema.field(name).type if name in schema.names else "as before")
    problem = f"does not fit in column '{name}': {_cut(shown)} is not {kind}"
    return IngestError(problem, file=file.number, line=line, column=column_in_json(text, name), hint=hint(source, name))


def _broken_line(file: TextFile, number: int, lines: list[bytes]) -> IngestError:
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
        _read(text, schema, closed=schema is not None)
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
