"""Files of a shared cache: fetched in pieces, continued where they were cut short, and refused if they are others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cache.objects import Objects
from cache.remote.action_records import Table
from cache.remote.bucket import BucketError, Persistent
from cache.remote.envelopes import RefusedError
from cache.remote.layout import object_path
from cache.remote.obstore_bucket import ObstoreBucket
from cache.remote.transfer import PIECE, download, sha256_of, upload

SIZE = 3 * PIECE + 1000
YOUNG = 3600.0


class Cut(ObstoreBucket):
    """A bucket in a folder whose connection ends after some pieces."""

    pieces = 0
    left = 1_000_000

    def read_range(self, path: str, start: int, length: int) -> bytes:
        if self.left == 0:
            raise BucketError("the connection is gone")
        self.left -= 1
        self.pieces += 1
        return super().read_range(path, start, length)


@pytest.fixture
def sent(tmp_path: Path) -> tuple[Cut, Table, bytes]:
    data = os.urandom(SIZE)
    file = tmp_path / "file"
    file.write_bytes(data)
    bucket = Cut(f"file://{tmp_path}/bucket", 5.0)
    sha256 = sha256_of(file)
    assert upload(bucket, Persistent(1.0), sha256, file, over=False, young=YOUNG)
    return bucket, Table("a" * 32, 1, SIZE, "b" * 32, sha256, {}), data


@pytest.mark.slow
def test_a_file_cut_short_is_gone_on_with(tmp_path: Path, sent: tuple[Cut, Table, bytes]) -> None:
    bucket, table, data = sent
    objects = Objects(tmp_path / "store")
    objects.create()
    bucket.left = 2
    with objects.partial(table.sha256) as kept, pytest.raises(BucketError):
        download(bucket, Persistent(0.1), table, tmp_path / "target", kept)
    bucket.left = 1000
    later = Objects(tmp_path / "store")  # of another process
    later.clear_tmp()
    with later.partial(table.sha256) as kept:
        with objects.partial(table.sha256) as held:
            assert held is None
        download(bucket, Persistent(0.1), table, tmp_path / "target", kept)
    assert (tmp_path / "target").read_bytes() == data
    assert bucket.pieces == 4


def test_a_beginning_that_is_damaged_is_fetched_again(tmp_path: Path, sent: tuple[Cut, Table, bytes]) -> None:
    bucket, table, data = sent
    partial = tmp_path / "partial"
    partial.write_bytes(os.urandom(PIECE))
    download(bucket, Persistent(0.1), table, tmp_path / "target", partial)
    assert (tmp_path / "target").read_bytes() == data


def test_other_bytes_are_refused(tmp_path: Path, sent: tuple[Cut, Table, bytes]) -> None:
    bucket, table, data = sent
    place = tmp_path / "bucket" / object_path(table.sha256)
    place.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(RefusedError, match="its bytes are others"):
        download(bucket, Persistent(0.1), table, tmp_path / "target", tmp_path / "partial")
    place.write_bytes(data[:-1])
    with pytest.raises(RefusedError, match="its size is another"):
        download(bucket, Persistent(0.1), table, tmp_path / "target")
    assert not (tmp_path / "target").exists()
