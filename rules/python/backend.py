"""Ibis tables over a project's products, which execute on a session made here.

Ibis's DataFusion connection does not work with the engine's version, and would give a product other types than rules
see. Every execution reads the products as last committed, and only those that the expression names.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import ibis.expr.operations as ops
import ibis.expr.schema as sch
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql import SQLBackend
from ibis.expr.types import Scalar, Table
from pyarrow import csv, dataset
from sqlglot import exp

from cache.table_files import files_of, schema_of
from compiler.engine_sql.form import for_engine
from compiler.engine_sql.timestamps import widen_literals
from compiler.errors import SqlError
from compiler.ibis.compiler import ENGINE_COMPILER, engine_tree
from compiler.names.qualify import InputSchemas, pruned, qualified
from compiler.names.resolve import bind_tables, fold, outside_tables
from compiler.schema import Schema
from compiler.sql.dialect import parse, render
from compiler.tree.big_stack import with_deep_stack
from rules.arrow import plain_type
from rules.config.profiles import PROFILES
from rules.engine.execute import open_frame
from rules.engine.failures import engine_errors
from rules.engine.protocol import EngineError, EngineInput, EngineQuery
from rules.errors import FAILED, UserError
from rules.files.project_paths import DEFAULT_PROFILE
from rules.python.faults import Misuse
from rules.python.schemas import ibis_schema
from rules.python.series import require_pandas
from rules.storage.types import to_schema


class ProjectBackend(SQLBackend):  # type: ignore[misc] # Ibis ships no types
    """The backend of one project's tables."""

    name = "rules"
    compiler = ENGINE_COMPILER
    supports_python_udfs = False

    def __init__(
        self,
        path: Callable[[str], Path],
        products: Callable[[], list[str]],
        reading: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """path: returns the file of a product. Raises `UserError`. products: returns their names.

        reading: while it is open, no such file is removed, which the engine would read as one without rows.
        """
        super().__init__()
        self._path = path
        self._products = products
        self._reading = reading

    @property
    def version(self) -> str:
        """The engine's version."""
        from importlib.metadata import version

        return version("datafusion")

    def do_connect(self) -> None:
        """There is nothing to connect to."""

    def list_tables(self, *, like: str | None = None, database: Any = None) -> list[str]:
        """Return the names of the products that have been built."""
        del database
        return list(self._filter_with_like(self._products(), like))

    def table(self, name: str, /, *, database: Any = None) -> Any:
        """Return a product. Raises `UserError`."""
        del database
        return ops.DatabaseTable(name, schema=self.get_schema(name), source=self).to_expr()

    def get_schema(self, table_name: str, *, catalog: Any = None, database: Any = None) -> sch.Schema:
        """Return the schema of a product. Raises `UserError`."""
        del catalog, database
        return ibis_schema(schema_of(self._path(table_name)))

    def create_table(self, *arguments: Any, **named: Any) -> Any:
        """Refuse: products are made by rules."""
        del arguments, named
        raise UserError("only rules make products", code="read-only", hint="write a rule")

    def to_pyarrow_batches(self, expr: Any, /, *, params: Any = None, limit: Any = None, **_: Any) -> Any:
        """Execute, streaming. Raises `UserError`."""
        query = engine_tree(_limited(expr, limit), params=params)
        return self._stream(query)

    def to_pyarrow(self, expr: Any, /, *, params: Any = None, limit: Any = None, **_: Any) -> Any:
        """Execute; return a table, an array or a scalar, as the expression is one. Raises `UserError`."""
        table = self.to_pyarrow_batches(expr, params=params, limit=limit).read_all()
        if isinstance(expr, Table):
            return table
        column = table.column(0)
        return column[0] if isinstance(expr, Scalar) else column

    def execute(self, expr: Any, /, *, params: Any = None, limit: Any = None, **_: Any) -> Any:
        """Execute; return a pandas object (which takes pandas), or a Python value for a scalar. Raises `UserError`."""
        if not isinstance(expr, Scalar):
            _require_pandas()
        found = self.to_pyarrow(expr, params=params, limit=limit)
        return found.as_py() if isinstance(found, pa.Scalar) else found.to_pandas()

    def to_pandas_batches(self, expr: Any, /, *, params: Any = None, limit: Any = None, **_: Any) -> Iterator[Any]:
        """Execute; yield a pandas DataFrame for each batch. Raises `UserError`."""
        _require_pandas()
        for batch in self.to_pyarrow_batches(expr, params=params, limit=limit):
            yield batch.to_pandas()

    def to_parquet(self, expr: Any, /, path: str | Path, *, params: Any = None, **options: Any) -> None:
        """Execute, writing to a Parquet file. options: of `pyarrow.parquet.ParquetWriter`. Raises `UserError`."""
        batches = self.to_pyarrow_batches(expr, params=params)
        with pq.ParquetWriter(path, batches.schema, **options) as writer:
            for batch in batches:
                writer.write_batch(batch)

    def to_csv(self, expr: Any, /, path: str | Path, *, params: Any = None, **options: Any) -> None:
        """Execute, writing to a CSV file. options: of `pyarrow.csv.WriteOptions`. Raises `UserError`."""
        batches = self.to_pyarrow_batches(expr, params=params)
        with csv.CSVWriter(path, batches.schema, write_options=csv.WriteOptions(**options)) as writer:
            for batch in batches:
                writer.write_batch(batch)

    def to_parquet_dir(self, expr: Any, /, directory: str | Path, *, params: Any = None, **options: Any) -> None:
        """Execute, writing Parquet into a folder. options: of `pyarrow.dataset.write_dataset`. Raises `UserError`."""
        batches = self.to_pyarrow_batches(expr, params=params)
        dataset.write_dataset(batches, base_dir=directory, format="parquet", **options)

    def to_json(self, expr: Any, /, path: str | Path, *, params: Any = None) -> None:
        """Execute, writing to a JSON file: an array of one object a row, as `rules show --json` has them.

        Raises `UserError`.
        """
        from rules.formats.cells import plain

        batches = self.to_pyarrow_batches(expr, params=params)
        with Path(path).open("w", encoding="utf-8") as file:
            separator = "["
            for batch in batches:
                for row in zip(*(plain(column) for column in batch.columns), strict=True):
                    record = dict(zip(batch.schema.names, row, strict=True))
                    file.write(f"{separator}\n{json.dumps(record, ensure_ascii=False)}")
                    separator = ","
            file.write("[]\n" if separator == "[" else "\n]\n")

    def to_polars(self, expr: Any, /, *, params: Any = None, limit: Any = None, **_: Any) -> Any:
        """Execute; return a polars object (which takes polars), or a Python value for a scalar. Raises `UserError`."""
        try:
            polars = import_module("polars")
        except ImportError:
            hint = "install polars, or ask for Arrow: .to_pyarrow()"
            raise UserError("polars is not installed", code="polars", hint=hint) from None
        found = self.to_pyarrow(expr, params=params, limit=limit)
        return found.as_py() if isinstance(found, pa.Scalar) else polars.from_arrow(found)

    def to_xlsx(self, expr: Any, /, path: str | Path, **_: Any) -> None:
        """Refuse."""
        del expr, path
        hint = "write .to_csv(…), or .to_pandas().to_excel(…)"
        raise UserError("XLSX files are not supported", code="unsupported", hint=hint)

    def _get_schema_using_query(self, query: str) -> sch.Schema:
        return ibis_schema(self._stream(parse(query)).schema)

    def _register_in_memory_table(self, op: Any) -> None:
        del op
        raise UserError(
            "tables in memory cannot be joined with products", code="unsupported", hint="join them in pyarrow"
        )

    def _finalize_memtable(self, name: str) -> None:
        """There are none."""

    def _stream(self, query: exp.Query) -> pa.RecordBatchReader:
        """Run a query over products, named as they are. Raises `UserError`."""
        with ExitStack() as opened:
            opened.enter_context(self._reading())
            return self._stream_of(query, opened)

    def _stream_of(self, query: exp.Query, opened: ExitStack) -> pa.RecordBatchReader:
        """Run a query; what is `opened` is closed with the stream."""
        known = {name: self._input(name) for name in {str(fold(table.this)) for table in outside_tables(query)}}
        schemas = InputSchemas()
        for name, entry in known.items():
            schemas.add(name, entry.schema)
        try:
            sql = with_deep_stack(lambda: _executable(query, schemas, known))
            with engine_errors():
                asked = EngineQuery(sql, tuple(known.values()), PROFILES[DEFAULT_PROFILE])
                frame = open_frame(asked, Path(tempfile.gettempdir()))
                stream = frame.execute_stream()
        except SqlError as error:
            raise UserError(error.message, code=error.code, hint=error.hint, exit_code=FAILED) from error
        except EngineError as error:
            raise UserError(str(error), code="execution", exit_code=FAILED) from error
        # The engine's announced and actual schemas differ in which columns are never NULL.
        schema = pa.schema([pa.field(field.name, plain_type(field.type)) for field in frame.schema()])
        return pa.RecordBatchReader.from_batches(schema, _batches(stream, schema, opened.pop_all()))

    def _input(self, name: str) -> EngineInput:
        path = self._path(name)
        schema: Schema = to_schema(schema_of(path))
        return EngineInput(name, files_of(path), schema, schema.names)


def _executable(query: exp.Query, schemas: InputSchemas, known: Iterable[str]) -> str:
    """Return the SQL to execute for a freshly made query over products: with workarounds, as for a rule."""
    bind_tables(query, lambda name: name, known)
    widen_literals(query)
    executed, _ = for_engine(pruned(qualified(query, schemas)), schemas.known)
    return render(executed)


def _batches(stream: Any, schema: pa.Schema, opened: ExitStack) -> Iterator[pa.RecordBatch]:
    try:
        with opened, engine_errors():
            for batch in stream:
                yield batch.to_pyarrow().cast(schema)
    except EngineError as error:
        raise UserError(str(error), code="execution", exit_code=FAILED) from error


def _require_pandas() -> None:
    try:
        require_pandas("ask for Arrow: .to_pyarrow()")
    except Misuse as error:
        raise UserError(error.message, code="pandas", hint=error.hint) from None


def _limited(expr: Any, limit: Any) -> Any:
    table = expr.as_table()
    return table.limit(limit) if isinstance(limit, int) else table
