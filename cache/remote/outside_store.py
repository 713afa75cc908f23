"""Objects of other people, on S3, Google Cloud, Azure or a web server, through obstore: they are only read.

Credentials come from where obstore looks for them by itself, and for S3 from the files of AWS's own tools; none are
asked for here. See `obstore_errors` for why no text of an error is passed on.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote

import obstore
from obstore import exceptions
from obstore.store import HTTPStore, from_url

from cache.remote.aws_profile import endpoint_of, of_this_process
from cache.remote.bucket import AbsentError, BucketError, Persistent, SwappedError, UnrangedError
from cache.remote.obstore_errors import done
from cache.remote.tags import is_named, kind_of_tag
from cache.removal import cut_short

PIECE = 64 << 20
"""A large object is read in pieces of so many bytes, so that a connection that breaks costs one of them."""
_CHUNK = 4 << 20
_SLOWEST = 128 << 10
"""Bytes a second that a transfer has at least: one that is slower has hung."""
_Span: TypeAlias = tuple[int, int]
_TIME_AND_SIZE = re.compile(r'"([0-9a-f]{1,16})-([0-9a-f]{1,16})"')
_LOCAL_SERVERS = {"az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"), "gs": ("GOOGLE_BASE_URL",)}
"""Variables that name another server than the provider's; those of S3 are in `aws_profile`."""


class ListedObject(NamedTuple):
    """What a server says of an object. etag: in quotes, None where it gives none; modified: in whole seconds, UTC.

    The time is 1970-01-01 where a server gives none.
    """

    path: str
    size: int
    etag: str | None
    modified: dt.datetime

    @property
    def identity(self) -> tuple[str, ...]:
        """What is another one if the bytes are; a time has whole seconds, so it proves nothing of a young object."""
        return (self.etag or "", str(self.size), "" if self.has_strong_tag else self.modified.isoformat())

    @property
    def has_strong_tag(self) -> bool:
        """Whether a server promises another tag for other bytes.

        nginx makes its tags of the second of the last write and the size, and so promises more than it can hold.
        """
        if self.etag is None or self.etag.startswith("W/"):
            return False
        made = _TIME_AND_SIZE.fullmatch(self.etag)
        return made is None or (int(made[1], 16), int(made[2], 16)) != (int(self.modified.timestamp()), self.size)


