"""Columns of objects as this project last saw them, so that checking a rule asks no server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from compiler.fingerprint import fingerprint
from compiler.schema import schema_of, schema_record

if TYPE_CHECKING:
    from cache.index import Index
    from compiler.schema import Schema
    from rules.formats.source import Source


def columns_memo(source: Source) -> str:
    """Return the name of the memo with the columns of a source: another one if it is declared otherwise."""
    return f"columns of objects {fingerprint({'source': msgspec.to_builtins(source)})}"


def remember_columns(index: Index, source: Source, schema: Schema) -> None:
    """Remember the columns of a source as they were just seen."""
    memo, record = columns_memo(source), schema_record(schema)
    if index.memo("schemas", [memo]).get(memo) != record:
        index.remember("schemas", {memo: record})


def columns_last_seen(index: Index, source: Source) -> Schema | None:
    """Return the columns that a source had when it was last read as it is declared now; None if it never was."""
    record = index.memo("schemas", [columns_memo(source)]).get(columns_memo(source))
    return None if record is None else schema_of(record)
