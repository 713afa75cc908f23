"""Make a product part by part on the real engine: cut an input into files, run the queries of its parts, merge them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cache.keys import Content
from compiler.parts.reading import PARTIALS, PartQueries, PartQuery
from compiler.schema import Schema
from rules.config.profiles import PROFILES
from rules.engine.execute import execute, open_frame
from rules.engine.protocol import EngineInput, EngineQuery, Job
from rules.engine.streaming import stream
from rules.formats.row_groups import FileRows
from rules.planning.input_parts import InputPart
from rules.running.part_batches import no_rows, run_together
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

    def together(self, way: PartQueries, table: str, parts: Sequence[pa.Table]) -> list[tuple[str, str]] | None:
        """Return the digests of the result of each part, made alone and together with others; None if it cannot be."""
        if way.each.together is None:
            return None
        files = [self._write(part) for part in parts]
        whole = [EngineInput(one, tuple(self._files[one]), self._schemas[one], ()) for one in way.each.scans]
        alone = []
        for file in files:
            inputs = [
                replace(one, columns=way.each.scans[one.name], files=(file,) if one.name == table else one.files)
                for one in whole
            ]
            query = EngineQuery(way.each.sql, tuple(inputs), PROFILE)
            alone.append(execute(Job(query, way.each.schema, self._fresh())).digest.table)
        pairs = zip(parts, files, strict=True)
        content = [InputPart(Content(part.num_rows, {}), (FileRows(file),), {}) for part, file in pairs]
        given = [replace(one, files=tuple(files)) if one.name == table else one for one in whole]

        def rows(query: PartQuery, inputs: Sequence[EngineInput], types: pa.Schema, scratch: Path) -> Iterator[Any]:
            return stream(EngineQuery(query.sql, tuple(inputs), PROFILE), types, scratch)

        made = {
            place: executed.digest.table
            for place, executed, _ in run_together(way.each, dict(enumerate(content)), given, table, rows, self._fresh)
        }
        nothing = no_rows(way.each, self._fresh()).digest.table
        return [(one, made.get(place, one if way.each.of_none else nothing)) for place, one in enumerate(alone)]

    def _fresh(self) -> Path:
        return self._folder / f"{next(_FILES)}.parquet"

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
        path = self._fresh()
        pq.write_table(table, path)
        return path


def _typed(table: pa.Table, schema: Schema) -> pa.Table:
    wanted = to_arrow(schema)
    return table.cast(pa.schema([pa.field(field.name, field.type) for field in wanted]))


def _empty(schema: Schema) -> pa.Table:
    return to_arrow(schema).empty_table()
