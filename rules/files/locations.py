"""Where a source is, if it is no file of this machine: URLs of object stores and web servers. Light, for the no-op."""

from __future__ import annotations

from typing import NamedTuple

STORES = ("s3", "gs", "az")
"""Schemes whose objects can be listed."""
_WEB = ("https", "http")
_OTHER_NAMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "azure": "az", "abfs": "az", "abfss": "az", "file": ""}
_KNOWN = "s3://BUCKET/KEY, gs://, az://CONTAINER/KEY, https:// or a path on this machine"
WILDCARDS = "*?["


class Location(NamedTuple):
    """A URL. host: the bucket, or the server; path: below it, without the first slash."""

    scheme: str
    host: str
    path: str

    @property
    def base(self) -> str:
        """The URL of the whole bucket or server."""
        return f"{self.scheme}://{self.host}"

    @property
    def lists(self) -> bool:
        """Whether its objects can be listed."""
        return self.scheme in STORES

    def url(self, path: str) -> str:
        """Return the URL of another object there."""
        return f"{self.base}/{path}"


class LocationError(ValueError):
    """A URL that cannot be used. The message holds no secret that may be in it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def is_url(path: str) -> bool:
    """Whether a path leads away from this machine."""
    return "://" in path


def location_of(path: str) -> Location:
    """Return the parts of a URL. Raises `LocationError` for one that is no source."""
    scheme, _, rest = path.partition("://")
    if scheme not in (*STORES, *_WEB):
        meant = _OTHER_NAMES.get(scheme.lower(), scheme.lower())
        hint = f"write {meant}://…" if meant in (*STORES, *_WEB) else f"it is {_KNOWN}"
        raise LocationError(f"a URL that starts with {scheme}:// cannot be read", hint)
    host, _, below = rest.partition("/")
    if "@" in host:
        hint = "leave them out: credentials come from the environment, see docs/object-stores.md"
        raise LocationError("the URL holds a user or a password", hint)
    is_web = scheme in _WEB
    if "#" in below or (is_web and "?" in below):
        raise LocationError("the URL has a query or a fragment", "write the address of the file alone, without ? and #")
    if not host or (is_web and not below):
        raise LocationError("the URL names no object", f"it is {_KNOWN}")
    if is_web and any(char in below for char in WILDCARDS):
        raise LocationError(
            "a web server lists no files, so the URL cannot be a pattern", "declare a source for a file"
        )
    if any(part in {".", ".."} for part in below.split("/")) or "//" in below:
        raise LocationError("the URL has an empty part, or . or .. in its path", "write the key of the object")
    return Location(scheme, host, below)
