"""Compiled rules in the index: a head that every plan reads, a body that a run reads, and their column lineage.

Heads and lineage are memos. A body is history, since an upgraded compiler learns from it what a rule meant before.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from cache.errors import DamagedIndexError
from cache.index import Index
from cache.untrusted import decode
from compiler.analysis.edges import Kind, to_record
from compiler.analysis.shape_digests import Shape
from compiler.compiled import Compiled, Tier
from compiler.schema import schema_record


class Head(msgspec.Struct, frozen=True):
    """The small facts of a compiled rule. See `compiler.compiled.Compiled`."""

    fingerprint: str
    inputs: tuple[str, ...]
    reads: tuple[tuple[str, ...], ...]
    scans: Mapping[str, tuple[str, ...]]
    parts: Mapping[str, Any]
    """What the fingerprint covers."""
    volatile: bool
    order_dependent: bool
    ordered: bool
    schema: Mapping[str, Any]
    """Of the product, as `compiler.schema.schema_of` reads it."""
    shape: Shape


class Body(msgspec.Struct, frozen=True):
    """The large facts of a compiled rule. See `compiler.compiled.Compiled`."""

    sql: str
    """What is executed."""
    meaning: str
    canonical: str
    """The encoded canonical AST."""
    inputs: tuple[str, ...]
    scans: tuple[str, ...]
    """The names of the inputs that are scanned."""


class Lineage(msgspec.Struct, frozen=True):
    """The column lineage of a compiled rule: see `compiler.analysis.edges.to_record`. columns: of the product."""

    columns: tuple[str, ...]
    expressions: tuple[str, ...]
    edges: tuple[tuple[str | None, str, str, Kind, int], ...]


_HEADS = msgspec.json.Decoder(Head)
_BODIES = msgspec.json.Decoder(Body)


def load_heads(index: Index, memos: Iterable[str]) -> dict[str, Head]:
    """Return the small facts of compiled rules, by memo key; one that is damaged is not there."""
    texts = index.compiled_heads(memos)
    found = {memo: index.decode("head", memo, text, partial(_head, text)) for memo, text in texts.items()}
    return {memo: head for memo, head in found.items() if head is not None}


def heads_in_use(index: Index, memos: Collection[str]) -> dict[str, Head]:
    """Return the same for all rules that a run begins with: a process that runs again keeps them."""
    found = index.all_of("head", memos, lambda some: index.compiled_heads(some or ()), lambda _, text: _head(text))
    return {memo: head for memo, head in found.items() if head is not None}


def _head(text: str) -> Head | None:
    try:
        return read_head(text)
    except ValueError:
        return None  # written by nobody that this version knows: it is compiled again


def read_head(text: str) -> Head:
    """Return the small facts of a compiled rule as the index has them. Raises ValueError."""
    return decode(_HEADS, text)


def load_body(index: Index, memo: str) -> Body:
    """Return the large facts of a compiled rule. Raises KeyError if they are not known, and `DamagedIndexError`."""
    return unpacked(index.body(memo))


def unpacked(packed: bytes) -> Body:
    """Return what the index keeps as the body of a rule. Raises `DamagedIndexError`."""
    try:
        return decode(_BODIES, zlib.decompress(packed))
    except (zlib.error, ValueError) as error:
        raise DamagedIndexError(f"the index is damaged: a compiled rule cannot be read: {error}") from error


def to_records(compiled: Compiled) -> tuple[Head, bytes, Any]:
    """Return what the index keeps of a compiled rule: head, packed body and lineage."""
    body = Body(
        compiled.sql,
        compiled.meaning,
        compiled.canonical.decode(),
        tuple(compiled.inputs),
        tuple(compiled.scans),
    )
    lineage = {"columns": compiled.schema.names, **to_record(compiled.lineage)}
    return _to_head(compiled), zlib.compress(msgspec.json.encode(body)), lineage


def _to_head(compiled: Compiled) -> Head:
    tier = compiled.parts["tier"]
    return Head(
        compiled.fingerprint,
        tuple(compiled.inputs),
        tuple(map(tuple, compiled.reads)),
        compiled.scans,
        compiled.parts,
        volatile=bool(compiled.traits.volatile) or bool(compiled.parts["volatile"]),
        # A stable product has the order of its inputs' rows.
        order_dependent=compiled.traits.order_dependent or compiled.traits.float_sensitive or tier == Tier.STABLE,
        ordered=compiled.traits.ordered or tier != Tier.UNORDERED,
        schema=schema_record(compiled.schema),
        shape=compiled.shape,
    )


def as_record(head: Head) -> dict[str, Any]:
    """Return a head as plain data; the same for equal heads."""
    record: dict[str, Any] = msgspec.to_builtins(head)
    record["shape"]["open"].sort()  # of a set; the order of mappings has a meaning, and stays
    return record


def as_read(head: Head) -> Head:
    """Return a head as it is read back from the index."""
    return _HEADS.decode(msgspec.json.encode(head))


def plain(record: Any) -> Any:
    """Return a lineage as it is read back from the index."""
    return json.loads(json.dumps(record))
