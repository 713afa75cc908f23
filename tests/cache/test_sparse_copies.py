"""Copies with holes: what is missing, what was damaged, and several who add to one."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cache.downloads import Downloads
from cache.sparse_copies import SparseCopy, joined

DATA = bytes(range(256)) * 400
SIZE = len(DATA)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / ("ab" * 16) / "data.parquet"


def piece(start: int, stop: int) -> tuple[int, bytes]:
    return start, DATA[start:stop]


def test_what_was_never_added_is_missing(place: Path) -> None:
    copy = SparseCopy(place, SIZE)
    assert copy.missing([(0, 10), (5, 20), (30, 30)]) == [(0, 20)]
    copy.add([piece(SIZE - 100, SIZE), piece(10, 20)])
    assert copy.missing([(0, 30), (SIZE - 50, SIZE)]) == [(0, 10), (20, 30)]
    assert place.read_bytes()[10:20] == DATA[10:20]
    assert place.stat().st_size == SIZE
    again = SparseCopy(place, SIZE)
    assert again.missing([(0, SIZE)]) == [(0, 10), (20, SIZE - 100)]
    assert again.is_unchanged()


def test_bytes_that_were_written_over_are_missing(place: Path) -> None:
    copy = SparseCopy(place, SIZE)
    copy.add([piece(0, 10), piece(20, 30)])
    assert copy.is_unchanged()
    with place.open("r+b") as file:
        file.seek(25)
        file.write(b"X")
    assert not copy.is_unchanged(), "somebody may have read it"
    assert copy.missing([(0, 10), (20, 30)]) == [(20, 30)]
    assert SparseCopy(place, SIZE).missing([(0, 10), (20, 30)]) == [(20, 30)]
    copy.add([piece(20, 30)])
    assert copy.missing([(0, 10), (20, 30)]) == []
    assert copy.is_unchanged(), "it is what was fetched, again"


def test_a_copy_that_is_gone_is_missing(place: Path) -> None:
    copy = SparseCopy(place, SIZE)
    copy.add([piece(0, 10)])
    place.unlink()
    assert copy.missing([(0, 10)]) == [(0, 10)]
    assert not copy.is_unchanged()


def test_of_another_size_nothing_is_believed(place: Path) -> None:
    SparseCopy(place, SIZE).add([piece(0, 10)])
    assert SparseCopy(place, SIZE + 1).missing([(0, 10)]) == [(0, 10)]


@pytest.mark.parametrize("record", [b"", b"[]", b'{"format": 2, "size": 102400, "runs": []}', b"\xff", b'{"runs": 1}'])
def test_a_record_that_is_none(place: Path, record: bytes) -> None:
    SparseCopy(place, SIZE).add([piece(0, 10)])
    place.with_name("runs.json").write_bytes(record)
    assert SparseCopy(place, SIZE).missing([(0, 10)]) == [(0, 10)]


def test_the_whole_takes_the_place_of_the_parts(place: Path, tmp_path: Path) -> None:
    copy = SparseCopy(place, SIZE)
    copy.add([piece(0, 10)])
    from cache.filedigest import file_digest

    whole = tmp_path / "whole"
    whole.write_bytes(DATA)
    copy.take(whole, file_digest(whole))
    assert copy.missing([(0, SIZE)]) == []
    assert copy.is_unchanged()
    assert SparseCopy(place, SIZE).missing([(0, SIZE)]) == []


@pytest.mark.slow
def test_several_add_at_once(place: Path) -> None:
    copies = [SparseCopy(place, SIZE) for _ in range(4)]
    spans = [(at, min(at + 997, SIZE)) for at in range(0, SIZE, 997)]

    def work(number: int) -> None:
        for span in spans[number::4]:
            copies[number].add([piece(*span)])

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert SparseCopy(place, SIZE).missing([(0, SIZE)]) == []
    assert place.read_bytes() == DATA
    assert all(one.is_unchanged() for one in copies)


def test_links_are_not_followed(place: Path, tmp_path: Path) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    place.parent.parent.mkdir()
    place.parent.symlink_to(elsewhere)
    with pytest.raises(NotADirectoryError):
        SparseCopy(place, SIZE).add([piece(0, 10)])
    assert not list(elsewhere.iterdir())
    place.parent.unlink()
    place.parent.mkdir()
    (elsewhere / "mine").write_bytes(b"mine")
    place.symlink_to(elsewhere / "mine")
    with pytest.raises(OSError, match=r"[Ll]ink|symbolic"):
        SparseCopy(place, SIZE).add([piece(0, 10)])
    assert (elsewhere / "mine").read_bytes() == b"mine"


def test_holes_take_no_room(tmp_path: Path) -> None:
    downloads = Downloads(tmp_path)
    copy = SparseCopy(downloads.place("ab" * 16, "t.parquet"), 1 << 30)
    copy.add([(0, b"x" * 5000), ((1 << 30) - 8, b"y" * 8)])
    assert 5000 <= downloads.bytes() < 1 << 20
    downloads.trim(0)
    assert downloads.bytes() == 0


def test_spans_that_are_near_are_one() -> None:
    assert joined([(30, 40), (0, 10), (12, 20), (15, 18), (5, 5)], 2) == [(0, 20), (30, 40)]
