"""The connection of one command to the bucket of a shared cache: keys, leases, and when the bucket is given up."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from cache.remote.action_records import MOST_BYTES, Believed, decoded
from cache.remote.bucket import AbsentError, Bucket, BucketError, DeniedError, Persistent, Stored, TooLargeError
from cache.remote.envelopes import RefusedError, UntrustedError
from cache.remote.leases import Leases
from cache.remote.signing import KeyFormatError, Signer, is_signed
from rules.errors import UserError
from rules.storage.shared_settings import secret_key

if TYPE_CHECKING:
    from pathlib import Path

    from rules.storage.shared_report import SharedReport
    from rules.storage.shared_settings import SharedSettings

T = TypeVar("T")
_IN_A_ROW = 6
"""After so many calls that failed for good, with no answer between them, the bucket is given up."""
_NEARLY = 0.9
_RENEWING = 8
"""Threads that renew leases: about as many as a builder holds at once."""
_READS = 3
"""How often a record is read that is damaged."""
INSTALL = "pip install 'leastwork-rules[remote]'"


@dataclass
class SharedConnection:
    """A bucket that is connected to once it is asked for something. Worker threads share it."""

    settings: SharedSettings
    root: Path
    report: SharedReport
    signer: Signer | None = None
    """The key of this writer."""
    trusted: tuple[str, ...] = ()
    """The public keys of the writers that are believed; empty for all."""
    leases: Leases | None = None
    modified: dict[str, float] = field(default_factory=dict)
    """When the records that were read were written, in seconds since 1970, by key."""

    def __post_init__(self) -> None:
        self.again = Persistent(self.settings.timeout)
        """Tries calls again: all attempts at one take as long as two requests may."""
        self._lock = threading.Lock()
        self._connected: Bucket | None = None
        self._renewing: _Renewal | None = None
        self._counting = threading.Lock()
        self._failed, self._since = 0, -math.inf
        """How many calls have failed for good since the bucket last answered, and since when it has not."""
        self._others = -math.inf
        """When another builder was last known to hold a lease, by `time.monotonic`."""

    @property
    def young(self) -> float:
        """The age in seconds from which on what is in use is written again."""
        return self.settings.keep / 2

    def prepare(self) -> None:
        """Read the keys. Raises `UserError` for a key of this writer that is none."""
        text = secret_key(self.settings, self.root)
        try:
            self.signer = Signer.of(text) if text is not None else None
        except KeyFormatError as error:
            raise UserError(f"the key of this writer cannot be used: {error}", code="cache-key") from error
        except ImportError as error:
            raise UserError("signing needs a package that is not installed", code="cache-key", hint=INSTALL) from error
        if self.settings.trust:
            try:
                is_signed(b"", "", self.settings.trust[0])
            except ImportError as error:
                hint = INSTALL
                raise UserError("'trust' needs a package that is not installed", code="cache-key", hint=hint) from error
        own = (self.signer.public,) if self.signer is not None and self.settings.trust else ()
        self.trusted = (*self.settings.trust, *own)

    def bucket(self) -> Bucket | None:
        """Return the bucket, None if it cannot be used or was given up."""
        with self._lock:
            if self.report.off:
                return None
            if self._connected is None:
                try:
                    from cache.remote.obstore_bucket import ObstoreBucket
                except ImportError:
                    self.report.off = f"the package obstore is not installed ({INSTALL})"
                    return None
                try:
                    self._connected = ObstoreBucket(
                        self.settings.remote, self.settings.timeout / 2, writes=self.settings.writes
                    )
                except BucketError as error:
                    self.report.off = str(error)
                    return None
                if self.settings.writes and self.settings.lease is not None:
                    self.leases = Leases(self._connected, self.again, self.settings.lease)
                    self._renewing = _Renewal(self.leases, self.settings.lease / 3)
            return self._connected

    def ask(self, work: Callable[[], T], *, moves_little: bool = True) -> T:
        """Call the bucket; what fails, or is slow, counts towards giving it up. Raises as `work` does."""
        began = time.monotonic()
        try:
            found = work()
        except AbsentError:
            raise
        except BucketError as error:
            self._note_failure(began, str(error), at_once=isinstance(error, DeniedError))
            raise
        if moves_little and self.again.answered < began:
            self._note_failure(time.monotonic(), "it is too slow", at_once=False)
        return found

    def note_others(self) -> None:
        """Take note that another builder holds a lease now."""
        self._others = time.monotonic()

    def _note_failure(self, began: float, why: str, *, at_once: bool) -> None:
        """Give the bucket up if calls fail in a row, or if it has answered nobody for as long as one may take.

        While other builders are known to be at work, it is worth as long a wait as a builder that has died.
        """
        now = time.monotonic()
        with self._counting:
            since = max(began, self.again.answered)
            if self._failed and self._since >= self.again.answered:
                since = min(since, self._since)
            else:  # it has answered somebody meanwhile
                self._failed = 0
            self._failed, self._since = self._failed + 1, since
            failing = self._failed >= _IN_A_ROW or now - since >= self.settings.timeout * _NEARLY
            lease = self.settings.lease or 0.0
            patience = lease if now - self._others < lease else 0.0
            if at_once or (failing and now - since >= patience):
                self.report.off = self.report.off or why

    def count(self, error: BucketError) -> None:
        """Count a call that failed, unless the report says anyway that the bucket was given up."""
        if not self.report.off or isinstance(error, AbsentError):
            self.report.fail(str(error))

    def read(self, bucket: Bucket, path: str, most: int) -> Stored:
        """Read an object of at most so many bytes. Raises `RefusedError` for a longer one, and `BucketError`."""

        def work() -> Stored:
            try:
                return self.again.call(lambda: bucket.read(path, most))
            except TooLargeError:
                raise RefusedError("is longer than it may be") from None

        return self.ask(work)

    def read_record(self, bucket: Bucket, path: str, key: str) -> Believed:
        """Read a record. What is damaged is read again: it may be whole there. Raises `RefusedError`, `BucketError`."""
        for attempt in range(_READS):
            stored = self.read(bucket, path, MOST_BYTES)
            try:
                found = decoded(stored.data, key, self.trusted)
            except UntrustedError:
                raise
            except RefusedError:
                if attempt == _READS - 1:
                    raise
            else:
                self.modified[key] = stored.modified.timestamp()
                return found
        raise AssertionError("the last attempt returns or raises")

    def is_old(self, key: str) -> bool:
        """Whether a record is to be written again, so that no collection removes what is in use."""
        return time.time() - self.modified.get(key, math.inf) > self.young

    def close(self) -> None:
        """Renew no leases any more."""
        if self._renewing is not None:
            self._renewing.stop()


class _Renewal:
    """Threads that renew leases, each by itself: what goes wrong with one must not cost the others."""

    def __init__(self, leases: Leases, seconds: float) -> None:
        self._leases, self._seconds = leases, seconds
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(_RENEWING, thread_name_prefix="rules-renewing")
        self._thread = threading.Thread(target=self._run, name="rules-leases", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        under_way: dict[str, Future[None]] = {}
        while not self._over.wait(self._seconds):
            under_way = {key: one for key, one in under_way.items() if not one.done()}
            with contextlib.suppress(RuntimeError):  # it has just been ended
                for key in self._leases.held:
                    if key not in under_way:
                        under_way[key] = self._pool.submit(self._renew, key)

    def _renew(self, key: str) -> None:
        with contextlib.suppress(BucketError):  # a lease that cannot be renewed ends, which costs work and no more
            self._leases.renew(key)

    def stop(self) -> None:
        """End the threads."""
        self._over.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
