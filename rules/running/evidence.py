"""Evidence: the query that was run for a product, kept in the store so that a person can read it or run it again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import msgspec

from compiler.fingerprint import digest_of
from rules.config.profiles import Profile
from rules.engine.protocol import EngineInput
from rules.printable import without_secrets

_LONGEST = 200
"""The most bytes of a product's name in a folder's name. File systems allow 255."""


def keep(
    store: Path,
    build: str,
    name: str,
    sql: str,
    profile: Profile,
    inputs: Iterable[EngineInput],
    error: str | None = None,
) -> str:
    """Write evidence/BUILD/NAME/ (query.sql, settings.json, error.txt); return the path of the query."""
    folder = store / "evidence" / build / _folder_of(name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "query.sql").write_text(sql + "\n", encoding="utf-8")
    settings = {
        "profile": msgspec.to_builtins(profile),
        "inputs": {
            entry.name: {"files": [without_secrets(str(file)) for file in entry.files], "columns": entry.columns}
            for entry in inputs
        },
    }
    (folder / "settings.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    if error is not None:
        (folder / "error.txt").write_text(without_secrets(error) + "\n", encoding="utf-8")
    return str(folder / "query.sql")


def _folder_of(name: str) -> str:
    """Return a folder's name for a product or a check. A check is named after a column, whose name can be anything."""
    quoted = quote(name, safe="")
    return quoted if len(quoted) <= _LONGEST else f"{quoted[:_LONGEST]}~{digest_of(name.encode())}"
