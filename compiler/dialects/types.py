"""The types of other dialects → ours, as far as they have the same values."""

from __future__ import annotations

import re
from decimal import Decimal

_INTEGERS = {
    "TINYINT": "TINYINT", "SMALLINT": "SMALLINT", "INT": "INT", "INTEGER": "INT", "BIGINT": "BIGINT",
    "INT2": "SMALLINT", "INT4": "INT", "INT8": "BIGINT",
}  # fmt: skip
_COMMON = {
    "BOOLEAN": "BOOLEAN", "BOOL": "BOOLEAN", "DATE": "DATE", "DOUBLE": "DOUBLE", "DOUBLE PRECISION": "DOUBLE",
    "FLOAT8": "DOUBLE", "VARCHAR": "VARCHAR", "INTERVAL": "INTERVAL", "TIME": "TIME", "TIMESTAMP": "TIMESTAMP",
}  # fmt: skip
_TEXTS = {"TEXT": "VARCHAR", "STRING": "VARCHAR"}
_TYPES: dict[str, dict[str, str]] = {
    "D": {
        **_COMMON, **_INTEGERS, **_TEXTS, "INT1": "TINYINT", "SHORT": "SMALLINT", "LONG": "BIGINT", "INT64": "BIGINT",
        "INT32": "INT", "INT16": "SMALLINT", "SIGNED": "INT", "UTINYINT": "TINYINT UNSIGNED",
        "USMALLINT": "SMALLINT UNSIGNED", "UINTEGER": "INT UNSIGNED", "UBIGINT": "BIGINT UNSIGNED", "FLOAT": "REAL",
        "REAL": "REAL", "FLOAT4": "REAL", "NUMERIC": "DECIMAL(18, 3)", "DECIMAL": "DECIMAL(18, 3)", "CHAR": "VARCHAR",
        "BPCHAR": "VARCHAR", "BLOB": "BYTEA", "BYTEA": "BYTEA", "DATETIME": "TIMESTAMP", "TIMESTAMPTZ": "TIMESTAMPTZ",
        "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "TIMESTAMP_NS": "TIMESTAMP", "LOGICAL": "BOOLEAN",
        "TIMESTAMP_US": "TIMESTAMP(6)",
    },
    "S": {
        **_COMMON, **dict.fromkeys([*_INTEGERS, "BYTEINT"], "BIGINT"), **_TEXTS, "FLOAT": "DOUBLE", "REAL": "DOUBLE",
        "FLOAT4": "DOUBLE", "NUMBER": "DECIMAL(38, 0)", "NUMERIC": "DECIMAL(38, 0)", "DECIMAL": "DECIMAL(38, 0)",
        "TIMESTAMP_NTZ": "TIMESTAMP", "TIMESTAMPNTZ": "TIMESTAMP", "DATETIME": "TIMESTAMP", "BINARY": "BYTEA",
    },
    "B": {
        **{one: _COMMON[one] for one in ("BOOLEAN", "BOOL", "DATE", "TIME", "TIMESTAMP", "INTERVAL")},
        **dict.fromkeys([*_INTEGERS, "INT64", "BYTEINT"], "BIGINT"), "STRING": "VARCHAR", "FLOAT64": "DOUBLE",
        "NUMERIC": "DECIMAL(38, 9)", "DECIMAL": "DECIMAL(38, 9)", "BYTES": "BYTEA", "DATETIME": "TIMESTAMP",
    },
    "K": {
        **_COMMON, **_INTEGERS, "STRING": "VARCHAR", "BYTE": "TINYINT", "SHORT": "SMALLINT", "LONG": "BIGINT",
        "FLOAT": "REAL", "REAL": "REAL", "DECIMAL": "DECIMAL(10, 0)", "DEC": "DECIMAL(10, 0)",
        "NUMERIC": "DECIMAL(10, 0)", "TIMESTAMP_NTZ": "TIMESTAMP", "BINARY": "BYTEA",
    },
    "P": {
        **_COMMON, **_INTEGERS, "TEXT": "VARCHAR", "FLOAT": "DOUBLE", "REAL": "REAL", "FLOAT4": "REAL",
        "BYTEA": "BYTEA", "TIMESTAMPTZ": "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
        "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP", "CHARACTER VARYING": "VARCHAR",
    },
    "R": {
        **_COMMON, **_INTEGERS, "TEXT": "VARCHAR", "FLOAT": "DOUBLE", "REAL": "REAL", "FLOAT4": "REAL",
        "DECIMAL": "DECIMAL(18, 0)", "NUMERIC": "DECIMAL(18, 0)", "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
        "CHARACTER VARYING": "VARCHAR",
    },
}  # fmt: skip
"""Letter of a dialect → its types without parameters → ours."""
_TYPE = re.compile(r"([A-Za-z_]\w*(?:\s+[A-Za-z_]+)*)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*((?:\[\s*\])*)")
_LIST = re.compile(r"ARRAY\s*<(.*)>", re.IGNORECASE | re.DOTALL)
_DECIMALS = frozenset({"DECIMAL", "NUMERIC", "NUMBER", "DEC"})
_MOST = 38
_NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(L|S|Y|D|F)", re.IGNORECASE)
_SUFFIXES = {"L": "BIGINT", "S": "SMALLINT", "Y": "TINYINT", "D": "DOUBLE", "F": "REAL"}
_JSON = frozenset({"JSON", "JSONB", "VARIANT", "OBJECT", "SUPER"})


def number(written: str) -> str | None:
    """Return a number with Spark's suffix of its type, such as 3L, as a cast; None for anything else."""
    found = _NUMBER.fullmatch(written.strip())
    return f"CAST({found[1]} AS {_SUFFIXES[found[2].upper()]})" if found is not None else None


def hint(written: str) -> str:
    """Return what to write instead of a type that has no counterpart."""
    word = written.upper()
    if "CHAR" in word:
        return "write left(s, n) for a text of at most n characters"
    if word.partition("(")[0].strip() in _JSON:
        return "a column of its own for the field, where the source is read (docs/sources.md)"
    if any(one in word for one in (*_DECIMALS, "INT", "BD")):
        return "CAST(x AS DECIMAL(38, 9)) says how many digits"
    return "docs/dialects.md lists what to write for constructs of other dialects"


def ours(written: str, letter: str) -> str | None:
    """Return our type for one of a dialect as it is written; None if there is none of the same values."""
    listed = _LIST.fullmatch(written.strip())
    if listed is not None and letter in "BK":
        inner = ours(listed[1], letter)
        return f"{inner}[]" if inner is not None else None
    found = _TYPE.fullmatch(written.strip())
    if found is None:
        return None
    word = " ".join(found[1].upper().split())
    known = _TYPES[letter].get(word)
    if word in _DECIMALS and found[2] and known is None and letter == "P":
        known = "DECIMAL"
    if known is None:
        return None
    if found[2]:
        if word in _DECIMALS and Decimal(found[2]) <= _MOST:
            known = f"DECIMAL({found[2]}, {found[3] or 0})"
        elif known == "VARCHAR" and letter == "D":
            pass  # DuckDB takes any length
        elif known in {"TIMESTAMP", "TIMESTAMPTZ"} and found[2] in {"6", "9"}:
            known = f"{known}({found[2]})"
        else:
            return None
    return known + found[4].replace(" ", "")
