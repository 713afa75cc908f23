"""Records of actions in a shared cache: what an action yields, in which files, made by whom, and how it is believed.

A record is JSON in an envelope. It names each file by the SHA-256 of its bytes, so a signature covers them too. A
record is data: it is bounded in size, every name in it is checked, and nothing in it is run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from cache.keys import Content
from cache.parts import composed
from cache.records import PARTS, Artifact, Facts
from cache.remote.envelopes import RefusedError, enclosed, opened
from cache.remote.layout import FORMAT
from cache.remote.signing import Signer
from cache.untrusted import decode

MOST_BYTES = 8 << 20
"""A longer record is neither written nor read."""
_DOMAIN = f"rules shared cache {FORMAT}: action\n".encode()
"""What is signed begins with this, so that no signature of something else is one of a record."""
_DIGEST = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_ROWS = 1 << 62


class Table(msgspec.Struct, frozen=True):
    """A table in one file. file_digest: the xxh3 of the file, by which a store knows it; sha256: its name."""

    artifact: str
    rows: int
    bytes: int
    file_digest: str
    sha256: str
    columns: Mapping[str, Facts]

    def as_artifact(self) -> Artifact:
        """Return what an index says of it."""
        return Artifact(self.artifact, self.rows, self.bytes, self.file_digest, self.columns)


class Maker(msgspec.Struct, frozen=True):
    """What computed a result: it explains a difference, and decides nothing."""

    rules: str = ""
    engine: str = ""
    system: str = ""
    processor: str = ""


class ActionRecord(msgspec.Struct, frozen=True):
    """What the action with a key yields. tables: the table itself, or its parts in order. written: in UTC, ISO 8601."""

    key: str
    artifact: str
    rows: int
    columns: Mapping[str, Facts]
    tables: tuple[Table, ...]
    seconds: float
    maker: Maker
    written: str
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(one.bytes for one in self.tables)

    @property
    def is_in_parts(self) -> bool:
        """Whether the table is one in parts."""
        return not (len(self.tables) == 1 and self.tables[0].artifact == self.artifact)

    def artifacts(self) -> list[Artifact]:
        """Return what an index says of the table, and before it of its parts."""
        tables = [one.as_artifact() for one in self.tables]
        if not self.is_in_parts:
            return tables
        named = PARTS + " ".join(one.artifact for one in self.tables)
        return [*tables, Artifact(self.artifact, self.rows, self.bytes, named, self.columns)]


@dataclass(frozen=True)
class Believed:
    """A record that was read and found to be sound. writer: the public key of who signed it, None if nobody did."""

    record: ActionRecord
    data: bytes
    writer: str | None


_RECORDS = msgspec.json.Decoder(ActionRecord)


def encoded(record: ActionRecord, signer: Signer | None) -> bytes | None:
    """Return a record as it is stored, None if it is too long for that."""
    data = enclosed(msgspec.json.encode(record), _DOMAIN, signer)
    return data if len(data) <= MOST_BYTES else None


def decoded(data: bytes, key: str, trusted: Collection[str]) -> Believed:
    """Return the record of the action with this key. trusted: public keys, empty for whoever can write to the bucket.

    Raises `RefusedError`, and `UntrustedError` if the record is a sound one of somebody else.
    """
    if len(data) > MOST_BYTES:
        raise RefusedError("is longer than a record may be")
    envelope = opened(data, _DOMAIN)
    try:
        record = decode(_RECORDS, envelope.body)
    except ValueError as error:
        raise RefusedError("is damaged: it cannot be read") from error
    if record.key != key:
        raise RefusedError("is the record of another action")
    wrong = _flaw(record)
    if wrong is not None:
        raise RefusedError(f"is not consistent: {wrong}")
    envelope.require_trusted(trusted)
    return Believed(record, data, envelope.writer)


def _flaw(record: ActionRecord) -> str | None:
    """Say what is wrong with a record, whose every name becomes one of a file or of a row in an index."""
    if record.format != FORMAT:
        return "it is of another format"
    if not record.tables:
        return "it names no table"
    everything: tuple[ActionRecord | Table, ...] = (record, *record.tables)
    for one in everything:
        numbers = 0 <= one.rows <= _MOST_ROWS and 0 <= one.bytes <= _MOST_ROWS
        if not numbers or not _DIGEST.fullmatch(one.artifact):
            return "a table has no name, or a size that none has"
        if not all(_DIGEST.fullmatch(digest) for _, digest in one.columns.values()):
            return "a column has no digest"
    for table in record.tables:
        if not _SHA256.fullmatch(table.sha256) or not _DIGEST.fullmatch(table.file_digest):
            return "a file has no digest"
        if not _is_named_by_content(table):
            return "a table is not named by its columns"
    if not 0 <= record.seconds < float("inf"):
        return "it took no time that there is"
    if not record.is_in_parts:
        only = record.tables[0]
        same = (only.rows, dict(only.columns)) == (record.rows, dict(record.columns))
        return None if same else "it has other columns than its table"
    content = composed([Content(one.rows, one.columns) for one in record.tables])
    if (content.rows, dict(content.columns)) != (record.rows, dict(record.columns)):
        return "its parts do not make its table"
    return None if _is_named_by_content(record) else "a table is not named by its columns"


def _is_named_by_content(one: Table | ActionRecord) -> bool:
    from cache.digests import ingested_digest, table_digest  # they import pyarrow, which a plan has no use for

    names = table_digest(one.rows, {name: digest for name, (_, digest) in one.columns.items()})
    return one.artifact in {names, ingested_digest(one.rows, one.columns)}
