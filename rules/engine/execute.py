"""Step 6 of 7, execute, for one product: run its SQL on exactly the columns it may read; write and digest the result.

Nothing but the query's inputs is registered, each with the columns of its scan set alone, so a rule cannot depend on
anything its action key does not cover.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import DataFrame, SessionContext

from cache.bags import bag_digest
from cache.digests import TableDigest
from compiler.schema import Schema
from rules.engine.own import EngineFunction, register
from rules.engine.partitioned import register_partitioned
from rules.engine.session import EngineError, clean_message, make_session, qualified_name
from rules.engine.types import to_arrow
from rules.engine.writing import ProductWriter
from rules.profiles import Profile

_READ_ROWS = 1 << 16


@dataclass(frozen=True)
class EngineInput:
    """An input as the engine is shown it: its Parquet files in row order, and the only columns that exist for it.

    constants: columns that are not in the files: of each, an array with one value for each file.
    """

    name: str
    files: tuple[Path, ...]
    schema: Schema
    columns: tuple[str, ...]
    constants: Mapping[str, pa.Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Executed:
    """What an execution yielded: the digest of its table, name → (type, digest) of its columns, and seconds it took."""

    digest: TableDigest
    columns: Mapping[str, tuple[str, str]]
    seconds: float


def execute(
    sql: str,
    inputs: Iterable[EngineInput],
    schema: Schema,
    target: Path,
    profile: Profile,
    functions: Iterable[EngineFunction] = (),
) -> Executed:
    """Run `sql` and write its result, which must have `schema`, to `target`. Raises `EngineError`."""
    started = time.perf_counter()
    try:
        frame = open_frame(sql, inputs, target.parent, profile, functions)
        with ProductWriter(target, schema) as writer:
            for batch in frame.execute_stream():
                writer.write(batch.to_pyarrow())
            digest = writer.finish()
    except EngineError:
        raise
    except Exception as error:  # the engine raises plain Exception for whatever goes wrong at run time
        raise EngineError(clean_message(error)) from error
    return executed(digest, schema, started)


def executed(digest: TableDigest, schema: Schema, started: float) -> Executed:
    """Return what an execution comes to that has written a table of `schema`; started: when it was begun."""
    types = {column.name: column.type for column in schema.columns}
    columns = {name: (types[name], value) for name, value in digest.columns.items()}
    return Executed(digest, columns, time.perf_counter() - started)


def open_frame(
    sql: str,
    inputs: Iterable[EngineInput],
    scratch: Path,
    profile: Profile,
    functions: Iterable[EngineFunction] = (),
) -> DataFrame:
    """Plan `sql` in a session of its own. `scratch`: a folder for links. Raises what the engine raises."""
    session = make_session(profile)
    register(session, functions)
    for entry in inputs:
        _register(session, entry, scratch)
    return session.sql(sql)


def bag_of_file(path: Path, columns: Sequence[str]) -> str:
    """Return the order-free digest of some columns of a stored product."""
    with pq.ParquetFile(path) as file:
        schema = pa.schema([file.schema_arrow.field(name) for name in columns])
        if not columns:
            return bag_digest(schema, [], columns)
        batches = file.iter_batches(batch_size=_READ_ROWS, columns=list(columns), use_threads=False)
        return bag_digest(schema, batches, list(columns))


def _register(session: SessionContext, entry: EngineInput, scratch: Path) -> None:
    for file in entry.files:
        if not file.is_file():  # the engine would read a missing file as an empty table
            raise EngineError(f"the file {file.name} of input '{entry.name}' has vanished")
    visible = set(entry.columns)
    schema = pa.schema([field for field in to_arrow(entry.schema) if field.name in visible])
    if visible & entry.constants.keys():
        register_partitioned(session, entry.name, entry.files, schema, entry.constants, scratch)
        return
    session.register_parquet(qualified_name(entry.name), _location(entry, scratch), schema=schema, file_extension="")


def _location(entry: EngineInput, scratch: Path) -> str:
    """Return a URL: of the one file, or of a folder of links to several, whose names keep them in order.

    The engine takes a path that holds `*`, `?` or `[` as a glob, and what a glob does not find as an empty table.
    """
    if len(entry.files) == 1:
        return entry.files[0].as_uri()
    folder = scratch / f"{os.urandom(8).hex()}.files"
    folder.mkdir()
    for number, file in enumerate(entry.files):
        (folder / f"{number:08d}.parquet").symlink_to(file)
    return f"{folder.as_uri()}/"
