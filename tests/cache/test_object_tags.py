"""ETags of S3 that say what the bytes of an object are, however many parts it was written in."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cache.remote.tags import is_named, kind_of_tag

MIB = 1 << 20


def tag_of(data: bytes, part: int) -> str:
    pieces = [data[at : at + part] for at in range(0, len(data), part)]
    digests = b"".join(hashlib.md5(piece, usedforsecurity=False).digest() for piece in pieces)
    return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(pieces)}"'


@pytest.mark.parametrize(
    ("size", "part"), [(3, 5 * MIB), (11 * MIB, 5 * MIB), (16 * MIB, 8 * MIB), (17 * MIB, 8 * MIB)]
)
def test_tags_of_parts(tmp_path: Path, size: int, part: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    file, digest = tmp_path / "object", hashlib.md5(data, usedforsecurity=False).hexdigest()
    file.write_bytes(data)
    tag = tag_of(data, part * MIB)
    assert kind_of_tag(tag) == "parts"
    assert is_named(tag, digest, file)
    damaged = data[:-1] + bytes([data[-1] ^ 1])
    file.write_bytes(damaged)
    assert not is_named(tag, hashlib.md5(damaged, usedforsecurity=False).hexdigest(), file)


def test_other_tags() -> None:
    whole = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
    assert kind_of_tag(f'"{whole}"') == "whole"
    assert is_named(f'"{whole}"', whole, Path("unread"))
    assert not is_named(f'"{whole}"', whole[::-1], Path("unread"))
    assert [kind_of_tag(one) for one in (None, "", '"0x8D"', f'W/"{whole}"', f'"{whole}-0"')] == [None] * 5
