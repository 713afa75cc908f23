"""A folder of Iceberg tables as a target: in one snapshot, files of new parts are added and those of others removed.

No catalogue is needed: files of metadata are numbered, v1.metadata.json and so on, and version-hint.text names the last
one, as in tables of Hadoop. A commit is the file of the next number, which only one writer can make.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from cache.durability import synchronise
from cache.removal import name_beside, publish, remove_beside, rewrite
from rules.errors import FAILED, UserError
from rules.formats.table_files import ID, with_children
from rules.publishing.data_files import lake_leaf, lake_schema
from rules.publishing.lake_target import ARTIFACT, FORMAT, FORMAT_KEY, Commit, LakeTarget, State
from rules.publishing.places import Folder

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table, Transaction

    from rules.publishing.target import Say, StoredTable, Target

_OURS = "rules.product"
"""The property of a table that says which product it is of."""
_METADATA_FILE = re.compile(r"v(\d+)\.metadata\.json\Z")
_MAPPING = "schema.name-mapping.default"
_METRICS = {"write.metadata.metrics.default": "counts"}
"""Without least and greatest values, since readers disagree about NaN and -0.0 in them."""


@contextlib.contextmanager
def opened_iceberg(place: Path, shown: str, say: Say, *, writes: bool) -> Iterator[Target]:
    """Open a folder of Iceberg tables. shown: as the user wrote it. Raises `UserError`."""
    try:
        import pyiceberg.table  # noqa: F401  # it takes a second, and is needed for every table
    except ModuleNotFoundError as error:
        hint = "pip install 'leastwork-rules[iceberg]'"
        raise UserError("publishing Iceberg tables needs the package pyiceberg", code="missing", hint=hint) from error
    with Folder(place, shown).held(say) if writes else contextlib.nullcontext():
        yield IcebergTarget(place, shown)


class IcebergTarget(LakeTarget):
    """See `rules.publishing.lake_target`."""

    metadata: ClassVar[str] = "metadata"
    data: ClassVar[str] = "data"

    def _read(self, product: str) -> State | None:
        folder = self._root / product
        version = _last_version(folder / self.metadata)
        if not version:
            return None
        table = _table(folder, version)
        if _OURS not in table.properties:
            return None
        if table.location() != folder.as_uri():
            message = f"{self._shown}/{product} was published as {table.location()}, and Iceberg tables cannot be moved"
            hint = "publish to another folder, or remove it yourself"
            raise UserError(message, code="exists", hint=hint, exit_code=FAILED)
        files = {Path(one.file_path).name: one for one in _files(table)}
        artifact, changed = _last_snapshot(table)
        rows = sum(one.record_count for one in files.values())
        return State(
            table, version, artifact, changed, {name: one.file_size_in_bytes for name, one in files.items()}, rows
        )

    def _schema(self, table: StoredTable) -> pa.Schema:
        return lake_schema(table, _leaf, "Iceberg")

    def _commit(self, wanted: Commit, state: State | None) -> Path:
        folder = self._root / wanted.product
        (folder / self.metadata).mkdir(exist_ok=True)
        table = _new_table(folder, wanted) if state is None else state.table
        held = {Path(one.file_path).name: one for one in _files(table)}
        memory = {ARTIFACT: wanted.artifact, FORMAT_KEY: str(FORMAT)}
        with table.transaction() as change:
            _set_schema(change, wanted.schema)
            mapping = change.table_metadata.schema().name_mapping.model_dump_json()
            if change.table_metadata.properties.get(_MAPPING) != mapping:
                change.set_properties({_MAPPING: mapping})
            with change.update_snapshot(snapshot_properties=memory).overwrite() as snapshot:
                for name in wanted.names:
                    if name not in held:
                        snapshot.append_data_file(_data_file(change, folder / self.data / name))
                for name, file in held.items():
                    if name not in wanted.names:
                        snapshot.delete_data_file(file)
        version = _last_version(folder / self.metadata)
        rewrite(folder / self.metadata / "version-hint.text", str(version).encode())
        return folder / self.metadata / f"v{version}.metadata.json"

    def finish(self) -> None:
        """As `Target` says; hints that a killed publish left behind are mended."""
        super().finish()
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            hint, version = folder / self.metadata / "version-hint.text", _last_version(folder / self.metadata)
            if version and hint.is_file() and hint.read_text(errors="replace").strip() != str(version):
                with self._errors(folder.name):
                    if self._read(folder.name) is not None:
                        rewrite(hint, str(version).encode())

    def _errors(self, product: str) -> contextlib.AbstractContextManager[None]:
        from pyiceberg.exceptions import CommitFailedException, ValidationException

        return self._told(product, (CommitFailedException, FileExistsError), (ValidationException,))


def _leaf(dtype: pa.DataType) -> pa.DataType | None:
    """Return the type of a leaf in an Iceberg table that holds the same values, if there is one."""
    if pa.types.is_time(dtype):
        return pa.time64("us")
    if pa.types.is_fixed_size_binary(dtype) and not pa.types.is_decimal(dtype):
        return dtype
    found = lake_leaf(dtype)
    return pa.int32() if found in {pa.int8(), pa.int16()} else found


def _last_version(metadata: Path) -> int:
    """Return the highest number of a file of metadata, 0 if there is none."""
    found = (_METADATA_FILE.match(one.name) for one in metadata.iterdir()) if metadata.is_dir() else ()
    return max((int(one[1]) for one in found if one is not None), default=0)


def _table(folder: Path, version: int, metadata: Any = None) -> Table:
    """Return a table as its metadata has it. metadata: of one that no file has yet."""
    from pyiceberg.catalog.noop import NoopCatalog
    from pyiceberg.io.pyarrow import PyArrowFileIO
    from pyiceberg.serializers import FromInputFile, ToOutputFile
    from pyiceberg.table import CommitTableResponse, Table
    from pyiceberg.table.update import update_table_metadata

    io, place = PyArrowFileIO(), folder / IcebergTarget.metadata

    def at(number: int) -> str:
        return (place / f"v{number}.metadata.json").as_uri()

    class InFolder(NoopCatalog):
        """Commits to a table by writing the metadata of the next number."""

        def commit_table(self, table: Table, requirements: Any, updates: Any) -> CommitTableResponse:
            for requirement in requirements:
                requirement.validate(table.metadata)
            made = update_table_metadata(
                base_metadata=table.metadata, updates=updates, metadata_location=table.metadata_location or None
            )
            target = place / f"v{version + 1}.metadata.json"
            fresh = name_beside(target)
            try:
                ToOutputFile.table_metadata(made, io.new_output(fresh.as_uri()))
                synchronise(fresh)
                publish(fresh, target)
            finally:
                remove_beside(fresh)
            return CommitTableResponse.model_validate({"metadata": made, "metadata-location": at(version + 1)})

    if metadata is None:
        metadata = FromInputFile.table_metadata(io.new_input(at(version)))
    return Table((folder.name,), metadata, at(version) if version else "", io, InFolder("folder"))


def _new_table(folder: Path, wanted: Commit) -> Table:
    """Return a table that no file has yet: its first commit makes it."""
    from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
    from pyiceberg.table.metadata import new_table_metadata
    from pyiceberg.table.sorting import UNSORTED_SORT_ORDER

    schema, properties = _numbered(wanted.schema), {_OURS: wanted.product, **_METRICS}
    made = new_table_metadata(schema, UNPARTITIONED_PARTITION_SPEC, UNSORTED_SORT_ORDER, folder.as_uri(), properties)
    return _table(folder, 0, made)


def _numbered(schema: pa.Schema) -> Schema:
    """Return columns as those of a new table, every field of which has a number."""
    from pyiceberg.io.pyarrow import pyarrow_to_schema

    numbers = itertools.count(1)

    def marked(field: pa.Field) -> pa.Field:
        number = next(numbers)
        return with_children(field, marked).with_metadata({ID: str(number).encode()})

    return pyarrow_to_schema(pa.schema([marked(field) for field in schema]))


def _set_schema(change: Transaction, wanted: pa.Schema) -> None:
    """Give a table the columns of `wanted`, in their order: one of another type is another column."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    def types(schema: Schema) -> dict[str, str]:
        return {field.name: str(field.type) for field in schema_to_pyarrow(schema, include_field_ids=False)}

    asked = _numbered(wanted)
    now, then = types(change.table_metadata.schema()), types(asked)
    if list(now.items()) == list(then.items()):
        return
    gone = [name for name in now if now[name] != then.get(name)]
    if gone:
        with change.update_schema(allow_incompatible_changes=True) as update:
            for name in gone:
                update.delete_column((name,))
    with change.update_schema() as update:
        for field in asked.fields:
            if field.name in gone or field.name not in now:
                update.add_column((field.name,), field.field_type)
    names = list(then)
    if list(types(change.table_metadata.schema())) != names:
        with change.update_schema() as update:
            update.move_first((names[0],))
            for before, name in itertools.pairwise(names):
                update.move_after((name,), (before,))


