"""What the shared cache needs of an object store: a few calls that may fail, in few ways, and are tried again."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")
_ATTEMPTS = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0


class BucketError(Exception):
    """A call to the bucket failed. Its only argument says how, in our words: no URL, no key, no text of a server."""


class AbsentError(BucketError):
    """There is nothing under this name."""


class DeniedError(BucketError):
    """The credentials are missing, or do not allow this. To try again is of no use."""


class TooLargeError(BucketError):
    """An object is larger than it may be."""


class SwappedError(BucketError):
    """An object is not the one that was listed: it was replaced or removed since. To try again is of no use."""


class UnrangedError(BucketError):
    """A server gives no parts of objects. To try again is of no use."""


class Stored(NamedTuple):
    """An object that was read."""

    data: bytes
    modified: datetime


class Entry(NamedTuple):
    """What a listing says of an object."""

    path: str
    bytes: int
    modified: datetime
    tag: str | None = None
    """Another one for another content, where the store has tags; times have whole seconds."""


class Bucket(Protocol):
    """An object store, below a prefix. Every method raises `BucketError`; a write is whole or has not happened."""

    def read(self, path: str, most: int) -> Stored:
        """Return an object. Raises `AbsentError`, and `TooLargeError` for one of more than `most` bytes."""

    def read_range(self, path: str, start: int, length: int) -> bytes:
        """Return the bytes of an object from `start` on, at most `length`. Raises `AbsentError`."""

    def create(self, path: str, data: bytes | Path) -> bool:
        """Write an object, and return True, unless there is one: of several writers at once, one alone succeeds."""

    def write(self, path: str, data: bytes | Path) -> None:
        """Write an object, over the one that is there."""

    def entry(self, path: str) -> Entry:
        """Return what a listing says of an object. Raises `AbsentError`."""

    def remove(self, paths: Iterable[str]) -> None:
        """Remove objects, as far as they are there."""

    def entries(self, prefix: str) -> Iterator[Entry]:
        """List the objects whose names start with `prefix`, which ends at a slash. No build does."""


class Persistent:
    """Calls of a bucket, each tried several times within a time limit.

    A response that is lost may be that of a write which has happened: `Bucket.create` then finds its own object, and
    says that there is one. Worker threads may share it.
    """

    def __init__(self, seconds: float) -> None:
        """seconds: for which a call is tried again."""
        self.seconds = seconds
        self.retries = 0
        self.answered = -math.inf
        """When the bucket last answered an attempt, within half of the time for a call; by `time.monotonic`."""
        self._lock = threading.Lock()

    def call(self, work: Callable[[], T], *, seconds: float | None = None) -> T:
        """Return what `work` returns. Raises its last `BucketError` once there is no time, or no use, to try again.

        Pauses grow and are random (M. Brooker, "Exponential backoff and jitter", AWS Architecture Blog, 2015).
        """
        limit = self.seconds if seconds is None else seconds
        until, pause = time.monotonic() + limit, _FIRST_PAUSE
        for attempt in range(_ATTEMPTS):
            began = time.monotonic()
            try:
                found = work()
            except (AbsentError, SwappedError, TooLargeError, UnrangedError):
                self._note_answer(began, limit)
                raise
            except DeniedError:
                raise
            except BucketError:
                rest = random.uniform(pause / 2, pause)  # noqa: S311 — it spreads attempts, and guards nothing
                if attempt == _ATTEMPTS - 1 or time.monotonic() + rest >= until:
                    raise
                with self._lock:
                    self.retries += 1
                time.sleep(rest)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._note_answer(began, limit)
                return found
        raise AssertionError("the last attempt returns or raises")

    def _note_answer(self, began: float, limit: float) -> None:
        now = time.monotonic()
        if now - began <= limit / 2:
            self.answered = now
