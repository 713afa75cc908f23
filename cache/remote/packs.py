"""Packs: many small things of a shared cache in one object, so that a fresh clone asks a few times and not for each.

A pack is found by what its reader knows beforehand: a kind, a scope, and a shard, to which the name of each product
belongs. It holds a few of the last entries of each name, each in an envelope of its own, as its writer signed it. So
whoever adds an entry passes on those of others as they are, and vouches for none. A pack is written over: it is a
place to look first, and what is not in it is looked for elsewhere, or made.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from cache.remote.envelopes import RefusedError, enclosed, opened
from cache.untrusted import decode

PACK_FORMAT = 1
"""Hashed into the names of packs: a version that packs otherwise does not find those of another."""
MOST_PACKED = 16 << 20
"""A longer pack is neither written nor read."""
_MOST_UNPACKED, _MOST_RATIO, _FREE = 128 << 20, 100, 1 << 16
"""Bytes that a pack may have: in all, and for each byte that it has when it is deflated, beside those that are free.

Its entries hold digests and what is deflated already, which hardly shrink.
"""
_MOST_ENTRIES = 1 << 16
_DOMAIN = b"rules shared cache: pack\n"
_A_NAME = 3
"""So many entries of a name are kept, such as those of several branches."""
_SHARDS = ((64, 1), (512, 8), (4096, 32), (32_768, 256))
_MOST_SHARDS = 2048
Kind = Literal["memos", "results"]


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """An entry. key: tells the entries of a name apart; data: the envelope; written: when, in seconds since 1970."""

    name: str
    key: str
    written: float
    data: bytes


class _Pack(msgspec.Struct, frozen=True, array_like=True):
    address: str
    entries: Annotated[tuple[Entry, ...], msgspec.Meta(max_length=_MOST_ENTRIES)]


_PACKS = msgspec.msgpack.Decoder(_Pack)


def shards_of(names: int) -> int:
    """Return into how many packs the entries of so many names are divided.

    It changes at few numbers, as all entries are in other packs then.
    """
    return next((shards for most, shards in _SHARDS if names < most), _MOST_SHARDS)


def shard_of(name: str, shards: int) -> int:
    """Return the pack of a name. Those of checks, which are called "product.title", are in that of their product."""
    return int.from_bytes(hashlib.sha256(name.partition(".")[0].encode()).digest()[:4]) % shards


def pack_address(kind: Kind, scope: str, shards: int, shard: int) -> str:
    """Return the name of a pack, 32 hex digits. scope: of all that decides whether its entries can be of use."""
    text = f"{PACK_FORMAT}\n{kind}\n{shards}\n{shard}\n{scope}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def packed(address: str, entries: Iterable[Entry]) -> bytes | None:
    """Return a pack as it is stored, None if it is too long for that."""
    pack = _Pack(address, tuple(entries))
    body = msgspec.msgpack.encode(pack)
    deflated = zlib.compress(body)
    data = enclosed(deflated, _DOMAIN, None)
    fits = len(pack.entries) <= _MOST_ENTRIES and len(body) <= _most_unpacked(deflated) and len(data) <= MOST_PACKED
    return data if fits else None


def unpacked(data: bytes, address: str) -> tuple[Entry, ...]:
    """Return the entries of a pack, each to be opened by who knows its kind. Raises `RefusedError`."""
    if len(data) > MOST_PACKED:
        raise RefusedError("is longer than a pack may be")
    inflating = zlib.decompressobj()
    deflated = opened(data, _DOMAIN).body
    try:
        found = decode(_PACKS, inflating.decompress(deflated, _most_unpacked(deflated)))
    except (zlib.error, ValueError) as error:
        raise RefusedError("is damaged: it cannot be read") from error
    if found.address != address:
        raise RefusedError("is the pack of another name")
    return found.entries


def _most_unpacked(deflated: bytes) -> int:
    """Return how many bytes a pack may have that was deflated to these, so that a short one cannot fill a memory."""
    return min(_MOST_UNPACKED, _FREE + _MOST_RATIO * len(deflated))


def merged(fresh: Iterable[Entry], there: Iterable[Entry]) -> list[Entry]:
    """Return the entries of a pack to which some are added: the fresh ones first, then the others of their names."""
    found: dict[tuple[str, str], Entry] = {}
    counts = Counter[str]()
    for one in (*fresh, *there):
        if (one.name, one.key) not in found and counts[one.name] < _A_NAME:
            found[one.name, one.key] = one
            counts[one.name] += 1
    return list(found.values())
