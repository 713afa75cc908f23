"""The names of what is in a shared cache. Nobody has to list anything to find something.

    rules-v1/actions/ab/cdef….json      what an action yields, by its key; FORMAT is in the first part of every name
    rules-v1/actions/ab/cdef….WRITER    the same, by a writer who does not believe who wrote the record above
    rules-v1/objects/ab/cdef….parquet   a file, by the SHA-256 of its bytes
    rules-v1/packs/ab/cdef….pack        what a fresh clone asks for first: see cache/remote/packs.py
    rules-v1/leases/ab/cdef….json       who is at work on an action now

The first two digits shard the names, so that no folder and no range of keys takes all requests.
"""

from __future__ import annotations

import re

FORMAT = 1
"""A part of all names: raise it when a version of rules could not use what is there. Both then live side by side."""
PREFIX = f"rules-v{FORMAT}"
ACTIONS, OBJECTS, PACKS, LEASES = (f"{PREFIX}/{kind}/" for kind in ("actions", "objects", "packs", "leases"))
_KEY = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WRITER = re.compile(r"[0-9a-f]{16}")
_ACTION = re.compile(rf"{ACTIONS}([0-9a-f]{{2}})/([0-9a-f]{{30}})\.(?:json|[0-9a-f]{{16}})")
_OBJECT = re.compile(rf"{OBJECTS}([0-9a-f]{{2}})/([0-9a-f]{{62}})\.parquet")
_PACK = re.compile(rf"{PACKS}([0-9a-f]{{2}})/([0-9a-f]{{30}})\.pack")
_LEASE = re.compile(rf"{LEASES}([0-9a-f]{{2}})/([0-9a-f]{{30}})\.json")


def action_path(key: str, writer: str | None = None) -> str:
    """Return the name of the record of an action. Raises ValueError for what is no key."""
    return f"{ACTIONS}{_sharded(key, _KEY)}.{'json' if writer is None else _required(writer, _WRITER)}"


def object_path(sha256: str) -> str:
    """Return the name of a file. Raises ValueError for what is no SHA-256."""
    return f"{OBJECTS}{_sharded(sha256, _SHA256)}.parquet"


def pack_path(address: str) -> str:
    """Return the name of a pack. Raises ValueError for what is no address of one."""
    return f"{PACKS}{_sharded(address, _KEY)}.pack"


def lease_path(key: str) -> str:
    """Return the name of the lease of an action. Raises ValueError for what is no key."""
    return f"{LEASES}{_sharded(key, _KEY)}.json"


def key_of(path: str) -> str | None:
    """Return the key of the action whose record has this name, None for another name."""
    found = _ACTION.fullmatch(path)
    return f"{found[1]}{found[2]}" if found else None


def sha256_of(path: str) -> str | None:
    """Return the SHA-256 of the file that has this name, None for another name."""
    found = _OBJECT.fullmatch(path)
    return f"{found[1]}{found[2]}" if found else None


def pack_of(path: str) -> str | None:
    """Return the address of the pack that has this name, None for another name."""
    found = _PACK.fullmatch(path)
    return f"{found[1]}{found[2]}" if found else None


def is_lease(path: str) -> bool:
    """Whether this is the name of a lease."""
    return _LEASE.fullmatch(path) is not None


def _sharded(name: str, names: re.Pattern[str]) -> str:
    return f"{_required(name, names)[:2]}/{name[2:]}"


def _required(name: str, names: re.Pattern[str]) -> str:
    if not names.fullmatch(name):
        raise ValueError("this is no name in a shared cache")
    return name
