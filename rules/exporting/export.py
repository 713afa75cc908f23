"""One product's last committed table, written to a file or folder.

What is stored is the table, in its order, so Parquet is copied, and every other file is written by pyarrow from a
stream of its rows. The engine's own writer would serve none of these: it names files at random, puts NULL and the
empty text in one folder and one field, leaves NULLs out of JSON, and replaces what is there without a word.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa

from cache.own_names import exported_name
from cache.table_files import read_batches, schema_of
from compiler.suggestions import column_suggestion
from rules.errors import UserError
from rules.exporting.appending import Added, next_number, require_same_table
from rules.exporting.destination import Destination, carry_over
from rules.exporting.partitions import folders_of, makes_folders
from rules.exporting.writing_folders import BATCH_ROWS, write_folders

if TYPE_CHECKING:
    from rules.exporting.formats import ExportFormat, FileKind
    from rules.exporting.row_writers import RowWriter


@dataclass(frozen=True)
class Export:
    """What is to be written: the table `artifact` in `file`, the object of the store that was just verified."""

    product: str
    artifact: str
    file: Path
    rows: int
    destination: Destination
    format: ExportFormat
    kind: FileKind
    partition_by: tuple[str, ...]
    carried: Mapping[str, Path | None] = field(default_factory=dict)
    """Files that hold some of the folders: their path in the destination → what is linked there, None for nothing."""


@dataclass(frozen=True)
class Exported:
    """What was written. files: how many; bytes: of them."""

    export: Export
    files: int
    bytes: int


def columns_of(words: Iterable[str], file: Path) -> tuple[str, ...]:
    """Return the columns that the words of --partition-by name: each is one column, or several with commas."""
    known = schema_of(file).names
    parts = [part for word in words for part in ([word] if word in known else word.split(","))]
    return tuple(dict.fromkeys(part if part in known else part.strip() for part in parts))


def require_possible(export: Export) -> None:
    """Refuse what the format cannot hold, unknown columns, and an unusable destination. Raises `UserError`."""
    schema = schema_of(export.file)
    for key in export.partition_by:
        if key not in schema.names:
            hint = column_suggestion(key, schema.names) or f"its columns: {', '.join(schema.names)}"
            raise UserError(f"{export.product} has no column '{key}'", code="unknown-column", hint=hint)
        if not makes_folders(schema.field(key).type):
            message = f"column '{key}' of {export.product} is of type {schema.field(key).type}, which names no folders"
            raise UserError(message, code="unfit", hint="partition by a column of text, whole numbers or dates")
    rest = _rest(schema, export.partition_by)
    if not len(rest):
        message = f"--partition-by names all columns of {export.product}, so the files would have none"
        raise UserError(message, code="usage", hint="leave at least one out")
    require_fit(export.product, rest, export.format)
    place = export.destination
    place.require_usable()
    if place.mode == "append" and place.path.exists():
        require_same_table(
            place, place.files(), export.format, export.kind, Added(export.product, export.partition_by, rest)
        )


def require_fit(product: str, columns: pa.Schema, format_: ExportFormat) -> None:
    """Refuse columns of a product that the format cannot hold. Raises `UserError`."""
    for column in columns:
        unfit = format_.unfit(column.type)
        if unfit is not None:
            message = f"{format_.name} cannot hold column '{column.name}' of {product}, of type {column.type}"
            raise UserError(message, code="unfit", hint=unfit)


def write_table(product: str, file: Path, format_: ExportFormat, kind: FileKind, out: BinaryIO) -> None:
    """Write a product, whose table `file` is, to a stream. Raises `UserError` and OSError."""
    if format_.copies and file.is_file():  # a table in parts is a folder
        with file.open("rb") as source:
            shutil.copyfileobj(source, out, 1 << 20)
        return
    writer = format_.open(schema_of(file), out, kind)
    for batch in read_batches(file, None, BATCH_ROWS):
        _require_told_apart(product, format_, batch)
        writer.write(batch)
    writer.close()


def run(export: Export, rescued: Callable[[str], None]) -> Exported:
    """Write a table. Raises `UserError` and OSError; the destination is then what it was.

    rescued: is called with a path where something was left that we do not remove.
    """
    place = export.destination
    with place.staged(rescued) as fresh:
        if place.single:
            _write_whole(export, fresh)
            return Exported(export, 1, fresh.stat().st_size)
        former = place.files() if place.mode == "append" and place.path.exists() else []
        carried = {name: path for name, path in export.carried.items() if path is not None}
        carry_over({name: place.path / name for name in former} | carried, fresh)
        name = exported_name(next_number(former), export.artifact, export.kind.extension)
        if export.partition_by:
            written = _write_partitions(export, fresh, name)
        else:
            _write_whole(export, fresh / name)
            written = [name]
        return Exported(export, len(written), sum((fresh / one).stat().st_size for one in written))


def _write_whole(export: Export, target: Path) -> None:
    with _opened(target, export.kind) as out:
        write_table(export.product, export.file, export.format, export.kind, out)


def _write_partitions(export: Export, fresh: Path, name: str) -> list[str]:
    """Write a file of this name into each folder that is not carried over, and return their paths in `fresh`."""
    keys = export.partition_by
    carried = {one.rpartition("/")[0] for one in export.carried}
    found = folders_of(read_batches(export.file, keys, BATCH_ROWS), keys)
    folders = [folder for folder in found if folder not in carried]
    schema = _rest(schema_of(export.file), keys)

    def made(folder: str) -> AbstractContextManager[RowWriter]:
        return _made(export, fresh / folder / name, schema)

    def rest(rows: pa.RecordBatch) -> pa.RecordBatch:
        kept = rows.drop_columns(list(keys))
        _require_told_apart(export.product, export.format, kept)
        return kept

    write_folders(export.file, keys, folders, made, rest)
    return [f"{folder}/{name}" for folder in folders]


@contextmanager
def _made(export: Export, target: Path, schema: pa.Schema) -> Iterator[RowWriter]:
    target.parent.mkdir(parents=True, exist_ok=True)
    with _opened(target, export.kind) as out:
        writer = export.format.open(schema, out, export.kind)
        yield writer
        writer.close()


@contextmanager
def _opened(target: Path, kind: FileKind) -> Iterator[BinaryIO]:
    """Give a stream to a file, which is complete and on the disk when this ends well."""
    compression = kind.compression
    with target.open("wb") as file:
        out = cast("BinaryIO", pa.CompressedOutputStream(file, compression) if compression else file)
        yield out
        if compression:
            out.close()  # which closes the file too
    with target.open("rb+") as file:
        _synchronise(file)


def _synchronise(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _rest(schema: pa.Schema, keys: tuple[str, ...]) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in keys])


def _require_told_apart(product: str, format_: ExportFormat, batch: pa.RecordBatch) -> None:
    if format_.skips_null_rows and batch.num_columns == 1 and batch.column(0).null_count:
        message = f"{format_.name} cannot hold a NULL in the only column '{batch.schema.names[0]}' of {product}"
        raise UserError(message, code="unfit", hint="it would be an empty line, which readers skip; json can hold it")
