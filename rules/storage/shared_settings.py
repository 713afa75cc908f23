"""[cache] of rules.toml: where the shared cache is, what may be done with it, and whom it believes.

Secrets are never in rules.toml: a writer's key is in RULES_CACHE_KEY, or in the file that RULES_CACHE_KEY_FILE or
`key_file` names; credentials of the bucket are where obstore looks for them.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from cache.remote.signing import SECRET, KeyFormatError, public_bytes
from rules.errors import Flaw, UserError
from rules.files.project_paths import FILE

Mode = Literal["read", "read-write"]
_URL = re.compile(r"(s3|gs|az)://([a-z0-9][a-z0-9._-]*)(/[^?#\s]*)?|file:///[^?#]*")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_LENGTH = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|m|h|d|w)")
_LEASE, _TIMEOUT, _KEEP = 60.0, 10.0, 30 * 86_400.0
_LEAST_LEASE, _LEAST_TIMEOUT = 0.2, 0.05
MODE, KEY, KEY_FILE = "RULES_CACHE_MODE", "RULES_CACHE_KEY", "RULES_CACHE_KEY_FILE"
"""Environment variables."""


class CacheTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[cache]. remote: a URL; lease, timeout, keep: lengths of time, "none" for no lease; trust: public keys."""

    remote: str | None = None
    mode: Mode = "read-write"
    lease: str = ""
    timeout: str = ""
    keep: str = ""
    trust: tuple[str, ...] = ()
    key_file: str | None = None


class SharedSettings(NamedTuple):
    """A shared cache to use. lease, timeout, keep: in seconds; lease: None for none."""

    remote: str
    writes: bool
    lease: float | None
    timeout: float
    keep: float
    trust: tuple[str, ...]
    key_file: str | None


def settings_of(table: CacheTable) -> SharedSettings | Flaw | None:
    """Return the settings of a table, None if it names no shared cache, or what is wrong with it."""
    if table.remote is not None and not _URL.fullmatch(table.remote):
        hint = 'write "s3://BUCKET/PREFIX", "gs://…", "az://…" or "file:///FOLDER", without user, password or query'
        return Flaw(("remote",), "'remote' is not the URL of a shared cache", hint)
    lengths = {"lease": _LEASE, "timeout": _TIMEOUT, "keep": _KEEP}
    least = {"lease": _LEAST_LEASE, "timeout": _LEAST_TIMEOUT, "keep": 0.0}
    found: dict[str, float] = {}
    for name, default in lengths.items():
        text = str(getattr(table, name)).strip().lower()
        if name == "lease" and text == "none":
            continue
        length = _LENGTH.fullmatch(text)
        if text and length is None:
            return Flaw((name,), f"'{name}' cannot be '{text}'", 'write a length of time, as in "60s"')
        found[name] = max(float(length[1]) * _SECONDS[length[2]], least[name]) if length is not None else default
    for number, key in enumerate(table.trust):
        try:
            public_bytes(key)
        except KeyFormatError:
            hint = "rules cache keygen prints one: ed25519:…"
            if key.strip().startswith(SECRET):
                hint = "this is a secret key: take it out of the file, and make another one with rules cache keygen"
            return Flaw(("trust", str(number)), "'trust' holds something that is no public key", hint)
    if table.remote is None:
        return None
    trust = tuple(key.strip() for key in table.trust)
    writes = table.mode == "read-write"
    return SharedSettings(
        table.remote, writes, found.get("lease"), found["timeout"], found["keep"], trust, table.key_file
    )


def is_off() -> bool:
    """Whether the environment says that no shared cache is used."""
    return os.environ.get(MODE, "").strip() == "off"


def shared_settings(root: Path) -> SharedSettings | None:
    """Return the shared cache that a project names, None if it names none, or the environment forbids it.

    A rules.toml that is not usable names none: who needs more of it says what is wrong. Raises `UserError` for a wrong
    value in the environment.
    """
    mode = os.environ.get(MODE, "").strip()
    if mode not in {"", "off", "read", "read-write"}:
        hint = "it is off, read or read-write"
        raise UserError(f"{MODE} cannot be '{mode}'", code="config", hint=hint)
    if mode == "off":
        return None
    try:
        raw = tomllib.loads((root / FILE).read_text(encoding="utf-8-sig")).get("cache")
        found = settings_of(msgspec.convert(raw, CacheTable)) if raw is not None else None
    except (OSError, ValueError, RecursionError):  # msgspec's and tomllib's errors are ValueErrors
        return None
    if not isinstance(found, SharedSettings):
        return None
    return found._replace(writes=mode == "read-write") if mode else found


def secret_key(settings: SharedSettings, root: Path) -> str | None:
    """Return the secret key of this writer, None if there is none. Raises `UserError`, which does not tell the key."""
    text = os.environ.get(KEY)
    if text:
        return text
    named = os.environ.get(KEY_FILE) or settings.key_file
    if not named:
        return None
    path = root / Path(named).expanduser()
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        message = f"the key of this writer of the shared cache cannot be read from {named}: {reason}"
        raise UserError(message, code="cache-key", hint="rules cache keygen FILE makes one") from error
