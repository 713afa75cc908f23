"""Files of a shared cache, down and up: in pieces, each tried again alone, and compared before anybody sees them."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
from typing import TYPE_CHECKING

from cache.filedigest import digest_of_bytes, file_digest
from cache.remote.bucket import AbsentError, BucketError, TooLargeError
from cache.remote.envelopes import RefusedError
from cache.remote.layout import object_path
from cache.removal import replace

if TYPE_CHECKING:
    from pathlib import Path

    from cache.remote.action_records import Table
    from cache.remote.bucket import Bucket, Persistent

PIECE = 8 << 20
_BLOCK = 1 << 20
_SLOWEST = 128 << 10
"""Bytes a second, below which a transfer is given up."""
_UNCONDITIONAL = 16 << 20
"""A file from this size on is sent whether or not it is there: see `Bucket.create`."""
_OTHER_SIZE = "is not the file that its record names: its size is another"
_OTHER_BYTES = "is not the file that its record names: its bytes are others"
_TRIES = 3
"""How often a file is fetched whose bytes are not those of its name: on the way they may be corrupt, too."""


def download(bucket: Bucket, again: Persistent, table: Table, target: Path, partial: Path | None = None) -> str:
    """Write the file of a table to `target`, whose bytes are then those that its record names; return its xxh3.

    partial: where the beginning of it is kept if this is cut short, so that the next attempt, or build, goes on there;
    of what fits into one request there is none.
    Raises `RefusedError` if its bytes are others, however often it is read, `BucketError` and OSError.
    """
    path = object_path(table.sha256)
    if table.bytes <= PIECE:
        for _ in range(_TRIES):
            data = again.call(lambda: _piece(bucket, path, 0, table.bytes), seconds=_most_seconds(again, table))
            if hashlib.sha256(data).hexdigest() == table.sha256:
                target.write_bytes(data)
                return digest_of_bytes(data)
        raise RefusedError(_OTHER_BYTES)
    if again.call(lambda: bucket.entry(path)).bytes != table.bytes:
        raise RefusedError(_OTHER_SIZE)
    return _download_in_pieces(bucket, again, table, target, partial)


def _download_in_pieces(bucket: Bucket, again: Persistent, table: Table, target: Path, partial: Path | None) -> str:
    path, place, seconds = object_path(table.sha256), partial or target, _most_seconds(again, table)
    for attempt in range(_TRIES):
        goes_on = not attempt and place.exists() and place.stat().st_size <= table.bytes
        with place.open("r+b" if goes_on else "wb") as file:
            have = file.seek(0, os.SEEK_END)
            while have < table.bytes:
                data = again.call(lambda at=have: _piece(bucket, path, at, table.bytes), seconds=seconds)  # type: ignore[misc]
                file.write(data)
                file.flush()
                have += len(data)
        if sha256_of(place) == table.sha256:
            if place != target:
                replace(place, target)
            return file_digest(target)
    if partial is not None:
        partial.write_bytes(b"")
    raise RefusedError(_OTHER_BYTES)


def _most_seconds(again: Persistent, table: Table) -> float:
    return max(again.seconds, min(PIECE, table.bytes) / _SLOWEST)


def _piece(bucket: Bucket, path: str, start: int, size: int) -> bytes:
    """Return the next piece of a file. Raises `BucketError`, also for an answer that was cut short."""
    length = min(PIECE, size - start)
    # What fits into one request is read whole, which tells of a file that is longer than it should be.
    try:
        whole = not start and size <= PIECE
        data = bucket.read(path, size).data if whole else bucket.read_range(path, start, length)
    except TooLargeError:
        raise RefusedError(_OTHER_SIZE) from None
    if whole and len(data) != size:
        raise RefusedError(_OTHER_SIZE)
    if len(data) != length:
        raise BucketError("an answer was cut short")
    return data


def upload(bucket: Bucket, again: Persistent, sha256: str, file: Path, *, over: bool, young: float) -> bool:
    """Send a file, unless it is there already; return whether it was sent. over: whatever is there.

    young: the age in seconds up to which a file that is there need not be written again: a collection goes by age.
    Raises `BucketError`.
    """
    path, size = object_path(sha256), file.stat().st_size
    seconds = max(again.seconds, size / _SLOWEST)
    if over or size >= _UNCONDITIONAL:
        again.call(lambda: bucket.write(path, file), seconds=seconds)
        return True
    if again.call(lambda: bucket.create(path, file), seconds=seconds):
        return True
    with contextlib.suppress(AbsentError):
        if is_young(again.call(lambda: bucket.entry(path)).modified, young):
            return False
    again.call(lambda: bucket.write(path, file), seconds=seconds)
    return True


def is_young(modified: dt.datetime, seconds: float) -> bool:
    """Whether something was written within the last so many seconds, by the bucket's clock and ours."""
    return (dt.datetime.now(dt.UTC) - modified).total_seconds() <= seconds


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hex digits. Raises OSError."""
    hasher = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
    return hasher.hexdigest()
