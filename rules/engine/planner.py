"""Schemas by planning: the engine plans a rule on empty tables and tells the types, in about a millisecond."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pyarrow as pa

from cache.levels import UnsupportedTypeError
from compiler.errors import SqlError
from compiler.schema import Schema
from rules.engine.own import EngineFunction, register
from rules.engine.session import clean_message, make_session, qualified_name
from rules.engine.types import storable_schema, to_arrow, to_schema
from rules.profiles import Profile


class EnginePlanner:
    """`compiler.schema.SchemaPlanner` on one session; `remember` is told every schema with its memo key."""

    def __init__(
        self,
        profile: Profile,
        remember: Callable[[str, Schema], None],
        functions: Iterable[EngineFunction] = (),
    ) -> None:
        """functions: of the project."""
        self._session = make_session(profile)
        # Volatile, so that planning never calls them.
        register(self._session, [replace(one, volatility="volatile") for one in functions])
        self._remember = remember

    def plan_schema(self, sql: str, inputs: dict[str, tuple[Schema, frozenset[str]]], key: str) -> Schema:
        """Return the schema of `sql`. Raises `SqlError` with the engine's message, without a position."""
        names = []
        try:
            for name, (schema, visible) in inputs.items():
                fields = [field for field in to_arrow(schema) if field.name in visible]
                empty = pa.schema(fields).empty_table().to_batches() or [
                    pa.RecordBatch.from_pylist([], pa.schema(fields))
                ]
                self._session.register_record_batches(qualified_name(name), [empty])
                names.append(name)
            # The frame's own schema is not always what comes out: an int UNION ALL bigint is announced as int. What
            # the optimiser leaves, types coerced, is.
            optimised = self._session.sql(sql).optimized_logical_plan()
            planned = self._session.create_dataframe_from_logical_plan(optimised).schema()
            schema = to_schema(storable_schema(planned))
        except UnsupportedTypeError as error:
            raise SqlError(f"output {_rest(error)} cannot be stored", hint=_hint(error), code="type") from error
        except Exception as error:  # the engine raises ValueError, plain Exception and more
            raise SqlError(clean_message(error), code="engine") from error
        finally:
            for name in names:
                self._session.deregister_table(qualified_name(name))
        self._remember(key, schema)
        return schema


def _hint(error: UnsupportedTypeError) -> str:
    if pa.types.is_interval(error.dtype):
        return "write CAST(… AS VARCHAR) for its text, or extract(epoch FROM …) for its seconds"
    return "cast it"


def _rest(error: UnsupportedTypeError) -> str:
    return f"column '{error.column}' of type {error.dtype}"
