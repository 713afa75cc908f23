"""Types as warehouses write them → types as rules.toml declares them."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.errors import SqlglotError

_PLAIN = {
    "BOOLEAN": "boolean", "TINYINT": "int8", "SMALLINT": "int16", "INT": "int32", "MEDIUMINT": "int32",
    "BIGINT": "int64", "UTINYINT": "uint8", "USMALLINT": "uint16", "UINT": "uint32", "UBIGINT": "uint64",
    "FLOAT": "float", "DOUBLE": "double", "DATE": "date", "DATE32": "date", "TIMESTAMP": "timestamp",
    "DATETIME": "timestamp", "TIMESTAMPNTZ": "timestamp", "TIMESTAMP_S": "timestamp", "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp", "TIMESTAMPTZ": "timestamp[us, tz=UTC]", "TIMESTAMPLTZ": "timestamp[us, tz=UTC]",
    "TEXT": "string", "VARCHAR": "string", "CHAR": "string", "NCHAR": "string", "NVARCHAR": "string", "UUID": "string",
    "NAME": "string", "BPCHAR": "string", "INT128": "decimal(38, 0)", "BIGDECIMAL": "decimal(38, 9)",
}  # fmt: skip
_UNBOUNDED = {"duckdb": "decimal(18, 3)", "snowflake": "decimal(38, 0)", "spark": "decimal(10, 0)",
              "redshift": "decimal(18, 0)", "bigquery": "decimal(38, 9)", "postgres": "decimal(38, 9)"}  # fmt: skip
"""A decimal without digits. PostgreSQL's has any number of them; 9 after the point is a choice."""

_OF_64_BITS = frozenset({"bigquery", "snowflake"})
"""Dialects in which every integer type is one, of 64 bits or of 38 digits."""
_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INT", "MEDIUMINT", "BIGINT"})


def declared_type(text: str, dialect: str) -> str | None:
    """Return how rules.toml declares a type; None for one that it cannot declare.

    DECIMAL(10, 2) → decimal(10, 2); float8 → double; timestamp without time zone → timestamp
    """
    try:
        kind = exp.DataType.build(text, dialect=dialect)
    except (SqlglotError, ValueError):
        return None
    name = kind.this.name if isinstance(kind.this, exp.DataType.Type) else ""
    if name == "DECIMAL":
        digits = [str(one) for one in kind.expressions]
        if not digits:
            return _UNBOUNDED[dialect]
        return f"decimal({digits[0]}, {digits[1] if len(digits) > 1 else 0})"
    if dialect in _OF_64_BITS and name in _INTEGERS:
        return "int64"
    if name == "FLOAT" and dialect in ("postgres", "redshift", "snowflake", "bigquery"):
        return "double"
    return _PLAIN.get(name)
