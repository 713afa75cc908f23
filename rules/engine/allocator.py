"""How the engine's allocator, mimalloc, gives memory back. It reads these variables when the engine is imported.

The engine reads a file in one thread and frees what it has read in another. By default the first thread keeps it, for
good: each scan of a file took as much memory again as the file has bytes, in each query (seen with mimalloc 2 in
DataFusion 55: 65, 421, 766, 1,112 MiB after three scans of 330 MB; 61, 131, 130, 130 with these).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

OPTIONS: Mapping[str, str] = {
    # KiB that are taken from the system at a time. By default it is a GiB, and what was freed in it is given back only
    # once that is used up: in a process of several queries the peak was 1.7 times as high.
    "MIMALLOC_ARENA_RESERVE": "65536",
    # Segments of memory that a thread keeps; it lets go of what is beyond them, so that others can free it.
    "MIMALLOC_TARGET_SEGMENTS_PER_THREAD": "2",
    # Whoever frees something in a segment that was let go takes it over.
    "MIMALLOC_ABANDONED_RECLAIM_ON_FREE": "1",
}
OPTIONS_WITH_LIMIT: Mapping[str, str] = {
    # Milliseconds until what was freed is given back to the system. At once is dear where a scan frees each batch (a
    # tenth of a sort, a half of a bare scan), and halves what is held beside the pool.
    "MIMALLOC_PURGE_DELAY": "0",
}
"""Those that are set, too, where a profile declares a limit of memory."""


def choose(options: Mapping[str, str]) -> None:
    """Let the engine's allocator have options, except those that the environment has. In vain after its import."""
    for name, value in options.items():
        os.environ.setdefault(name, value)
