"""Stat signatures: when an unchanged one proves an unchanged file, and when it proves nothing."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from cache.signatures import Signature, is_settled, signature

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 1_000_000_000
FINE = 1_700_000_000 * SECOND + 123_456_789
WHOLE = 1_700_000_000 * SECOND


def taken(mtime: int, ctime: int | None = None) -> Signature:
    return Signature(10, mtime, mtime if ctime is None else ctime, 1)


def test_a_file_that_was_young_when_it_was_looked_at_proves_nothing() -> None:
    assert not is_settled(taken(FINE), FINE)
    assert not is_settled(taken(FINE), FINE + SECOND // 100)
    assert is_settled(taken(FINE), FINE + SECOND)


def test_whole_seconds_are_taken_for_a_coarse_clock() -> None:
    assert not is_settled(taken(WHOLE), WHOLE + 2 * SECOND)
    assert is_settled(taken(WHOLE), WHOLE + 3 * SECOND)


def test_a_restored_write_time_does_not_hide_a_recent_change() -> None:
    assert not is_settled(taken(FINE - 1000 * SECOND, ctime=FINE), FINE + 1)


def test_a_time_in_the_future_proves_nothing() -> None:
    assert not is_settled(taken(FINE + 100 * SECOND), FINE)


def test_a_file_written_now_is_not_settled_and_soon_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    assert not is_settled(signature(path))
    time.sleep(0.1)
    assert is_settled(signature(path))


def test_a_rewrite_of_the_same_size_with_its_time_restored_changes_the_signature(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("aaaa")
    time.sleep(0.1)
    before = signature(path)
    path.write_text("bbbb")
    os.utime(path, ns=(before.mtime_ns, before.mtime_ns))
    after = signature(path)
    assert after.mtime_ns == before.mtime_ns
    assert after != before


def test_a_replaced_file_has_another_signature(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_text("aaaa")
    other.write_text("bbbb")
    before = signature(path)
    other.replace(path)
    assert signature(path) != before


def test_only_a_regular_file_has_a_signature(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        signature(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        signature(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        signature(tmp_path / "link")
