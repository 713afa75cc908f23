"""Leases on actions: who computes what, so that builders that start together share the work.

A lease spreads work and decides nothing: without one, or with two, an action is computed twice and its record is the
same. A lease is an object that its holder creates, renews by writing a new number, and removes. No clocks are compared:
who waits sees whether the number changes, and takes over a lease that has been still for as long as it says.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec

from cache.remote.bucket import AbsentError, BucketError
from cache.remote.layout import lease_path
from cache.untrusted import decode

if TYPE_CHECKING:
    from cache.remote.bucket import Bucket, Persistent

Claim = Literal["mine", "busy", "unknown"]
_MOST_BYTES = 1024
_LONGEST = 600.0


class _Lease(msgspec.Struct, frozen=True):
    holder: str
    seconds: float
    renewed: int = 0


_LEASES = msgspec.json.Decoder(_Lease)


@dataclass
class _Seen:
    """A lease of somebody else, as it was first seen like this. since: by `time.monotonic`."""

    lease: _Lease
    since: float


@dataclass
class Leases:
    """The leases of one builder. Worker threads may share it."""

    bucket: Bucket
    again: Persistent
    seconds: float
    holder: str = field(default_factory=lambda: os.urandom(16).hex())
    _held: dict[str, int] = field(default_factory=dict)
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _guards: dict[str, threading.Lock] = field(default_factory=dict)

    def claim(self, key: str) -> Claim:
        """Take the lease of an action, if nobody holds it. "unknown": the bucket does not say, so nobody waits."""
        path = lease_path(key)
        try:
            found = self._read(path) if key in self._seen else None  # who asks again need not try to write
            if found is None:
                if self.again.call(lambda: self.bucket.create(path, self._text(0))):
                    return self._take(key)
                found = self._read(path)
            if found is None:  # it was released meanwhile, or is none
                return "busy"
            if found.holder == self.holder:  # the answer to our own request was lost
                return self._take(key)
            if not self._is_still(key, found):
                return "busy"
            if self._read(path) == found:
                self.again.call(lambda: self.bucket.remove([path]))
            self._seen.pop(key, None)
            return self._take(key) if self.again.call(lambda: self.bucket.create(path, self._text(0))) else "busy"
        except BucketError:
            return "unknown"

    def renew(self, key: str) -> None:
        """Tell those who wait for an action that its holder is alive; a lease that was taken over stays.

        Raises `BucketError`.
        """
        path = lease_path(key)
        with self._guard(key):  # else one that is given back meanwhile would be written once more
            renewed = self._held.get(key)
            found = self._read(path) if renewed is not None else None
            if renewed is not None and found is not None and found.holder == self.holder:
                self._held[key] = renewed + 1
                self.again.call(lambda: self.bucket.write(path, self._text(renewed + 1)))

    def release(self, key: str) -> None:
        """Give a lease back, once the record of its action is there, or cannot be. Raises `BucketError`."""
        with self._guard(key):
            if self._held.pop(key, None) is not None:
                path = lease_path(key)
                self.again.call(lambda: self.bucket.remove([path]))
        self._guards.pop(key, None)

    def _guard(self, key: str) -> threading.Lock:
        """Return the lock of who renews or gives back a lease."""
        return self._guards.setdefault(key, threading.Lock())

    @property
    def held(self) -> list[str]:
        """The keys of the actions whose leases this builder holds."""
        return list(self._held)

    def _take(self, key: str) -> Claim:
        self._held[key] = 0
        self._seen.pop(key, None)
        return "mine"

    def _is_still(self, key: str, found: _Lease) -> bool:
        now = time.monotonic()
        seen = self._seen.get(key)
        if seen is None or seen.lease != found:
            self._seen[key] = _Seen(found, now)
            return False
        return now - seen.since >= min(max(found.seconds, 0.0), _LONGEST)

    def _read(self, path: str) -> _Lease | None:
        """Return a lease, None where there is none. A damaged one is its own, and ends as others do."""
        try:
            data = self.again.call(lambda: self.bucket.read(path, _MOST_BYTES)).data
        except AbsentError:
            return None
        try:
            return decode(_LEASES, data)
        except ValueError:
            return _Lease("", self.seconds)

    def _text(self, renewed: int) -> bytes:
        return msgspec.json.encode(_Lease(self.holder, self.seconds, renewed))
