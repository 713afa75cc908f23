"""Make files and names survive a power loss: what was not synchronised may be lost, in part or as a whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def synchronise(path: str | Path) -> None:
    """Let the content of a file, or the names in a folder, be on the disk when this returns. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
