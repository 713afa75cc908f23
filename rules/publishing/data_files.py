"""A product's table as data files of a table format: one for each of its parts, named by the part, so kept if known.

A part whose columns have types of the format is copied. Of others, types become those that hold the same values, and
what was written is read back and compared. A file that is there already under a part's name, and holds it, is used.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from cache.bags import bag_digest
from cache.durability import synchronise
from cache.filedigest import file_digest
from cache.removal import name_beside, remove_beside, replace
from cache.table_files import files_of, read_batches, schema_of
from rules.errors import FAILED, UserError
from rules.formats.table_files import plain

if TYPE_CHECKING:
    from rules.publishing.target import StoredTable

TypeOf = Callable[[pa.DataType], pa.DataType | None]
"""A leaf's type in a table format, None if it has none that holds the same values."""

_DECIMAL_DIGITS = 38


class Part(NamedTuple):
    """A part of a product, or all of it. name: of its data file; file: in the store."""

    name: str
    file: Path


def parts_of(table: StoredTable) -> list[Part]:
    """Return the parts of a table, each with a name of its own. Raises OSError."""
    found: list[Part] = []
    seen: dict[str, int] = {}
    for path in files_of(table.file):
        held = path.resolve()
        artifact = f"{held.parent.name}{held.stem}"
        seen[artifact] = seen.get(artifact, 0) + 1
        again = f"-{seen[artifact]}" if seen[artifact] > 1 else ""
        found.append(Part(f"part-{artifact}{again}.parquet", path))
    return found


def is_ours(name: str) -> bool:
    """Whether a data file has a name that `parts_of` gives."""
    return name.startswith("part-") and name.endswith(".parquet")


def lake_schema(table: StoredTable, type_of: TypeOf, shown: str) -> pa.Schema:
    """Return the columns of a table as a table format has them. shown: its name. Raises `UserError`."""
    fields = []
    for field in schema_of(table.file):
        dtype = _lake_type(field.type, type_of)
        if dtype is None:
            message = (
                f"{table.product} has column '{field.name}' of type {field.type}, which {shown} tables do not have"
            )
            hint = f"CAST it in the rule, or publish {table.product} to files"
            raise UserError(message, code="unsupported", hint=hint, exit_code=FAILED)
        fields.append(pa.field(field.name, dtype))
    return pa.schema(fields)


def lake_leaf(dtype: pa.DataType) -> pa.DataType | None:
    """Return the type of a leaf that both table formats have and that holds the same values, if there is one."""
    if pa.types.is_unsigned_integer(dtype):
        wider = {8: pa.int16(), 16: pa.int32(), 32: pa.int64(), 64: pa.decimal128(20, 0)}
        return wider[dtype.bit_width]
    if pa.types.is_float16(dtype):
        return pa.float32()
    if pa.types.is_decimal(dtype):
        fits = dtype.precision <= _DECIMAL_DIGITS and 0 <= dtype.scale <= dtype.precision
        return pa.decimal128(dtype.precision, dtype.scale) if fits else None
    if pa.types.is_timestamp(dtype):
        return pa.timestamp("us", None if dtype.tz is None else "UTC")
    if pa.types.is_date(dtype):
        return pa.date32()
    is_same = pa.types.is_signed_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_boolean(dtype)
    return dtype if is_same or pa.types.is_string(dtype) or pa.types.is_binary(dtype) else None


def _lake_type(dtype: pa.DataType, type_of: TypeOf) -> pa.DataType | None:
    dtype = plain(dtype)
    if pa.types.is_struct(dtype):
        fields = [(field.name, _lake_type(field.type, type_of)) for field in dtype]
        return pa.struct(fields) if fields and all(kind is not None for _, kind in fields) else None
    if pa.types.is_list(dtype) or pa.types.is_fixed_size_list(dtype):
        item = _lake_type(dtype.value_type, type_of)
        return None if item is None else pa.list_(pa.field("element", item))
    if pa.types.is_map(dtype):
        key, item = _lake_type(dtype.key_type, type_of), _lake_type(dtype.item_type, type_of)
        return None if key is None or item is None else pa.map_(key, item)
    return type_of(dtype)


def write_part(table: StoredTable, part: Part, schema: pa.Schema, folder: Path) -> None:
    """See to it that a part is in `folder`, whole and durable. Raises `UserError` and OSError."""
    target = folder / part.name
    held = pq.read_schema(part.file)
    is_copy = [plain(field.type) for field in held] == [plain(field.type) for field in schema]
    if target.is_file() and _holds(part, held, target, is_copy=is_copy):
        return
    fresh = name_beside(target)
    try:
        if is_copy:
            shutil.copyfile(part.file, fresh)
        else:
            _convert(table, part, schema, fresh)
        synchronise(fresh)
        if not _holds(part, held, fresh, is_copy=is_copy):
            message = f"the files that were written of {table.product} do not hold its rows"
            raise UserError(message, code="unwritable", hint="publish again; please report this", exit_code=FAILED)
        replace(fresh, target)
    finally:
        remove_beside(fresh)


def _convert(table: StoredTable, part: Part, schema: pa.Schema, target: Path) -> None:
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in read_batches(part.file):
            columns = []
            for field, column in zip(schema, batch.columns, strict=True):
                try:
                    columns.append(column.cast(field.type))
                except pa.ArrowException as error:
                    message = f"{table.product} has values in column '{field.name}' that {field.type} does not hold"
                    hint = "CAST it in the rule, or publish it to files"
                    raise UserError(message, code="unsupported", hint=hint, exit_code=FAILED) from error
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _holds(part: Part, held: pa.Schema, target: Path, *, is_copy: bool) -> bool:
    """Whether a file holds the rows of a part, to the last bit."""
    if is_copy:
        return file_digest(target) == file_digest(part.file)

    def back() -> Iterator[pa.RecordBatch]:
        for batch in read_batches(target):
            columns = [column.cast(field.type) for field, column in zip(held, batch.columns, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=held)

    try:
        return bag_digest(held, back(), held.names) == bag_digest(held, read_batches(part.file), held.names)
    except pa.ArrowException:  # another table, left there under this name, or a damaged one
        return False
