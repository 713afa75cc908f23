"""A bucket of S3, Google Cloud, Azure, or a folder, through obstore.

Credentials come from where obstore looks for them by itself: the environment, or the machine's identity. They are never
asked for here.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import obstore
from obstore import exceptions
from obstore.store import LocalStore, from_url

from cache.remote.bucket import AbsentError, BucketError, Entry, Stored, TooLargeError
from cache.remote.layout import OBJECTS
from cache.remote.obstore_errors import done

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
_TAKEN = (exceptions.AlreadyExistsError, exceptions.PreconditionError)
IN_PIECES = 16 << 20
"""A file from this size on is sent in several requests, which no store can make conditional."""
_LONG = 60.0
_LITTLE = 1 << 20
"""Requests that move more bytes than this may take so many seconds."""
_UNUSUAL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|#\d+\Z")
"""In names of files that obstore gives to no object: control characters, bytes that are no text, numbers of its own."""


class ObstoreBucket:
    """A bucket as obstore has it."""

    def __init__(self, url: str, timeout: float, *, writes: bool = True) -> None:
        """url: s3://, gs://, az:// or file://; timeout: of a request that moves little, in seconds.

        writes: whether a folder that does not exist is made. Raises `BucketError`.
        """
        self._store: Any = done(lambda: _opened(url, timeout, writes=writes))
        self._bulk: Any = done(lambda: _opened(url, max(timeout, _LONG), writes=writes))

    def _for(self, size: int) -> Any:
        """Return the client for a request that moves so many bytes."""
        return self._bulk if size > _LITTLE else self._store

    def read(self, path: str, most: int) -> Stored:
        """As `Bucket` says."""

        def work() -> Stored:
            self._require_file(path)
            found = obstore.get(self._for(most if path.startswith(OBJECTS) else 0), path)
            if found.meta["size"] > most:
                raise TooLargeError("an object is larger than it may be")
            data = bytes(found.bytes())
            if len(data) != found.meta["size"]:
                raise BucketError("an answer was cut short")
            return Stored(data, found.meta["last_modified"])

        return done(work)

    def read_range(self, path: str, start: int, length: int) -> bytes:
        """As `Bucket` says."""

        def work() -> bytes:
            self._require_file(path)
            return bytes(obstore.get_range(self._for(length), path, start=start, length=length))

        return done(work)

    def _require_file(self, path: str) -> None:
        """Raise FileNotFoundError for what is no file in a folder: a pipe would keep whoever opens it for ever."""
        if isinstance(self._store, LocalStore) and not stat.S_ISREG(os.stat(f"{self._store.prefix}/{path}").st_mode):
            raise FileNotFoundError(path)

    def create(self, path: str, data: bytes | Path) -> bool:
        """As `Bucket` says."""

        def work() -> bool:
            try:
                obstore.put(self._for(_size(data)), path, data, mode="create", use_multipart=False)
            except _TAKEN:
                return False
            return True

        return done(work)

    def read_tagged(self, path: str, most: int) -> tuple[bytes, str | None]:
        """Return an object, with the tag by which `exchange` knows it again. Raises as `read` does."""

        def work() -> tuple[bytes, str | None]:
            self._require_file(path)
            found = obstore.get(self._bulk, path)
            if found.meta["size"] > most:
                raise TooLargeError("an object is larger than it may be")
            data = bytes(found.bytes())
            if len(data) != found.meta["size"]:
                raise BucketError("an answer was cut short")
            return data, found.meta["e_tag"]

        return done(work)

    def exchange(self, path: str, data: bytes, tag: str | None) -> bool:
        """Write an object over the one with this tag, None for none. Return False if another one is there."""

        def work() -> bool:
            mode: Any = "create" if tag is None else {"e_tag": tag}
            try:
                obstore.put(self._for(len(data)), path, data, mode=mode, use_multipart=False)
            except _TAKEN:
                return False
            return True

        return done(work)

    def write(self, path: str, data: bytes | Path) -> None:
        """As `Bucket` says."""
        size = _size(data)
        done(lambda: obstore.put(self._for(size), path, data, use_multipart=size >= IN_PIECES))

    def entry(self, path: str) -> Entry:
        """As `Bucket` says."""

        def work() -> Any:
            self._require_file(path)
            return obstore.head(self._store, path)

        found = done(work)
        return Entry(path, found["size"], found["last_modified"], found["e_tag"])

    def remove(self, paths: Iterable[str]) -> None:
        """As `Bucket` says."""
        for path in paths:
            try:
                done(lambda: obstore.delete(self._store, path))  # noqa: B023 — it is called at once
            except AbsentError:
                continue

    def entries(self, prefix: str) -> Iterator[Entry]:
        """As `Bucket` says. In a folder, links and what no bucket could hold are left out."""
        if isinstance(self._store, LocalStore):
            yield from self._files(prefix)
            return
        listed = done(lambda: iter(obstore.list(self._store, prefix)))
        while (page := done(lambda: next(listed, None))) is not None:
            for one in page:
                yield Entry(one["path"], one["size"], one["last_modified"], one["e_tag"])

    def _files(self, prefix: str) -> Iterator[Entry]:
        """List a folder. obstore follows links in it, without end where they loop, and fails at an unusual name."""
        pending = [prefix.rstrip("/")]
        while pending:
            folder = pending.pop()
            files, folders = done(lambda: _in_folder(f"{self._store.prefix}/{folder}"))  # noqa: B023 — called at once
            pending += [f"{folder}/{name}" for name in folders]
            for name in files:
                with contextlib.suppress(AbsentError):  # removed meanwhile
                    yield self.entry(f"{folder}/{name}")


def _in_folder(folder: str) -> tuple[list[str], list[str]]:
    """Return the names of the files and of the folders in a folder, as far as a bucket could have them."""
    try:
        with os.scandir(folder) as entries:
            named = [one for one in entries if not _UNUSUAL.search(one.name)]
    except FileNotFoundError:
        return [], []
    files = [one.name for one in named if one.is_file(follow_symlinks=False)]
    return files, [one.name for one in named if one.is_dir(follow_symlinks=False)]


def _opened(url: str, timeout: float, *, writes: bool) -> Any:
    if url.startswith("file:"):
        return from_url(url, mkdir=writes)
    limit = dt.timedelta(seconds=timeout)
    client: Any = {
        "connect_timeout": limit,
        "timeout": limit,
        "allow_http": any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS),
    }
    # What fails is tried again by who calls, who counts it and bounds it in time.
    return from_url(url, client_options=client, retry_config={"max_retries": 0})


def _size(data: bytes | Path) -> int:
    return len(data) if isinstance(data, bytes) else data.stat().st_size
