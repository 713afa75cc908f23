"""[openlineage] of rules.toml: where events about builds go. No secret is in it: see `API_KEY`."""

from __future__ import annotations

import re

import msgspec

from rules.errors import Flaw

API_KEY = "OPENLINEAGE_API_KEY"
"""The environment variable with the key that a server asks for."""
_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


class EventsTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[openlineage]. url: of a server, or path: of a file of JSON lines. namespace: of jobs and products."""

    url: str | None = None
    path: str | None = None
    namespace: str | None = None
    endpoint: str = "api/v1/lineage"
    """Where below the URL the server takes events."""


def flaw_of_events(table: EventsTable) -> Flaw | None:
    """Return what is wrong with a table, None if nothing is."""
    if (table.url is None) == (table.path is None):
        hint = 'write url = "http://localhost:5000", or path = "lineage.jsonl"'
        return Flaw((), "[openlineage] must have one of 'url' and 'path'", hint)
    if table.url is not None and not _URL.fullmatch(table.url):
        hint = f'write "https://HOST/…" without user, password or query; a key is in the environment, as {API_KEY}'
        return Flaw(("url",), "'url' is not the URL of a server", hint)
    if table.path is not None and (not table.path.strip() or "://" in table.path or "\0" in table.path):
        return Flaw(("path",), "'path' is not the path of a file", 'write path = "lineage.jsonl"')
    if table.namespace is not None and not table.namespace.strip():
        return Flaw(("namespace",), "'namespace' is empty", "leave it out for the name of the project")
    return None
