"""Collect garbage in a shared cache, by age: what is in use is written again when it is half as old as it may become.

So nothing has to be read, and no builder asked. Records go first; a file goes a day after a record of its age would
have, so no record that stays names a file that goes. Who has just found a record whose file is removed computes the
result.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.remote.layout import ACTIONS, LEASES, OBJECTS, PACKS, is_lease, key_of, pack_of, sha256_of

if TYPE_CHECKING:
    from cache.remote.bucket import Bucket

DAY = 86_400.0
_AT_ONCE = 500


@dataclass
class Swept:
    """What a collection removed, or would, and what stays: objects and records, and bytes of both."""

    removed: int = 0
    removed_bytes: int = 0
    kept: int = 0
    kept_bytes: int = 0


def sweep(bucket: Bucket, keep: float, *, dry_run: bool, now: dt.datetime | None = None) -> Swept:
    """Remove what has not been in use for `keep` seconds. Only names of ours are touched. Raises `BucketError`."""
    moment = now or dt.datetime.now(dt.UTC)
    found = Swept()
    kinds: tuple[tuple[str, Callable[[str], object], float], ...] = (
        (ACTIONS, key_of, keep),
        (PACKS, pack_of, keep),
        (LEASES, is_lease, DAY),
        (OBJECTS, sha256_of, keep + DAY),
    )
    for prefix, is_ours, most in kinds:
        doomed: list[str] = []
        for entry in bucket.entries(prefix):
            if not is_ours(entry.path):
                continue
            if (moment - entry.modified).total_seconds() <= most:
                found.kept += 1
                found.kept_bytes += entry.bytes
                continue
            found.removed += 1
            found.removed_bytes += entry.bytes
            doomed.append(entry.path)
        for start in range(0, 0 if dry_run else len(doomed), _AT_ONCE):
            bucket.remove(doomed[start : start + _AT_ONCE])
    return found
