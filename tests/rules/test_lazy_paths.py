"""Paths of files that are not here yet: who brings what of them, and when."""

from __future__ import annotations

import pickle
from collections.abc import Collection
from pathlib import Path

import pytest

from rules.files.lazy_paths import LazyPath, having, lazy_path, size_of

Brought = list[tuple[str, ...] | None]


@pytest.fixture
def brought() -> Brought:
    return []


@pytest.fixture
def path(tmp_path: Path, brought: Brought) -> LazyPath:
    place = tmp_path / "t.parquet"

    def bring(columns: Collection[str] | None) -> None:
        brought.append(None if columns is None else tuple(columns))
        place.write_bytes(b"here")

    return lazy_path(place, 4, bring)


def test_a_name_and_a_size_bring_nothing(path: LazyPath, brought: Brought) -> None:
    assert path.name == "t.parquet"
    assert size_of(having(path, ["a"])) == 4
    assert having(path, ["a"]) == path
    assert brought == []


def test_who_says_no_columns_gets_the_whole(path: LazyPath, brought: Brought) -> None:
    assert path.read_bytes() == b"here"
    assert set(brought) == {None}


def test_who_says_columns_gets_these_at_least(path: LazyPath, brought: Brought) -> None:
    narrow = having(path, ["a", "b"])
    assert narrow.is_file()
    assert having(narrow, ()).stat().st_size == 4
    assert set(brought) == {("a", "b"), ()}
    assert having(narrow.parent / "other", ["a"]) == narrow.parent / "other"


def test_another_process_gets_the_file(path: LazyPath, brought: Brought) -> None:
    found = pickle.loads(pickle.dumps(having(path, ["a"])))  # noqa: S301 — our own
    assert brought == [("a",)]
    assert type(found) is type(Path())
    assert found.read_bytes() == b"here"
