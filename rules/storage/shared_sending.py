"""Results on their way to the shared cache: files first, then the record that names them, in the background."""

from __future__ import annotations

import datetime as dt
import functools
import platform
from concurrent.futures import Future, ThreadPoolExecutor, wait
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from cache.remote.action_records import ActionRecord, Maker, Table, encoded
from cache.remote.bucket import AbsentError, Bucket, BucketError
from cache.remote.envelopes import RefusedError, UntrustedError
from cache.remote.layout import action_path
from cache.remote.signing import writer_of
from cache.remote.transfer import sha256_of, upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from cache.records import Artifact
    from rules.storage.shared_cache import SharedCache

_THREADS = 8
_ATTEMPTS = 2
_PATIENCE = 2.0
"""Seconds after which it is said that a build waits for what is being sent."""


class Sender:
    """Sends the results of one command."""

    def __init__(self, shared: SharedCache) -> None:
        self._shared = shared
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="rules-sending")
        self._sending: list[Future[bool]] = []

    def send(self, key: str, artifact: Artifact, seconds: float, *, over: bool = False) -> None:
        """Begin to send a result. over: over the one that is there, which is as old as can be."""
        parts = artifact.parts
        known = self._shared.index.artifacts(parts) if parts else {}
        tables = [known[one] for one in parts if one in known] if parts else [artifact]
        self._sending.append(self._pool.submit(self._send, key, artifact, tables, seconds, over=over))

    def finish(self, *, wait_for_all: bool, say: Callable[[str], None] | None) -> None:
        """Wait for what is being sent, if so wished, and count what was not."""
        if wait_for_all:
            _, left = wait(self._sending, _PATIENCE)
            if left and say is not None:
                say(f"waiting for {len(left):,} results to be sent to the shared cache")
            wait(self._sending)
        self._pool.shutdown(wait=wait_for_all, cancel_futures=True)
        sent = sum(one.done() and not one.cancelled() and one.result() for one in self._sending)
        if self._shared.connection.signer is None and self._shared.settings.trust:
            return  # nobody who believes only some writers would believe it
        self._shared.report.count(unsent=len(self._sending) - sent)

    def _send(self, key: str, artifact: Artifact, tables: list[Artifact], seconds: float, *, over: bool) -> bool:
        """Send a result; return whether others can find it now."""
        try:
            for attempt in range(_ATTEMPTS):
                bucket = self._shared.connection.bucket()
                if bucket is None or not self._shared.is_believed:
                    return False
                try:
                    described = [self._send_table(bucket, one, over=over) for one in tables]
                    return self._record(bucket, self._described(key, artifact, described, seconds), over=over)
                except BucketError as error:  # what was not sent others would run again, so it is worth a second try
                    if attempt == _ATTEMPTS - 1 and not self._shared.report.off:
                        self._shared.report.fail(str(error))
        except OSError as error:
            self._shared.report.fail(f"a result cannot be read: {error.strerror}")
        finally:
            self._shared.release_now(key)
        return False

    def _send_table(self, bucket: Bucket, table: Artifact, *, over: bool) -> Table:
        shared, connection = self._shared, self._shared.connection
        path = shared.objects.path(table.artifact)
        sha256 = sha256_of(path)
        over = over or shared.is_bad_file(sha256)
        again, young = connection.again, connection.young
        if connection.ask(lambda: upload(bucket, again, sha256, path, over=over, young=young), moves_little=False):
            shared.report.count(sent=1, sent_bytes=table.bytes)
        return Table(table.artifact, table.rows, table.bytes, table.file_digest, sha256, table.columns)

    @staticmethod
    def _described(key: str, artifact: Artifact, tables: list[Table], seconds: float) -> ActionRecord:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        facts = (artifact.artifact, artifact.rows, artifact.columns)
        return ActionRecord(key, *facts, tuple(tables), seconds, this_machine(), now)

    def _record(self, bucket: Bucket, record: ActionRecord, *, over: bool) -> bool:
        """Write a record, unless another builder has; return whether there is one now that says the same."""
        shared, connection = self._shared, self._shared.connection
        signer = connection.signer
        data = encoded(record, signer)
        if data is None:
            return False
        path = action_path(record.key)
        if over or shared.is_bad(record.key):
            connection.ask(lambda: connection.again.call(lambda: bucket.write(path, data)))
            shared.recorded[record.key] = data
            return True
        for _ in range(3):
            if connection.ask(lambda: connection.again.call(lambda: bucket.create(path, data))):
                shared.recorded[record.key] = data
                return True
            try:
                believed = connection.read_record(bucket, path, record.key)
            except AbsentError:
                continue  # somebody has just collected it
            except UntrustedError:
                if signer is None:
                    return False
                own = action_path(record.key, writer_of(signer.public))
                connection.ask(lambda at=own: connection.again.call(lambda: bucket.write(at, data)))  # type: ignore[misc]
                shared.recorded[record.key] = data
                return True
            except RefusedError as error:
                shared.report.refuse(str(error))
                connection.ask(lambda: connection.again.call(lambda: bucket.write(path, data)))
                shared.recorded[record.key] = data
                return True
            there = believed.record
            shared.recorded[record.key] = believed.data
            if (there.rows, _types(there)) != (record.rows, _types(record)):  # more than another order of the rows
                shared.report.conflicts.append(record.key)
            return True
        return False


@functools.cache
def this_machine() -> Maker:
    """Return what computes results here."""
    return Maker(_version("leastwork-rules"), f"datafusion {_version('datafusion')}", platform.system(), _processor())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _processor() -> str:
    """Return the kind of processor: floats may differ in their last bits between kinds."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:  # noqa: PTH123 — not a path of ours
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return f"{platform.machine()} {names[0]}" if names else platform.machine()


def _types(record: ActionRecord) -> list[tuple[str, str]]:
    return [(name, kind) for name, (kind, _) in record.columns.items()]
