"""The locks of a store. The system drops them when a process ends, in whatever way.

`lock` is held by who builds, alone; `readers` is shared by who only looks and may read, or ingest, objects. Whoever
removes objects holds both alone, so nothing is removed that another process is about to read, restore or commit. Who
looks never takes `lock` while it waits for `readers`, so nobody waits in a circle.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUILDERS = "lock"
READERS = "readers"
_PAUSE = 0.002
"""Seconds between two attempts to take a lock."""


@contextlib.contextmanager
def exclusive(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold a file's lock alone. Raises OSError; `BlockingIOError` where it is held and `wait` is false."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive_within(path: Path, seconds: float) -> Iterator[None]:
    """Hold a file's lock alone, once it is free. Raises OSError; `BlockingIOError` if that takes too long.

    It asks again and again instead of queueing, so whoever waits for the lock goes first.
    """
    until = time.monotonic() + seconds
    while True:
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(exclusive(path, wait=False))
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
            else:
                yield
                return
        time.sleep(_PAUSE)


@contextlib.contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold a file's lock together with others. Where there is no such file, or it cannot be opened, hold nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)  # its owner may be another user
    except OSError:
        yield
        return
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
