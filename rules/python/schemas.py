"""Arrow schemas → Ibis schemas; Ibis's own way there asks for a package that guards an old pyarrow."""

from __future__ import annotations

from typing import Any

import ibis.expr.datatypes as dt
import pyarrow as pa
from ibis.expr.schema import Schema as IbisSchema

from cache.levels import type_name
from rules.config.contract import spelled

_SCALES = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_PLAIN: dict[pa.DataType, Any] = {
    pa.null(): dt.null,
    pa.bool_(): dt.boolean,
    pa.int8(): dt.int8,
    pa.int16(): dt.int16,
    pa.int32(): dt.int32,
    pa.int64(): dt.int64,
    pa.uint8(): dt.uint8,
    pa.uint16(): dt.uint16,
    pa.uint32(): dt.uint32,
    pa.uint64(): dt.uint64,
    pa.float16(): dt.float16,
    pa.float32(): dt.float32,
    pa.float64(): dt.float64,
    pa.string(): dt.string,
    pa.large_string(): dt.string,
    pa.string_view(): dt.string,
    pa.binary(): dt.binary,
    pa.large_binary(): dt.binary,
    pa.binary_view(): dt.binary,
    pa.date32(): dt.date,
    pa.date64(): dt.date,
}


def ibis_schema(schema: pa.Schema) -> IbisSchema:
    """Return the Ibis schema of an Arrow schema; columns of types that Ibis lacks are of its type `unknown`."""
    return IbisSchema({field.name: ibis_type(field.type) for field in schema})


def ibis_type(kind: pa.DataType) -> Any:
    """Return Ibis's type for an Arrow type."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if pa.types.is_timestamp(kind):
        return dt.Timestamp(timezone=kind.tz, scale=_SCALES[kind.unit])
    if pa.types.is_time(kind):
        return dt.time
    if pa.types.is_decimal(kind):
        return dt.Decimal(kind.precision, kind.scale)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return dt.Array(ibis_type(kind.value_type))
    if pa.types.is_struct(kind):
        return dt.Struct({field.name: ibis_type(field.type) for field in kind})
    if pa.types.is_map(kind):
        return dt.Map(ibis_type(kind.key_type), ibis_type(kind.item_type))
    if pa.types.is_dictionary(kind):
        return ibis_type(kind.value_type)
    return dt.unknown


def spelled_type(kind: Any) -> str | None:
    """Return an Ibis type as a contract declares it; None for a type that no product's column has.

    A timestamp of no scale is of any unit.
    """
    if kind.is_timestamp() and kind.scale is None:
        return "timestamp" if kind.timezone is None else "timestamptz"
    dtype = _arrow_type(kind)
    return None if dtype is None else spelled(type_name(dtype))


def _arrow_type(kind: Any) -> pa.DataType | None:
    if kind.is_decimal() and kind.precision is not None:
        return pa.decimal128(kind.precision, kind.scale)
    if kind.is_timestamp():
        unit = next((unit for unit, scale in _SCALES.items() if scale == (kind.scale or 6)), None)
        return None if unit is None else pa.timestamp(unit, kind.timezone)
    if kind.is_array():
        item = _arrow_type(kind.value_type)
        return None if item is None else pa.list_(item)
    if kind.is_struct():
        fields = {name: _arrow_type(field) for name, field in kind.items()}
        return None if None in fields.values() else pa.struct(list(fields.items()))
    if kind.is_map():
        key, value = _arrow_type(kind.key_type), _arrow_type(kind.value_type)
        return None if key is None or value is None else pa.map_(key, value)
    return next((dtype for dtype, plain in _PLAIN.items() if plain == kind(nullable=True)), None)
