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
from compiler.spread.spread_record import Spread
from compiler.spread.spreading import spread
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

    def plain(self, compiled: Compiled) -> str:
        """Return the digest of the bag of a rule that is run as it is. Raises `EngineError`."""
        return self._run(EngineQuery(compiled.sql, self._inputs(compiled), PROFILE), compiled, ())[1]

    def run(self, found: Spread, compiled: Compiled, partitions: int) -> tuple[str, str]:
        """Return the digests of the table of a spread rule, as it is and as a bag. Raises `EngineError`."""
        assert found.sql is not None
        number = partitions if partitions > 1 else None
        query = EngineQuery(found.sql, self._inputs(compiled), PROFILE, partitions=number)
        return self._run(query, compiled, found.order)

    def _inputs(self, compiled: Compiled) -> tuple[EngineInput, ...]:
        return tuple(
            EngineInput(name, (self._folder / f"{name}.parquet",), self._schemas[name], tuple(columns))
            for name, columns in compiled.scans.items()
        )

    def _run(self, query: EngineQuery, compiled: Compiled, order: tuple[str, ...]) -> tuple[str, str]:
        target = self._folder / f"made {next(_FILES)}.parquet"
        done = execute(Job(query, compiled.schema, target, order=order))
        return done.digest.table, bag_of_file(target, compiled.schema.names)
