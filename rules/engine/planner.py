"""Schemas by planning: the engine plans a rule on empty tables and returns the types, in about a millisecond."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from cache.levels import UnsupportedTypeError
from compiler.errors import SqlError
from compiler.schema import INPUT_DB, Schema
from rules.config.profiles import Profile
from rules.engine.failures import engine_errors
from rules.engine.protocol import EngineError, EngineFunction
from rules.engine.session import (
    analysed_schema,
    make_analyser,
    make_session,
    plan_query,
    planned_schema,
    qualified_name,
)
from rules.engine.user_functions import register
from rules.storage.types import storable_schema, to_arrow, to_schema

if TYPE_CHECKING:
    from datafusion import SessionContext
    from datafusion.catalog import Table

_MADE = "made"
"""The name under which an empty table is made: in the engine's own schema, where no input is."""
_MOST_TABLES = 1_000
"""The empty tables that are kept: inputs with like columns are common, and each takes some 2 KiB."""


class EnginePlanner:
    """`compiler.schema.SchemaPlanner` on one session; `remember` receives every schema with its memo key."""

    def __init__(
        self,
        profile: Profile,
        remember: Callable[[str, Schema], None],
        functions: Iterable[EngineFunction] = (),
    ) -> None:
        """functions: those of the project."""
        self._profile = profile
        self._session = make_session(profile)
        # Volatile, so that planning never calls them.
        register(self._session, [replace(one, volatility="volatile") for one in functions])
        self._remember = remember
        self._tables: dict[tuple[bytes, frozenset[str]], Table] = {}
        self._nowhere = f"file:///no-such-file-{os.urandom(8).hex()}"

    def plan_schema(
        self, sql: str, inputs: dict[str, tuple[Schema, frozenset[str]]], key: str, *, sure: bool = False
    ) -> Schema:
        """Return the schema of `sql`. Raises `SqlError` with the engine's message, without a position."""
        try:
            with self._registered(inputs), engine_errors():
                planned = self._planned(sql, sure=sure)
            schema = to_schema(storable_schema(planned))
        except UnsupportedTypeError as error:
            raise SqlError(f"output {_rest(error)} cannot be stored", hint=_hint(error), code="type") from error
        except EngineError as error:
            raise SqlError(str(error), code="engine") from error
        self._remember(key, schema)
        return schema

    def problem(self, sql: str, inputs: dict[str, tuple[Schema, frozenset[str]]]) -> str | None:
        """See `compiler.schema.SchemaPlanner`."""
        try:
            with self._registered(inputs), engine_errors():
                self._planned(sql)
        except EngineError as error:
            return str(error)
        return None

    def trial(self, sql: str, inputs: dict[str, tuple[Schema, frozenset[str]]]) -> str | None:
        """See `compiler.schema.SchemaPlanner`. The inputs are tables in memory, of one batch each, without rows."""
        names = []
        try:
            for name, (schema, visible) in inputs.items():
                fields = [field for field in to_arrow(schema) if field.name in visible]
                empty = pa.RecordBatch.from_pylist([], pa.schema(fields))
                self._session.register_record_batches(qualified_name(name), [[empty]])
                names.append(name)
            with engine_errors():
                plan_query(self._session, sql).collect()
        except EngineError as error:
            return str(error)
        finally:
            for name in names:
                self._session.deregister_table(qualified_name(name))
        return None

    def _planned(self, sql: str, *, sure: bool = False) -> pa.Schema:
        """Return the schema of the plan that the engine would execute; it is planned to the end but not executed."""
        frame = plan_query(self._session, sql)
        if sure:
            return planned_schema(self._session, frame)
        # Some queries have a logical plan but no physical one. It takes 0.3 to 0.8 ms to make; the optimiser's result
        # cannot replace the frame, because optimising twice can give a different plan.
        frame.execution_plan()
        # The optimiser has done its work once by then, and to do it again costs as much as all of the analysis.
        return analysed_schema(self._analyser, frame) or planned_schema(self._session, frame)

    @cached_property
    def _analyser(self) -> SessionContext:
        return make_analyser(self._profile)

    @contextmanager
    def _registered(self, inputs: dict[str, tuple[Schema, frozenset[str]]]) -> Iterator[None]:
        """Let the session have the inputs, empty, while a query is planned.

        They are Parquet, as when a product is executed: over tables in memory, other queries can be planned. The file
        does not exist, which the engine takes for a table without rows.
        """
        catalog = self._session.catalog().schema(INPUT_DB)
        names = []
        try:
            for name, (schema, visible) in inputs.items():
                catalog.register_table(name, self._empty(schema, visible))
                names.append(name)
            yield
        finally:
            for name in names:
                catalog.deregister_table(name)

    def _empty(self, schema: Schema, visible: frozenset[str]) -> Table:
        """Return the empty table of some columns; making one takes a tenth of the time of planning a small query."""
        key = schema.arrow, visible
        table = self._tables.get(key)
        if table is None:
            fields = pa.schema([field for field in to_arrow(schema) if field.name in visible])
            self._session.register_parquet(_MADE, self._nowhere, schema=fields, file_extension="")
            table = self._session.catalog().schema().table(_MADE)
            self._session.deregister_table(_MADE)
            if len(self._tables) == _MOST_TABLES:
                self._tables.clear()
            self._tables[key] = table
        return table


def _hint(error: UnsupportedTypeError) -> str:
    if pa.types.is_interval(error.dtype):
        return "write CAST(… AS VARCHAR) for its text, or extract(epoch FROM …) for its seconds"
    return "cast it"


def _rest(error: UnsupportedTypeError) -> str:
    return f"column '{error.column}' of type {error.dtype}"