def _files(table: Table) -> list[DataFile]:
    """Return the data files of the current snapshot."""
    snapshot = table.current_snapshot()
    return [
        entry.data_file
        for manifest in (snapshot.manifests(table.io) if snapshot is not None else ())
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
    ]


def _data_file(change: Transaction, path: Path) -> DataFile:
    from pyiceberg.io.pyarrow import PyArrowFileIO, parquet_file_to_data_file

    return parquet_file_to_data_file(PyArrowFileIO(), change.table_metadata, path.as_uri())


def _last_snapshot(table: Table) -> tuple[str | None, str]:
    """Return the artifact that a table holds, else None and why not. Snapshots that only rewrite change nothing."""
    from pyiceberg.table.snapshots import Operation

    snapshot = table.current_snapshot()
    while snapshot is not None and snapshot.summary is not None:
        properties = snapshot.summary.additional_properties
        if ARTIFACT in properties:
            if properties.get(FORMAT_KEY) != str(FORMAT):
                return None, "it was published by another version of rules"
            return properties[ARTIFACT], ""
        if snapshot.summary.operation != Operation.REPLACE:
            return None, f"it was changed by someone else in snapshot {snapshot.snapshot_id}"
        parent = snapshot.parent_snapshot_id
        snapshot = table.snapshot_by_id(parent) if parent is not None else None
    return None, "its metadata does not say any more which table it holds"
