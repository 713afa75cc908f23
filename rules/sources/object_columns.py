"""Large objects of Parquet, of which only footers and the columns that somebody reads are copied, by ranges.

Such a copy is a file with holes, see `cache.sparse_copies`. Its bytes as a whole have no digest, so it is named by what
names the object's version: its URL and server, its size and its strong ETag, under which each range is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.filedigest import digest_of_bytes, file_digest
from cache.remote.bucket import UnrangedError
from cache.removal import remove_temporary
from cache.sparse_copies import SparseCopy, joined
from rules.files.source_listing import extension_of
from rules.formats.row_groups import UncutError, footer_start, layout
from rules.sources.object_stores import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from cache.remote.outside_store import ListedObject
    from cache.signatures import Signature
    from cache.sparse_copies import Span
    from rules.formats.row_groups import Layout
    from rules.sources.object_stores import ObjectStores

LEAST = 8 << 20
"""Objects of fewer bytes are copied whole: they are here before more requests would be answered."""
_EXTENSIONS = (".parquet", ".pq")
_TAIL = 256 << 10
"""The last bytes of an object, in which most footers and indexes are."""
_GAP = 256 << 10
"""Bytes between two ranges that are rather fetched than asked around."""
_PIECE = 16 << 20
"""Bytes that are asked for at once, at most."""
_REQUESTS = 8
_MOST = 0.75
"""The share of an object that ranges may cost; if they would be more, it is copied whole."""


class ObjectColumns:
    """The columns of large objects that are here, in one run. Worker threads may share it."""

    def __init__(self, stores: ObjectStores, temporary: Callable[[], Path]) -> None:
        """temporary: returns a fresh path in the store's tmp/."""
        self._stores = stores
        self._temporary = temporary
        self._copies: dict[Path, SparseCopy] = {}
        self._layouts: dict[Path, Layout] = {}
        self._brought: dict[Path, frozenset[str] | None] = {}
        """By the place of the copy: the columns that are known to be here, None for all bytes."""
        self._whole: set[str] = set()
        """Versions of which ranges cannot be had."""

    def version(self, url: str, one: ListedObject, taken: Signature) -> str | None:
        """Return what names the version of an object that may be copied by columns, in the form of a digest.

        None for one that is copied whole. taken: what identifies it.
        """
        if one.size < LEAST or not one.has_strong_tag or extension_of(url) not in _EXTENSIONS:
            return None
        found = digest_of_bytes("\0".join(["columns of", url, *map(str, taken)]).encode())
        return None if found in self._whole else found

    def begin(self, url: str, one: ListedObject, version: str, place: Path) -> bool:
        """Have the footer of an object, and where its columns are; False if it has to be copied whole.

        place: of the copy. Raises as `bring` does.
        """
        try:
            self.bring(url, one, place, ())
        except (UncutError, UnrangedError):
            self._whole.add(version)
            return False
        return True

    def has(self, place: Path, columns: Collection[str] | None) -> bool:
        """Whether some columns (None: all bytes) of an object were brought in this run."""
        here = self._brought.get(place, frozenset())
        return here is None or (columns is not None and place in self._brought and here.issuperset(columns))

    def bring(self, url: str, one: ListedObject, place: Path, columns: Collection[str] | None) -> None:
        """Have the footer and some columns of an object, None: all of its bytes. One thread at a time for each.

        Raises `SwappedError`, `BucketError`, `OutsideError` and OSError; `UncutError` and `UnrangedError` for one of
        which ranges cannot be had.
        """
        copy = self._copies.setdefault(place, SparseCopy(place, one.size))
        if columns is None or not self._bring(url, one, copy, columns):
            self._bring_whole(url, one, copy)
            self._brought[place] = None
        else:
            self._brought[place] = (self._brought.get(place) or frozenset()) | frozenset(columns)

    def unchanged(self, place: Path) -> bool:
        """Whether what was read of an object's copy is what was fetched."""
        return place not in self._copies or self._copies[place].is_unchanged()

    def _bring(self, url: str, one: ListedObject, copy: SparseCopy, columns: Collection[str]) -> bool:
        """Fetch ranges, as far as they are missing; False if it is better to fetch the whole."""
        known = self._layouts.get(copy.place)
        fetched = 0
        if known is None:
            fetched += self._fill(url, one, copy, [(max(0, one.size - _TAIL), one.size)])
            fetched += self._fill(url, one, copy, [(footer_start(copy.place), one.size)])
            known = self._layouts[copy.place] = layout(copy.place)
        about = [(known.footer, one.size), *known.indexes]
        missing = copy.missing([*about, *(span for column in columns for span in known.columns.get(column, ()))])
        cost = sum(stop - start for start, stop in joined(missing, _GAP))
        if cost * (1 if self._stores.is_encrypted(url) else 2) > _MOST * one.size:
            return False
        fetched += self._fill(url, one, copy, missing)
        if fetched:
            self._stores.require_same(url, one)
        return True

    def _fill(self, url: str, one: ListedObject, copy: SparseCopy, wanted: Sequence[Span]) -> int:
        """Fetch what is missing of some bytes; return how many that were."""
        spans = joined(copy.missing(wanted), _GAP)
        pieces = [(at, min(at + _PIECE, stop)) for start, stop in spans for at in range(start, stop, _PIECE)]

        def fetch(piece: Span) -> int:
            copy.add([(piece[0], self._stores.fetch_range(url, one, *piece))])
            return piece[1] - piece[0]

        return sum(side_by_side(fetch, pieces, _REQUESTS)) if pieces else 0

    def _bring_whole(self, url: str, one: ListedObject, copy: SparseCopy) -> None:
        if not copy.missing([(0, one.size)]):
            return
        target = self._temporary()
        try:
            self._stores.fetch(url, one, target)
            copy.take(target, file_digest(target))
        finally:
            remove_temporary(target)
