"""Types of PostgreSQL for columns of products, and rows as the driver sends and reads them.

What PostgreSQL cannot hold exactly is refused: structs, maps, nested lists, durations, parts of a microsecond, and the
character NUL in texts. Unsigned 64-bit integers become NUMERIC(20, 0), smaller ones the next larger signed type.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from rules.errors import FAILED, UserError

LONGEST_NAME = 63
"""Bytes; PostgreSQL cuts a longer name without a word."""
_MOST_COLUMNS = 1600
_TAKEN = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
_UINT64_DIGITS = 20
_PLAIN = {
    pa.bool_(): ("boolean", pa.bool_()),
    pa.int8(): ("smallint", pa.int16()),
    pa.uint8(): ("smallint", pa.int16()),
    pa.int16(): ("smallint", pa.int16()),
    pa.uint16(): ("integer", pa.int32()),
    pa.int32(): ("integer", pa.int32()),
    pa.uint32(): ("bigint", pa.int64()),
    pa.int64(): ("bigint", pa.int64()),
    pa.uint64(): (f"numeric({_UINT64_DIGITS}, 0)", pa.decimal128(_UINT64_DIGITS, 0)),
    pa.float16(): ("real", pa.float32()),
    pa.float32(): ("real", pa.float32()),
    pa.float64(): ("double precision", pa.float64()),
    pa.date32(): ("date", pa.date32()),
    pa.null(): ("text", pa.string()),
}


class SqlType(NamedTuple):
    """How a column is in PostgreSQL. wire: the type that the driver is given; as_text: whether it is read as text."""

    name: str
    wire: pa.DataType
    as_text: bool = False


def sql_type(kind: pa.DataType) -> SqlType | None:
    """Return the type of a column there, None if there is none that holds all values."""
    types = pa.types
    if kind in _PLAIN:
        return SqlType(*_PLAIN[kind], as_text=kind == pa.uint64())
    if types.is_decimal(kind) and kind.scale >= 0:
        return SqlType(f"numeric({kind.precision}, {kind.scale})", kind, as_text=True)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return SqlType("text", pa.large_string())
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        return SqlType("bytea", pa.large_binary())
    if types.is_timestamp(kind):
        return SqlType("timestamptz" if kind.tz else "timestamp", pa.timestamp("us", "UTC" if kind.tz else None))
    if types.is_time(kind):
        return SqlType("time", pa.time64("us"))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        inner = None if types.is_nested(kind.value_type) else sql_type(kind.value_type)
        if inner is not None:
            return SqlType(f"{inner.name}[]", pa.list_(inner.wire), inner.as_text)
    return None


def sql_types(product: str, schema: pa.Schema) -> dict[str, SqlType]:
    """Return the types of a product's columns. Raises `UserError` for what PostgreSQL cannot hold."""
    found = {}
    for field in schema:
        kind = sql_type(field.type)
        if kind is None:
            hint = "let the rule make columns or a text of it, or leave it out"
            message = f"PostgreSQL cannot hold column '{field.name}' of {product}, of type {field.type}"
            raise UserError(message, code="unfit", hint=hint)
        if len(field.name.encode()) > LONGEST_NAME or field.name in _TAKEN or "\0" in field.name:
            message = f"a column of PostgreSQL cannot be called '{field.name}', as one of {product} is"
            raise UserError(
                message, code="unfit", hint=f"names have {LONGEST_NAME} bytes at most; rename it in the rule"
            )
        found[field.name] = kind
    if len(found) > _MOST_COLUMNS:
        message = f"{product} has {len(found):,} columns, and a table of PostgreSQL {_MOST_COLUMNS:,} at most"
        raise UserError(message, code="unfit")
    return found


def wire_schema(types: dict[str, SqlType]) -> pa.Schema:
    """Return the schema of what the driver is given."""
    return pa.schema([pa.field(name, kind.wire) for name, kind in types.items()])


def to_wire(product: str, batches: Iterator[pa.RecordBatch], types: dict[str, SqlType]) -> Iterator[pa.RecordBatch]:
    """Yield rows as the driver is given them. Raises `UserError` for a value that PostgreSQL cannot hold."""
    schema = wire_schema(types)
    for batch in batches:
        columns = []
        for column, (name, kind) in zip(batch.columns, types.items(), strict=True):
            if _holds_nul(column):
                message = f"column '{name}' of {product} holds a text with the character NUL, which PostgreSQL cannot"
                raise UserError(message, code="unfit", hint="let the rule replace it", exit_code=FAILED)
            try:
                columns.append(column.cast(kind.wire))
            except pa.ArrowInvalid as error:
                message = f"column '{name}' of {product} holds values that {kind.name} of PostgreSQL cannot: {error}"
                hint = "its times have microseconds; let the rule cast the column"
                raise UserError(message.splitlines()[0], code="unfit", hint=hint, exit_code=FAILED) from error
        yield pa.record_batch(columns, schema=schema)


def _holds_nul(column: pa.Array) -> bool:
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _holds_nul(column.flatten())
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return False
    return bool(pc.any(pc.match_substring(column, "\0")).as_py())


def selected(name: str, kind: SqlType) -> str:
    """Return how a column is read, so that `from_wire` gets all of it."""
    if not kind.as_text:
        return quoted(name)
    return f"{quoted(name)}::text{'[]' if kind.name.endswith('[]') else ''} AS {quoted(name)}"


def from_wire(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return rows that were read, with the types of the product."""
    columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.record_batch(columns, schema=schema)


def quoted(name: str) -> str:
    """Return an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a string of SQL, whatever standard_conforming_strings says."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