class OutsideStore:
    """A bucket or a web server that is only read. Worker threads may share it."""

    def __init__(self, base: str, timeout: float) -> None:
        """base: s3://BUCKET, gs://, az://, https://HOST; timeout: in seconds. Raises `BucketError`."""
        self._base = base
        self._timeout = timeout
        self._is_web = base.startswith("http")
        scheme = base.partition(":")[0]
        self._settings = of_this_process() if scheme == "s3" else {}
        if scheme == "s3":
            self.endpoint = endpoint_of(os.environ, self._settings)
        else:
            names = _LOCAL_SERVERS.get(scheme, ())
            self.endpoint = next((os.environ[one] for one in names if os.environ.get(one)), "")
        self._tags_are_md5 = frozenset({"whole", "parts"} if scheme == "s3" else ())
        self._attempts = Persistent(timeout)
        self._lock = threading.Lock()
        self._clients: dict[float, Any] = {}
        self._client(0)

    def entry(self, path: str) -> ListedObject:
        """Ask for one object. Raises `AbsentError` and `BucketError`."""
        return self._attempts.call(lambda: _listed(done(lambda: obstore.head(self._client(0), self._name(path))), path))

    def entries(self, prefix: str) -> list[ListedObject]:
        """Return all objects below a prefix that ends at a slash, "" for all. Raises `BucketError`."""

        def work() -> list[ListedObject]:
            pages = done(lambda: iter(obstore.list(self._client(0), prefix or None, chunk_size=1000)))
            found: list[ListedObject] = []
            while (page := done(lambda: next(pages, None))) is not None:
                found += [_listed(one, one["path"]) for one in page]
            return found

        return self._attempts.call(work)

    def fetch(self, wanted: ListedObject, target: Path) -> None:
        """Write the bytes of an object that was listed. Raises `SwappedError` if it is another one, and `BucketError`.

        It is compared with what was listed before and after its bytes are read. A tag of S3 is mostly the MD5 of the
        bytes, or of those of the parts in which it was written; where it is not, as with encryption by a key of one's
        own, bytes that come twice are taken.
        """
        try:
            digest = self._fetch(wanted, target)
            kind = kind_of_tag(wanted.etag)
            if kind in self._tags_are_md5 and not is_named(wanted.etag or "", digest, target):
                if self._fetch(wanted, target) != digest:
                    raise BucketError("its bytes were damaged on their way")
                self._tags_are_md5 = self._tags_are_md5 - {kind}
            if self.entry(wanted.path).identity != wanted.identity:
                raise SwappedError("the object was replaced while it was read")
        except AbsentError:
            raise SwappedError("the object was removed while it was read") from None

    @property
    def is_encrypted(self) -> bool:
        """Whether nothing can damage the bytes of an answer on their way, without the connection showing it."""
        return not (self._base.startswith("http:") or self.endpoint.startswith("http:"))

    def fetch_range(self, wanted: ListedObject, start: int, stop: int) -> bytearray:
        """Return some bytes of an object that was listed, with a strong tag. At most `PIECE`: they are held in memory.

        No server says a digest of them. Over a connection that does not protect them, they are asked for twice, and
        taken if both answers are alike. Raises `SwappedError` if it is another object, `UnrangedError` if the server
        gives only whole ones, and `BucketError`.
        """

        def once() -> bytearray:
            data = bytearray()
            for chunk in self._chunks(wanted, (start, stop), stop - start):
                data += chunk
                if len(data) > stop - start:
                    break
            if len(data) != stop - start:
                raise BucketError("an answer had another length than the server said")
            return data

        def work() -> bytearray:
            data = once()
            if not self.is_encrypted and once() != data:
                raise BucketError("its bytes were damaged on their way")
            return data

        try:
            return self._attempts.call(work, seconds=self._longest(stop - start))
        except AbsentError:
            raise SwappedError("the object was removed while it was read") from None

    def _fetch(self, wanted: ListedObject, target: Path) -> str:
        """Write the bytes; return their MD5."""
        step = wanted.size if self._is_web or not wanted.has_strong_tag else PIECE
        digest = hashlib.md5(usedforsecurity=False)
        with target.open("wb") as file:
            for start in range(0, max(wanted.size, 1), max(step, 1)):
                length = min(step, wanted.size - start)
                span = None if length == wanted.size else (start, start + length)

                def work(
                    before: Any = digest, start: int = start, length: int = length, span: _Span | None = span
                ) -> Any:
                    cut_short(file, start)
                    fresh = before.copy()
                    count = 0
                    for chunk in self._chunks(wanted, span, length):
                        count += len(chunk)
                        if count > length:
                            break
                        fresh.update(chunk)
                        file.write(chunk)
                    if count != length:
                        raise BucketError("an answer had another length than the server said")
                    return fresh

                digest = self._attempts.call(work, seconds=self._longest(length))
        return digest.hexdigest()

    def _chunks(self, wanted: ListedObject, span: _Span | None, length: int) -> Iterator[memoryview]:
        options: Any = {}
        if wanted.has_strong_tag:
            options["if_match"] = wanted.etag
        if span is not None:
            options["range"] = span

        def begin() -> Any:
            with contextlib.suppress(exceptions.PreconditionError):
                try:
                    return obstore.get(self._client(length), self._name(wanted.path), options=options)
                except exceptions.NotSupportedError:  # what its client of HTTP makes of an answer with the whole
                    raise UnrangedError("it gives no parts of objects") from None
            return None

        found = done(begin)
        if found is None or _listed(found.meta, wanted.path).identity != wanted.identity:
            raise SwappedError("the object was replaced before it was read")
        if span is not None and tuple(found.range) != span:
            raise UnrangedError("it gives other parts of objects than it is asked for")
        stream = done(lambda: iter(found.stream(min_chunk_size=_CHUNK)))
        while (chunk := done(lambda: next(stream, None))) is not None:
            yield memoryview(chunk)

    def _name(self, path: str) -> str:
        """Return what obstore calls an object: it encodes names itself."""
        return unquote(path) if self._is_web else path

    def _longest(self, length: int) -> float:
        return self._timeout + length / _SLOWEST

    def _client(self, length: int) -> Any:
        """Return the client for an answer of so many bytes: one that has as much time as the slowest transfer."""
        size = next((most for most in (_CHUNK, PIECE) if length <= most), length)
        limit = self._timeout if size == _CHUNK else self._longest(size)
        with self._lock:
            if limit not in self._clients:
                self._clients[limit] = done(lambda: self._opened(limit))
            return self._clients[limit]

    def _opened(self, limit: float) -> Any:
        patience = dt.timedelta(seconds=self._timeout)
        client: Any = {
            "connect_timeout": patience,
            "read_timeout": patience,
            "timeout": dt.timedelta(seconds=limit),
            "allow_http": self._base.startswith("http:") or self.endpoint.startswith("http:"),
        }
        retries: Any = {"max_retries": 0}  # `Persistent` tries again, and bounds it in time
        if self._is_web:
            return HTTPStore.from_url(self._base, client_options=client, retry_config=retries)
        config: Any = dict(self._settings)
        if self.endpoint and self._base.startswith("s3:"):
            config["endpoint"] = self.endpoint
        return from_url(self._base, config=config or None, client_options=client, retry_config=retries)


def _listed(meta: Any, path: str) -> ListedObject:
    tag = meta["e_tag"]
    if tag and not tag.endswith('"'):  # the listings of Azure leave out the quotes
        tag = f'"{tag}"'
    return ListedObject(path, meta["size"], tag or None, meta["last_modified"].replace(microsecond=0))
