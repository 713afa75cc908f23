"""Files of a shared cache on their way into the store: many at once, and many made lasting and known in one go.

A file is compared with its digests and put in place by the thread that has read it. Nobody takes it for there before it
has landed: the folders of all that has come are synchronised once, and one transaction tells the index of all of it.
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.errors import ObjectError, StoreError
from cache.remote.bucket import Bucket, BucketError
from cache.remote.envelopes import RefusedError
from cache.remote.transfer import PIECE, download
from cache.removal import remove_temporary
from cache.table_files import is_table_of

if TYPE_CHECKING:
    from pathlib import Path

    from cache.remote.action_records import Believed, Table
    from rules.storage.shared_cache import SharedCache

_FETCHING, _MOVING = 40, 16
"""Threads: each waits for the network or the disk nearly all the time."""
_AT_ONCE = 512
"""So many tables land together at most."""
_PATIENCE = 0.3
"""Seconds that a table which has come waits for others that are on their way."""


@dataclass(frozen=True)
class _Come:
    """A table whose files are in place. key: of the action that its record is of."""

    artifact: str
    key: str
    believed: Believed
    future: Future[bool]


class Fetching:
    """Fetches tables for one command."""

    def __init__(self, shared: SharedCache) -> None:
        self._shared = shared
        self._pool = ThreadPoolExecutor(_FETCHING, thread_name_prefix="rules-fetching")
        self._moving = ThreadPoolExecutor(_MOVING, thread_name_prefix="rules-moving")
        self._landing = ThreadPoolExecutor(1, thread_name_prefix="rules-landing")
        self._changed = threading.Condition()
        self._fetches: dict[str, Future[bool]] = {}
        self._on_their_way = 0
        self._come: list[_Come] = []
        self._is_landing = False

    def fetch(self, artifact: str) -> Future[bool]:
        """Begin to fetch an artifact, once; its object is in the store when the result is True."""
        with self._changed:
            found = self._fetches.get(artifact)
            if found is None or (found.done() and not self._shared.is_here(artifact)):
                found = self._fetches[artifact] = Future()
                self._on_their_way += 1
                self._pool.submit(self._fetch, artifact, found)
            return found

    def is_under_way(self, artifact: str) -> bool:
        """Whether an artifact is being fetched: its object may be in place, and may not last yet."""
        found = self._fetches.get(artifact)
        return found is not None and not found.done()

    def finish(self, *, wait_for_all: bool) -> None:
        """Begin nothing more, and wait for what is under way, if so wished; what is not here then does not come."""
        self._pool.shutdown(wait=wait_for_all, cancel_futures=True)
        for pool in (self._moving, self._landing):
            pool.shutdown(wait=wait_for_all, cancel_futures=not wait_for_all)
        for future in self._fetches.values():
            _conclude(future, is_here=False)

    def _fetch(self, artifact: str, future: Future[bool]) -> None:
        come = None
        try:
            come = self._brought(artifact, future)
        except BaseException as error:
            future.set_exception(error)
            raise
        finally:
            with self._changed:
                self._on_their_way -= 1
                if come is not None:
                    self._come.append(come)
                    if not self._is_landing:
                        self._is_landing = True
                        self._landing.submit(self._land_all)
                self._changed.notify_all()
        if come is None:
            self._shared.lose(artifact)
            _conclude(future, is_here=False)

    def _brought(self, artifact: str, future: Future[bool]) -> _Come | None:
        """Put the files of a table in place. Returns None if that cannot be."""
        shared = self._shared
        source = shared.source_of(artifact)
        if source is None or not shared.connection.bucket():
            return None
        key, believed = source
        record = believed.record
        try:
            if record.is_in_parts:
                for part in [self._moving.submit(self._download, one, key) for one in record.tables]:
                    part.result()
                shared.objects.adopt_parts(record.artifact, [one.artifact for one in record.tables])
            else:
                self._download(record.tables[0], key)
        except RefusedError as error:
            shared.report.refuse(str(error))
        except BucketError as error:
            shared.connection.count(error)
        except (OSError, ObjectError) as error:
            shared.report.fail(_unstored(error))
        else:
            return _Come(artifact, key, believed, future)
        return None

    def _download(self, table: Table, key: str) -> None:
        """Have the file of a table in the store. key: of the action whose record names it.

        Raises `RefusedError`, `BucketError`, `ObjectError`, OSError.
        """
        objects = self._shared.objects
        if objects.intact(table.artifact, table.bytes, table.file_digest):
            return
        bucket = self._shared.connection.bucket()
        if bucket is None:
            raise BucketError("it is not used any more")
        target = objects.temporary()
        try:
            objects.place(target, table.artifact, (table.bytes, self._read(bucket, table, key, target)))
        except BaseException:
            with contextlib.suppress(OSError):
                remove_temporary(target)
            raise
        self._shared.report.count(fetched=1, fetched_bytes=table.bytes)

    def _read(self, bucket: Bucket, table: Table, key: str, target: Path) -> str:
        """Have the file of a table in `target`; return its xxh3, which is that of its record.

        Whether its rows have the digests that the record says only an audit tells.

        Raises `RefusedError`, `BucketError`, OSError.
        """
        connection = self._shared.connection
        in_pieces = table.bytes > PIECE
        try:
            with self._shared.objects.partial(table.sha256) if in_pieces else contextlib.nullcontext() as kept:
                digest = connection.ask(
                    lambda: download(bucket, connection.again, table, target, kept), moves_little=False
                )
        except RefusedError:
            self._shared.note_bad_file(table.sha256)
            raise
        if digest != table.file_digest or not is_table_of(target, table.rows, table.columns):
            self._shared.note_bad(key)
            raise RefusedError("is not the file that its record describes")
        return digest

    def _land_all(self) -> None:
        """Let what has come last, until nothing more has; what comes soon is waited for."""
        while True:
            with self._changed:
                if not self._come:
                    self._is_landing = False
                    return
                self._changed.wait_for(lambda: len(self._come) >= _AT_ONCE or not self._on_their_way, _PATIENCE)
                landing, self._come = self._come, []
            is_here = False
            try:
                is_here = self._land(landing)
            finally:
                for one in landing:
                    if not is_here:
                        self._shared.lose(one.artifact)
                    _conclude(one.future, is_here=is_here)

    def _land(self, landing: list[_Come]) -> bool:
        """Let the names of objects last, then let the index know them; return whether it does."""
        known = {one.artifact: one for come in landing for one in come.believed.record.artifacts()}
        try:
            self._shared.objects.settle(known)
            self._shared.know(known.values(), [(one.key, one.believed) for one in landing])
        except OSError as error:
            self._shared.report.fail(_unstored(error))
        except StoreError:  # such as a full disk
            pass
        else:
            return True
        return False


def _conclude(future: Future[bool], *, is_here: bool) -> None:
    if not future.done():
        future.set_result(is_here)


def _unstored(error: OSError | ObjectError) -> str:
    return f"a file cannot be stored: {getattr(error, 'strerror', None) or error}"
