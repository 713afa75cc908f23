"""The data files of a table format as the table has them: its columns, and its rows without those that are deleted.

A listing says as text what is needed for that: `spelled_details` the columns of the table and how files name them,
`spelled_note` what is to be known of one file.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rules.files.lazy_paths import having
from rules.formats import int96
from rules.formats.contract import IngestError, checked, first_line, require_declared, storable
from rules.formats.source_format import ReadTable, TableFiles
from rules.storage.types import stored_schema, stored_type, with_items

if TYPE_CHECKING:
    from pathlib import Path

By = Literal["name", "physical", "id"]
"""How a column is found in a file: by its name, by the name that the table says, or by the number that it says."""

PHYSICAL = b"delta.columnMapping.physicalName"
ID = b"PARQUET:field_id"
NAMES = b"names in files without ids"
"""Metadata of the fields of a table: the name in files, the number, the names (JSON) in files without numbers."""

_READ_ROWS = 1 << 16


class _Details(NamedTuple):
    by: By
    schema: pa.Schema


class _Note(NamedTuple):
    """deleted: the positions of rows in a file, from 0, sorted; constants: texts of columns that it may lack."""

    deleted: np.ndarray | None
    constants: Mapping[str, str | None]


def spelled_details(schema: pa.Schema, by: By) -> str:
    """Return the details of a listing. schema: of what is in the files, with `PHYSICAL` or `ID` of all fields."""
    return json.dumps([by, base64.b64encode(schema.serialize().to_pybytes()).decode()])


def spelled_note(deleted: np.ndarray | None, constants: Mapping[str, str | None] | None = None) -> str:
    """Return the note of a file, "" if there is nothing to be said of it. See `_Note`."""
    note: dict[str, object] = {}
    if deleted is not None and len(deleted):
        steps = np.diff(np.asarray(deleted, dtype="<u8"), prepend=np.uint64(0))
        note["deleted"] = base64.b64encode(zlib.compress(steps.tobytes())).decode()
    if constants:
        note["constants"] = dict(constants)
    return json.dumps(note, sort_keys=True) if note else ""


def in_place(table: TableFiles) -> ReadTable | None:
    """Describe a table all of whose files are as the table has them; None for another. Raises `IngestError`."""
    by, wanted = _details(table)
    if not table.paths or any(_note(table, number).deleted is not None for number in range(len(table.paths))):
        return None
    rows, types = [], None
    for number, path in enumerate(table.paths):
        with _opened(path, number) as file:
            found = {field.name: field for field in file.schema_arrow}
            _require_found(list(found.values()), wanted, by, number)
            if file.schema_arrow.names != list(found) or int96.columns_of(file, None):
                return None
            if any(field.name not in found or not _is_same(found[field.name], field, by) for field in wanted):
                return None
            here = [stored_type(found[field.name].type) for field in wanted]
            if types is not None and here != types:
                return None
            types = here
            rows.append(file.metadata.num_rows)
    assert types is not None
    schema = pa.schema([pa.field(field.name, dtype) for field, dtype in zip(wanted, types, strict=True)])
    if table.partitions is not None:
        for name, values in table.partitions.typed(table.source.columns).items():
            schema = schema.append(pa.field(name, stored_type(values.type)))
    require_declared(schema, table.source.columns)
    return ReadTable(checked(stored_schema(schema)), sum(rows), file_rows=tuple(rows))


def schema_inside(table: TableFiles) -> pa.Schema:
    """Return the schema of the rows that `batches_of` yields. Raises `IngestError`."""
    wanted = _details(table).schema
    schema = pa.schema([pa.field(field.name, plain(field.type)) for field in wanted])
    require_declared(storable(schema), table.source.columns)
    return schema


def rows_of(table: TableFiles, number: int) -> int:
    """Return how many rows of a file are in the table. Raises `IngestError`."""
    deleted = _note(table, number).deleted
    with _opened(table.paths[number], number) as file:
        rows: int = file.metadata.num_rows
    if deleted is not None and len(deleted) and int(deleted[-1]) >= rows:
        raise IngestError("has fewer rows than are deleted in it", file=number, hint="the table is damaged")
    return rows - (0 if deleted is None else len(deleted))


def batches_of(table: TableFiles, number: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file that are in the table, in its columns. Raises `IngestError`."""
    by, wanted = _details(table)
    deleted, constants = _note(table, number)
    path = table.paths[number]
    try:
        with pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as file:
            inside = file.schema_arrow
            _require_found(list(inside), wanted, by, number)
            sources = [_find(list(inside), field, by) for field in wanted]
            read = list(dict.fromkeys(inside.field(one).name for one in sources if one is not None))
            before = 0
            for batch in file.iter_batches(_READ_ROWS, columns=read or inside.names[:1], use_threads=False):
                kept = _without(batch, before, deleted)
                before += batch.num_rows
                columns = []
                for field, source in zip(wanted, sources, strict=True):
                    if source is not None:
                        held = inside.field(source)
                        columns.append(_adapted(kept.column(held.name), held, field, by, number))
                    else:
                        columns.append(_constant(field, constants, kept.num_rows, number))
                names = [field.name for field in wanted]
                yield pa.RecordBatch.from_arrays(columns, names=names) if names else kept.select([])
    except (pa.ArrowException, OSError) as error:
        raise IngestError(f"cannot be read: {first_line(error)}", file=number) from error


