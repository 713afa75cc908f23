"""Stat signatures: what lets an unchanged file go unread.

A signature is trusted only when the file was already old when it was taken: a second write within the same tick of
the file system's clock leaves every time stamp as it was (git calls such an entry "racily clean"). What counts is when
the file was looked at: one that was too young then stays untrusted however old it gets.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_TICK_NS = 50_000_000
"""Longer than any kernel tick that stamps files on file systems with fine time stamps (1 to 10 ms)."""

_COARSE_TICK_NS = 2_100_000_000
"""FAT stamps to 2 s, others to 1 s: assumed where a stamp has no digits below the millisecond."""


SEAL_NS = 946_684_800_000_000_000
"""When a stored object claims to have been written: 2000-01-01, in even seconds, which every file system keeps."""


class Signature(NamedTuple):
    """Size in bytes, times of last write and last status change in ns, and inode number."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def signature(path: str | Path) -> Signature:
    """Return the signature of a regular file (symbolic links followed). Raises OSError if there is none."""
    found = signature_of(os.stat(path))
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "it is not a regular file", os.fspath(path))
    return found


def signature_of(status: os.stat_result) -> Signature | None:
    """Return the signature of a file of which this is known, None if it is not a regular one."""
    if not stat.S_ISREG(status.st_mode):
        return None
    return Signature(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def is_settled(taken: Signature, now_ns: int | None = None) -> bool:
    """Whether a file with this signature, taken and read from `now_ns` on (default: now), can be known by it."""
    now = time.time_ns() if now_ns is None else now_ns
    latest = max(taken.mtime_ns, taken.ctime_ns)
    tick = _COARSE_TICK_NS if taken.mtime_ns % 1_000_000 == 0 else _TICK_NS
    return latest + tick < now
