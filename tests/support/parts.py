"""Make a product part by part on the real engine: cut an input into files, run the queries of its parts, merge them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from compiler.parts.reading import PARTIALS, PartQueries, PartQuery
from compiler.schema import Schema
from rules.config.profiles import PROFILES
from rules.engine.execute import open_frame
from rules.engine.protocol import EngineInput, EngineQuery
from rules.storage.types import to_arrow, to_schema
from support.forms import collected

PROFILE = PROFILES["prod_fast"]
_FILES = itertools.count()


def cut(table: pa.Table, rng: random.Random, column: str | None = None) -> list[pa.Table]:
    """Cut a table into parts, some of them empty; column: of which no two parts may share a value."""
    if column is not None:
        values = table[column].combine_chunks().dictionary_encode("encode")
        of_value = [rng.randrange(4) for _ in values.dictionary]
        part_of = np.array([of_value[code] for code in values.indices.to_pylist()], dtype=np.int64)
        return [table.filter(pa.array(part_of == part)) for part in range(4)]
    ends = sorted(rng.randint(0, table.num_rows) for _ in range(rng.choice((0, 1, 2, 4, 7))))
    starts, ends = [0, *ends], [*ends, table.num_rows]
    return [table.slice(start, end - start) for start, end in zip(starts, ends, strict=True)]


class PartRunner:
    """Runs the queries of parts. tables: every input of the rule, whole."""

    def __init__(self, tables: Mapping[str, pa.Table], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._schemas = {name: to_schema(table.schema) for name, table in tables.items()}
        self._files = {name: [self._write(table)] for name, table in tables.items()}

    def product(self, way: PartQueries, table: str, parts: Sequence[pa.Table], rng: random.Random) -> pa.Table:
        """Return the product, its partial results merged in a tree of any shape."""
        made = [self._run(way.each, {table: [self._write(part)]}) for part in parts]
        if way.rest is not None:
            assert table not in way.rest.scans
            made.append(self._run(way.rest, {}))
        if way.finish is None:
            return pa.concat_tables([one.cast(made[0].schema) for one in made])
        assert table not in way.finish.scans
        schema = way.each.schema
        levels = rng.randint(0, 3) if way.merge is not None else 0
        for _ in range(levels):
            assert way.merge is not None
            assert way.merge.schema == schema
            start = rng.randrange(len(made) + 1)
            end = rng.randint(start, len(made))
            merged = self._run(way.merge, {PARTIALS: [self._write(one) for one in made[start:end]]}, schema)
            made[start:end] = [merged]
        return self._run(way.finish, {PARTIALS: [self._write(one) for one in made]}, schema)

    def _run(self, query: PartQuery, files: Mapping[str, list[Path]], partials: Schema | None = None) -> pa.Table:
        inputs = []
        for name, columns in query.scans.items():
            schema = self._schemas.get(name, partials)
            assert schema is not None
            found = files.get(name) or self._files.get(name) or [self._write(_empty(schema))]
            inputs.append(EngineInput(name, tuple(found), schema, tuple(columns)))
        made = collected(open_frame(EngineQuery(query.sql, tuple(inputs), PROFILE), self._folder))
        return _typed(made, query.schema)

    def _write(self, table: pa.Table) -> Path:
        path = self._folder / f"{next(_FILES)}.parquet"
        pq.write_table(table, path)
        return path


def _typed(table: pa.Table, schema: Schema) -> pa.Table:
    wanted = to_arrow(schema)
    return table.cast(pa.schema([pa.field(field.name, field.type) for field in wanted]))


def _empty(schema: Schema) -> pa.Table:
    return to_arrow(schema).empty_table()
