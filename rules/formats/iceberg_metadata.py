"""Which files are in an Iceberg table at a snapshot, with its columns, by its metadata as pyiceberg reads it.

A file of metadata is written once and says all of a table. Without a catalogue, the folder of the table says which one
is current: by version-hint.text, else by the highest number. Paths in metadata are absolute, and begin with the
table's location; what is below that is looked for below the folder that rules.toml names, so a table may be moved.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rules.formats.contract import first_line
from rules.formats.source_format import Files, Listing, ListingError
from rules.formats.table_files import ID, NAMES, spelled_details, spelled_note, with_children
from rules.formats.table_format import folder_of, milliseconds_of

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from rules.formats.source import Source

_METADATA = re.compile(r"v?(\d+)(?:-[^/]*)?(?:\.gz)?\.metadata\.json(?:\.gz)?\Z")


class _Place(NamedTuple):
    """Where a table is. metadata: its current file; folder: both relative to the project as rules.toml has them."""

    metadata: str
    folder: str


def listing(source: Source, files: Files) -> Listing:
    """Return the files of a table. Raises `ListingError` and OSError."""
    place = _place(folder_of(source), files)
    files.read(place.metadata)
    try:
        table = _opened(place, files)
        snapshot = _snapshot(table, source, place)
        return _listed(table, snapshot, _schema(table, source, snapshot), place, files)
    except ModuleNotFoundError as error:
        message = "is an Iceberg table, which needs the package pyiceberg"
        raise ListingError(message, place.folder, "pip install 'leastwork-rules[iceberg]'") from error
    except FileNotFoundError as error:
        message = f"lacks a file of its metadata: {first_line(error)}"
        hint = "expired snapshots lose their files: name a snapshot that is still whole"
        raise ListingError(message, place.metadata, hint) from error
    except (ListingError, OSError):
        raise
    except Exception as error:  # the package lets through what JSON, Avro, zlib and others say of damaged files
        message = f"cannot be read as an Iceberg table: {_said(error)}"
        raise ListingError(message, place.metadata) from error


def _said(error: Exception) -> str:
    """Return in one line what the package says; pydantic has the place and the reason below a line that counts."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and "validation error" in lines[0]:
        return ": ".join(lines[1:3]).partition(" [type=")[0]
    return lines[0] if lines else type(error).__name__


def _place(path: str, files: Files) -> _Place:
    """Return where the current metadata of a table is, and see to it that another one is noticed."""
    if path.endswith((".metadata.json", ".metadata.json.gz")):
        if not files.exists(path):
            files.read(path)
            raise ListingError(f"does not exist: {path}", path, "name the folder of the table, or its metadata")
        return _Place(path, path.rpartition("/")[0].rpartition("/")[0] or ".")
    inside = f"{path}/metadata"
    found = [one for one in files.matching(f"{inside}/*") if _METADATA.match(Path(one).name)]
    if not found:
        if not files.exists(path):
            raise ListingError(f"does not exist: {path}", path, "an Iceberg table is a folder that holds metadata")
        message = f"is no Iceberg table: {path} has no metadata/*.metadata.json"
        raise ListingError(message, path, "name the folder of the table, or say of which format its files are")
    hint = (files.read(f"{inside}/version-hint.text") or b"").decode(errors="replace").strip()
    if hint:
        named = [one for one in found if Path(one).name.split(".metadata")[0].removesuffix(".gz") in {hint, f"v{hint}"}]
        if len(named) != 1:
            message = f"has a version-hint.text that names no file of its metadata: {hint}"
            raise ListingError(message, f"{inside}/version-hint.text", 'name the file of metadata: path = "….json"')
        return _Place(named[0], path)
    last = max(map(_number, found))
    newest = [one for one in found if _number(one) == last]
    if len(newest) > 1:
        message = f"has {len(newest)} files of metadata with the number {last}, and only a catalogue knows which counts"
        raise ListingError(message, inside, f'name one of them: path = "{newest[0]}"')
    return _Place(newest[0], path)


def _number(path: str) -> int:
    found = _METADATA.match(Path(path).name)
    assert found is not None
    return int(found[1])


def _opened(place: _Place, files: Files) -> Table:
    """Open a table by its metadata. Raises ModuleNotFoundError, and what pyiceberg raises."""
    from pyiceberg.catalog.noop import NoopCatalog
    from pyiceberg.io import InputFile
    from pyiceberg.io.pyarrow import PyArrowFileIO
    from pyiceberg.serializers import FromInputFile
    from pyiceberg.table import StaticTable

    plain = PyArrowFileIO()
    metadata = FromInputFile.table_metadata(plain.new_input(_absolute(place.metadata, files)))
    location = metadata.location

    class Moved(PyArrowFileIO):
        """Finds what is in a table where the table is now."""

        def new_input(self, location_of_file: str) -> InputFile:  # type: ignore[override]
            path = _path(location_of_file, location, place)
            above, _, name = path.rpartition("/")
            files.have(above, lambda names: [name] if name in names else [])
            return super().new_input(_absolute(path, files))

    at = _absolute(place.metadata, files)
    return StaticTable(("table",), metadata, at, Moved(), NoopCatalog("none"))


