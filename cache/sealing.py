"""JSON records that show whether they are what was written: their last member is a checksum of the text before it.

SQLite keeps no checksums of its own, so a flipped bit in a record can give another record. The checksum is no defence
against who may write the store, which nothing in the store can be (see SECURITY.md).
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from cache.untrusted import parsed

_SEAL = re.compile(r'(?:,|(?<=^\{))"crc32":"([0-9a-f]{8})"\}$')


def sealed(record: Mapping[str, Any], encode: Callable[[Any], bytes] | None = None) -> str:
    """Return a record as JSON with its checksum. encode: what writes such JSON, if not `compact`."""
    text = (compact(record) if encode is None else encode(record).decode())[:-1]
    return f'{text}{"," if record else ""}"crc32":"{_checksum(text)}"}}'


def unsealed(text: object) -> dict[str, Any] | None:
    """Return the record that `sealed` was given, None for a text that is no such record."""
    if not (isinstance(text, str) and is_sealed(text)):
        return None
    try:
        record: dict[str, Any] = parsed(text)
    except ValueError:  # by somebody who knows how a checksum is made
        return None
    del record["crc32"]
    return record


def is_sealed(text: str) -> bool:
    """Whether a text is what `sealed` returned, to the last bit."""
    found = _SEAL.search(text, max(0, len(text) - 30))
    return found is not None and _checksum(text[: found.start()]) == found[1]


def compact(value: Any) -> str:
    """Return JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode(errors='surrogatepass')):08x}"
