"""Schema: a table's column names, and their types as opaque spellings.

The compiler never computes with types. It passes them from the engine, which infers them, to the keys, which hash
them; `arrow` is the engine's own serialised form, carried so that the engine can read it back exactly.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

INPUT_DB = "input"
"""The schema in which every compiled query names its inputs."""


@dataclass(frozen=True)
class Column:
    """A column's name and its Arrow type as text, for example `timestamp[us, tz=UTC]`."""

    name: str
    type: str


@dataclass(frozen=True)
class Schema:
    """The columns of a source or a product, in order.

    `arrow` is the serialised Arrow schema (IPC encapsulated message); two schemas are equal if their names and type
    spellings are.
    """

    columns: tuple[Column, ...]
    arrow: bytes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.columns == other.columns

    def __hash__(self) -> int:
        return hash(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(column.name for column in self.columns)


def schema_record(schema: Schema) -> dict[str, Any]:
    """Return a schema as plain data; `schema_of` reads it."""
    columns = [[column.name, column.type] for column in schema.columns]
    return {"columns": columns, "arrow": base64.b64encode(schema.arrow).decode()}


def schema_of(record: Mapping[str, Any]) -> Schema:
    """Return the schema that the index stores."""
    return Schema(tuple(Column(*column) for column in record["columns"]), base64.b64decode(record["arrow"]))


class SchemaPlanner(Protocol):
    """The engine, as the compiler sees it: it plans a query on empty tables and returns the result's schema."""

    def plan_schema(
        self, sql: str, inputs: dict[str, tuple[Schema, frozenset[str]]], key: str, *, sure: bool = False
    ) -> Schema:
        """Return the schema of `sql`; the planner may remember it under `key`.

        sure: whether it has a physical plan if it can be optimised (see `compiler.engine_sql.sure_plans`).

        `inputs` maps each input's name to its schema and to the columns the query may see: any other column does not
        exist for the planner, so a scan set that misses one fails here. Raises `SqlError` if the query is invalid.
        """
        ...

    def problem(self, sql: str, inputs: dict[str, tuple[Schema, frozenset[str]]]) -> str | None:
        """Return the engine's error about `sql`, None if it can be planned. Inputs are as for `plan_schema`."""
        ...

    def trial(self, sql: str, inputs: dict[str, tuple[Schema, frozenset[str]]]) -> str | None:
        """Return the engine's error when `sql` is run on inputs without rows; None if it can be run.

        Only for queries that `compiler.engine_sql.trial.needs_trial` allows.
        """
        ...
