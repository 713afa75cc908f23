"""The engine's view of its inputs: exactly the columns it may read, and no statistics of floats.

Parquet leaves NaN out of a column's least and greatest value, and many writers do not tell -0.0 from 0.0 there. The
engine believes both: DataFusion 55 skips row groups whose NaNs satisfy `x > 2`, and takes `1.5, NaN, 1.5` for three
times 1.5. So it reads each column of floats through a view, `nanvl(x, x)`, which is x to the last bit, of which it
knows nothing; statistics of all other columns still let it skip row groups.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import DataFrame, SessionContext
from datafusion.catalog import Schema as CatalogSchema

from rules.engine.partitioned import register_partitioned
from rules.engine.protocol import EngineError, EngineInput
from rules.engine.session import ignore_statistics, plan_query, qualified_name
from rules.engine.shared_planning import SharedPlanning
from rules.storage.types import to_arrow, written_schema

_STORED_DB = "stored"
"""The engine's schema for the tables that the views read; an executed query names only tables of INPUT_DB."""


def register_inputs(
    session: SessionContext,
    inputs: Iterable[EngineInput],
    scratch: Path,
    shared: SharedPlanning,
    *,
    pruning: bool = True,
    views: bool = True,
) -> bool:
    """Let queries read the inputs; return whether the session still trusts the statistics of whole files.

    scratch: a folder for links. shared: with the other queries of a build. pruning: whether row groups are skipped by
    their statistics; for registered files the engine does not ask the setting of that name. views: whether texts are
    views, see `text_views` of a profile. Raises `EngineError`, and the engine's exceptions.
    """
    trusting = [
        _register(session, entry, _schema(entry, views=views), scratch, shared, pruning=pruning) for entry in inputs
    ]
    return all(trusting)


def takes_first_files(frame: DataFrame) -> bool:
    """Whether a LIMIT reaches a scan: of several files the engine then reads those that the folder lists first.

    It takes as many as have enough rows by their statistics. Without these it reads them by name until it has enough.
    """
    return re.search(r"TableScan: .*fetch=\d", frame.optimized_logical_plan().display_indent()) is not None


def _schema(entry: EngineInput, *, views: bool) -> pa.Schema:
    """Return the columns that a query may see of an input."""
    schema = to_arrow(entry.schema) if views else written_schema(to_arrow(entry.schema))
    visible = set(entry.columns)
    return pa.schema([field for field in schema if field.name in visible])


def _register(
    session: SessionContext,
    entry: EngineInput,
    schema: pa.Schema,
    scratch: Path,
    shared: SharedPlanning,
    *,
    pruning: bool,
) -> bool:
    for file in entry.files:
        if not file.is_file():  # the engine would read a missing file as an empty table
            raise EngineError(f"the file {file.name} of input '{entry.name}' has vanished")
    added = set(entry.columns) & entry.constants.keys()
    floats = [field.name for field in schema if pa.types.is_floating(field.type) and field.name not in added]
    trusting = not (floats and _may_seem_constant(entry.files, tuple(floats), shared))
    if not trusting:
        ignore_statistics(session)  # even through a view the engine replaces a column by a constant

    def read(name: str) -> str:
        quoted = '"' + name.replace('"', '""') + '"'
        return f"nanvl({quoted}, {quoted}) AS {quoted}" if name in floats else quoted

    if added:
        register_partitioned(session, entry, schema, scratch, read, pruning=pruning)
        return trusting
    location = _location(entry, scratch, shared)
    if not floats:
        name = qualified_name(entry.name)
        session.register_parquet(name, location, schema=schema, file_extension="", parquet_pruning=pruning)
        return trusting
    catalog = session.catalog()
    if _STORED_DB not in catalog.names():
        catalog.register_schema(_STORED_DB, CatalogSchema.memory_schema())
    stored = qualified_name(entry.name, _STORED_DB)
    session.register_parquet(stored, location, schema=schema, file_extension="", parquet_pruning=pruning)
    columns = ", ".join(read(field.name) for field in schema)
    session.register_view(qualified_name(entry.name), plan_query(session, f"SELECT {columns} FROM {stored}"))
    return trusting


def _may_seem_constant(files: tuple[Path, ...], floats: tuple[str, ...], shared: SharedPlanning) -> bool:
    known = shared.seems_constant.get((files, floats))
    if known is None:
        known = shared.seems_constant[files, floats] = _statistics_may_mislead(files, floats)
    return known


def _statistics_may_mislead(files: Sequence[Path], floats: Iterable[str]) -> bool:
    """Whether by a file's statistics some column of floats may hold a single value, which the engine would trust.

    It takes a least and a greatest value of equal bits for that value, and ignores row groups that lack them. So
    one row group in which they differ is enough to show that it sees no constant, and so is a lack of statistics.
    """
    wanted = frozenset(floats)
    for file in files:
        footer = pq.read_metadata(file)
        for place in range(footer.num_columns):
            if footer.schema.column(place).path in wanted and _has_no_two_values(footer, place):
                return True
    return False


def _has_no_two_values(footer: pq.FileMetaData, place: int) -> bool:
    found = False
    for group in range(footer.num_row_groups):
        statistics = footer.row_group(group).column(place).statistics
        if statistics is not None:
            found = True
            if statistics.has_min_max and _is_below(statistics.min, statistics.max):
                return False
    return found


def _is_below(least: float, most: float) -> bool:
    return least < most or (least == most == 0 and math.copysign(1, least) < math.copysign(1, most))


def _location(entry: EngineInput, scratch: Path, shared: SharedPlanning) -> str:
    """Return a URL: of the one file, or of a folder of links to several, whose names keep them in order.

    The engine takes a path that contains `*`, `?` or `[` for a glob, and a glob without matches for an empty table.
    """
    if len(entry.files) == 1:
        return entry.files[0].as_uri()
    folder = shared.folders.get(entry.files)
    if folder is None:
        folder = scratch / f"{os.urandom(8).hex()}.files"
        folder.mkdir()
        for number, file in enumerate(entry.files):
            (folder / f"{number:08d}.parquet").symlink_to(file)
        shared.folders[entry.files] = folder  # two threads may each make one
    return f"{folder.as_uri()}/"
