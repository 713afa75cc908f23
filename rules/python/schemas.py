"""Arrow schemas → Ibis schemas; Ibis's own way there asks for a package that guards an old pyarrow."""

from __future__ import annotations

from typing import Any

import ibis.expr.datatypes as dt
import pyarrow as pa
from ibis.expr.schema import Schema as IbisSchema

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
