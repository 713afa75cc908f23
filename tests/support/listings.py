"""What a folder holds, to the last byte and time stamp: proof that a command left it alone."""

from __future__ import annotations

import hashlib
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def listing(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return for every path below `folder`, and itself: mode, owner, time of change, and target or digest."""
    return {str(path): _facts(path) for path in (folder, *sorted(folder.rglob("*")))}


def _facts(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    content = ""
    if stat.S_ISLNK(status.st_mode):
        content = str(path.readlink())
    elif stat.S_ISREG(status.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return status.st_mode, status.st_uid, status.st_mtime_ns, content