def _absolute(path: str, files: Files) -> str:
    return os.path.abspath(files.absolute(path))  # noqa: PTH100  # a link stays one


def _path(uri: str, location: str, place: _Place) -> str:
    """Return a file of a table, relative to the project as its folder is. Raises `ListingError` for one elsewhere."""
    below = uri.removeprefix(location.rstrip("/") + "/")
    if below != uri:
        return f"{place.folder}/{below}"
    parts = urlsplit(uri)
    if parts.scheme not in {"", "file"}:
        raise ListingError(f"has files elsewhere: {uri}", place.metadata, "copy the whole table into one folder")
    return url2pathname(parts.path) if parts.scheme else uri


def _snapshot(table: Table, source: Source, place: _Place) -> Snapshot | None:
    wanted, text = source.options["snapshot"], source.options["timestamp"]
    if wanted is not None:
        found = table.snapshot_by_id(wanted)
        if found is None:
            known = ", ".join(str(one.snapshot_id) for one in table.metadata.snapshots[-3:])
            hint = f"the last ones are {known}" if known else "the table has none"
            raise ListingError(f"has no snapshot {wanted}", place.metadata, hint)
        return found
    if text is not None:
        found = table.snapshot_as_of_timestamp(milliseconds_of(text))
        if found is None:
            message = f"has no snapshot as old as {text}"
            raise ListingError(message, place.metadata, "name a later time, or a snapshot")
        return found
    return table.current_snapshot()


def _schema(table: Table, source: Source, snapshot: Snapshot | None) -> Schema:
    """Return the columns of a table: those of its last commit, also where that made no snapshot.

    A table at another time has the columns of that snapshot, also while it is the current one.
    """
    is_pinned = source.options["snapshot"] is not None or source.options["timestamp"] is not None
    if snapshot is None or not is_pinned:
        return table.schema()
    return table.scan(snapshot_id=snapshot.snapshot_id).projection()


def _listed(table: Table, snapshot: Snapshot | None, schema: Schema, place: _Place, files: Files) -> Listing:
    from pyiceberg.manifest import DataFileContent, FileFormat, ManifestContent

    details = spelled_details(_arrow_schema(schema, table, place), "id")
    if snapshot is None:
        return Listing((), None, details)
    found: list[tuple[tuple[tuple[bool, str], ...], int, str, DataFile]] = []
    has_deletes = False
    for manifest in snapshot.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            file = entry.data_file
            if file.content == DataFileContent.EQUALITY_DELETES:
                message = (
                    "has rows that are deleted by their values (equality deletes), which this version does not read"
                )
                raise ListingError(
                    message, place.metadata, "rewrite its data files, as in CALL system.rewrite_data_files"
                )
            if manifest.content == ManifestContent.DELETES:
                has_deletes = True
                continue
            if file.file_format != FileFormat.PARQUET:
                message = f"has data files of format {file.file_format}, which this version does not read"
                raise ListingError(message, place.metadata, "rewrite them as Parquet")
            path = _path(file.file_path, table.metadata.location, place)
            found.append((_partition(file), entry.sequence_number or 0, path, file))
    found.sort(key=lambda one: one[:3])
    for *_, path, _ in found:
        if not files.exists(path):
            files.read(path)  # so that it is noticed when it comes back
            message = f"lacks the data file {Path(path).name}, which snapshot {snapshot.snapshot_id} of its table names"
            hint = "expired snapshots lose their files: name a snapshot that is still whole, or restore the file"
            raise ListingError(message, path, hint)
    deleted = _deleted(table, snapshot, place, files) if has_deletes else {}
    notes = tuple(spelled_note(deleted.get(file.file_path), _constants(table, schema, file)) for *_, file in found)
    return Listing(tuple(path for *_, path, _ in found), None, details, notes if any(notes) else ())


def _partition(file: DataFile) -> tuple[tuple[bool, str], ...]:
    """Return by what files are put into the order of partitions: names of files are by chance."""
    values = (file.partition[place] for place in range(len(file.partition)))
    return tuple((one is not None, str(one)) for one in values)


