"""[publish.NAME] of rules.toml: where products are sent, as what, which of them, and in which environments.

Secrets are never in rules.toml: the password of a database is where its client library looks for it (PGPASSWORD, a
password file, a service file), credentials of a bucket are where obstore looks for them.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import msgspec

from rules.errors import Flaw

Kind = Literal["folder", "bucket", "postgresql", "delta", "iceberg"]
_BUCKET = re.compile(r"(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(/[^?#\s]*)?\Z")
_DATABASE = re.compile(r"(postgresql|postgres)://\S*\Z")
_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]*@|[?&]password=", re.IGNORECASE)
_UNFIT: dict[str, tuple[str, ...]] = {
    "postgresql": ("format", "partition_by", "views"),
    "delta": ("views", "schema"),
    "iceberg": ("views", "schema"),
}
"""Keys that mean nothing for a kind of target; for files it is `schema`."""


class PublishTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[publish.NAME]. to: a folder or URL; partition_by: columns by product; env: the environments that it is part of.

    views: whether a catalogue for DuckDB lies beside the files. schema: of a database.
    """

    to: str
    format: Literal["parquet", "csv", "json", "arrow", "delta", "iceberg"] | None = None
    partition_by: dict[str, tuple[str, ...]] = {}
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    views: bool | None = None
    schema: str | None = None


class Destination(NamedTuple):
    """A target as rules.toml declares it."""

    name: str
    kind: Kind
    table: PublishTable


def destination_of(name: str, table: PublishTable) -> Destination | Flaw:
    """Return a target, or what is wrong with its table."""
    if _PASSWORD.search(table.to):
        hint = "take it out of the file; the password goes into PGPASSWORD or a password file"
        return Flaw(("to",), f"'to' of [publish.{name}] holds a password", hint)
    if _DATABASE.match(table.to):
        kind: Kind = "postgresql"
    elif _BUCKET.match(table.to):
        kind = "bucket"
    elif "://" in table.to or not table.to.strip():
        hint = 'write a folder, "s3://BUCKET/PREFIX", "gs://…", "az://…" or "postgresql://HOST/DATABASE"'
        return Flaw(("to",), f"'to' of [publish.{name}] names nothing that can be published to", hint)
    else:
        kind = "folder"
    if table.format in {"delta", "iceberg"}:
        kind = table.format if kind in {"folder", "bucket"} else kind
    unfit = _UNFIT.get(kind, ("schema",))
    default = PublishTable(to=table.to)
    for key in unfit:
        if getattr(table, key) != getattr(default, key):
            what = {"postgresql": "in a database", "delta": "Delta tables", "iceberg": "Iceberg tables"}.get(
                kind, "in files"
            )
            return Flaw((key,), f"'{key}' means nothing for [publish.{name}], whose tables are {what}",
                               "leave it out")  # fmt: skip
    if table.views and table.format == "arrow":
        return Flaw(("views",), "DuckDB does not read Arrow files, so there are no views of them",
                           'leave out views, or choose format = "parquet"')  # fmt: skip
    return Destination(name, kind, table)
