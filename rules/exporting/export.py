"""One product's last committed table, written to a file or folder.

What is stored is the table, in its order, so Parquet is copied, and every other file is written by pyarrow from a
stream of its rows. The engine's own writer would serve none of these: it names files at random, puts NULL and the
empty text in one folder and one field, leaves NULLs out of JSON, and replaces what is there without a word.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa

from cache.removal import exported_name
from cache.table_files import read_batches, schema_of
from compiler.names.resolve import column_suggestion
from rules.errors import UserError
from rules.exporting.appending import Added, next_number, require_same_table
from rules.exporting.destination import Destination, carry_over
from rules.exporting.partitions import folders_of, makes_folders, split

if TYPE_CHECKING:
    from rules.exporting.formats import ExportFormat, FileKind
    from rules.exporting.row_writers import RowWriter

_BATCH_ROWS = 1 << 16
_GROUP_ROWS = 1 << 20
_GROUP_BYTES = 16 << 20
"""The size of what is written to a file of a folder at once: a row group of Parquet."""
_BUFFERED_BYTES = 256 << 20
"""Of all files of a folder that are written side by side. Beyond, the largest is written."""
_OPEN_FILES = 400
"""Files that are written side by side; a table of more folders is read once for every so many."""


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
    for field in rest:
        unfit = export.format.unfit(field.type)
        if unfit is not None:
            message = (
                f"{export.format.name} cannot hold column '{field.name}' of {export.product}, of type {field.type}"
            )
            raise UserError(message, code="unfit", hint=unfit)
    place = export.destination
    place.require_usable()
    if place.mode == "append" and place.path.exists():
        require_same_table(
            place, place.files(), export.format, export.kind, Added(export.product, export.partition_by, rest)
        )


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
        carry_over(place.path, fresh, former)
        name = exported_name(next_number(former), export.artifact, export.kind.extension)
        if export.partition_by:
            written = _write_partitions(export, fresh, name)
        else:
            _write_whole(export, fresh / name)
            written = [name]
        return Exported(export, len(written), sum((fresh / one).stat().st_size for one in written))


def _write_whole(export: Export, target: Path) -> None:
    if export.format.copies and export.file.is_file():  # a table in parts is a folder
        with export.file.open("rb") as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
            _synchronise(out)
        return
    with _opened(export, target, schema_of(export.file)) as writer:
        for batch in read_batches(export.file, None, _BATCH_ROWS):
            _require_told_apart(export, batch)
            writer.write(batch)


def _write_partitions(export: Export, fresh: Path, name: str) -> list[str]:
    """Write a file of this name into each folder, and return their paths in `fresh`."""
    keys = export.partition_by
    folders = folders_of(read_batches(export.file, keys, _BATCH_ROWS), keys)
    schema = _rest(schema_of(export.file), keys)
    most = min(_OPEN_FILES, max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
    for at in range(0, len(folders), most):
        some = folders[at : at + most]
        with ExitStack() as held:
            files = _Files(
                {folder: held.enter_context(_made(export, fresh / folder / name, schema)) for folder in some}
            )
            for batch in read_batches(export.file, None, _BATCH_ROWS):
                for folder, rows in split(batch, keys, frozenset(some)):
                    _require_told_apart(export, rows)
                    files.add(folder, rows)
            files.finish()
    return [f"{folder}/{name}" for folder in folders]


class _Files:
    """Gathers the rows of each file, and writes them as they become many."""

    def __init__(self, writers: dict[str, RowWriter]) -> None:
        self._writers = writers
        self._batches: dict[str, list[pa.RecordBatch]] = {folder: [] for folder in writers}
        self._rows = dict.fromkeys(writers, 0)
        self._bytes = dict.fromkeys(writers, 0)

    def add(self, folder: str, batch: pa.RecordBatch) -> None:
        """Take rows of a file."""
        self._batches[folder].append(batch)
        self._rows[folder] += batch.num_rows
        self._bytes[folder] += batch.nbytes
        if self._rows[folder] >= _GROUP_ROWS or self._bytes[folder] >= _GROUP_BYTES:
            self._write(folder)
        elif sum(self._bytes.values()) > _BUFFERED_BYTES:
            self._write(max(self._bytes, key=lambda one: (self._bytes[one], one)))

    def finish(self) -> None:
        """Write what is left."""
        for folder in self._writers:
            self._write(folder)

    def _write(self, folder: str) -> None:
        if self._batches[folder]:
            self._writers[folder].write(pa.concat_batches(self._batches[folder]))
        self._batches[folder], self._rows[folder], self._bytes[folder] = [], 0, 0


@contextmanager
def _made(export: Export, target: Path, schema: pa.Schema) -> Iterator[RowWriter]:
    target.parent.mkdir(parents=True, exist_ok=True)
    with _opened(export, target, schema) as writer:
        yield writer


@contextmanager
def _opened(export: Export, target: Path, schema: pa.Schema) -> Iterator[RowWriter]:
    """Give a writer of a file, which is complete and on the disk when this ends well."""
    compression = export.kind.compression
    with target.open("wb") as file:
        out = cast("BinaryIO", pa.CompressedOutputStream(file, compression) if compression else file)
        writer = export.format.open(schema, out, export.kind)
        yield writer
        writer.close()
        if compression:
            out.close()  # which closes the file too
    with target.open("rb+") as file:
        _synchronise(file)


def _synchronise(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _rest(schema: pa.Schema, keys: tuple[str, ...]) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in keys])


def _require_told_apart(export: Export, batch: pa.RecordBatch) -> None:
    if export.format.skips_null_rows and batch.num_columns == 1 and batch.column(0).null_count:
        message = (
            f"{export.format.name} cannot hold a NULL in the only column '{batch.schema.names[0]}' of {export.product}"
        )
        raise UserError(message, code="unfit", hint="it would be an empty line, which readers skip; json can hold it")
