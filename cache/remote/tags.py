"""ETags of S3 that are made of MD5: of an object's bytes, or of the MD5s of the parts in which it was written.

The second kind is the MD5 of those digests, and the number of parts: "…-3". The size of the parts is not said; clients
use few. See "Checking object integrity" in the user guide of Amazon S3.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

_TAG = re.compile(r'"([0-9a-f]{32})(?:-([1-9][0-9]{0,4}))?"')
_MIB = 1 << 20
_SIZES = tuple(one * _MIB for one in (5, 6, 7, 8, 10, 12, 15, 16, 20, 25, 30, 32, 50, 64, 100, 128, 256, 512, 1024))
"""Of the parts that clients write; all but the last have the same."""


def kind_of_tag(tag: str | None) -> Literal["whole", "parts"] | None:
    """Return of what a tag may be the MD5, None for a tag of another form."""
    found = _TAG.fullmatch(tag or "")
    return None if found is None else "whole" if found[2] is None else "parts"


def is_named(tag: str, digest: str, file: Path) -> bool:
    """Whether a tag, which `kind_of_tag` knows, is that of a file. digest: the MD5 of all of it. Raises OSError."""
    found = _TAG.fullmatch(tag)
    assert found is not None
    if found[2] is None:
        return found[1] == digest
    count, size = int(found[2]), file.stat().st_size
    if count == 1:
        return found[1] == _md5(bytes.fromhex(digest))
    fitting = [one for one in _SIZES if (count - 1) * one < size <= count * one]
    return any(found[1] == _of_parts(file, one) for one in fitting)


def _of_parts(file: Path, size: int) -> str:
    digests = b""
    with file.open("rb") as opened:
        while piece := opened.read(size):
            digests += bytes.fromhex(_md5(piece))
    return _md5(digests)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
