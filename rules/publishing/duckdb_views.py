"""A catalogue for DuckDB: a text of CREATE VIEW statements over the files of published tables.

    duckdb -init views.sql

A view names the folder of one version, whose files are never changed, so whoever has read the catalogue sees tables
that belong together. What CSV and JSON do not say of types is in the view.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rules.publishing.holding import HeldTable

_HEADER = """-- Views over the tables that rules has published here. They are written anew by each publish:
--   duckdb -init views.sql
"""
_NAMED = {
    "bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT",
    "uint8": "UTINYINT", "uint16": "USMALLINT", "uint32": "UINTEGER", "uint64": "UBIGINT",
    "halffloat": "FLOAT", "float": "FLOAT", "double": "DOUBLE", "string": "VARCHAR", "large_string": "VARCHAR",
    "string_view": "VARCHAR", "binary": "BLOB", "large_binary": "BLOB", "binary_view": "BLOB", "null": "VARCHAR",
    "date32[day]": "DATE", "date64[ms]": "DATE",
}  # fmt: skip
_DECIMAL = re.compile(r"decimal\d+\((\d+), (\d+)\)")
_LIST = re.compile(r"(?:large_|fixed_size_)?list<[^:]+: (.*?)(?: not null)?>(?:\[\d+\])?")


def catalogue(tables: Mapping[str, HeldTable], address: str) -> str:
    """Return views.sql. address: an absolute path or URL, that paths of files are below."""
    views = "".join(_view(name, table, address) for name, table in sorted(tables.items()) if table.format != "arrow")
    return f"{_HEADER}\n{views}" if views else _HEADER


def _view(name: str, table: HeldTable, address: str) -> str:
    if not table.files:
        columns = ", ".join(f"CAST(NULL AS {_type(kind)}) AS {_quoted(column)}" for column, kind in table.columns)
        return f"CREATE OR REPLACE VIEW {_quoted(name)} AS SELECT {columns} WHERE false;\n"
    selected = ", ".join(_column(column, kind, table) for column, kind in table.columns)
    return f"CREATE OR REPLACE VIEW {_quoted(name)} AS SELECT {selected} FROM {_reader(table, address)};\n"


def _column(column: str, kind: str, table: HeldTable) -> str:
    quoted = _quoted(column)
    return f"CAST({quoted} AS {_type(kind)}) AS {quoted}" if column in table.partition_by else quoted


def _reader(table: HeldTable, address: str) -> str:
    """Return the function that reads a table's files."""
    place = address.rstrip("/")
    if all(one.path.startswith(f"{table.folder}/") for one in table.files):
        pattern = f"{table.folder}/{'*/' * len(table.partition_by)}*.{table.format}"
        words = [_text(f"{_literal(place)}/{pattern}")]
    else:  # some partitions are still where a version before put them
        words = [f"[{', '.join(_text(_literal(f'{place}/{one.path}')) for one in table.files)}]"]
    if table.format != "parquet":
        words.append(f"columns = {{{', '.join(_typed(table))}}}")
    if table.format == "csv":
        words += ["header = true", "delim = ','", "quote = '\"'", "escape = '\"'", "nullstr = ''"]
        words += ["allow_quoted_nulls = false", "auto_detect = false"]
    if table.format == "json":
        words.append("format = 'newline_delimited'")
    if table.partition_by:
        words += ["hive_partitioning = true", "hive_types_autocast = false"]
    function = {"parquet": "read_parquet", "csv": "read_csv", "json": "read_json"}[table.format]
    return f"{function}({', '.join(words)})"


def _literal(path: str) -> str:
    """Return a path in which nothing is a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _typed(table: HeldTable) -> Iterator[str]:
    for column, kind in table.columns:
        if column not in table.partition_by:
            yield f"{_text(column)}: {_text(_type(kind))}"


def _type(kind: str) -> str:
    """Return DuckDB's name of a type as Arrow spells it; text for what has none."""
    if kind in _NAMED:
        return _NAMED[kind]
    decimal = _DECIMAL.fullmatch(kind)
    if decimal:
        return f"DECIMAL({decimal[1]}, {decimal[2]})"
    items = _LIST.fullmatch(kind)
    if items:
        return f"{_type(items[1])}[]"
    if kind.startswith("timestamp"):
        return "TIMESTAMPTZ" if "tz=" in kind else {"timestamp[ns]": "TIMESTAMP_NS"}.get(kind, "TIMESTAMP")
    if kind.startswith("time"):
        return "TIME"
    if kind.startswith(("struct", "map")):
        return "JSON"
    return "INTERVAL" if kind.startswith("duration") else "VARCHAR"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
