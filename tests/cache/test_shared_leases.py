"""Leases: one of several builders has an action, for as long as it lives, and another one soon after it has died."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cache.remote.bucket import Bucket, BucketError, Persistent, Stored
from cache.remote.layout import lease_path
from cache.remote.leases import Leases
from cache.remote.obstore_bucket import ObstoreBucket

KEY = "0123456789abcdef" * 2
LEASE = 0.4


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return ObstoreBucket(f"file://{tmp_path}/bucket", 5.0)


def builder(bucket: Bucket) -> Leases:
    return Leases(bucket, Persistent(2.0), LEASE)


def test_of_several_builders_at_once_one_has_the_lease(bucket: Bucket) -> None:
    builders = [builder(bucket) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda one: one.claim(KEY), builders))
    assert sorted(claims) == ["busy"] * 7 + ["mine"]
    holder = builders[claims.index("mine")]
    assert holder.claim(KEY) == "mine"
    holder.release(KEY)
    assert builders[0].claim(KEY) == "mine"


@pytest.mark.slow
def test_who_renews_keeps_it_and_who_does_not_loses_it(bucket: Bucket) -> None:
    holder, other = builder(bucket), builder(bucket)
    assert holder.claim(KEY) == "mine"
    until = time.monotonic() + 3 * LEASE
    while time.monotonic() < until:
        holder.renew(KEY)
        assert other.claim(KEY) == "busy"
        time.sleep(LEASE / 10)
    while (claim := other.claim(KEY)) == "busy":
        time.sleep(LEASE / 10)
    assert claim == "mine"
    holder.renew(KEY)  # it was asleep, and does not take back what another one has
    assert holder.claim(KEY) == "busy"


def test_a_lease_that_is_no_lease_ends_too(bucket: Bucket) -> None:
    bucket.write(lease_path(KEY), b"\xff not a lease")
    other = builder(bucket)
    until = time.monotonic() + 60
    while (claim := other.claim(KEY)) == "busy" and time.monotonic() < until:
        time.sleep(LEASE / 10)
    assert claim == "mine"


def test_a_bucket_that_does_not_say_keeps_nobody_waiting(tmp_path: Path) -> None:
    class Silent(ObstoreBucket):
        def create(self, path: str, data: bytes | Path) -> bool:  # noqa: ARG002
            raise BucketError("it did not answer in time")

    silent = Silent(f"file://{tmp_path}/bucket", 5.0)
    assert Leases(silent, Persistent(0.05), LEASE).claim(KEY) == "unknown"


def test_a_lease_that_is_given_back_while_it_is_renewed_is_gone(tmp_path: Path) -> None:
    reading, goes_on = threading.Event(), threading.Event()

    class Slow(ObstoreBucket):
        def read(self, path: str, most: int) -> Stored:
            found = super().read(path, most)
            reading.set()
            assert goes_on.wait(60)
            return found

    holder = builder(Slow(f"file://{tmp_path}/bucket", 5.0))
    assert holder.claim(KEY) == "mine"
    with ThreadPoolExecutor(2) as pool:
        renewing = pool.submit(holder.renew, KEY)
        assert reading.wait(60)
        released = pool.submit(holder.release, KEY)
        time.sleep(0.05)  # it cannot end before the other; sooner or later is the same
        goes_on.set()
        renewing.result()
        released.result()
    assert builder(ObstoreBucket(f"file://{tmp_path}/bucket", 5.0)).claim(KEY) == "mine"
