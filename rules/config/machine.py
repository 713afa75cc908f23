"""What this process may use of the machine: cores and limits of control groups, of both versions.

A container's limits count as the machine's. What cannot be read limits nothing.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_ROOT = Path("/")


def usable_cores() -> int:
    """Return the number of cores that this process may use: those it is kept to, and no more than its quota of time."""
    try:
        kept_to = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        kept_to = os.cpu_count() or 1
    limit = quota()
    return kept_to if limit is None else max(1, min(kept_to, int(limit)))


@functools.cache
def quota() -> float | None:
    """Return how many cores' time the control groups of this process give it, None if they do not say."""
    return quota_cores(_ROOT)


def quota_cores(root: Path) -> float | None:
    """Return how many cores' time the control groups of this process give it, None if they do not say.

    root: of the file system.
    """
    found = []
    for folder, is_second in group_folders(root, "cpu"):
        names = ["cpu.max"] if is_second else ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        words = [word for name in names for word in (read_text(folder / name) or "").split()]
        if len(words) == 2 and all(word.isdecimal() and int(word) for word in words):  # noqa: PLR2004 — else "max", or -1
            found.append(int(words[0]) / int(words[1]))
    return min(found, default=None)


def group_folders(root: Path, controller: str) -> Iterator[tuple[Path, bool]]:
    """Yield the folders of this process's control groups and of those around them; whether they are of version 2.

    root: of the file system. controller: that version 1 has groups of its own for.
    """
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        base, inside = root / "sys/fs/cgroup" / (controller if controllers else ""), PurePosixPath(path.lstrip("/"))
        # In a container the path may be the one outside of it; then the group is mounted as the root of the tree.
        for folder in dict.fromkeys([inside, *inside.parents, PurePosixPath()]):
            yield base / folder, not controllers


def read_text(file: Path) -> str | None:
    """Return the text of a file of the system, None if it cannot be read."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
