"""Which files are in a Delta table at a version, with its columns, by the log as the package deltalake reads it.

The log only grows: a version is a file of its own, written once. So a table is at the version that it was at as long as
that file is the same and the next one does not exist; nothing else has to be looked at.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import numpy as np
import pyarrow as pa

from rules.formats.contract import first_line
from rules.formats.partitions import Partitions
from rules.formats.source_format import Files, Listing, ListingError
from rules.formats.table_files import ID, PHYSICAL, By, spelled_details, spelled_note, with_children
from rules.formats.table_format import folder_of, milliseconds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from rules.formats.source import Source

_FEATURES = {
    "checkpointProtection", "columnMapping", "deletionVectors", "timestampNtz", "typeWidening", "typeWidening-preview",
    "v2Checkpoint", "vacuumProtocolCheck", "variantType", "variantType-preview",
}  # fmt: skip
"""What a table may ask of its readers. Some writers ask for variants although no column is one."""
_BESIDE_DELETED = {"typeWidening", "typeWidening-preview", "vacuumProtocolCheck"}
"""Features beside which the package does not say which rows are deleted."""
_READER = 3
_NUMBER = b"delta.columnMapping.id"
_MAPPINGS: dict[str, By] = {"none": "name", "name": "physical", "id": "id"}
_ATTEMPTS = 10
_OF_LOG = re.compile(r"(\d{20})\.(?:json|(checkpoint)(?:\.[^/]*)?\.(?:parquet|json))")


def listing(source: Source, files: Files) -> Listing:
    """Return the files of a table. Raises `ListingError` and OSError."""
    folder = folder_of(source)
    lake = _package(folder)
    version: int | None = source.options["version"]
    if source.options["timestamp"] is not None:
        version = _version_at(folder, source.options["timestamp"], files)
    table = _opened(lake, folder, version, files)
    try:
        found = _listed(table, folder, files)
    except lake.exceptions.DeltaError as error:
        raise _unreadable(error, folder) from error
    for file in found.files:
        if not files.exists(file):
            files.read(file)  # so that it is noticed when it comes back
            message = f"lacks the data file {Path(file).name}, which version {table.version()} of its table names"
            hint = "VACUUM removes files of old versions: name a version that is still whole, or restore the file"
            raise ListingError(message, file, hint)
    return found


def needed_of_log(names: Iterable[str], version: int | None = None) -> list[str]:
    """Return the files of a log that say which files the table has at a version, by default at the last one.

    names: of all files of the log. These are the last checkpoint that is not newer, and the commits from it on.
    """
    names = list(names)
    found = [(int(one[1]), one[2], one[0]) for one in map(_OF_LOG.fullmatch, names) if one is not None]
    found = [one for one in found if version is None or one[0] <= version]
    first = max((number for number, kind, _ in found if kind == "checkpoint"), default=0)
    needed = [name for number, _, name in found if number >= first]
    return sorted([*needed, *(name for name in names if name.startswith("_sidecars/"))])


def _package(folder: str) -> ModuleType:
    try:
        import deltalake
    except ModuleNotFoundError as error:
        message = "is a Delta table, which needs the package deltalake"
        raise ListingError(message, folder, "pip install 'leastwork-rules[delta]'") from error
    return deltalake


def _opened(lake: ModuleType, folder: str, version: int | None, files: Files) -> Any:
    """Open a table at a version, else at the last one, and see to it that a change of that is noticed."""
    place = os.path.abspath(files.absolute(folder))  # noqa: PTH100  # a link stays one: paths of data are below it
    try:
        for _ in range(_ATTEMPTS):
            files.have(f"{folder}/_delta_log", lambda names: needed_of_log(names, version))
            table = lake.DeltaTable(place, version=version)
            at = table.version()
            files.read(_commit(folder, at))
            if version is not None or files.read(_commit(folder, at + 1)) is None:
                return table
    except lake.exceptions.TableNotFoundError as error:
        raise _no_table(folder, files) from error
    except (lake.exceptions.DeltaError, ValueError, OSError) as error:
        if not _versions(folder, files) and not files.exists(f"{folder}/_delta_log"):
            raise _no_table(folder, files) from error
        there = _versions(folder, files)
        if version is not None and there and version not in there:
            hint = f"there are versions {there[0]} to {there[-1]}" if len(there) > 1 else f"there is version {there[0]}"
            raise ListingError(f"has no version {version}", f"{folder}/_delta_log", hint) from error
        raise _unreadable(error, folder) from error
    message = "changes faster than it can be listed"
    raise ListingError(message, f"{folder}/_delta_log", "build again when fewer commits come")


def _unreadable(error: Exception, folder: str) -> ListingError:
    return ListingError(f"cannot be read as a Delta table: {first_line(error)}", f"{folder}/_delta_log")


def _no_table(folder: str, files: Files) -> ListingError:
    files.matching(f"{folder}/_delta_log/*")
    if not files.exists(folder):
        return ListingError(f"does not exist: {folder}", folder, "a Delta table is a folder that holds _delta_log")
    message = f"is no Delta table: {folder} has no _delta_log"
    return ListingError(message, folder, "name the folder of the table, or say of which format its files are")


def _commit(folder: str, version: int) -> str:
    return f"{folder}/_delta_log/{version:020d}.json"


def _versions(folder: str, files: Files) -> list[int]:
    """Return the versions whose commits are still in the log."""
    names = [Path(path).stem for path in files.matching(f"{folder}/_delta_log/*.json")]
    return sorted(int(name) for name in names if name.isdecimal())


def _version_at(folder: str, text: str, files: Files) -> int:
    """Return the last version that was there at a time, by what the commits say of themselves.

    The dates of their files say something else once a table was copied, and are not asked.
    """
    wanted, found, latest = milliseconds_of(text), None, -1
    for version in _versions(folder, files):
        path = _commit(folder, version)
        latest = max(latest + 1, _made(files.read(path) or b"", path, version))
        if latest > wanted:
            break
        found = version
    if found is not None:
        return found
    if latest < 0:
        raise _no_table(folder, files)
    message = f"has no version as old as {text}"
    raise ListingError(message, f"{folder}/_delta_log", "its log begins later; name a later time, or a version")


def _made(commit: bytes, path: str, version: int) -> int:
    """Return when a commit was made, in milliseconds since 1970."""
    for line in commit.splitlines():
        try:
            info = json.loads(line).get("commitInfo") if b"commitInfo" in line else None
        except ValueError:
            raise ListingError("has a commit that is no JSON", path, "the table is damaged") from None
        if info is not None:
            time = info.get("inCommitTimestamp", info.get("timestamp"))
            if isinstance(time, int):
                return time
    message = f"does not say when version {version} was made"
    raise ListingError(message, path, "name the version instead: version = …")


def _listed(table: Any, folder: str, files: Files) -> Listing:
    log = f"{folder}/_delta_log"
    protocol, metadata = table.protocol(), table.metadata()
    asked = set(protocol.reader_features or ())
    if protocol.min_reader_version > _READER or not asked <= _FEATURES:
        what = ", ".join(sorted(asked - _FEATURES)) or f"reader version {protocol.min_reader_version}"
        message = f"needs what this version does not read: {what}"
        raise ListingError(message, log, "switch that off for the table, or write a copy of it without")
    mapping = metadata.configuration.get("delta.columnMapping.mode", "none")
    if mapping not in _MAPPINGS:
        raise ListingError(f"has an unknown kind of column mapping: {mapping}", log)
    by = _MAPPINGS[mapping]
    for field in json.loads(table.schema().to_json())["fields"]:
        if _holds_variants(field["type"]):
            message = f"has column '{field['name']}' with values of type variant, which this version does not read"
            raise ListingError(message, log, "drop the column, or write it as text")
    schema = pa.schema([_marked(field, by) for field in pa.schema(table.schema())])
    inside = pa.schema([field for field in schema if field.name not in metadata.partition_columns])
    added = pa.table(table.get_add_actions(flatten=True))
    paths = [_path(folder, path, log) for path in added.column("path").to_pylist()]
    times = added.column("modification_time").to_pylist()
    values = [added.column(f"partition.{name}").to_pylist() for name in metadata.partition_columns]
    # By partition first: files of one commit have about one time, and names by chance.
    in_partitions = [tuple((one is not None, str(one)) for one in found) for found in zip(*values, strict=True)]
    keys = list(zip(in_partitions or [()] * len(paths), times, paths, strict=True))
    order = sorted(range(len(paths)), key=lambda number: keys[number])
    if "deletionVectors" in asked:
        files.have(folder, lambda names: [name for name in names if name.endswith(".bin")])
    beside = sorted(asked & _BESIDE_DELETED)
    if "deletionVectors" in asked and beside:
        message = f"has the feature deletionVectors beside {beside[0]}, which the package deltalake does not read"
        raise ListingError(message, log, "drop one of the two features: ALTER TABLE … DROP FEATURE …")
    deleted = _deleted(table) if "deletionVectors" in asked else {}
    notes = [spelled_note(deleted.get(os.path.normpath(files.absolute(paths[number])))) for number in order]
    return Listing(
        tuple(paths[number] for number in order),
        _partitions(added, schema, metadata.partition_columns, order, log),
        spelled_details(inside, by),
        tuple(notes) if any(notes) else (),
    )


def _holds_variants(dtype: Any) -> bool:
    """Whether a type, as the schema of a log has it, is a variant or has one inside."""
    if not isinstance(dtype, dict):
        return bool(dtype == "variant")
    inside = [dtype.get(key) for key in ("elementType", "keyType", "valueType")]
    return any(map(_holds_variants, [*inside, *(field["type"] for field in dtype.get("fields", ()))]))


def _marked(field: pa.Field, by: By) -> pa.Field:
    """Return a field with what finds it in a file, and no other metadata, whose order is by chance."""
    marks, given = {}, field.metadata or {}
    if by == "physical" and PHYSICAL in given:
        marks = {PHYSICAL: given[PHYSICAL]}
    elif by == "id" and _NUMBER in given:
        marks = {ID: given[_NUMBER]}
    return with_children(field, lambda child: _marked(child, by)).with_metadata(marks or None)


def _path(folder: str, path: str, log: str) -> str:
    """Return a data file, relative to the project as the folder is; an absolute one is of a shallow clone."""
    parts = urlsplit(path)
    if parts.scheme == "file":
        return url2pathname(parts.path)
    if parts.scheme and "://" in path:
        raise ListingError(f"has data elsewhere: {path}", log, "copy the whole table into one folder")
    plain = unquote(path)
    return plain if plain.startswith("/") else f"{folder}/{plain}"


def _partitions(added: pa.Table, schema: pa.Schema, names: list[str], order: list[int], log: str) -> Partitions | None:
    if not names:
        return None
    columns = []
    for name in names:
        dtype = schema.field(name).type
        if pa.types.is_binary(dtype) or pa.types.is_nested(dtype):
            message = f"is partitioned by column '{name}' of type {dtype}, which this version does not read"
            raise ListingError(message, log, "partition the table by another column")
        texts = added.column(f"partition.{name}").cast(dtype).cast(pa.string()).to_pylist()
        columns.append([texts[number] for number in order])
    types = tuple(_spelled(schema.field(name).type) for name in names)
    return Partitions(tuple(names), tuple(zip(*columns, strict=True)), types)


def _spelled(dtype: pa.DataType) -> str:
    """Return a type as rules.toml has it."""
    if pa.types.is_decimal(dtype):
        return f"decimal({dtype.precision},{dtype.scale})"
    return str(dtype).removesuffix("[day]")


def _deleted(table: Any) -> Mapping[str, np.ndarray]:
    """Return which rows of which files are deleted: the path of a file → positions."""
    found = {}
    for batch in pa.RecordBatchReader.from_stream(table.deletion_vectors()):
        for path, kept in zip(batch.column("filepath").to_pylist(), batch.column("selection_vector"), strict=True):
            place = os.path.normpath(url2pathname(urlsplit(path).path))
            found[place] = np.flatnonzero(~kept.values.to_numpy(zero_copy_only=False))
    return found
