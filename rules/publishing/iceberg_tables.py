"""Iceberg tables without a catalogue, by the package pyiceberg: their metadata, columns, partitions and data files."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from cache.durability import synchronise
from cache.own_names import name_beside
from cache.removal import publish, remove_beside
from rules.formats.table_files import ID, with_children

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pyiceberg.manifest import DataFile
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.metadata import TableMetadata

    from rules.publishing.lake_places import LakePlace

_FIRST_FIELD = 1000
"""The number of the first column of partitions."""


def table_in(place: LakePlace, product: str, version: int, metadata: Any = None) -> Table:
    """Return a table as its file of metadata with this number has it. metadata: of one that no file has yet."""
    from pyiceberg.catalog.noop import NoopCatalog
    from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
    from pyiceberg.serializers import FromInputFile, ToOutputFile
    from pyiceberg.table import CommitTableResponse, Table
    from pyiceberg.table.update import update_table_metadata

    url, folder = place.url(product), place.root / product

    class Here(PyArrowFileIO):
        """Finds the files of the table where the package can read and write them."""

        def _file(self, location: str) -> PyArrowFile:
            below = location.removeprefix(f"{url}/")
            if below == location:
                raise ValueError(f"the table has files elsewhere: {location}")
            place.bring(product, [below])
            return PyArrowFile(location, str(folder / below), LocalFileSystem())

        def new_input(self, location: str) -> PyArrowFile:
            return self._file(location)

        def new_output(self, location: str) -> PyArrowFile:
            return self._file(location)

    io = Here()

    def at(number: int) -> str:
        return f"{url}/metadata/v{number}.metadata.json"

    class InFolder(NoopCatalog):
        """Commits to a table by writing the metadata of the next number."""

        def commit_table(self, table: Table, requirements: Any, updates: Any) -> CommitTableResponse:
            for requirement in requirements:
                requirement.validate(table.metadata)
            made = update_table_metadata(
                base_metadata=table.metadata, updates=updates, metadata_location=table.metadata_location or None
            )
            target = folder / "metadata" / f"v{version + 1}.metadata.json"
            fresh = name_beside(target)
            try:
                ToOutputFile.table_metadata(made, PyArrowFileIO().new_output(str(fresh)))
                synchronise(fresh)
                publish(fresh, target)
            finally:
                remove_beside(fresh)
            return CommitTableResponse.model_validate({"metadata": made, "metadata-location": at(version + 1)})

    if metadata is None:
        metadata = FromInputFile.table_metadata(io.new_input(at(version)))
    return Table((product,), metadata, at(version) if version else "", io, InFolder("folder"))


def numbered(schema: pa.Schema) -> Schema:
    """Return columns as those of a new table, every field of which has a number."""
    from pyiceberg.io.pyarrow import pyarrow_to_schema

    numbers = itertools.count(1)

    def marked(field: pa.Field) -> pa.Field:
        number = next(numbers)
        return with_children(field, marked).with_metadata({ID: str(number).encode()})

    return pyarrow_to_schema(pa.schema([marked(field) for field in schema]))


def partition_spec(schema: Schema, keys: Sequence[str]) -> PartitionSpec:
    """Return how a new table is partitioned: by the values of columns."""
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.transforms import IdentityTransform

    numbers = itertools.count(_FIRST_FIELD)
    return PartitionSpec(
        *(
            PartitionField(schema.find_field(key).field_id, number, IdentityTransform(), key)
            for key, number in zip(keys, numbers, strict=False)
        )
    )


def partition_columns(schema: Schema, spec: PartitionSpec) -> tuple[str, ...]:
    """Return the columns by which a table is partitioned, with the transform of one that is not by its values."""
    from pyiceberg.transforms import IdentityTransform, VoidTransform

    found = []
    for field in spec.fields:
        name = schema.find_column_name(field.source_id) or "?"
        if not isinstance(field.transform, VoidTransform):
            found.append(name if isinstance(field.transform, IdentityTransform) else f"{field.transform}({name})")
    return tuple(found)


def set_columns(change: Transaction, wanted: pa.Schema, keys: tuple[str, ...]) -> None:
    """Give a table the columns of `wanted`, in their order, and the partitions of `keys`.

    A column of another type is another column.
    """
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    def types(schema: Schema) -> dict[str, str]:
        return {field.name: str(field.type) for field in schema_to_pyarrow(schema, include_field_ids=False)}

    asked = numbered(wanted)
    now, then = types(change.table_metadata.schema()), types(asked)
    gone = [name for name in now if now[name] != then.get(name)]
    held = partition_columns(change.table_metadata.schema(), change.table_metadata.spec())
    if held and (held != keys or set(held).intersection(gone)):
        with change.update_spec() as spec:
            for field in change.table_metadata.spec().fields:
                spec.remove_field(field.name)
        held = ()
    if list(now.items()) != list(then.items()):
        _set_schema(change, asked, gone, now, list(then))
    if held != keys:
        with change.update_spec() as spec:
            for key in keys:
                spec.add_identity(key)


def _set_schema(change: Transaction, asked: Schema, gone: list[str], now: dict[str, str], names: list[str]) -> None:
    """Give a table the columns that are asked for. now: its columns; gone: those of another type; names: in order."""
    if gone:
        with change.update_schema(allow_incompatible_changes=True) as update:
            for name in gone:
                update.delete_column((name,))
    with change.update_schema() as update:
        for field in asked.fields:
            if field.name in gone or field.name not in now:
                update.add_column((field.name,), field.field_type)
    if [field.name for field in change.table_metadata.schema().fields] != names:
        with change.update_schema() as update:
            update.move_first((names[0],))
            for before, name in itertools.pairwise(names):
                update.move_after((name,), (before,))


def data_file(metadata: TableMetadata, path: Path, url: str, keys: Sequence[str], values: Sequence[Any]) -> DataFile:
    """Describe a data file. path: here; url: in the table; values: of its partition."""
    from pyiceberg.io.pyarrow import (
        compute_statistics_plan,
        data_file_statistics_from_parquet_metadata,
        parquet_path_to_id_mapping,
    )
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.partitioning import PartitionFieldValue, PartitionKey

    schema, spec = metadata.schema(), metadata.spec()
    statistics = data_file_statistics_from_parquet_metadata(
        parquet_metadata=pq.read_metadata(path),
        stats_columns=compute_statistics_plan(schema, metadata.properties),
        parquet_column_mapping=parquet_path_to_id_mapping(schema),
    )
    by_name = dict(zip(keys, values, strict=True))
    fields = [one for one in spec.fields if one.name in by_name]
    partition = PartitionKey([PartitionFieldValue(one, by_name[one.name]) for one in fields], spec, schema).partition
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=url,
        file_format=FileFormat.PARQUET,
        partition=partition,
        file_size_in_bytes=path.stat().st_size,
        sort_order_id=None,
        spec_id=spec.spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )
