"""Types of the fields of JSON lines, found block by block; they are parsed by Arrow.

Numbers are integers, or doubles if these keep them to the last digit; integers beyond 64 bits are decimals, and other
numbers that no double keeps are texts. Texts are timestamps if all of a field are spelled alike (see
`rules.formats.spelling`).
"""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any, Self

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from rules.formats.json_numbers import NUMBERS, Numbers, is_long, numbers_in, quoted
from rules.formats.spelling import Column
from rules.formats.text_file import usable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Path = tuple[str, ...]
"""The place of a value in an object: the names of fields, ITEM for the items of a list."""

ITEM = "[]"


def as_parsed(schema: pa.Schema) -> pa.Schema:
    """Return the schema that lines are parsed by: dates, times and timestamps are strings in JSON."""
    return pa.schema([field.with_type(_parsed(field.type)) for field in schema])


def read_lines(text: bytes, schema: pa.Schema | None, *, closed: bool = False) -> pa.Table:
    """Parse lines. closed: whether they have no other fields than `schema`."""
    behaviour = "error" if closed else "infer"
    options = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=behaviour)
    read = pa_json.ReadOptions(use_threads=False, block_size=len(text) + 1)
    return pa_json.read_json(io.BytesIO(text), read, options)


class Seen:
    """What the objects read so far hold.

    texts: by path, what may be timestamps; plain: what cannot; numbers: those that are long; quoted: what is read as it
    is spelled, because rules.toml wants texts.
    """

    def __init__(self, declared: Mapping[str, pa.DataType]) -> None:
        self.found: pa.Schema | None = None
        self.rows = 0
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
            table = read_lines(quoted(text, self._quoted) if self._quoted else text, known)
        except pa.ArrowException:
            # Numbers where rules.toml wants texts are read as they are spelled.
            self._quoted |= {(name,) for name, dtype in self._declared.items() if pa.types.is_string(dtype)}
            if not self._quoted:
                raise
            table = read_lines(quoted(text, self._quoted), self._explicit())
        stamps = [path for path, dtype in _leaves(table.schema) if pa.types.is_timestamp(dtype)]
        stamps = [path for path in stamps if path not in self._plain and path[0] not in self._declared]
        # Its fields are in the order of the text; reading again with known types would change that.
        schema = table.schema
        if stamps:
            schema = _as_strings(schema, set(stamps))
            self._texts |= {path: Column(of_timestamps=True) for path in stamps}
            table = read_lines(quoted(text, self._quoted) if self._quoted else text, self._explicit())
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
        self.rows += table.num_rows

    def join(self, other: Seen) -> None:
        """Add what the objects of another table of the same declaration hold, as if they came after those of this."""
        self.rows += other.rows
        for path, column in other._texts.items():
            self._texts.setdefault(path, Column(of_timestamps=True)).join(column)
        for path, numbers in other._numbers.items():
            self._numbers.setdefault(path, Numbers()).join(numbers)
        self._quoted |= other._quoted
        self._plain |= other._plain
        if other.found is not None:
            self.found = other.found if self.found is None else _unified(self.found, other.found)

    def record(self) -> dict[str, Any]:
        """Return all of this as plain data, for `of_record`."""
        return {
            "rows": self.rows,
            "found": None if self.found is None else base64.b64encode(self.found.serialize().to_pybytes()).decode(),
            "texts": [[path, column.record()] for path, column in self._texts.items()],
            "numbers": [[path, msgspec.to_builtins(numbers)] for path, numbers in self._numbers.items()],
            "quoted": sorted(self._quoted),
            "plain": sorted(self._plain),
        }

    @classmethod
    def of_record(cls, record: Mapping[str, Any], declared: Mapping[str, pa.DataType]) -> Self:
        """Return what was seen by its record."""
        seen = cls(declared)
        seen.rows = record["rows"]
        found = record["found"]
        seen.found = None if found is None else pa.ipc.read_schema(pa.py_buffer(base64.b64decode(found)))
        seen._texts = {tuple(path): Column.of_record(column) for path, column in record["texts"]}
        seen._numbers = {tuple(path): msgspec.convert(numbers, Numbers) for path, numbers in record["numbers"]}
        seen._quoted = {tuple(path) for path in record["quoted"]}
        seen._plain = {tuple(path) for path in record["plain"]}
        return seen

    def schema(self) -> pa.Schema:
        """Return the schema of all objects."""
        found = self.found if self.found is not None else pa.schema([])
        texts: set[Path] = set(self._quoted)

        def dtype_of(path: Path, dtype: pa.DataType) -> pa.DataType:
            if path in self._texts and path not in self._plain:
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


def _parsed(dtype: pa.DataType) -> pa.DataType:
    """Return the type that a column is parsed as: dates, times and timestamps are strings in JSON."""
    if pa.types.is_date(dtype) or pa.types.is_time(dtype) or pa.types.is_timestamp(dtype):
        return pa.string()
    if pa.types.is_struct(dtype):
        return pa.struct([(field.name, _parsed(field.type)) for field in dtype])
    if pa.types.is_list(dtype):
        return pa.list_(_parsed(dtype.value_type))
    return dtype


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
