"""Names of types: as rules.toml spells them, and as the compiler does."""

from __future__ import annotations

import re

# As the compiler spells what rules.toml may say; any other spelling is passed on, and nothing is concluded from it.
_SPELLINGS = {
    "boolean": "bool", "integer": "int32", "int": "int32", "smallint": "int16", "tinyint": "int8", "bigint": "int64",
    "real": "float32", "float": "float64", "double": "float64", "text": "string", "varchar": "string",
    "date": "date32",
}  # fmt: skip

_DECLARED = {
    "float64": "double", "float32": "real", "date32": "date", "bool": "boolean", "timestamp<us>": "timestamp",
    'timestamp<us, "UTC">': "timestamptz", "time64<us>": "time",
}  # fmt: skip


def spelled(text: str) -> str:
    """Return a type of rules.toml as the compiler spells it."""
    word = re.sub(r"\s", "", text.lower())
    return _SPELLINGS.get(word, word)


def spelled_as_declared(kind: str) -> str:
    """Return a type of the compiler as rules.toml spells it; a nested one, which that cannot say, as it is."""
    if kind in _DECLARED:
        return _DECLARED[kind]
    zoned = re.fullmatch(r'timestamp<(\w+)(?:, "(.*)")?>', kind)
    if zoned:
        return f"timestamp[{zoned[1]}, tz={zoned[2]}]" if zoned[2] else f"timestamp[{zoned[1]}]"
    decimal = re.fullmatch(r"decimal128<(\d+), (-?\d+)>", kind)
    return f"decimal({decimal[1]}, {decimal[2]})" if decimal else kind
