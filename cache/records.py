"""What the index says of stored tables and of products, decoded and checked once, when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cache.untrusted import decode

PARTS = "parts: "
Facts = tuple[str, str]
"""Type and digest of a column."""


class Artifact(msgspec.Struct, frozen=True):
    """A stored table."""

    artifact: str
    """Digest of its content."""
    rows: int
    bytes: int
    file_digest: str
    """Of its object; of a table in parts, whose object is a folder of links, `PARTS` and the artifacts of its parts."""
    columns: Mapping[str, Facts]

    @property
    def parts(self) -> tuple[str, ...]:
        """The artifacts of its parts, in order; () for a table in one piece."""
        return parts_of(self.file_digest)


def parts_of(file_digest: str) -> tuple[str, ...]:
    """Return the parts that the file digest of an artifact names."""
    return tuple(file_digest.removeprefix(PARTS).split(" ")) if file_digest.startswith(PARTS) else ()


class InputState(msgspec.Struct, frozen=True, array_like=True):
    """What an input was when a product read it, in the columns of the read set. Written as a list."""

    name: str
    rows: int
    columns: dict[str, Facts]
    artifact: str | None = None


class ProductRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a product's last state was made of."""

    parts: Mapping[str, Any]
    """What its fingerprint covers."""
    inputs: tuple[InputState, ...]
    compiler: str = ""
    """Identity of the compiler that compiled it."""
    text: str = ""
    """Digest of the rule's file."""
    severity: str | None = None
    """Of a check."""
    partials: tuple[str, ...] = ()
    """The artifacts of the partial results that it was made of, if its rule works by parts: the next run needs those
    that have not changed."""


class Product(msgspec.Struct, frozen=True):
    """The last committed state of a product or check."""

    name: str
    artifact: str
    key: str
    fingerprint: str
    memo: str
    record: ProductRecord
    seconds: float
    """How long its last execution took."""
    build: str


def to_builtins(record: ProductRecord) -> dict[str, Any]:
    """Return a record as what JSON can hold."""
    plain: dict[str, Any] = msgspec.to_builtins(record)
    return plain


def from_builtins(plain: Any) -> ProductRecord:
    """Return what `to_builtins` was given. Raises `ValueError` for anything else."""
    return msgspec.convert(plain, ProductRecord)


_RECORDS = msgspec.json.Decoder(ProductRecord)
_COLUMNS = msgspec.json.Decoder(dict[str, Facts])


def from_text(text: str) -> ProductRecord | None:
    """Return a record as `from_builtins` does from its JSON, at once; None for what only Python's JSON can read."""
    try:
        return decode(_RECORDS, text)
    except ValueError:  # such as NaN, numbers beyond all floats, and halves of surrogates
        return None


def decode_columns(text: str) -> dict[str, Facts]:
    """Return the columns of an artifact from their JSON. Raises `ValueError` for anything else."""
    return _COLUMNS.decode(text)
