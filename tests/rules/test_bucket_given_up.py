"""When the bucket of a shared cache is given up: once it answers nobody, and not while it is slow or others work."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.remote import bucket as bucket_module
from cache.remote.bucket import AbsentError, Bucket, BucketError
from rules.storage import shared_connection
from rules.storage.shared_connection import SharedConnection
from rules.storage.shared_report import SharedReport
from rules.storage.shared_settings import SharedSettings

TIMEOUT, LEASE = 10.0, 60.0


class Clock:
    """A clock that the test moves on, so that a busy machine decides nothing."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(bucket_module, "time", made)
    monkeypatch.setattr(shared_connection, "time", made)
    return made


@pytest.fixture
def connection(tmp_path: Path) -> SharedConnection:
    settings = SharedSettings(
        f"file://{tmp_path}/bucket", writes=True, lease=LEASE, timeout=TIMEOUT, keep=1000.0, trust=(), key_file=None
    )
    return SharedConnection(settings, tmp_path, SharedReport())


def fail() -> None:
    raise BucketError("it did not answer in time")


def answer(connection: SharedConnection) -> None:
    """Let the bucket answer a lease's request, which no result asks for."""
    with contextlib.suppress(AbsentError):
        connection.again.call(lambda: absent(connection.bucket()))


def absent(bucket: Bucket | None) -> None:
    assert bucket is not None
    bucket.entry("rules-v1/leases/none")


def ask(connection: SharedConnection, work: Callable[[], None]) -> None:
    with contextlib.suppress(BucketError):
        connection.ask(work)


def test_one_call_without_luck_is_no_reason_while_others_are_answered(
    connection: SharedConnection, clock: Clock
) -> None:
    def work() -> None:
        clock.sleep(TIMEOUT)  # for so long it is tried again
        answer(connection)
        fail()

    for _ in range(8):
        ask(connection, work)
    assert not connection.report.off


def test_a_bucket_that_answers_nobody_is_given_up_after_its_time(connection: SharedConnection, clock: Clock) -> None:
    answer(connection)

    def work() -> None:
        clock.sleep(TIMEOUT)
        fail()

    ask(connection, work)
    assert connection.report.off == "it did not answer in time"


def test_six_failures_without_an_answer_are_enough(connection: SharedConnection, clock: Clock) -> None:
    for _ in range(5):
        ask(connection, fail)
    clock.sleep(0.1)
    answer(connection)
    for _ in range(5):
        ask(connection, fail)
    assert not connection.report.off
    ask(connection, fail)
    assert connection.report.off


def test_while_another_builder_is_at_work_it_is_waited_for_as_long_as_for_a_dead_one(
    connection: SharedConnection, clock: Clock
) -> None:
    connection.note_others()
    began = clock.now
    while not connection.report.off and clock.now - began < 10 * LEASE:
        ask(connection, fail)
        clock.sleep(0.5)
    assert LEASE <= clock.now - began < 2 * LEASE


def test_a_bucket_that_is_slow_is_not_given_up_once_it_is_quick_again(
    connection: SharedConnection, clock: Clock
) -> None:
    def slow() -> None:
        connection.again.call(lambda: clock.sleep(TIMEOUT * 0.6))

    for _ in range(2):
        ask(connection, slow)
    answer(connection)
    for _ in range(2):
        ask(connection, slow)
    assert not connection.report.off
    for _ in range(6):
        ask(connection, slow)
    assert connection.report.off == "it is too slow"
