"""A product's table as data files of a table format: one for each of its parts, named by the part, so kept if known.

A part whose columns have types of the format is copied. Of others, types become those that hold the same values, and
what was written is read back and compared. A file that is there already under a part's name, and holds it, is used.
The parts of a partitioned table are divided, and each file is named by the digest of the rows that it holds.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from cache.bags import bag_digest
from cache.digests import TableDigester
from cache.durability import synchronise
from cache.errors import UnreadableTableError
from cache.filedigest import file_digest
from cache.keys import hash_json
from cache.own_names import name_beside
from cache.removal import remove_beside, replace
from cache.table_files import files_of, read_batches, schema_of
from compiler.suggestions import column_suggestion
from rules.errors import FAILED, UserError
from rules.exporting.writing_folders import write_folders
from rules.formats.table_files import plain
from rules.publishing.partition_contents import PartitionContent, partition_contents

if TYPE_CHECKING:
    from rules.publishing.target import StoredTable

TypeOf = Callable[[pa.DataType], pa.DataType | None]
"""A leaf's type in a table format, None if it has none that holds the same values."""

_DECIMAL_DIGITS = 38


class Part(NamedTuple):
    """A part of a product, or all of it, or the rows of a partition in one. name: of its data file; file: in the store.

    partition: what its rows are, and the folder that its values would name; None if the table has no partitions.
    """

    name: str
    file: Path
    rows: int
    folder: str = ""
    partition: PartitionContent | None = None


def parts_of(table: StoredTable, keys: Sequence[str]) -> list[Part]:
    """Return the parts of a table, each with a name of its own. keys: of its partitions. Raises as their contents do.

    The parts of a table that is partitioned are read; their number does not decide how much of it is sent.
    """
    found: list[Part] = []
    seen: dict[str, int] = {}

    def add(content: str, part: Part) -> None:
        seen[content] = seen.get(content, 0) + 1
        again = f"-{seen[content]}" if seen[content] > 1 else ""
        found.append(part._replace(name=f"part-{content}{again}.parquet"))

    for path in files_of(table.file):
        if not keys:
            held = path.resolve()
            add(f"{held.parent.name}{held.stem}", Part("", path, pq.read_metadata(path).num_rows))
            continue
        for folder, one in partition_contents(path, keys).items():
            content = hash_json({"partition": list(keys), "rows": one.digest()})
            add(content, Part("", path, one.rows, folder, one))
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


def write_parts(
    table: StoredTable, parts: Sequence[Part], schema: pa.Schema, keys: Sequence[str], folder: Path
) -> None:
    """See to it that parts are in `folder`, whole and durable. schema: of the files. Raises `UserError` and OSError.

    keys: of the partitions, () for none.
    """
    missing = [
        part for part in parts if not ((folder / part.name).is_file() and _is_held(part, schema, folder / part.name))
    ]
    if not keys:
        for part in missing:
            _put(table, [part], schema, folder, partial(_write_whole, table, part, schema))
        return
    for file in dict.fromkeys(part.file for part in missing):
        here = [part for part in missing if part.file == file]
        _put(table, here, schema, folder, partial(_divide, table, here, schema, keys))


def _put(
    table: StoredTable,
    parts: Sequence[Part],
    schema: pa.Schema,
    folder: Path,
    write: Callable[[Mapping[str, Path]], None],
) -> None:
    """Have files written under other names, compare them with their parts, and give them theirs."""
    fresh = {part.name: name_beside(folder / part.name) for part in parts}
    try:
        write(fresh)
        for part in parts:
            synchronise(fresh[part.name])
            if not _is_held(part, schema, fresh[part.name]):
                message = f"the files that were written of {table.product} do not hold its rows"
                raise UserError(message, code="unwritable", hint="publish again; please report this", exit_code=FAILED)
        for part in parts:
            replace(fresh[part.name], folder / part.name)
    finally:
        for path in fresh.values():
            remove_beside(path)


def _write_whole(table: StoredTable, part: Part, schema: pa.Schema, fresh: Mapping[str, Path]) -> None:
    target = fresh[part.name]
    if _is_copy(part, schema):
        shutil.copyfile(part.file, target)
        return
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in read_batches(part.file):
            writer.write_batch(_converted(table, batch, schema))


