"""Tables with a column of one value a file that the files lack: the engine sees a view that adds it.

The files are linked into folders named only by numbers, which the engine takes for partition columns; a function
turns them into values. So no value has to be spelled as a folder's name, NULL and '' differ, and rows stay in the
order of the files. The function is volatile, so that no filter of such a column filters partitions: the engine
keeps partitions for which the filter is NULL.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from datafusion import SessionContext, udf
from datafusion.catalog import Schema as CatalogSchema

from rules.engine.protocol import EngineInput
from rules.engine.session import plan_query, qualified_name

_FILES_DB = "partitioned files"


def register_partitioned(
    session: SessionContext,
    entry: EngineInput,
    schema: pa.Schema,
    scratch: Path,
    read: Callable[[str], str],
    *,
    pruning: bool,
) -> None:
    """Register an input with the columns of `schema`, its constants with one value a file.

    read: how a column of the files is selected. pruning: as for `rules.engine.scanning`.
    """
    name, files, constants = entry.name, entry.files, entry.constants
    shown = [column for column in constants if column in schema.names]
    numbers = {column: constants[column].dictionary_encode() for column in shown}
    number = "number"  # of a file, or with a digit of a value among those of a column
    while any(field.name.startswith(number) for field in schema):
        number += "_"
    folder = scratch / f"{os.urandom(8).hex()}.files"
    for place, file in enumerate(files):
        keys = [f"{number}={place:08d}"]
        for position, column in enumerate(shown):
            keys.append(f"{number}{position}={_number(numbers[column], place)}")
        inside = folder.joinpath(*keys)
        inside.mkdir(parents=True)
        (inside / "file.parquet").symlink_to(file)
    if _FILES_DB not in session.catalog().names():
        session.catalog().register_schema(_FILES_DB, CatalogSchema.memory_schema())
    table = f'"{_FILES_DB}"."{name}"'
    columns = [(number, pa.int32()), *((f"{number}{position}", pa.int32()) for position in range(len(shown)))]
    inside_files = pa.schema([field for field in schema if field.name not in shown])
    session.register_parquet(
        table,
        f"{folder.as_uri()}/",
        table_partition_cols=columns,
        schema=inside_files,
        file_extension="",
        parquet_pruning=pruning,
    )
    items = []
    for field in schema:
        quoted = _quoted(field.name)
        if field.name not in shown:
            items.append(read(field.name))
            continue
        function = f"partition_{name}_{shown.index(field.name)}".lower()
        session.register_udf(
            udf(_values(numbers[field.name].dictionary, field.type), [pa.int32()], field.type, "volatile", function)
        )
        items.append(f'{_quoted(function)}("{number}{shown.index(field.name)}") AS {quoted}')
    session.register_view(qualified_name(name), plan_query(session, f"SELECT {', '.join(items)} FROM {table}"))


def _number(values: pa.DictionaryArray, place: int) -> int:
    """Return the number of a file's value, -1 for NULL."""
    index = values.indices[place].as_py()
    return -1 if index is None else int(index)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _values(values: pa.Array, dtype: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    """Return the function from numbers to values, whose type as the engine has it is `dtype`."""

    def call(numbers: pa.Array) -> pa.Array:
        known = pc.if_else(pc.less(numbers, 0), None, numbers)
        return values.take(known).cast(dtype)

    return call
