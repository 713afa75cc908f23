"""Reading text files, CSV and JSON lines, as typed record batches. Streams.

Types that rules.toml does not declare are inferred from all values of all files (see `spelling`), so that they depend
on no block of text and on no order. A CSV file without a header has the columns f0, f1, …; in one with a header every
row must have as many fields. Quoted fields are never NULL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from rules.formats import csv_text, json_text
from rules.formats.contract import declared_types, require_distinct, require_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rules.formats.source import Source
    from rules.formats.text_file import TextFile

_CSV_BLOCK = 16 << 20
_JSON_BLOCK = 32 << 20
"""Bytes of text that are parsed at a time."""


def infer(kind: str, files: Sequence[TextFile], source: Source) -> pa.Schema:
    """Return the schema of text files read as one table: declared types, and inferred ones. Raises `IngestError`."""
    declared = declared_types(source.columns)
    if kind == "csv":
        found = csv_text.infer(files, source, declared, _CSV_BLOCK)
    else:
        found = json_text.infer(files, source, declared, _JSON_BLOCK)
    names: list[str] = list(found.names)
    if kind == "json":  # a field may be missing from all objects
        names += [name for name in declared if name not in names]
    require_names(names, declared)
    require_distinct(names)
    types = [(name, declared[name] if name in declared else found.field(name).type) for name in names]
    return pa.schema(types, found.metadata)


def batches(kind: str, file: TextFile, source: Source, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield a text file's rows with the columns and types of `schema`. Raises `IngestError`."""
    if kind == "csv":
        return csv_text.batches(file, source, schema, _CSV_BLOCK)
    return json_text.batches(file, source, schema, _JSON_BLOCK)
