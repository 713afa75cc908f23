"""What a source promises: the types that rules.toml declares, and what every source's columns must be."""

from __future__ import annotations

import os
from difflib import get_close_matches
from typing import TYPE_CHECKING

import pyarrow as pa

from cache.levels import UnsupportedTypeError
from rules.formats.declared_types import spelled_as_declared
from rules.storage.types import parse_type, storable_schema, stored_schema, to_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compiler.schema import Schema


ONE_SCHEMA = "write all files with the same columns, or declare a source for each kind of file"


class IngestError(Exception):
    """A source's file cannot be used; `file` is its position among the source's files.

    line, column: where in the file, 1-based, in characters. declared: keys from the source's table in rules.toml down
    to what the file does not keep, where that is what to look at.
    """

    def __init__(
        self,
        message: str,
        *,
        file: int = 0,
        line: int | None = None,
        column: int | None = None,
        declared: tuple[str, ...] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.declared = declared
        self.hint = hint


def declared_types(declared: Mapping[str, str]) -> dict[str, pa.DataType]:
    """Return the types of `columns` in rules.toml. Raises `IngestError`."""
    types = {}
    for name, text in declared.items():
        try:
            types[name] = parse_type(text)
        except ValueError as error:
            message = f"has column '{name}' declared with an unusable type: {error}"
            hint = "examples: string, int64, double, decimal(10,2), date, timestamp"
            raise IngestError(message, hint=hint, declared=("columns", name)) from error
    return types


def require_declared(schema: pa.Schema, declared: Mapping[str, str]) -> None:
    """Raise `IngestError` unless the schema has the declared columns with the declared types."""
    require_names(schema.names, declared)
    for name, dtype in declared_types(declared).items():
        wanted = stored_schema(pa.schema([pa.field(name, dtype)])).field(0).type
        found = schema.field(name).type
        if found != wanted:
            shown = _shown(schema.field(name))
            message = f"has type {shown} in column '{name}', where rules.toml declares {declared[name]}"
            hint = f'declare {name} = "{shown}", and CAST it in the rules'
            raise IngestError(message, hint=hint, declared=("columns", name))


def _shown(field: pa.Field) -> str:
    """Return a column's type as rules.toml declares it."""
    try:
        return spelled_as_declared(to_schema(pa.schema([field])).columns[0].type)
    except UnsupportedTypeError:
        return str(field.type)


def require_names(names: Sequence[str], declared: Mapping[str, object]) -> None:
    """Raise `IngestError` unless all declared columns exist."""
    for name in declared:
        if name not in names:
            message = f"has no column '{name}', which rules.toml declares"
            close = get_close_matches(name, names, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"columns: {', '.join(names)}"
            raise IngestError(message, hint=hint, declared=("columns", name))


def require_distinct(names: Sequence[str]) -> None:
    """Raise `IngestError` if there are no columns, or two of one name."""
    if not names:
        raise IngestError("has no columns", hint="write at least one column, with its name")
    for name in names:
        if list(names).count(name) > 1:
            raise IngestError(f"has two columns named '{name}'", hint="rename one of them in the file")


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
    message = f"has column '{error.column}' of type {error.dtype}, which is not supported"
    return IngestError(message, hint="leave the column out of the file, or write it as text")


def difference(first: pa.Schema, second: pa.Schema) -> str:
    """Say in one clause how two schemas differ."""
    for name in dict.fromkeys([*first.names, *second.names]):
        one = first.field(name).type if name in first.names else "missing"
        other = second.field(name).type if name in second.names else "missing"
        if one != other:
            return f"column '{name}' is {one} in the first and {other} here"
    return "their columns are in another order"


def is_refused(error: BaseException) -> bool:
    """Whether the system refused a call. Arrow also raises OSError, without a number, for what makes no sense to it."""
    return isinstance(error, OSError) and error.errno is not None


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message; of a refusal of the system, only what it says."""
    if is_refused(error):
        assert isinstance(error, OSError)
        return os.strerror(error.errno or 0)
    return str(error).splitlines()[0] if str(error) else type(error).__name__
