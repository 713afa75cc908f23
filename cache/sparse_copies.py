"""Copies of which only some bytes are here: a file with holes, and a record of the runs of bytes that were fetched.

    downloads/DIGEST/data.parquet    as long as the whole file; what was not fetched is a hole
    downloads/DIGEST/runs.json       {"format": 1, "size": …, "runs": [[start, stop, digest], …]}

DIGEST names the version of the file. A hole reads as zeros, so nobody may read what `missing` returns. What the record
says is compared with the bytes once in each process, and what is not as it was fetched counts as missing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec
import xxhash

from cache.durability import synchronise
from cache.locks import exclusive
from cache.own_names import name_beside
from cache.removal import replace
from cache.signatures import Signature, signature
from cache.untrusted import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FORMAT = 1
RUNS, _LOCK = "runs.json", "lock"
_BLOCK = 1 << 20

Span: TypeAlias = tuple[int, int]
"""The place of a run of bytes, and where it ends."""


class Run(NamedTuple):
    """Bytes that were fetched, and their digest."""

    start: int
    stop: int
    digest: str


class _Record(msgspec.Struct):
    format: int
    size: int
    runs: list[Run]


_RECORDS = msgspec.json.Decoder(_Record)


class SparseCopy:
    """A copy of one version of a file. Worker threads may share it, and processes its folder."""

    def __init__(self, place: Path, size: int) -> None:
        """place: of the file with holes; size: the bytes of the whole."""
        self.place = place
        self._size = size
        self._used: dict[Run, None] = {}
        """Those that somebody may have read by now."""
        self._sound: dict[Run, None] = {}
        """Those whose bytes were compared, or fetched, while the file had the signature `_taken`."""
        self._taken: Signature | None = None
        self._lock = threading.Lock()

    def missing(self, wanted: Iterable[Span]) -> list[Span]:
        """Return which of these bytes are not here, or are not as they were fetched; sorted, none twice."""
        spans = joined(wanted)
        with self._lock:
            runs = [
                one for one in self._recorded() if any(one.start < stop and start < one.stop for start, stop in spans)
            ]
            sound = self._compared(runs)
            self._used |= dict.fromkeys(sound)
        return _without(spans, joined((run.start, run.stop) for run in sound))

    def add(self, fetched: Iterable[tuple[int, bytes | bytearray]]) -> None:
        """Write runs of bytes to their places, and say on the disk that they are there. Raises OSError."""
        self._folder()
        added: list[Run] = []
        with self._lock:
            self._forget_if_touched()
            with exclusive(self.place.with_name(_LOCK), wait=True):
                descriptor = os.open(self.place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
                try:
                    for start, data in fetched:
                        _write(descriptor, start, data)
                        added.append(Run(start, start + len(data), xxhash.xxh3_128_hexdigest(data)))
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                self._record(added)
            self._take(added)

    def take(self, written: Path, digest: str) -> None:
        """Let the whole file be the copy. written: on the same file system; digest: of its bytes. Raises OSError."""
        self._folder()
        whole = Run(0, self._size, digest)
        with self._lock, exclusive(self.place.with_name(_LOCK), wait=True):
            synchronise(written)
            replace(written, self.place)
            self._record([whole])
            self._sound.clear()
            self._take([whole])

    def is_unchanged(self) -> bool:
        """Whether all that somebody may have read of the copy still is what was fetched."""
        with self._lock:
            return len(self._compared(list(self._used))) == len(self._used)

    def _compared(self, runs: Sequence[Run]) -> list[Run]:
        """Return those of some runs whose bytes are as they were fetched."""
        self._forget_if_touched()
        if any(run not in self._sound for run in runs):
            try:
                taken = signature(self.place)
                with self.place.open("rb", buffering=0) as file:
                    fresh = [run for run in runs if run in self._sound or _digest(file.fileno(), run) == run.digest]
            except OSError:
                return []
            self._taken = self._taken or taken
            self._sound |= dict.fromkeys(fresh)
        return [run for run in runs if run in self._sound]

    def _forget_if_touched(self) -> None:
        """Take nothing for sound that may have been written since it was compared."""
        with contextlib.suppress(OSError):
            if signature(self.place) == self._taken:
                return
        self._sound.clear()
        self._taken = None

    def _take(self, added: Sequence[Run]) -> None:
        """Note what was just written. The lock of the folder has kept all others of us out."""
        self._sound |= dict.fromkeys(added)
        self._used |= dict.fromkeys(added)
        self._taken = signature(self.place)

    def _folder(self) -> None:
        folder = self.place.parent
        folder.mkdir(parents=True, exist_ok=True)
        if folder.is_symlink():  # rules makes none, and follows none
            raise NotADirectoryError(errno.ENOTDIR, "it is a link", os.fspath(folder))

    def _recorded(self) -> list[Run]:
        """Return the runs that the record has, [] if it cannot be read or is of another file."""
        with contextlib.suppress(OSError, ValueError):
            found = decode(_RECORDS, self.place.with_name(RUNS).read_bytes())
            if found.format == FORMAT and found.size == self._size:
                return [run for run in found.runs if 0 <= run.start < run.stop <= self._size]
        return []

    def _record(self, added: Sequence[Run]) -> None:
        """Write the record anew. A former run of which some bytes were written again is not in it any more."""
        fresh = joined((run.start, run.stop) for run in added)
        kept = [run for run in self._recorded() if _without([(run.start, run.stop)], fresh) == [(run.start, run.stop)]]
        target = self.place.with_name(RUNS)
        written = name_beside(target)
        written.write_bytes(msgspec.json.encode(_Record(FORMAT, self._size, sorted([*kept, *added]))))
        synchronise(written)
        replace(written, target)


def joined(spans: Iterable[Span], gap: int = 0) -> list[Span]:
    """Return spans in order, those that overlap or are at most `gap` bytes apart as one."""
    found: list[Span] = []
    for start, stop in sorted(spans):
        if start >= stop:
            continue
        if found and start <= found[-1][1] + gap:
            found[-1] = (found[-1][0], max(found[-1][1], stop))
        else:
            found.append((start, stop))
    return found


def _without(spans: Sequence[Span], taken: Sequence[Span]) -> list[Span]:
    """Return what of some spans is in none of others; both are sorted, and none overlaps another of its kind."""
    found = []
    for start, stop in spans:
        at = start
        for other, end in taken:
            if end <= at or other >= stop:
                continue
            if other > at:
                found.append((at, other))
            at = end
        if at < stop:
            found.append((at, stop))
    return found


def _digest(descriptor: int, run: Run) -> str:
    hasher = xxhash.xxh3_128()
    at = run.start
    while at < run.stop and (data := os.pread(descriptor, min(_BLOCK, run.stop - at), at)):
        hasher.update(data)
        at += len(data)
    return hasher.hexdigest()


def _write(descriptor: int, start: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, start)
        view, start = view[count:], start + count