def _divide(
    table: StoredTable, parts: Sequence[Part], schema: pa.Schema, keys: Sequence[str], fresh: Mapping[str, Path]
) -> None:
    """Write partitions of one file of a table."""
    targets = {part.folder: fresh[part.name] for part in parts}

    @contextmanager
    def opened(folder: str) -> Iterator[_Batches]:
        with pq.ParquetWriter(targets[folder], schema, compression="zstd") as writer:
            yield _Batches(writer)

    write_folders(parts[0].file, keys, list(targets), opened, lambda rows: _converted(table, rows, schema))


class _Batches:
    """A writer of Parquet as `write_folders` wants one."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows."""
        self._writer.write_batch(batch)

    def close(self) -> None:
        """It is closed by who opened it."""


def _converted(table: StoredTable, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return rows with the columns and types of a data file. Raises `UserError`."""
    columns = []
    for field in schema:
        try:
            columns.append(batch.column(field.name).cast(field.type))
        except pa.ArrowException as error:
            message = f"{table.product} has values in column '{field.name}' that {field.type} does not hold"
            hint = "CAST it in the rule, or publish it to files"
            raise UserError(message, code="unsupported", hint=hint, exit_code=FAILED) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _is_copy(part: Part, schema: pa.Schema) -> bool:
    held = pq.read_schema(part.file)
    return [plain(field.type) for field in held] == [plain(field.type) for field in schema]


def _is_held(part: Part, schema: pa.Schema, target: Path) -> bool:
    """Whether a file holds the rows of a part, to the last bit."""
    held = pq.read_schema(part.file)
    if part.partition is None and _is_copy(part, schema):
        return file_digest(target) == file_digest(part.file)
    inside = pa.schema([held.field(name) for name in schema.names])

    def back() -> Iterator[pa.RecordBatch]:
        for batch in read_batches(target):
            columns = [batch.column(field.name).cast(field.type) for field in inside]
            yield pa.RecordBatch.from_arrays(columns, schema=inside)

    try:
        if part.partition is not None:
            missing = [name for name in held.names if name not in schema.names]
            return _ordered_digest(inside, back()) == part.partition.digest(missing)
        return bag_digest(held, back(), held.names) == bag_digest(held, read_batches(part.file), held.names)
    except (pa.ArrowException, UnreadableTableError, KeyError):
        return False  # another table, left there under this name, or a damaged one


def _ordered_digest(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> str:
    digester = TableDigester(schema)
    for batch in batches:
        digester.update(batch)
    return digester.finish().table


def partition_values(part: Part, schema: pa.Schema, keys: Sequence[str]) -> tuple[Any, ...]:
    """Return what the rows of a part have in the columns of its partition, with the types of the table's columns."""
    if part.partition is None:
        return ()
    return tuple(one.cast(schema.field(key).type).as_py() for key, one in zip(keys, part.partition.values, strict=True))


def partition_text(value: Any) -> str | None:
    """Return a value of a partition as table formats write it."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def require_partitions(table: StoredTable, schema: pa.Schema, keys: Sequence[str]) -> None:
    """Refuse columns by which a table cannot be partitioned. Raises `UserError`."""
    for key in keys:
        if key not in schema.names:
            hint = column_suggestion(key, schema.names) or f"its columns: {', '.join(schema.names)}"
            raise UserError(f"{table.product} has no column '{key}'", code="unknown-column", hint=hint)
        dtype = schema.field(key).type
        is_fit = pa.types.is_integer(dtype) or pa.types.is_string(dtype) or pa.types.is_date(dtype)
        is_whole = pa.types.is_decimal(dtype) and dtype.scale == 0
        # Fractions are no values of partitions: deltalake reads -1.20 as the text "-1.-20".
        if not (is_fit or is_whole or pa.types.is_boolean(dtype)):
            message = f"column '{key}' of {table.product} is of type {dtype}, which names no partitions"
            hint = "partition by a column of text, whole numbers or dates"
            raise UserError(message, code="unfit", hint=hint, exit_code=FAILED)
    if keys and set(keys) == set(schema.names):
        message = f"'partition_by' names all columns of {table.product}, so the files would have none"
        raise UserError(message, code="unfit", hint="leave at least one out", exit_code=FAILED)