def _arrow_schema(schema: Schema, table: Table, place: _Place) -> pa.Schema:
    """Return the columns of a table, with what finds them in files."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow
    from pyiceberg.schema import Schema as OneColumn
    from pyiceberg.schema import index_by_id

    for field in index_by_id(schema).values():
        if field.initial_default is not None:
            message = f"has column '{field.name}' with a default for older rows, which this version does not read"
            raise ListingError(message, place.metadata, "write the table again without that default")
    names = _names_by_id(table)
    columns = []
    for field in schema.fields:
        try:
            column = schema_to_pyarrow(OneColumn(field)).field(0)
        except (ValueError, NotImplementedError, pa.ArrowException) as error:
            message = f"has column '{field.name}' of type {field.field_type}, which is not supported"
            raise ListingError(message, place.metadata, "drop the column, or write it as text") from error
        columns.append(_marked(column, names))
    return pa.schema(columns)


def _names_by_id(table: Table) -> dict[str, list[str]]:
    """Return by which names files without numbers have each column."""
    mapping = table.name_mapping()
    found: dict[str, list[str]] = {}

    def note(fields: Iterable[Any]) -> None:
        for field in fields:
            if field.field_id is not None:
                found[str(field.field_id)] = list(field.names)
            note(field.fields or ())

    note(mapping.root if mapping is not None else ())
    return found


def _marked(field: pa.Field, names: dict[str, list[str]]) -> pa.Field:
    marks, number = {}, (field.metadata or {}).get(ID)
    if number is not None:
        marks[ID] = number
        if number.decode() in names:
            marks[NAMES] = json.dumps(names[number.decode()]).encode()
    return with_children(field, lambda child: _marked(child, names)).with_metadata(marks or None)


def _constants(table: Table, schema: Schema, file: DataFile) -> dict[str, str | None]:
    """Return the values of columns by which a file's rows are partitioned: the file need not hold them."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow
    from pyiceberg.transforms import IdentityTransform

    found: dict[str, str | None] = {}
    for place, field in enumerate(table.specs()[file.spec_id].fields):
        column = schema.find_column_name(field.source_id)
        if not isinstance(field.transform, IdentityTransform) or column is None or "." in column:
            continue
        value = file.partition[place]
        dtype = schema_to_pyarrow(schema.find_field(field.source_id).field_type)
        if value is None or pa.types.is_large_binary(dtype) or pa.types.is_fixed_size_binary(dtype):
            continue
        if isinstance(dtype, pa.BaseExtensionType):
            continue
        found[column] = pa.scalar(value, dtype).cast(pa.string()).as_py()
    return found


def _deleted(table: Table, snapshot: Snapshot, place: _Place, files: Files) -> dict[str, np.ndarray]:
    """Return which rows of data files are deleted: paths as the metadata has them → positions, sorted."""
    known: dict[str, dict[str, list[np.ndarray]]] = {}
    found = {}
    for task in table.scan(snapshot_id=snapshot.snapshot_id).plan_files():
        positions = []
        for file in sorted(task.delete_files, key=lambda one: one.file_path):
            if file.file_path not in known:
                path = _path(file.file_path, table.metadata.location, place)
                data = files.read(path)
                if data is None:
                    message = f"lacks the file of deleted rows {Path(path).name}"
                    raise ListingError(message, path, "restore the file, or name another snapshot")
                known[file.file_path] = _positions(file, data, path)
            positions += known[file.file_path].get(task.file.file_path, [])
        if positions:
            found[task.file.file_path] = np.unique(np.concatenate(positions))
    return found


def _positions(file: DataFile, data: bytes, path: str) -> dict[str, list[np.ndarray]]:
    """Return what a file of deleted rows says: paths of data files → positions."""
    from pyiceberg.manifest import FileFormat
    from pyiceberg.table.deletion_vector import deletion_vectors_from_puffin_file
    from pyiceberg.table.puffin import PuffinFile

    if file.file_format == FileFormat.PUFFIN:
        vectors = deletion_vectors_from_puffin_file(PuffinFile(data))
        return {one.referenced_data_file: [_numbers(one.to_vector())] for one in vectors}
    if file.file_format != FileFormat.PARQUET:
        message = f"has deleted rows in a file of format {file.file_format}, which this version does not read"
        raise ListingError(message, path, "rewrite the deletes as Parquet")
    rows = pq.read_table(io.BytesIO(data), columns=["file_path", "pos"])
    paths = rows.column("file_path").combine_chunks().dictionary_encode()
    if isinstance(paths, pa.ChunkedArray):
        paths = paths.combine_chunks()
    places, positions = paths.indices.to_numpy(), _numbers(rows.column("pos"))
    return {name: [positions[places == number]] for number, name in enumerate(paths.dictionary.to_pylist())}


def _numbers(values: pa.ChunkedArray) -> np.ndarray:
    found: np.ndarray = values.to_numpy().astype(np.uint64)
    return found
