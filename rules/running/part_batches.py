"""Step 6 of 7, execute: many small parts in one run of the engine, whose rows are divided into a table for each.

Starting a query costs some milliseconds, which is much for a part of few rows. The tables are those that each part
alone makes, to the last bit; which parts are run together therefore follows from what is at hand, not from content.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from compiler.parts.reading import PART, PartQuery
from rules.engine.protocol import EngineError, EngineInput, Executed
from rules.engine.writing import ProductWriter
from rules.storage.types import to_arrow, to_schema

if TYPE_CHECKING:
    from pathlib import Path

    from rules.planning.input_parts import InputPart

Stream = Callable[[PartQuery, "Sequence[EngineInput]", "pa.Schema", "Path"], "Iterator[pa.RecordBatch]"]
"""Yields the rows of a query, cast to a schema. Raises `EngineError`. The last is a folder for files."""

MEMORY_FOR_BATCHES = 512 << 20
"""The least pool for parts to be run together: what is spilled to disk comes in another order."""
_SMALL = 200_000
"""The rows of a part from which on a run of its own hardly costs more."""
_FEWEST, _MOST = 4, 64
"""Parts of one run."""
_MOST_ROWS = 1 << 20


def batches(parts: Mapping[int, InputPart], workers: int) -> list[list[int]]:
    """Return which parts, by their places, are run together; the others are run alone. workers: runs side by side."""
    small = {place: part.content.rows for place, part in parts.items() if part.content.rows < _SMALL}
    share = min(_MOST_ROWS, max(sum(small.values()) // max(1, workers), 1))
    found: list[list[int]] = [[]]
    rows = 0
    for place, count in small.items():
        if found[-1] and (len(found[-1]) == _MOST or rows + count > max(share, _SMALL)):
            found.append([])
            rows = 0
        found[-1].append(place)
        rows += count
    return [batch for batch in found if len(batch) >= _FEWEST]


def run_together(
    query: PartQuery,
    parts: Mapping[int, InputPart],
    inputs: Sequence[EngineInput],
    name: str,
    stream: Stream,
    target: Callable[[], Path],
) -> list[tuple[int, Executed, Path]]:
    """Return the tables of the parts that have rows in them, by their places.

    query: of one part, with one of several. inputs: whole, and `name` with the files of these parts. target: returns a
    file to write. Raises `EngineError` and OSError: no table is known to have all of its rows before the last row came.
    """
    several = query.together
    assert several is not None
    types = pa.schema([*to_arrow(query.schema), pa.field(PART, pa.int32())])
    given = [
        _of_parts(entry, list(parts.values()), several) if entry.name == name else entry
        for entry in (replace(one, columns=several.scans[one.name]) for one in inputs if one.name in several.scans)
    ]
    places = list(parts)
    started = time.perf_counter()
    made: list[tuple[int, Executed, Path]] = []
    writer: ProductWriter | None = None
    current, path = -1, target()
    try:
        for batch in stream(several, given, types, path.parent):
            numbers = batch.column(batch.num_columns - 1).to_numpy()
            columns = batch.select(range(batch.num_columns - 1))
            starts = np.flatnonzero(np.concatenate(([True], numbers[1:] != numbers[:-1])))[: len(numbers)]
            for start, end in itertools.pairwise([*starts.tolist(), len(numbers)]):
                number = int(numbers[start])
                if number != current:
                    if writer is not None:
                        made.append((places[current], _finished(writer, query, started), path))
                        writer, path, started = None, target(), time.perf_counter()
                    if number < current:
                        raise EngineError("the rows of parts came mixed")
                    current = number
                    writer = ProductWriter(path, query.schema).__enter__()
                assert writer is not None
                writer.write(columns.slice(start, end - start))
        if writer is not None:
            last, writer = writer, None
            made.append((places[current], _finished(last, query, started), path))
    finally:
        if writer is not None:
            writer.__exit__(None, None, None)
    return made


def no_rows(query: PartQuery, target: Path) -> Executed:
    """Write the table of a part of which a query makes no row. Raises OSError."""
    started = time.perf_counter()
    with ProductWriter(target, query.schema) as writer:
        digest = writer.finish()
    return Executed.of(digest, query.schema, started)


def _finished(writer: ProductWriter, query: PartQuery, started: float) -> Executed:
    try:
        digest = writer.finish()
    finally:
        writer.__exit__(None, None, None)
    return Executed.of(digest, query.schema, started)


def _of_parts(entry: EngineInput, parts: Sequence[InputPart], query: PartQuery) -> EngineInput:
    """Return an input that is several of its parts, with their numbers as a column."""
    names = [name for name in parts[0].constants if name in query.scans[entry.name]]
    constants = {name: pa.concat_arrays([part.constants[name] for part in parts]) for name in names}
    counts = [len(part.files) for part in parts]
    constants[PART] = pa.array(np.repeat(np.arange(len(parts), dtype=np.int32), counts))
    schema = to_schema(to_arrow(entry.schema).append(pa.field(PART, pa.int32())))
    return replace(entry, schema=schema, constants=constants)
