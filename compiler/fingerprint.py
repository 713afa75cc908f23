"""Step 3 of 7, fingerprint: 128 bits, equal for two rules only if equal inputs give them the same table."""

from __future__ import annotations

import json
from collections.abc import Mapping

import xxhash

FORMAT = 1
"""Version of the canonical form and of everything hashed here. Raise it if a form comes to mean something else, or if
what is hashed changes: rules of unchanged meaning are not run again because of it (`Work._was_upgraded` in
rules/compiling/compile_rules.py). A new pass needs none: what it leaves alone keeps its fingerprint."""

EXECUTION = 1
"""Version of the execution of queries. Raise it if an earlier version could have computed a wrong table; every rule
then runs again."""


def fingerprint(parts: Mapping[str, object]) -> str:
    """Return the xxh3_128 digest, 32 hex digits, of the parts that decide a rule's result."""
    text = json.dumps({"format": FORMAT, **parts}, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return xxhash.xxh3_128_hexdigest(text.encode())


def digest_of(data: bytes) -> str:
    """Return the xxh3_128 digest of bytes, 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(data)
