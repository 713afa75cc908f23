"""A folder of Iceberg tables as a target: in one snapshot, files of new parts are added and those of others removed.

No catalogue is needed: files of metadata are numbered, v1.metadata.json and so on, and version-hint.text names the last
one, as in tables of Hadoop. A commit is the file of the next number, which only one writer can make.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa

from cache.removal import rewrite
from rules.errors import FAILED, UserError
from rules.publishing.data_files import lake_leaf, lake_schema, partition_text
from rules.publishing.iceberg_tables import (
    data_file,
    numbered,
    partition_columns,
    partition_spec,
    set_columns,
    table_in,
)
from rules.publishing.lake_places import opened_lake
from rules.publishing.lake_target import ARTIFACT, FORMAT, FORMAT_KEY, Commit, LakeFile, LakeTarget, State

if TYPE_CHECKING:
    from pathlib import Path

    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction

    from rules.config.publish_settings import PublishTable
    from rules.publishing.lake_places import LakePlace
    from rules.publishing.target import Say, StoredTable, Target

_OURS = "rules.product"
"""The property of a table that says which product it is of."""
_METADATA_FILE = re.compile(r"v(\d+)\.metadata\.json\Z")
_HINT = "version-hint.text"
_MAPPING = "schema.name-mapping.default"
_METRICS = {"write.metadata.metrics.default": "counts"}
"""Without least and greatest values, since readers disagree about NaN and -0.0 in them."""


@contextlib.contextmanager
def opened_iceberg(place: Path | str, table: PublishTable, say: Say, *, writes: bool) -> Iterator[Target]:
    """Open a folder of Iceberg tables, or the URL of one in a bucket. Raises `UserError`."""
    try:
        import pyiceberg.table  # noqa: F401  # it takes a second, and is needed for every table
    except ModuleNotFoundError as error:
        hint = "pip install 'leastwork-rules[iceberg]'"
        raise UserError("publishing Iceberg tables needs the package pyiceberg", code="missing", hint=hint) from error
    with opened_lake(place, table.to, say, writes=writes) as lake:
        yield IcebergTarget(lake, table)


class IcebergTarget(LakeTarget):
    """See `rules.publishing.lake_target`."""

    metadata: ClassVar[str] = "metadata"
    data: ClassVar[str] = "data"
    keeps_keys: ClassVar[bool] = True

    def __init__(self, place: LakePlace, table: PublishTable) -> None:
        super().__init__(place, table)
        self._stale_hints: dict[str, int] = {}

    def _read(self, product: str) -> State | None:
        version = _last_version(self._place.names(product, self.metadata) or ())
        if not version:
            return None
        self._place.bring(product, [f"{self.metadata}/v{version}.metadata.json", f"{self.metadata}/{_HINT}"])
        table = table_in(self._place, product, version)
        if _OURS not in table.properties:
            return None
        if table.location() != self._place.url(product):
            message = f"{self._shown}/{product} was published as {table.location()}, and Iceberg tables cannot be moved"
            hint = "publish to another folder, or remove it yourself"
            raise UserError(message, code="exists", hint=hint, exit_code=FAILED)
        hint_file = self._root / product / self.metadata / _HINT
        if not hint_file.is_file() or hint_file.read_text(errors="replace").strip() != str(version):
            self._stale_hints[product] = version
        files = {
            one.file_path.rpartition("/")[2]: LakeFile(one.file_size_in_bytes, one.record_count, _texts(table, one))
            for one in _files(table)
        }
        artifact, changed = _last_snapshot(table)
        return State(table, version, artifact, changed, files, partition_columns(table.schema(), table.spec()))

    def _schema(self, table: StoredTable) -> pa.Schema:
        return lake_schema(table, _leaf, "Iceberg")

    def _commit(self, wanted: Commit, state: State | None) -> None:
        product = wanted.product
        folder = self._root / product / self.metadata
        folder.mkdir(exist_ok=True)
        table = _new_table(self._place, wanted) if state is None else state.table
        held = {one.file_path.rpartition("/")[2]: one for one in _files(table)}
        memory = {ARTIFACT: wanted.artifact, FORMAT_KEY: str(FORMAT)}
        with table.transaction() as change:
            set_columns(change, wanted.schema, wanted.keys)
            mapping = change.table_metadata.schema().name_mapping.model_dump_json()
            if change.table_metadata.properties.get(_MAPPING) != mapping:
                change.set_properties({_MAPPING: mapping})
            with change.update_snapshot(snapshot_properties=memory).overwrite() as snapshot:
                for name in wanted.files:
                    if name not in held:
                        snapshot.append_data_file(self._data_file(change, wanted, name))
                for name, file in held.items():
                    if name not in wanted.files:
                        snapshot.delete_data_file(file)
        version = _last_version(one.name for one in folder.iterdir())
        rewrite(folder / _HINT, str(version).encode())
        self._stale_hints.pop(product, None)

    def _data_file(self, change: Transaction, wanted: Commit, name: str) -> DataFile:
        place = f"{self.data}/{name}"
        path, url = self._root / wanted.product / place, f"{self._place.url(wanted.product)}/{place}"
        return data_file(change.table_metadata, path, url, wanted.keys, wanted.values[name])

    def _order(self, name: str) -> tuple[int, str]:
        return 1 if self._decides(name) else 2 if name == _HINT else 0, name

    def _decides(self, name: str) -> bool:
        return _METADATA_FILE.match(name) is not None

    def finish(self) -> None:
        """As `Target` says; hints that a killed publish left behind are mended."""
        super().finish()
        for product, version in self._stale_hints.items():
            with self._errors(product):
                rewrite(self._root / product / self.metadata / _HINT, str(version).encode())
                self._place.commit(product, [f"{self.metadata}/{_HINT}"], ())

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


def _last_version(names: Iterable[str]) -> int:
    """Return the highest number of a file of metadata, 0 if there is none."""
    found = map(_METADATA_FILE.match, names)
    return max((int(one[1]) for one in found if one is not None), default=0)


def _new_table(place: LakePlace, wanted: Commit) -> Table:
    """Return a table that no file has yet: its first commit makes it."""
    from pyiceberg.table.metadata import new_table_metadata
    from pyiceberg.table.sorting import UNSORTED_SORT_ORDER

    schema, properties = numbered(wanted.schema), {_OURS: wanted.product, **_METRICS}
    spec = partition_spec(schema, wanted.keys)
    made = new_table_metadata(schema, spec, UNSORTED_SORT_ORDER, place.url(wanted.product), properties)
    return table_in(place, wanted.product, 0, made)


def _files(table: Table) -> list[DataFile]:
    """Return the data files of the current snapshot."""
    snapshot = table.current_snapshot()
    return [
        entry.data_file
        for manifest in (snapshot.manifests(table.io) if snapshot is not None else ())
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
    ]


def _texts(table: Table, file: DataFile) -> tuple[str | None, ...]:
    """Return the values of a file's partition."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    if file.spec_id != table.spec().spec_id:
        return ()
    found = []
    for place, field in enumerate(table.spec().fields):
        value, dtype = file.partition[place], schema_to_pyarrow(table.schema().find_type(field.source_id))
        found.append(None if value is None else partition_text(pa.scalar(value, dtype).as_py()))
    return tuple(found)


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
