"""The memory that one product's execution may have: what the profile declares, or a share of the machine's.

A container's limit counts as the machine's memory (control groups of both versions). The share is no part of any
fingerprint: it is the same query, which spills earlier or later.

The engine's pool is a part of that memory. Operators account in it for what they keep, and take as much again when they
spill it (a table of groups is emitted, sorted and written beside itself), and nothing accounts for batches under way.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rules.config.machine import group_folders, read_text
from rules.config.profiles import POOL_PERCENT

if TYPE_CHECKING:
    from rules.config.profiles import Profile

_LEAST = 64 << 20
_MACHINE_PERCENT = 50
"""Of the machine's memory, what the pools of all products have."""
_LEAST_RESERVATION = 10 << 20
_UNLIMITED = 1 << 60
"""Limits from here on are how control groups of version 1 say that there is none."""


def pool_bytes(profile: Profile) -> int:
    """Return the size of the engine's pool in one product's execution."""
    if profile.memory_limit_mb is not None:
        return (profile.memory_limit_mb << 20) * POOL_PERCENT // 100
    return max(_LEAST, machine_memory() * _MACHINE_PERCENT // 100 // profile.workers)


def memory_mb(profile: Profile) -> int:
    """Return the memory of one product's execution in MiB, of which the pool is a part."""
    return profile.memory_limit_mb or -(-pool_bytes(profile) * 100 // POOL_PERCENT >> 20)


def reservation_bytes(profile: Profile, sorts: int = 0) -> int:
    """Return what each sort reserves of the pool for merging. sorts: the most that a query may run at once; 0: unknown.

    With the engine's fixed 10 MiB a sort of more rows than a large pool holds fails: merging what fills the pool takes
    a quarter of its size again. Each sort takes its reservation with its first row, so together they get a third.
    """
    if profile.sort_reservation_mb:
        return profile.sort_reservation_mb << 20
    return max(_LEAST_RESERVATION, pool_bytes(profile) // (3 * sorts) if sorts else 0)


@functools.cache
def machine_memory() -> int:
    """Return the bytes of memory that this process may use: the machine's, or less if its control group is limited."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *group_limits(Path("/"))])


def group_limits(root: Path) -> Iterator[int]:
    """Yield the limits of memory of this process's control groups and of those around them.

    root: the root of the file system. What cannot be read limits nothing.
    """
    for folder, is_second in group_folders(root, "memory"):
        text = read_text(folder / ("memory.max" if is_second else "memory.limit_in_bytes")) or ""
        if text.isdecimal() and 0 < int(text) < _UNLIMITED:
            yield int(text)
