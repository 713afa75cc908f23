"""Types as the engine's messages spell them → as SQL does: `Utf8View` is TEXT, `List(Int64)` is BIGINT[]."""

from __future__ import annotations

import re

_PLAIN = {
    "Int8": "TINYINT", "Int16": "SMALLINT", "Int32": "INT", "Int64": "BIGINT", "UInt8": "unsigned TINYINT",
    "UInt16": "unsigned SMALLINT", "UInt32": "unsigned INT", "UInt64": "unsigned BIGINT", "Float16": "REAL",
    "Float32": "REAL", "Float64": "DOUBLE", "Utf8": "TEXT", "LargeUtf8": "TEXT", "Utf8View": "TEXT", "String": "TEXT",
    "Binary": "BYTEA", "LargeBinary": "BYTEA", "BinaryView": "BYTEA", "FixedSizeBinary": "BYTEA",
    "Boolean": "BOOLEAN", "Date32": "DATE", "Date64": "DATE", "Date": "DATE", "Time": "TIME", "Time32": "TIME",
    "Time64": "TIME", "Timestamp": "TIMESTAMP", "Interval": "INTERVAL", "Duration": "INTERVAL", "Null": "NULL",
    "Decimal": "DECIMAL", "Decimal32": "DECIMAL", "Decimal64": "DECIMAL", "Decimal128": "DECIMAL",
    "Decimal256": "DECIMAL", "List": "an array", "LargeList": "an array", "ListView": "an array",
    "FixedSizeList": "an array", "Struct": "STRUCT", "Map": "MAP", "Dictionary": "TEXT", "Union": "UNION",
    "Integer": "an integer", "Numeric": "a number", "Float": "DOUBLE",
}  # fmt: skip
_LISTS = frozenset({"List", "LargeList", "ListView", "LargeListView", "FixedSizeList"})
_FIELD = re.compile(r"Field \{ (?:name: \"[^\"]*\", )?data_type: (.+?)(?:, nullable: \w+)? \}")
_WORD = re.compile(rf"\b({'|'.join(sorted(_PLAIN, key=len, reverse=True))})\b(\()?")


def in_sql(text: str) -> str:
    """Return a text of the engine with every type spelled as in SQL."""
    text = _FIELD.sub(r"\1", text)
    found = []
    at = 0
    while match := _WORD.search(text, at):
        found.append(text[at : match.start()])
        end = match.end()
        inside = None
        if match[2]:
            end = _closing(text, match.end())
            inside = text[match.end() : end - 1]
        found.append(_spelled(match[1], inside))
        at = end
    return "".join([*found, text[at:]])


def split(text: str) -> list[str]:
    """Return the parts of a text between the commas outside parentheses, brackets and quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for at, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts


def _spelled(word: str, inside: str | None) -> str:
    """Return a type in SQL; inside: the text in its parentheses."""
    plain = _PLAIN[word]
    if inside is None:
        return plain
    if word in _LISTS:
        items = re.sub(r"^(?:non-null |nullable )?(?:\d+ x )?", "", split(inside)[0] if inside else "")
        return f"{in_sql(items)}[]"
    if word == "Dictionary":
        return in_sql((split(inside) or ["Utf8"])[-1])
    if word == "Timestamp":
        return "TIMESTAMPTZ" if len(split(inside)) > 1 else plain
    if word.startswith("Decimal"):
        return f"DECIMAL({inside})"
    if word == "Struct":
        fields = (field.partition(":") for field in split(inside))
        return f"STRUCT({', '.join(f'{name.strip(chr(34))} {in_sql(kind.strip())}' for name, _, kind in fields)})"
    return plain


def _closing(text: str, at: int) -> int:
    """Return the place behind the parenthesis that closes the one before `at`."""
    depth = 1
    while at < len(text) and depth:
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return at
