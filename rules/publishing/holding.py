"""What a folder or bucket holds: published.json, the one small file by which its readers and the next publish go.

Every table lies in files of its own version, which are never written again; this file says which version is current.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from cache.keys import hash_json
from cache.untrusted import decode
from rules.errors import FAILED, UserError

FORMAT = 1
"""Version of published.json."""
_FILES_FORMAT = 1
"""Version of how tables are written to files. Raise it to have them all sent again."""
NAME = "published.json"
TABLES = "tables"
VIEWS = "views.sql"


class HeldFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of a table. path: in the target; digest: xxh3_128 of its bytes; modified: the stamp that it had then.

    content: the digest of its rows, of a file of a partition.
    """

    path: str
    bytes: int
    digest: str
    modified: str
    content: str = ""

    @property
    def inside(self) -> str:
        """Where it is in the folder of its version."""
        return self.path.split("/", 3)[3]

    @property
    def partition(self) -> str:
        """The folder of its partition, "" for none."""
        return self.inside.rpartition("/")[0]


class HeldTable(msgspec.Struct, frozen=True):
    """A product's table. version: the digest of the table and of how it is written; folder: in the target.

    columns: of the product, with types of Arrow; former: the folder of the version before, for those who still read it.
    """

    artifact: str
    version: str
    folder: str
    format: str
    partition_by: tuple[str, ...]
    rows: int
    columns: tuple[tuple[str, str], ...]
    files: tuple[HeldFile, ...]
    former: str | None = None
    former_files: tuple[str, ...] = ()


class Holding(msgspec.Struct, frozen=True):
    """The content of published.json. views: whether views.sql is ours; seal: the digest of all the rest."""

    format: int = FORMAT
    tables: dict[str, HeldTable] = {}
    views: bool = False
    seal: str = ""


_HOLDINGS = msgspec.json.Decoder(Holding)


def version_of(artifact: str, kind: str, partition_by: tuple[str, ...]) -> str:
    """Return the digest of a table and of how it is written: 32 hex digits."""
    return hash_json(
        {"writing": _FILES_FORMAT, "artifact": artifact, "format": kind, "partition_by": list(partition_by)}
    )


def encoded(holding: Holding) -> bytes:
    """Return published.json, which people may read: products in the order of their names."""
    plain = _builtins(holding)
    plain["seal"] = hash_json(plain)
    return json.dumps(plain, indent=1, ensure_ascii=False).encode() + b"\n"


def _builtins(holding: Holding) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(holding)
    plain["tables"] = dict(sorted(plain["tables"].items()))
    del plain["seal"]
    return plain


def is_whole(data: bytes) -> bool:
    """Whether this is what was written as published.json: an answer of a server may be damaged."""
    try:
        found = decode(_HOLDINGS, data)
    except ValueError:
        return False
    return found.format != FORMAT or found.seal == hash_json(_builtins(found))


def decoded(data: bytes, shown: str) -> Holding:
    """Return what published.json says. Raises `UserError` for a file that is not ours, or of a newer version."""
    hint = "nothing was touched; publish to another place, or remove what is there yourself"
    try:
        found = decode(_HOLDINGS, data)
    except ValueError as error:
        message = f"{shown} holds a {NAME} that no publish wrote"
        raise UserError(message, code="exists", hint=hint, exit_code=FAILED) from error
    if found.format != FORMAT:
        message = f"{shown} was published to by a version whose {NAME} has format {found.format}, and not {FORMAT}"
        raise UserError(message, code="newer", hint="publish with that version, or to another place", exit_code=FAILED)
    if not is_whole(data):
        message = f"the {NAME} of {shown} was changed by someone else"
        raise UserError(message, code="exists", hint=hint, exit_code=FAILED)
    for name, table in found.tables.items():
        former = [table.former] if table.former is not None else []
        paths = [table.folder, *former, *(one.path for one in table.files), *table.former_files]
        if any(not path.startswith(f"{TABLES}/{name}/") or ".." in path.split("/") for path in paths):
            raise UserError(f"{shown} holds a {NAME} that no publish wrote", code="exists", hint=hint, exit_code=FAILED)
    return found
