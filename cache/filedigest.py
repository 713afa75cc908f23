"""Digests of whole files: 128 bits of their bytes."""

from __future__ import annotations

from pathlib import Path

import xxhash

_BLOCK = 1 << 20


def file_digest(path: str | Path) -> str:
    """Return the xxh3_128 digest, 32 hex digits, of a file's bytes, read in blocks of 1 MiB. Raises OSError."""
    hasher = xxhash.xxh3_128()
    with open(path, "rb", buffering=0) as file:
        buffer = bytearray(_BLOCK)
        view = memoryview(buffer)
        while count := file.readinto(buffer):
            hasher.update(view[:count])
    return hasher.hexdigest()