def with_children(field: pa.Field, change: Callable[[pa.Field], pa.Field]) -> pa.Field:
    """Return a nullable field, of a plain layout, with the fields inside of it changed."""
    dtype = field.type
    if pa.types.is_struct(dtype):
        dtype = pa.struct([change(child) for child in dtype])
    elif pa.types.is_fixed_size_list(dtype):
        dtype = pa.list_(change(dtype.value_field), dtype.list_size)
    elif _is_list(dtype):
        dtype = pa.list_(change(dtype.value_field))
    elif pa.types.is_map(dtype):
        dtype = pa.map_(change(dtype.key_field).with_nullable(False), change(dtype.item_field))  # noqa: FBT003
    else:
        dtype = plain(dtype)
    return pa.field(field.name, dtype, nullable=True, metadata=field.metadata)


def plain(dtype: pa.DataType) -> pa.DataType:
    """Return a type without what decides only its layout: offsets, views, dictionaries, names of items, nullability."""
    if pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype):
        return pa.string()
    if pa.types.is_large_binary(dtype) or pa.types.is_binary_view(dtype):
        return pa.binary()
    return with_items(dtype, plain)


def _details(table: TableFiles) -> _Details:
    by, schema = json.loads(table.details)
    return _Details(by, pa.ipc.read_schema(pa.py_buffer(base64.b64decode(schema))))


def _note(table: TableFiles, number: int) -> _Note:
    if not table.notes or not table.notes[number]:
        return _Note(None, {})
    note = json.loads(table.notes[number])
    deleted = None
    if "deleted" in note:
        deleted = np.cumsum(np.frombuffer(zlib.decompress(base64.b64decode(note["deleted"])), dtype="<u8"))
    return _Note(deleted, note.get("constants", {}))


def _opened(path: Path, number: int) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(having(path, ()))
    except (pa.ArrowException, OSError) as error:
        message = f"is not a readable Parquet file: {first_line(error)}"
        raise IngestError(
            message, file=number, hint="the table is damaged, or its files are of another kind"
        ) from error


def _require_found(fields: Sequence[pa.Field], wanted: pa.Schema, by: By, number: int) -> None:
    """Raise `IngestError` if nothing says which columns a file has: all of them would be NULL."""
    is_numbered = any(ID in (field.metadata or {}) for field in fields)
    if by == "id" and not is_numbered and not any(NAMES in (field.metadata or {}) for field in wanted):
        message = "has no numbers of its columns, and its table does not say which names they have in such files"
        hint = "set the table's property schema.name-mapping.default, or write the file again"
        raise IngestError(message, file=number, hint=hint)


def _find(fields: Sequence[pa.Field], wanted: pa.Field, by: By) -> int | None:
    """Return the position of a field of a file, None if the file lacks it."""
    marks = wanted.metadata or {}
    if by == "id" and any(ID in (field.metadata or {}) for field in fields):
        found = (place for place, field in enumerate(fields) if (field.metadata or {}).get(ID) == marks.get(ID))
    elif by == "id":
        names = json.loads(marks.get(NAMES, b"[]"))
        found = (place for place, field in enumerate(fields) if field.name in names)
    else:
        name = marks[PHYSICAL].decode() if by == "physical" else wanted.name
        found = (place for place, field in enumerate(fields) if field.name == name)
    return next(found, None)


