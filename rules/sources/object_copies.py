"""Copies of objects on this machine, which is all that is read of an object: fetched once, kept in the store.

The digest of an object's bytes is remembered under its identity, so an object whose identity is known is not read
again. A copy is fetched under the identity that was listed and compared with it before and after, and is verified by
the digest of its bytes before each use, so nothing that happens to the object later can come into a table. Of large
objects of Parquet there are only the columns that somebody reads: `rules.sources.object_columns`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cache.downloads import Downloads
from cache.filedigest import file_digest
from cache.remote.bucket import BucketError, SwappedError, UnrangedError
from cache.removal import remove_temporary
from cache.signatures import Signature, signature
from rules.files.lazy_paths import Origin
from rules.formats.row_groups import UncutError
from rules.sources.object_columns import ObjectColumns
from rules.sources.object_stores import ObjectStores, OutsideError, is_settled, side_by_side, unreachable
from rules.sources.object_tables import ObjectTable, folder_of_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from cache.objects import Objects
    from cache.remote.outside_store import ListedObject
    from rules.files.file_digests import FileDigests
    from rules.formats.source import Source
    from rules.formats.source_format import Format, Listing

_ROUNDS = 4
"""So often a source is listed in all, if objects are replaced while they are fetched."""
_LISTINGS, _FETCHES = 16, 8
"""Threads: each waits for the network nearly all the time."""


class ObjectCopies:
    """The objects that sources name, in one run, as they were when the run first asked. Worker threads may share it."""

    def __init__(self, objects: Objects, files: FileDigests) -> None:
        """objects: of the store that holds the copies; files: takes the objects that were looked at."""
        self._objects = objects
        self._files = files
        self._stores = ObjectStores()
        self._columns = ObjectColumns(self._stores, objects.temporary)
        self._by_columns: set[str] = set()
        self._pinned: dict[tuple[str, str | None], tuple[str, ...] | OutsideError] = {}
        self._listed: dict[str, ListedObject] = {}
        self._tables: dict[str, Listing] = {}
        self._copies: dict[str, tuple[Path, Signature]] = {}
        self._verified: FileDigests | None = None
        self._lock = threading.Lock()
        self._fetching: dict[str, threading.Lock] = {}

    def of_sources(self, sources: Mapping[str, Source]) -> dict[str, tuple[str, ...] | OutsideError]:
        """Return the URLs of the objects of sources, by name, or why they cannot be read.

        The digest of each is in `files` then; what is new has been fetched. Later calls of the run say the same.
        """
        wanted = dict.fromkeys((source.path, source.format) for source in sources.values())
        fresh = [one for one in wanted if one not in self._pinned]
        if fresh:
            self._pinned |= zip(fresh, side_by_side(self._settled, fresh, _LISTINGS), strict=True)
        return {name: self._pinned[source.path, source.format] for name, source in sources.items()}

    def _settled(self, source: tuple[str, str | None]) -> tuple[str, ...] | OutsideError:
        """List a source and fetch what is new of it; again if an object is replaced in between."""
        try:
            for last in range(1, _ROUNDS + 1):
                found = self._stores.look(*source)
                try:
                    self._know(source[0], found)
                except SwappedError as error:
                    if last == _ROUNDS:
                        hint = "build again when it is complete"
                        raise OutsideError(f"changed while it was read: {error} ({source[0]})", hint) from error
                else:
                    return tuple(found)
        except OutsideError as error:
            return error
        raise AssertionError("the last round returns or raises")

    def table(self, source: Source, kind: Format) -> Listing:
        """Return the data files of a table on an object store, by URL. Raises `OutsideError` and `ListingError`.

        The digest of each is in `files` then; later calls of the run say the same.
        """
        name = repr(source)
        with self._lock:
            waiting = self._fetching.setdefault(name, threading.Lock())
        with waiting:
            if name not in self._tables:
                self._tables[name] = self._settled_table(source, kind)
            return self._tables[name]

    def _settled_table(self, source: Source, kind: Format) -> Listing:
        folder = folder_of_table(source.path)
        for last in range(1, _ROUNDS + 1):
            found = self._stores.below(folder)
            with tempfile.TemporaryDirectory(prefix="rules-table-") as scratch:
                try:
                    listing = kind.listing(source, ObjectTable(found, Path(scratch), partial(self._files_of, found)))
                    self._know(source.path, {url: found[url] for url in listing.files})
                except SwappedError as error:
                    if last == _ROUNDS:
                        hint = "build again when it is complete"
                        raise OutsideError(f"changed while it was read: {error} ({source.path})", hint) from error
                else:
                    taken = self._stores.identified_together(found)
                    settled = all(map(is_settled, found.values()))
                    self._files.note(source.path, taken, "", settled=settled)
                    return listing
        raise AssertionError("the last round returns or raises")

    def _files_of(self, found: Mapping[str, ListedObject], urls: Iterable[str]) -> dict[str, Path]:
        """Return where copies of objects are that were listed. Raises `SwappedError` and `OutsideError`."""
        wanted = list(urls)
        self._know("", {url: found[url] for url in wanted})
        side_by_side(self.bring, wanted, _FETCHES)
        return {url: self.place(url) for url in wanted}

    def _know(self, path: str, found: Mapping[str, ListedObject]) -> None:
        """Have the digest of each object. Raises `SwappedError` and `OutsideError`."""
        fresh = []
        for url, one in found.items():
            taken = self._stores.identified(url, one)
            version = self._columns.version(url, one, taken)
            digest = self._files.known(url, taken) if is_settled(one) else None
            if version is not None and self._files.known(_by_columns(url), taken) == version:
                self._note(url, one, taken, version, by_columns=True)
            elif digest is not None:
                self._note(url, one, taken, digest)
            else:
                fresh.append((url, one, taken))

        def fetch(one: tuple[str, ListedObject, Signature]) -> None:
            url, listed, taken = one
            version = self._columns.version(url, listed, taken)
            if version is not None and self._begun(url, listed, version):
                self._note(url, listed, taken, version, by_columns=True)
            else:
                self._note(url, listed, taken, self._fetched(url, listed))

        try:
            side_by_side(fetch, fresh, _FETCHES)
        except SwappedError:
            raise
        except BucketError as error:
            raise unreachable(path, error) from error
        except OSError as error:
            raise _full(error) from error

    def _note(self, url: str, one: ListedObject, taken: Signature, digest: str, *, by_columns: bool = False) -> None:
        """Take the digest of an object: of its bytes, or what stands for it where only columns of it are copied."""
        with self._lock:
            self._listed[url] = one
            (self._by_columns.add if by_columns else self._by_columns.discard)(url)
            name = _by_columns(url) if by_columns else None
            self._files.note(url, taken, digest, settled=is_settled(one), remembered_as=name)

    def _fetched(self, url: str, one: ListedObject) -> str:
        """Fetch an object into the store; return the digest of its bytes."""
        target = self._objects.temporary()
        try:
            self._stores.fetch(url, one, target)
            digest = file_digest(target)
            place = self._downloads.place(digest, url)
            self._downloads.add(target, place)
            self._copies[url] = (place, signature(place))
            return digest
        finally:
            remove_temporary(target)

    def _begun(self, url: str, one: ListedObject, version: str) -> bool:
        return self._columns.begin(url, one, version, self._downloads.place(version, url))

    def place(self, url: str) -> Path:
        """Return where the copy of an object of a source is, once `bring` was called."""
        return self._downloads.place(self._files.seen[url][1], url)

    def size(self, url: str) -> int:
        """Return how many bytes an object of a source has."""
        return self._listed[url].size

    def origin(self, url: str) -> Origin | None:
        """Return what tells the object from all others that were or will be at its URL, if there is such a thing."""
        one = self._listed[url]
        return Origin(url, one.etag) if one.etag is not None and one.has_strong_tag else None

    def version(self, url: str) -> str | None:
        """Return what names the version of an object that is copied by columns, None for one that is copied whole."""
        return self._files.seen[url][1] if url in self._by_columns else None

    def bring(self, url: str, columns: Collection[str] | None = None) -> None:
        """Have the copy of an object of a source, fetched again if it is gone. Raises `OutsideError`.

        columns: all that is read of a Parquet file, besides its footer; None: each of its bytes.
        """
        if url in self._copies or (url in self._by_columns and self._columns.has(self.place(url), columns)):
            return
        with self._lock:
            waiting = self._fetching.setdefault(url, threading.Lock())
        with waiting:
            if url in self._by_columns:
                if not self._columns.has(self.place(url), columns):
                    self._bring_columns(url, columns)
            elif url not in self._copies:
                self._copies[url] = self._copy(url)

    def _bring_columns(self, url: str, columns: Collection[str] | None) -> None:
        place, one = self.place(url), self._listed[url]
        with _failures(url):
            try:
                self._columns.bring(url, one, place, columns)
            except (UncutError, UnrangedError):  # once they could be had
                self._columns.bring(url, one, place, None)
        self._downloads.use(place)

    def _copy(self, url: str) -> tuple[Path, Signature]:
        digest, place = self._files.seen[url][1], self.place(url)
        try:
            taken = signature(place)
            if self._digest_of_copy(place) == digest:
                self._downloads.use(place)
                return place, taken
            self._downloads.remove(place)
        except OSError:
            pass  # it is not here: fetch it
        with _failures(url):
            fetched = self._fetched(url, self._listed[url])
        if fetched != digest:
            raise _changed("other bytes have the same ETag", url)
        return self._copies[url]

    def _digest_of_copy(self, place: Path) -> str:
        with self._lock:
            if self._verified is None:
                self._verified = self._files.beside()
            found = self._verified.digest(os.fspath(place))
            self._verified.save()
        return found

    def unchanged(self, url: str) -> bool:
        """Whether the copy of an object, if one was read, is the file that it was then."""
        if url in self._by_columns:
            return self._columns.unchanged(self.place(url))
        if url not in self._copies:
            return True
        place, taken = self._copies[url]
        try:  # another process may have put the same bytes in its place
            return signature(place) == taken or file_digest(place) == self._files.seen[url][1]
        except OSError:
            return False

    @property
    def _downloads(self) -> Downloads:
        root = self._objects.temporary().parent if self._objects.read_only else self._objects.root
        return Downloads(root)


def _by_columns(url: str) -> str:
    """Return the name under which a version is remembered: one that no former version of rules takes for a digest."""
    return f"{url} by columns"


@contextlib.contextmanager
def _failures(url: str) -> Iterator[None]:
    """Raise `OutsideError` for what goes wrong when an object of a source is fetched."""
    try:
        yield
    except SwappedError as error:
        raise _changed(str(error), url) from error
    except BucketError as error:
        raise unreachable(url, error) from error
    except OSError as error:
        raise _full(error) from error


def _changed(how: str, url: str) -> OutsideError:
    hint = "build again: products stay as they are until then"
    return OutsideError(f"changed while it was read: {how} ({url})", hint)


def _full(error: OSError) -> OutsideError:
    return OutsideError(f"cannot be copied into the store: {error.strerror or error}", "make room on its disk")
