"""Run one query in its three forms (authored, executed, canonical) on Parquet files, and compare the tables."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import SessionContext
from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.canonical.form import rendered
from compiler.compiled import Compiled
from compiler.engine_sql.form import for_engine
from compiler.engine_sql.workarounds.set_operations import name_branches_alike
from compiler.names.qualify import InputSchemas, pruned, qualified
from compiler.names.resolve import bind_tables
from compiler.schema import Schema
from compiler.sql.dialect import parse, render
from compiler.sql.encode import decode
from rules.config.profiles import PROFILES
from rules.engine.execute import open_frame
from rules.engine.protocol import EngineInput, EngineQuery
from rules.engine.session import make_session
from rules.storage.types import stored_schema, to_schema
from support.compiling import TestCompiler
from support.databases import same_table

PROFILE = msgspec.structs.replace(PROFILES["prod_fast"], memory_limit_mb=1024)
_MOST_ROWS = 1_000_000
_FOLDERS = itertools.count()


class StoredDatabase:
    """Tables as Parquet files, which is how the engine reads every input."""

    def __init__(self, tables: Mapping[str, pa.Table], folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.tables = dict(tables)
        self.schemas: dict[str, Schema] = {}
        for name, table in tables.items():
            pq.write_table(table, self._file(name))
            self.schemas[name] = to_schema(table.schema)

    @cached_property
    def _authored(self) -> SessionContext:
        session = make_session(PROFILE)
        for name, table in self.tables.items():
            session.register_parquet(
                f'"{name}"', self._file(name), schema=stored_schema(table.schema), file_extension=""
            )
        return session

    def authored(self, sql: str) -> pa.Table:
        """Run the text as it was written, every table of the database in sight. Raises the engine's exceptions."""
        return collected(self._authored.sql(sql))

    def executed(self, compiled: Compiled) -> pa.Table:
        """Run the executed form as `rules build` does: each input shows the columns of its scan set alone."""
        return self._run(compiled.sql, compiled.scans)

    def canonical(self, compiled: Compiled) -> pa.Table:
        """Run the canonical form: inputs are named by position and show the columns of their read sets alone."""
        return self._run(
            canonical_sql(compiled, self.schemas),
            dict(zip(compiled.inputs, compiled.reads, strict=True)),
            compiled.inputs,
        )

    def _run(self, sql: str, columns: Mapping[str, Collection[str]], positions: tuple[str, ...] = ()) -> pa.Table:
        shown = {name: str(number) for number, name in enumerate(positions)} or {name: name for name in columns}
        inputs = tuple(
            EngineInput(shown[name], (self._file(name),), self.schemas[name], tuple(visible))
            for name, visible in columns.items()
        )
        return collected(open_frame(EngineQuery(sql, inputs, PROFILE), self.folder))

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"


def scrambled(database: StoredDatabase, compiled: Compiled, seed: int) -> StoredDatabase:
    """Return a database in which everything outside the query's read sets is other: values permuted, some made NULL.

    Tables that the query does not read at all lose their rows.
    """
    rng = np.random.default_rng(seed)
    reads = dict(zip(compiled.inputs, compiled.reads, strict=True))
    tables: dict[str, pa.Table] = {}
    for name, table in database.tables.items():
        if name not in reads:
            tables[name] = table.slice(0, 0)
            continue
        columns = []
        for column, field in zip(table.columns, table.schema, strict=True):
            if field.name not in reads[name]:
                order = pa.array(rng.permutation(table.num_rows), mask=rng.random(table.num_rows) < 0.3)
                column = column.combine_chunks().take(order)  # noqa: PLW2901 — the other column
            columns.append(column)
        tables[name] = pa.Table.from_arrays(columns, schema=table.schema)
    return StoredDatabase(tables, database.folder / f"scrambled{next(_FOLDERS)}")


def again(compiled: Compiled, tables: Mapping[str, pa.Schema]) -> Compiled:
    """Compile a query's canonical form once more, as the text of a rule whose inputs are named by position."""
    tree = decode(compiled.canonical)
    for table in tree.find_all(exp.Table):
        table.set("db", None)
    assert isinstance(tree, exp.Query)
    compiler = TestCompiler({str(number): tables[name] for number, name in enumerate(compiled.inputs)})
    return compiler.compile(rendered(tree))


def canonical_sql(compiled: Compiled, schemas: Mapping[str, Schema] | None = None) -> str:
    """Return the canonical form as SQL text that the engine can run; schemas: of the inputs, by name."""
    tree = decode(compiled.canonical)
    assert isinstance(tree, exp.Query)
    numbered = {str(number): schemas[name] for number, name in enumerate(compiled.inputs)} if schemas else {}
    return rendered(for_engine(tree, numbered)[0])


def corrected(sql: str, schemas: Mapping[str, Schema]) -> str | None:
    """Return a query as the engine has to be given it to do what it says; None if that is how it is written."""
    known = InputSchemas()
    for name, schema in schemas.items():
        known.add(name, schema)
    query = parse(sql)
    bind_tables(query, lambda name: name if name in schemas else None, known.known)
    query = pruned(qualified(query, known))
    before = render(name_branches_alike(query, Facts(known.known)))
    after = render(for_engine(query, known.known)[0])
    return after if after != before else None


class TooManyRowsError(Exception):
    """A random query returns too many rows to be looked at."""


def collected(frame: object) -> pa.Table:
    """Run a frame. The types are those of its batches: a frame's own schema can be older than type coercion.

    Raises `TooManyRowsError`: a few random queries cross so many tables that no machine could hold what comes out.
    """
    batches, rows = [], 0
    for batch in frame.execute_stream():  # type: ignore[attr-defined]
        batches.append(batch.to_pyarrow())
        rows += batches[-1].num_rows
        if rows > _MOST_ROWS:
            raise TooManyRowsError
    typed = batches[0].schema if batches else frame.schema()  # type: ignore[attr-defined]
    schema = pa.schema([(field.name, field.type) for field in typed])
    return pa.Table.from_batches([batch.cast(schema) for batch in batches], schema=schema)


def difference(authored: pa.Table, other: pa.Table, *, ordered: bool, float_tolerance: float = 0.0) -> str | None:
    """Return what tells two tables apart, in a few lines, or None."""
    if same_table(authored, other, ordered=ordered, float_tolerance=float_tolerance):
        return None
    if not authored.num_rows and not other.num_rows and authored.schema.names == other.schema.names:
        return None  # without a batch there is no type that can be relied on, see `collected`
    if authored.schema != other.schema:
        return f"schema {authored.schema} against {other.schema}"
    left, right = (Counter(map(repr, table.to_pylist())) for table in (authored, other))
    return f"only authored: {list((left - right).elements())[:5]}\nonly other: {list((right - left).elements())[:5]}"