def _children(dtype: pa.DataType) -> list[pa.Field]:
    return [dtype.field(number) for number in range(dtype.num_fields)]


def _is_same(held: pa.Field, wanted: pa.Field, by: By) -> bool:
    """Whether a field of a file is that of the table as it is, to the last field inside."""
    if plain(held.type) != plain(wanted.type):
        return False
    if pa.types.is_struct(wanted.type) and [f.name for f in held.type] != [f.name for f in wanted.type]:
        return False
    pairs = zip(_children(held.type), _children(wanted.type), strict=False)
    is_named = _find([held], wanted, by) == 0 or (by == "physical" and PHYSICAL not in (wanted.metadata or {}))
    return (is_named or wanted.metadata is None) and all(_is_same(*pair, by) for pair in pairs)


def _without(batch: pa.RecordBatch, before: int, deleted: np.ndarray | None) -> pa.RecordBatch:
    """Return a batch without its deleted rows. before: how many rows of the file come before it."""
    if deleted is None:
        return batch
    first, last = np.searchsorted(deleted, [before, before + batch.num_rows])
    if first == last:
        return batch
    keep = np.ones(batch.num_rows, dtype=bool)
    keep[(deleted[first:last] - np.uint64(before)).astype(np.int64)] = False
    return batch.filter(pa.array(keep))


def _constant(field: pa.Field, constants: Mapping[str, str | None], rows: int, number: int) -> pa.Array:
    """Return a column that a file lacks: NULL, unless the table says another value of all its rows."""
    dtype = plain(field.type)
    text = constants.get(field.name)
    if text is None:
        return pa.nulls(rows, dtype)
    try:
        return pa.repeat(pa.scalar(text, pa.string()).cast(dtype), rows)
    except pa.ArrowException as error:
        message = f"lacks column '{field.name}', and its value in the table's metadata cannot be read: {text}"
        raise IngestError(message, file=number) from error


def _adapted(array: pa.Array, held: pa.Field, wanted: pa.Field, by: By, number: int) -> pa.Array:
    """Return a column of a file with the fields and types that the table has by now. Raises `IngestError`."""
    dtype = wanted.type
    if plain(held.type) == plain(dtype) and _is_same(held, wanted, by):
        return array
    missing = array.is_null() if array.null_count else None
    if pa.types.is_struct(dtype) and pa.types.is_struct(held.type):
        inside, arrays = list(held.type), array.flatten()
        columns = []
        for field in dtype:
            place = _find(inside, field, by)
            columns.append(
                pa.nulls(len(array), plain(field.type))
                if place is None
                else _adapted(arrays[place], inside[place], field, by, number)
            )
        names = [field.name for field in dtype]
        fields = [pa.field(name, column.type) for name, column in zip(names, columns, strict=True)]
        return pa.StructArray.from_arrays(columns, fields=fields, mask=missing)
    if _is_list(dtype) and _is_list(held.type):
        whole = pa.concat_arrays([array]) if array.offset else array
        values = _adapted(whole.values, held.type.value_field, dtype.value_field, by, number)
        return pa.ListArray.from_arrays(whole.offsets.cast(pa.int32()), values, mask=missing)
    if pa.types.is_map(dtype) and pa.types.is_map(held.type):
        whole = pa.concat_arrays([array]) if array.offset else array
        keys = _adapted(whole.keys, held.type.key_field, dtype.key_field, by, number)
        items = _adapted(whole.items, held.type.item_field, dtype.item_field, by, number)
        return pa.MapArray.from_arrays(whole.offsets, keys, items, mask=missing)
    try:
        return array.cast(plain(dtype))
    except pa.ArrowException as error:
        message = f"does not fit in column '{wanted.name}', which is {dtype}: {first_line(error)}"
        raise IngestError(message, file=number) from error


def _is_list(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_list(dtype) or pa.types.is_large_list(dtype))
