"""Objects on object stores and web servers: which there are, and under which identity. Light, for the no-op.

An object is known by what its server says of it: its ETag and size, or its time where there is no ETag that promises
anything. Copies of objects are the matter of `rules.sources.object_copies`.
"""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from cache.remote.bucket import AbsentError, BucketError, DeniedError, SwappedError
from cache.signatures import Signature
from rules.files.locations import location_of
from rules.formats.registry import extensions, format_named
from rules.sources.object_names import chosen, is_pattern, prefix_of
from rules.sources.object_tables import folder_of_table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from cache.remote.outside_store import ListedObject, OutsideStore
    from rules.files.locations import Location

T = TypeVar("T")
R = TypeVar("R")
TIMEOUT = 10.0
"""Seconds that all attempts at a small request take."""
_YOUNG = timedelta(minutes=2)
"""An object without an ETag that is younger may change once more without another time; clocks differ, too."""
_NEVER = datetime(1971, 1, 1, tzinfo=UTC)
"""Before this are the times of objects of which a server gives none."""


class OutsideError(Exception):
    """Objects cannot be listed or read. problem: a clause, after "the source 'x'"; hint: what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def side_by_side(work: Callable[[T], R], items: Collection[T], most: int) -> list[R]:
    """Return what `work` returns of each item, in their order, in `most` threads; raises what it raises first.

    Nobody who interrupts this waits for answers of servers: threads that still do are left alone.
    """
    pool = ThreadPoolExecutor(max(1, min(most, len(items))))
    try:
        return list(pool.map(work, items))
    except BaseException as error:
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    finally:
        pool.shutdown(wait=False)


class ObjectStores:
    """The buckets and web servers that one run reads from. Worker threads may share it."""

    def __init__(self, timeout: float | None = None) -> None:
        """timeout: seconds that all attempts at a small request take, by default `TIMEOUT`."""
        self._timeout = timeout
        self._stores: dict[str, OutsideStore] = {}
        self._lock = threading.Lock()

    def look(self, path: str, declared: str | None) -> dict[str, ListedObject]:
        """Return the objects that a source's path means now, by URL, sorted: one request, or a listing.

        path: a URL of an object, a folder or a pattern; declared: the format, by name. Raises `OutsideError`.
        """
        place = location_of(path)
        store = self._store(place)
        try:
            found = _meant(store, place, declared)
        except BucketError as error:
            raise unreachable(path, error) from error
        if not found:
            raise OutsideError(f"matches no object: {path}", "look at the bucket and the key, letter by letter")
        return {place.url(one.path): one for one in sorted(found, key=lambda one: one.path)}

    def below(self, folder: str) -> dict[str, ListedObject]:
        """Return all objects of a table's folder, by URL, sorted. Raises `OutsideError`."""
        place = location_of(folder)
        try:
            found = self._store(place).entries(prefix_of(place.path))
        except BucketError as error:
            raise unreachable(folder, error) from error
        return {place.url(one.path): one for one in sorted(found, key=lambda one: one.path)}

    def signatures(self, path: str, declared: str | None) -> dict[str, Signature]:
        """Return by URL what identifies the objects that a source's path means now. Raises `OutsideError`.

        Of a table that says itself which files it has, it is one for all objects of its folder, under its path.
        """
        kind = format_named(declared) if declared is not None else None
        if kind is not None and kind.lists_files:
            return {path: self.identified_together(self.below(folder_of_table(path)))}
        return {url: self.identified(url, one) for url, one in self.look(path, declared).items()}

    def identified_together(self, found: Mapping[str, ListedObject]) -> Signature:
        """Return what identifies all of these objects together."""
        taken = [f"{url} {self.identified(url, one)}" for url, one in found.items()]
        return _signature("\n".join(taken), sum(one.size for one in found.values()))

    def identified(self, url: str, one: ListedObject) -> Signature:
        """Return what identifies an object, in the form of the signature of a file."""
        text = "\0".join((*one.identity, self._store(location_of(url)).endpoint))
        return _signature(text, one.size)

    def fetch(self, url: str, one: ListedObject, target: Path) -> None:
        """Write the bytes of an object that was listed. Raises as `OutsideStore.fetch` does, and `OutsideError`."""
        self._store(location_of(url)).fetch(one, target)

    def fetch_range(self, url: str, one: ListedObject, start: int, stop: int) -> bytearray:
        """Return some bytes of an object. Raises as `OutsideStore.fetch_range` does, and `OutsideError`."""
        return self._store(location_of(url)).fetch_range(one, start, stop)

    def is_encrypted(self, url: str) -> bool:
        """Whether the connection to the server of an object protects what comes over it. Raises `OutsideError`."""
        return self._store(location_of(url)).is_encrypted

    def require_same(self, url: str, one: ListedObject) -> None:
        """Raise `SwappedError` if an object is not the one that was listed any more, and as `fetch` does."""
        try:
            found = self._store(location_of(url)).entry(one.path)
        except AbsentError:
            raise SwappedError("the object was removed while it was read") from None
        if found.identity != one.identity:
            raise SwappedError("the object was replaced while it was read")

    def _store(self, place: Location) -> OutsideStore:
        with self._lock:
            if place.base not in self._stores:
                try:
                    from cache.remote.outside_store import OutsideStore
                except ImportError as error:
                    message = f"is on {place.scheme}://, for which obstore is not installed"
                    raise OutsideError(message, "pip install 'leastwork-rules[remote]'") from error
                try:
                    self._stores[place.base] = OutsideStore(place.base, self._timeout or TIMEOUT)
                except BucketError as error:
                    raise unreachable(place.base, error) from error
            return self._stores[place.base]


def _signature(text: str, size: int) -> Signature:
    digest = hashlib.blake2b(text.encode(), digest_size=24).digest()
    numbers = [int.from_bytes(digest[at : at + 8], "big") >> 1 for at in (0, 8, 16)]
    return Signature(size, *numbers)


def _meant(store: OutsideStore, place: Location, declared: str | None) -> list[ListedObject]:
    if not is_pattern(place.path) and place.path and not place.path.endswith("/"):
        try:
            return [store.entry(place.path)]
        except AbsentError:
            if not place.lists:
                raise
    if not place.lists:
        url = place.url(place.path)
        raise OutsideError(f"is a folder of a web server: {url}", "declare a source for each file of it")
    return chosen(place.path, store.entries(prefix_of(place.path)), declared, extensions())


def is_settled(one: ListedObject) -> bool:
    """Whether other bytes would have another identity: an ETag says so, a time only once it is some time ago."""
    return one.has_strong_tag or _NEVER < one.modified < datetime.now(UTC) - _YOUNG


def unreachable(url: str, error: BucketError) -> OutsideError:
    """Return what to say of an object, or several, that a server does not give."""
    if isinstance(error, AbsentError):
        return OutsideError(f"does not exist: {url}", "look at the bucket and the key, letter by letter")
    if isinstance(error, DeniedError):
        hint = _CREDENTIALS.get(url.partition("://")[0], "the server asks for a user, and rules sends none")
        return OutsideError(f"cannot be read: {error} ({url})", hint)
    hint = "is this machine online, and the endpoint right? Products stay as they are; build again then"
    return OutsideError(f"cannot be read: {error} ({url})", hint)


_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (a public bucket: AWS_SKIP_SIGNATURE=true)",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS (a public bucket: GOOGLE_SKIP_SIGNATURE=true)",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (a public one: AZURE_SKIP_SIGNATURE=true)",
}
