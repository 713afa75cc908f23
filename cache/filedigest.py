"""Digests of whole files: 128 bits of their bytes."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import xxhash

_BLOCK = 1 << 20


def file_digest(path: str | Path) -> str:
    """Return the xxh3_128 digest, 32 hex digits, of a file's bytes, read in blocks of 1 MiB. Raises OSError."""
    hasher = xxhash.xxh3_128()
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        # No larger than the file: a whole block of memory takes the system longer to give than a small file to read.
        buffer = bytearray(min(_BLOCK, os.fstat(file.fileno()).st_size + 1))
        view = memoryview(buffer)
        while count := file.readinto(buffer):
            hasher.update(view[:count])
    return hasher.hexdigest()


def digest_of_bytes(data: bytes) -> str:
    """Return the digest of a file with these bytes."""
    return xxhash.xxh3_128_hexdigest(data)


def open_regular(path: str, flags: int) -> int:
    """Open a file, for `open(…, opener=)`. Raises FileNotFoundError for a pipe and the like, which may never end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, "it is not a regular file", path)
