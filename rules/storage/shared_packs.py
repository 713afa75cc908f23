"""The packs of a shared cache in one command: asked for all at once, in the background, and written over with more."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from cache.remote.bucket import AbsentError, BucketError
from cache.remote.envelopes import RefusedError
from cache.remote.layout import pack_path
from cache.remote.packs import MOST_PACKED, Entry, Kind, merged, pack_address, packed, shard_of, unpacked
from cache.remote.transfer import is_young

if TYPE_CHECKING:
    from rules.storage.shared_connection import SharedConnection

_READS = 3
"""How often a pack is read that is damaged: it may be whole the next time."""
WORTH = 20
"""Packs are asked for once so many things are needed; fewer are asked for, or made, one by one."""


_MOST_KEPT = 512 << 20
"""Bytes of memory that the packs of one command may take; what others hold is looked for elsewhere, or made."""
_AN_ENTRY = 512
"""Bytes of memory that an entry takes beside its data, at most."""
_LARGE = 256 << 10
"""Packs of more bytes are unpacked one at a time, since each may take many times that until it is read."""


class _There(NamedTuple):
    """A pack as it was read. is_old: it would be collected before long; is_left: it was too much to be kept."""

    entries: tuple[Entry, ...]
    is_old: bool = False
    is_left: bool = False


_NOTHING = _There(())


@dataclass
class _Packs:
    """The packs of one kind. asked: those that were asked for, by shard."""

    kind: Kind
    scope: str
    shards: int
    asked: dict[int, Future[_There]] = field(default_factory=dict)

    def address(self, shard: int) -> str:
        return pack_address(self.kind, self.scope, self.shards, shard)


class SharedPacks:
    """The packs that one command reads and writes."""

    def __init__(self, connection: SharedConnection, pool: Callable[[], ThreadPoolExecutor]) -> None:
        self._connection, self._pool = connection, pool
        self._kinds: dict[Kind, _Packs] = {}
        self._writing: list[Future[None]] = []
        self._distrusted: set[Kind] = set()
        self._unpacking, self._keeping = threading.Lock(), threading.Lock()
        self._kept = 0

    def describe(self, kind: Kind, scope: str, shards: int) -> None:
        """Say which packs of a kind this command is about; nothing is asked for yet."""
        self._kinds.setdefault(kind, _Packs(kind, scope, shards))

    def ask(self, kind: Kind, names: Iterable[str]) -> None:
        """Begin to read the packs that some names belong to, unless they are being read already."""
        packs = self._kinds.get(kind)
        if packs is not None and kind not in self._distrusted:
            for shard in sorted({shard_of(name, packs.shards) for name in names} - packs.asked.keys()):
                packs.asked[shard] = self._pool().submit(self._read_and_keep, packs.address(shard))

    def entries(self, kind: Kind) -> list[Entry]:
        """Return the entries of the packs that were asked for."""
        packs = self._kinds.get(kind)
        if packs is None or kind in self._distrusted:
            return []
        return [one for asked in packs.asked.values() for one in asked.result().entries]

    def distrust(self, kind: Kind) -> None:
        """Take no more from packs of a kind in this command, because something in them was wrong."""
        self._distrusted.add(kind)

    def add(self, kind: Kind, fresh: Collection[Entry]) -> None:
        """Begin to add entries to their packs, and to renew the packs that were read and are old."""
        packs = self._kinds.get(kind)
        if packs is None or not self._connection.settings.writes:
            return
        added: dict[int, list[Entry]] = {
            shard: [] for shard, asked in packs.asked.items() if asked.done() and asked.result().is_old
        }
        for one in fresh:
            added.setdefault(shard_of(one.name, packs.shards), []).append(one)
        for shard, entries in added.items():
            self._writing.append(self._pool().submit(self._add, packs, shard, entries))

    def finish(self, *, wait_for_all: bool) -> None:
        """Wait for what is being written."""
        if wait_for_all:
            wait(self._writing)
        self._writing = []

    def _add(self, packs: _Packs, shard: int, fresh: list[Entry]) -> None:
        address = packs.address(shard)
        asked = packs.asked.get(shard)
        there = asked.result() if asked is not None else self._read(address)
        if there.is_left:
            there = self._read(address)
        data = packed(address, merged(fresh, there.entries))
        bucket = self._connection.bucket()
        if data is not None and bucket is not None:
            again = self._connection.again
            try:
                self._connection.ask(lambda: again.call(lambda: bucket.write(pack_path(address), data)))
            except BucketError as error:  # what is not in a pack is found otherwise
                self._connection.count(error)

    def _read_and_keep(self, address: str) -> _There:
        """Read a pack that is kept until the command ends, unless those that are kept take too much memory."""
        there = self._read(address)
        size = sum(_AN_ENTRY + len(one.data) for one in there.entries)
        with self._keeping:
            is_left = self._kept + size > _MOST_KEPT
            self._kept += 0 if is_left else size
        if is_left:
            self._connection.report.refuse("is a pack, and all packs together are larger than this command keeps")
            return there._replace(entries=(), is_left=True)
        return there

    def _read(self, address: str) -> _There:
        """Read a pack. A bucket that does not answer is as good as one that has none."""
        bucket, connection, path = self._connection.bucket(), self._connection, pack_path(address)
        if bucket is None:
            return _NOTHING
        for attempt in range(_READS):
            try:
                stored = connection.read(bucket, path, MOST_PACKED)
                with self._unpacking if len(stored.data) > _LARGE else contextlib.nullcontext():
                    entries = unpacked(stored.data, address)
            except AbsentError:
                return _NOTHING
            except BucketError as error:
                connection.count(error)
                return _NOTHING
            except RefusedError as error:
                if attempt == _READS - 1:
                    connection.report.refuse(str(error))
            else:
                return _There(entries, not is_young(stored.modified, connection.young))
        return _NOTHING
