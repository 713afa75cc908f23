"""What a source promises: the types that rules.toml declares, and what every source's columns must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from cache.levels import UnsupportedTypeError
from rules.engine.types import parse_type, storable_schema, stored_schema, to_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compiler.schema import Schema


class IngestError(Exception):
    """A source's file cannot be used; `file` is its position among the source's files."""

    def __init__(self, message: str, *, file: int = 0, line: int | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.hint = hint


def declared_types(declared: Mapping[str, str]) -> dict[str, pa.DataType]:
    """Return the types of `columns` in rules.toml. Raises `IngestError`."""
    types = {}
    for name, text in declared.items():
        try:
            types[name] = parse_type(text)
        except ValueError as error:
            message = f"has column '{name}' declared with an unusable type: {error}"
            raise IngestError(
                message, hint="examples: string, int64, double, decimal(10,2), date, timestamp"
            ) from error
    return types


def require_declared(schema: pa.Schema, declared: Mapping[str, str]) -> None:
    """Raise `IngestError` unless the schema has the declared columns with the declared types."""
    require_names(schema.names, declared)
    for name, dtype in declared_types(declared).items():
        wanted = stored_schema(pa.schema([pa.field(name, dtype)])).field(0).type
        found = schema.field(name).type
        if found != wanted:
            raise IngestError(f"has type {found} in column '{name}', where rules.toml declares {declared[name]}")


def require_names(names: Sequence[str], declared: Mapping[str, object]) -> None:
    """Raise `IngestError` unless all declared columns exist."""
    for name in declared:
        if name not in names:
            raise IngestError(f"has no column '{name}', which rules.toml declares", hint=f"columns: {', '.join(names)}")


def require_distinct(names: Sequence[str]) -> None:
    """Raise `IngestError` if there are no columns, or two of one name."""
    if not names:
        raise IngestError("has no columns")
    for name in names:
        if list(names).count(name) > 1:
            raise IngestError(f"has two columns named '{name}'")


def checked(schema: pa.Schema) -> Schema:
    """Return the compiler's form of a source's schema. Raises `IngestError` where it cannot be used."""
    require_distinct(schema.names)
    try:
        return to_schema(schema)
    except UnsupportedTypeError as error:
        raise _unsupported(error) from error


def storable(schema: pa.Schema) -> pa.Schema:
    """Return the schema with which a source is ingested. Raises `IngestError` for types that Parquet cannot hold."""
    try:
        return storable_schema(stored_schema(schema))
    except UnsupportedTypeError as error:
        raise _unsupported(error) from error


def _unsupported(error: UnsupportedTypeError) -> IngestError:
    return IngestError(f"has column '{error.column}' of type {error.dtype}, which is not supported")


def difference(first: pa.Schema, second: pa.Schema) -> str:
    """Say in one clause how two schemas differ."""
    for name in dict.fromkeys([*first.names, *second.names]):
        one = first.field(name).type if name in first.names else "missing"
        other = second.field(name).type if name in second.names else "missing"
        if one != other:
            return f"column '{name}' is {one} in the first and {other} here"
    return "their columns stand in another order"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
