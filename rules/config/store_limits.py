"""[store] of rules.toml: how long tables that no product needs are kept, and how much space tables may take up."""

from __future__ import annotations

import re

import msgspec

from cache.housekeeping import Limits
from rules.errors import Flaw

_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BYTES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_AGE = re.compile(r"([0-9]{1,9})\s*([a-z]+)")
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([KMGT]?I?)B?")

_AS_SIZE = 'write a size, as in "10GB" or "500MB"'


class StoreTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[store]. keep: "30d", or builds, as in "20 builds". max_size, downloads: "10GB"."""

    keep: str | None = None
    max_size: str | None = None
    downloads: str = "10GB"


def limits_of(table: StoreTable) -> Limits | Flaw:
    """Return what a [store] table asks, or what is wrong with it."""
    seconds, builds, most = None, None, None
    if table.keep is not None:
        found = _AGE.fullmatch(table.keep.strip().lower())
        if found and found[2] in _SECONDS:
            seconds = float(int(found[1]) * _SECONDS[found[2]])
        elif found and found[2] in {"build", "builds"}:
            builds = int(found[1])
        else:
            return Flaw(("keep",), f"'keep' cannot be '{table.keep}'", 'write an age, as in "30d", or "20 builds"')
    if table.max_size is not None:
        most = size_of(table.max_size)
        if most is None:
            return Flaw(("max_size",), f"'max_size' cannot be '{table.max_size}'", _AS_SIZE)
    if size_of(table.downloads) is None:
        return Flaw(("downloads",), f"'downloads' cannot be '{table.downloads}'", _AS_SIZE)
    return Limits(seconds, builds, most)


def size_of(text: str) -> int | None:
    """Return "10GB", "1.5 GiB" or "500000" in bytes, None for what is no size."""
    found = _SIZE.fullmatch(text.strip().upper())
    return int(float(found[1]) * _BYTES[found[2]]) if found and found[2] in _BYTES else None
