"""Run the query that a rule may run on any number of partitions, in a way that deals even few rows out among them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from cache.bags import bag_of_file
from compiler.compiled import Compiled, Options
from compiler.spread.spreading import Spread, spread
from rules.config.profiles import PROFILES
from rules.engine.execute import execute
from rules.engine.protocol import EngineInput, EngineQuery, Job
from rules.storage.types import to_schema
from support.compiling import TestCompiler

PROFILE = msgspec.structs.replace(
    PROFILES["prod_fast"],
    batch_size=3,
    engine={
        "datafusion.optimizer.repartition_file_min_size": "0",
        "datafusion.optimizer.hash_join_single_partition_threshold": "0",
        "datafusion.optimizer.hash_join_single_partition_threshold_rows": "0",
    },
)
"""Batches of three rows, files divided however small they are, and both sides of a join dealt out."""
_FILES = itertools.count()


def proved(known: TestCompiler, compiled: Compiled, options: Options = Options()) -> Spread:  # noqa: B008 — immutable
    """Return what is proved of a compiled rule."""
    assert not options.volatile
    return spread(compiled.sql, compiled.scans, known.compiler.schemas.known, compiled.schema)


class SpreadRunner:
    """Runs queries over some tables, whose files have a row group for each few rows."""

    def __init__(self, tables: Mapping[str, pa.Table], folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._schemas = {name: to_schema(table.schema) for name, table in tables.items()}
        for name, table in tables.items():
            pq.write_table(table, folder / f"{name}.parquet", row_group_size=5)

    def run(self, sql: str, compiled: Compiled, partitions: int) -> tuple[str, str]:
        """Return the digests of the table, as it is and as a bag. Raises `EngineError`."""
        inputs = tuple(
            EngineInput(name, (self._folder / f"{name}.parquet",), self._schemas[name], tuple(columns))
            for name, columns in compiled.scans.items()
        )
        target = self._folder / f"made {next(_FILES)}.parquet"
        done = execute(Job(EngineQuery(sql, inputs, PROFILE, partitions=partitions), compiled.schema, target))
        return done.digest.table, bag_of_file(target, compiled.schema.names)
