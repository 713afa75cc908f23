"""Arrow schemas as the engine reads them back from storage, and as the compiler carries them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TypeVar

import pyarrow as pa

from cache.levels import UnsupportedTypeError, type_name
from compiler.schema import Column, Schema

T = TypeVar("T")

_RECENT = 1024
"""Schemas that are kept: most inputs have several readers, and a rule that works by parts writes many tables of one."""
_SPELLINGS = {
    "boolean": pa.bool_(), "integer": pa.int32(), "int": pa.int32(), "smallint": pa.int16(), "tinyint": pa.int8(),
    "bigint": pa.int64(), "real": pa.float32(), "float": pa.float64(), "double": pa.float64(), "text": pa.string(),
    "varchar": pa.string(), "date": pa.date32(), "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"), "time": pa.time64("us"),
}  # fmt: skip


def stored_type(dtype: pa.DataType) -> pa.DataType:
    """Return the type of a column that the engine reads from storage: strings as views, dictionaries decoded."""
    if pa.types.is_dictionary(dtype) or pa.types.is_run_end_encoded(dtype):
        return stored_type(dtype.value_type)
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype):
        return pa.string_view()
    if pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype) or pa.types.is_binary_view(dtype):
        return pa.binary_view()
    return dtype


def stored_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema with stored types, every column nullable: the engine must not plan on NULLs' absence."""
    return pa.schema([pa.field(field.name, stored_type(field.type), nullable=True) for field in schema])


def storable_type(dtype: pa.DataType) -> pa.DataType:
    """Return the type in which a column is written: Parquet has no times in seconds, and no intervals.

    Raises `UnsupportedTypeError`.
    """
    if pa.types.is_interval(dtype):
        raise UnsupportedTypeError(dtype)
    if pa.types.is_timestamp(dtype) and dtype.unit == "s":
        return pa.timestamp("ms", dtype.tz)
    if pa.types.is_time32(dtype):
        return pa.time32("ms")
    if pa.types.is_date64(dtype):
        return pa.date32()
    return with_items(dtype, storable_type)


def with_items(dtype: pa.DataType, change: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """Return the type with its inner types changed: the items of lists and maps, the fields of structs.

    Raises `UnsupportedTypeError` for a map whose keys have no type, as those of `map([], [])`.
    """
    if pa.types.is_dictionary(dtype) or pa.types.is_run_end_encoded(dtype):
        return change(dtype.value_type)
    if pa.types.is_struct(dtype):
        return pa.struct([pa.field(field.name, change(field.type)) for field in dtype])
    if pa.types.is_fixed_size_list(dtype):
        return pa.list_(change(dtype.value_type), dtype.list_size)
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype):
        return pa.list_(change(dtype.value_type))
    if pa.types.is_map(dtype):
        if pa.types.is_null(dtype.key_type):
            raise UnsupportedTypeError(dtype)
        return pa.map_(change(dtype.key_type), change(dtype.item_type))
    return dtype


def storable_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema with which a table is written. Raises `UnsupportedTypeError`, naming the column."""
    return pa.schema([field.with_type(_of_column(field, storable_type)) for field in schema])


@functools.lru_cache(_RECENT)
def written_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema of a product's file: strings with long offsets in any layout, and every column nullable.

    Raises `UnsupportedTypeError`, naming the column.
    """
    storable = storable_schema(schema)
    return pa.schema([pa.field(field.name, _written_type(field.type)) for field in storable])


def _written_type(dtype: pa.DataType) -> pa.DataType:
    plain = stored_type(dtype)
    if pa.types.is_string_view(plain):
        return pa.large_string()
    if pa.types.is_binary_view(plain):
        return pa.large_binary()
    return with_items(plain, _written_type)


def to_schema(schema: pa.Schema) -> Schema:
    """Return the compiler's form of an Arrow schema. Raises `UnsupportedTypeError` for types that have no digest."""
    stored = stored_schema(schema)
    columns = tuple(Column(field.name, _of_column(field, type_name)) for field in stored)
    return Schema(columns, stored.serialize().to_pybytes())


def _of_column(field: pa.Field, describe: Callable[[pa.DataType], T]) -> T:
    """Describe a column's type; an error names the column."""
    try:
        return describe(field.type)
    except UnsupportedTypeError as error:
        raise UnsupportedTypeError(error.dtype, field.name) from error


def to_arrow(schema: Schema) -> pa.Schema:
    """Return the Arrow schema that was passed to `to_schema`, with stored types."""
    return _read(schema.arrow)


@functools.lru_cache(_RECENT)
def _read(serialised: bytes) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(serialised))


def parse_type(text: str) -> pa.DataType:
    """Return the Arrow type of a spelling in rules.toml ("int64", "decimal(10, 2)", "timestamp"). Raises ValueError."""
    word = text.strip().lower()
    if word in _SPELLINGS:
        return _SPELLINGS[word]
    decimal = re.fullmatch(r"(?:decimal|numeric)\((\d+)\s*,\s*(\d+)\)", word)
    if decimal:
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    zoned = re.fullmatch(r"timestamp\[(s|ms|us|ns)(?:,\s*tz=([\w/+:-]+))?\]", text.strip())
    if zoned:
        return pa.timestamp(zoned[1], zoned[2])
    try:
        return pa.type_for_alias(word)
    except ValueError:
        raise ValueError(f"unknown type '{text}'") from None


def declared_names(text: str) -> set[str]:
    """Return the type names of a product's column declared as `text`. Raises ValueError if it is not a type.

    A timestamp without a unit is of any unit: rules do not choose it, functions do.
    """
    dtype = storable_type(stored_type(parse_type(text)))
    if text.strip().lower() in {"timestamp", "timestamptz"}:
        zones = (None,) if dtype.tz is None else ("UTC", "+00:00")
        return {type_name(pa.timestamp(unit, zone)) for unit in ("ms", "us", "ns") for zone in zones}
    return {type_name(dtype)}
