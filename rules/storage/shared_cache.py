"""The shared cache of one command: it is asked for results, is sent results, and is never in the way.

Whatever the bucket does, a build ends as it would without: a call that fails is tried again for a bounded time, and
after some that failed in a row the bucket is not asked any more in this command. What comes from it is compared with
digests before anybody sees it. What went wrong is said once, in the end.
"""

from __future__ import annotations

import contextlib
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cache.remote.action_records import ActionRecord, Believed, decoded
from cache.remote.bucket import AbsentError, Bucket, BucketError
from cache.remote.envelopes import RefusedError, UntrustedError
from cache.remote.layout import action_path
from cache.remote.packs import Entry
from cache.remote.signing import writer_of
from rules.storage.shared_connection import SharedConnection
from rules.storage.shared_fetching import Fetching
from rules.storage.shared_packs import SharedPacks
from rules.storage.shared_report import SharedReport
from rules.storage.shared_settings import SharedSettings

if TYPE_CHECKING:
    from pathlib import Path

    from cache.objects import Objects
    from cache.records import Artifact
    from cache.store_index import StoreIndex
    from rules.storage.shared_sending import Sender

Answer = Literal["found", "mine", "busy", "free", "unsure"]
Columns = tuple[tuple[str, str], ...]
"""Names and types of the columns that an action yields."""
_ASKING, _PACKING = 32, 16
"""Threads: each waits for the network nearly all the time."""
_HURRY = 1.0
"""Seconds that a command which was interrupted takes to give its leases back."""


@dataclass
class SharedCache:
    """A shared cache, connected once it is asked for something."""

    settings: SharedSettings
    root: Path
    index: StoreIndex
    objects: Objects
    report: SharedReport = field(default_factory=SharedReport)

    def __post_init__(self) -> None:
        self.connection = SharedConnection(self.settings, self.root, self.report)
        self._lock = threading.RLock()
        self.packs = SharedPacks(self.connection, lambda: self._pool("packs", _PACKING))
        self._records: dict[str, Believed | None] = {}
        self._packed: dict[str, list[Entry]] | None = None
        """The records of actions that packs hold, by key."""
        self._names: dict[str, str] = {}
        """The products and checks whose results were taken or told, by key."""
        self.recorded: dict[str, bytes] = {}
        """The records that this command has written, or found where it was about to."""
        self._denied = self.index.denied_shared()
        self._sources: dict[str, tuple[str, Believed]] = {}
        self._bad: set[str] = set()
        """Keys whose records are damaged: what replaces one is written over it."""
        self._bad_files: set[str] = set()
        self._lost: set[str] = set()
        self._told: set[str] = set()
        self._found: set[str] = set()
        self._fetching: Fetching | None = None
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._sender: Sender | None = None

    # Asking

    def look_up(self, wanted: Mapping[str, Columns | None]) -> None:
        """Ask for the records of actions, by key, many at once; `record` has them then, with just these columns."""
        fresh = {key: columns for key, columns in wanted.items() if key not in self._records}
        if fresh:
            fresh = {key: columns for key, columns in fresh.items() if not self._unpack(key, columns)}
        pool = self._pool("asking", _ASKING)
        for future in [pool.submit(self._find, key, columns) for key, columns in fresh.items()]:
            future.result()

    def record(self, key: str) -> ActionRecord | None:
        """Return the record of an action that was asked for and found."""
        found = self._records.get(key)
        return found.record if found is not None and found.record.artifact not in self._lost else None

    def was_asked(self, key: str) -> bool:
        """Whether an action was asked for, and the bucket answered."""
        return key in self._records

    def claim(self, key: str, columns: Columns | None) -> Future[Answer]:
        """Ask for an action that is about to run.

        "found": `record` has it; "mine": others leave it to this builder, which calls `release`, or tells the result;
        "busy": another builder is at it: ask again soon; "free": run it; "unsure": the bucket did not say, though it
        does say others: ask again, and after some times run it.
        """
        return self._pool("asking", _ASKING).submit(self._claim, key, columns)

    @property
    def is_believed(self) -> bool:
        """Whether those who share this configuration believe what this builder sends."""
        return not self.settings.trust or self.connection.signer is not None

    @property
    def spreads_work(self) -> bool:
        """Whether builders leave actions to one another."""
        return self.settings.writes and self.settings.lease is not None

    def release(self, key: str) -> None:
        """Let others run an action that was claimed, unless its result is on its way to them."""
        leases = self.connection.leases
        if leases is not None and key in leases.held and key not in self._told:
            self._pool("asking", _ASKING).submit(self._release, key)

    def has(self, artifact: str) -> bool:
        """Whether an artifact that is not in the store can be fetched, as far as known."""
        return artifact not in self._lost and not self.report.off and self._source(artifact) is not None

    def was_found(self, artifact: str) -> bool:
        """Whether this command has found an artifact in the shared cache."""
        return artifact in self._found

    def source(self, artifact: str) -> ActionRecord | None:
        """Return the record by which an artifact can be fetched, or was."""
        found = self._source(artifact)
        return found[1].record if found is not None else None

    # Whom to believe

    def require_trust(self) -> int:
        """Forget what came here from writers that are not trusted any more; return how many results that were.

        It is looked for when the list of those who are trusted has changed since it was last looked for.
        """
        trusted = self.connection.trusted
        listed = " ".join(sorted(self.settings.trust))
        if (self.index.trusted_before() or "") == listed:
            return 0
        distrusted: set[str] = set()
        theirs = self.index.shared_results(self.index.every_shared()) if trusted else {}
        for artifact, (key, packed) in theirs.items():
            try:
                decoded(zlib.decompress(packed), key, trusted)
            except (RefusedError, zlib.error):
                distrusted.add(artifact)
        writers = self.index.shared_writers() if trusted else set()
        self.index.set_trusted(listed, distrusted, forget_memos=not writers <= set(trusted))
        return len(distrusted)

    def deny(self, key: str, artifact: str) -> None:
        """Never believe again that an action yields an artifact; whoever computes the action says so over it."""
        self.index.deny_shared(key, artifact)
        self._denied.add((key, artifact))

    # Fetching

    def fetch(self, artifact: str) -> Future[bool]:
        """Begin to fetch an artifact, once; its object is in the store when the result is True."""
        with self._lock:
            if self._fetching is None:
                self._fetching = Fetching(self)
            return self._fetching.fetch(artifact)

    def is_under_way(self, artifact: str) -> bool:
        """Whether an artifact is being fetched: its object may be in place, and may not last yet."""
        return self._fetching is not None and self._fetching.is_under_way(artifact)

    # Telling

    def keep_source(self, artifact: str) -> None:
        """Let the store know an artifact that was found and not fetched: it can be fetched by any later command."""
        found = self._sources.get(artifact)
        if found is None or self.is_here(artifact):
            return
        with self.index.transaction():
            for one in found[1].record.artifacts():
                if one.artifact not in self.index.artifacts([one.artifact]):
                    self.index.add_artifact(one, "")
            self._remember([found])

    def tell(self, key: str, artifact: Artifact, seconds: float, name: str | None = None) -> None:
        """Send the result of an action, in the background, unless it came from there.

        name: of the product or check whose result it is, None for that of a part.
        """
        if name is not None:
            self._names[key] = name
        record = self.record(key)
        is_theirs = record is not None and record.artifact == artifact.artifact
        is_old = self.connection.is_old(key)
        if not self.settings.writes or (is_theirs and not is_old):
            return
        if not self._holds(artifact):  # it is in the shared cache alone
            return
        if self.report.off:
            self.report.count(unsent=int(self.is_believed))
            return
        with self._lock:
            self._told.add(key)
            if self._sender is None:
                from rules.storage.shared_sending import Sender

                self._sender = Sender(self)
            self._sender.send(key, artifact, seconds, over=is_theirs)

    def finish(self, *, wait_for_all: bool = True, say: Callable[[str], None] | None = None) -> SharedReport:
        """Wait for what is being sent, give leases back, and return what the command had of the shared cache."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.finish(wait_for_all=wait_for_all, say=say)
        if wait_for_all:
            self._pack_results()
        self.packs.finish(wait_for_all=wait_for_all)
        fetching, self._fetching = self._fetching, None
        if fetching is not None:
            fetching.finish(wait_for_all=wait_for_all)
        leases = self.connection.leases
        if leases is not None:
            pool = self._pool("asking", _ASKING)
            wait([pool.submit(self._release, key) for key in leases.held], None if wait_for_all else _HURRY)
        self.connection.close()
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.shutdown(wait=wait_for_all, cancel_futures=True)
        self.report.retries = self.connection.again.retries
        return self.report

    # What fetching and sending ask and tell

    def source_of(self, artifact: str) -> tuple[str, Believed] | None:
        """Return the action that yields an artifact, with its record, if it can be fetched."""
        return self._source(artifact)

    def lose(self, artifact: str) -> None:
        """Take note that an artifact could not be fetched."""
        self._lost.add(artifact)

    def note_bad_file(self, sha256: str) -> None:
        """Take note that a file has not the bytes that it is named by."""
        self._bad_files.add(sha256)

    def note_bad(self, key: str) -> None:
        """Take note that the record of an action describes a file as what it is not."""
        self._bad.add(key)

    def know(self, artifacts: Iterable[Artifact], sources: Iterable[tuple[str, Believed]]) -> None:
        """Let the index know artifacts that are in place, and from which actions they are. Raises `StoreError`."""
        with self.index.transaction():
            for one in artifacts:
                self.index.add_artifact(one, self.index.build_of(one.artifact) or "")
            self._remember(sources)
            self.index.forget_shared(self._lost)

    def is_bad(self, key: str) -> bool:
        """Whether the record of an action was found to be damaged."""
        return key in self._bad

    def is_bad_file(self, sha256: str) -> bool:
        """Whether a file was found not to have the bytes that it is named by."""
        return sha256 in self._bad_files

    def _find(self, key: str, columns: Columns | None) -> None:
        """Ask for a record. A bucket that does not answer is as good as one that has none."""
        bucket = self.connection.bucket()
        if bucket is None:
            return
        try:
            found = self._read(bucket, key, columns)
        except AbsentError:
            found = None
            if key not in self._records:
                self.report.count(misses=1)
        except BucketError as error:
            self.connection.count(error)
            return
        self._note(key, found)

    def _note(self, key: str, found: Believed | None) -> None:
        """Take note of the answer to a question."""
        if found is not None:
            self.report.count(hits=1)
            for one in found.record.artifacts():
                self._sources.setdefault(one.artifact, (key, found))
            self._sources[found.record.artifact] = (key, found)
            self._found.add(found.record.artifact)
        self._records[key] = found

    def _unpack(self, key: str, columns: Columns | None) -> bool:
        """Take the record of an action from a pack, if one holds it."""
        if self._packed is None:
            self._packed = {}
            for entry in self.packs.entries("results"):
                if time.time() - entry.written <= self.settings.keep:  # what is older may be gone
                    self._packed.setdefault(entry.key, []).append(entry)
        for entry in self._packed.get(key, ()):
            try:
                found = self._checked(decoded(entry.data, key, self.connection.trusted), columns)
            except UntrustedError:  # there may be another, alone
                continue
            except RefusedError as error:
                self.report.refuse(str(error))
                continue
            self.connection.modified[key] = entry.written
            self._note(key, found)
            return True
        return False

    def _pack_results(self) -> None:
        """Let others find the results of this command in packs, as far as they are not there."""
        if not self.is_believed:
            return
        moment, fresh = time.time(), []
        young = {
            key
            for key, entries in (self._packed or {}).items()
            if any(moment - one.written <= self.connection.young for one in entries)
        }
        for key, name in self._names.items():
            believed = self._records.get(key)
            data = self.recorded.get(key) or (believed.data if believed is not None else None)
            if data is not None and (key in self.recorded or key not in young):
                written = moment if key in self.recorded else self.connection.modified.get(key, moment)
                fresh.append(Entry(name, key, written, data))
        self.packs.add("results", fresh)

    def _read(self, bucket: Bucket, key: str, columns: Columns | None) -> Believed | None:
        """Return a record that is believed, None if there is one that is not. Raises `BucketError`."""
        names: list[str | None] = [None, *map(writer_of, self.connection.trusted)]
        for writer in names:
            path = action_path(key, writer)
            try:
                found = self._checked(self.connection.read_record(bucket, path, key), columns)
            except AbsentError:
                if writer is None:
                    raise
            except UntrustedError as error:
                self.report.refuse(str(error))
            except RefusedError as error:
                self._bad.add(key)
                self.report.refuse(str(error))
                return None
            else:
                return found
        return None

    def _checked(self, found: Believed, columns: Columns | None) -> Believed:
        """Return a record that can be one of an action whose table has these columns. Raises `RefusedError`."""
        record = found.record
        if columns is not None and columns != tuple((name, kind) for name, (kind, _) in record.columns.items()):
            raise RefusedError("is not consistent: it has other columns than the rule")
        if (record.key, record.artifact) in self._denied:
            raise RefusedError("is a record that an audit found to be wrong")
        return found

    def _claim(self, key: str, columns: Columns | None) -> Answer:
        if self.connection.bucket() is None:
            return "free"
        if self.connection.leases is None:
            if key not in self._records:
                self._find(key, columns)
            return "found" if self.record(key) is not None else "free"
        state = self.connection.leases.claim(key)
        if state == "unknown":
            return self._unsure
        if state == "busy":
            self.connection.note_others()
        self._records.pop(key, None)
        self._find(key, columns)  # after the lease: who held it before has recorded the result, if there is one
        if key not in self._records:
            self._release(key)
            return self._unsure
        if self.record(key) is not None:
            self._release(key)
            return "found"
        if state == "busy":
            self.report.count(waits=1)
        return state

    @property
    def _unsure(self) -> Answer:
        return "free" if self.report.off else "unsure"

    def _release(self, key: str) -> None:
        if self.connection.leases is not None:
            with contextlib.suppress(BucketError):  # it ends by itself
                self.connection.leases.release(key)

    def release_now(self, key: str) -> None:
        """Let others see that an action is done, or failed. It calls the bucket."""
        self._release(key)

    def _source(self, artifact: str) -> tuple[str, Believed] | None:
        found = self._sources.get(artifact)
        if found is None:
            known = self.index.shared_results([artifact]).get(artifact)
            if known is not None:
                with contextlib.suppress(RefusedError, zlib.error):
                    found = known[0], decoded(zlib.decompress(known[1]), known[0], self.connection.trusted)
                    self._sources[artifact] = found
        return found

    def _remember(self, sources: Iterable[tuple[str, Believed]]) -> None:
        self.index.remember_shared((one.record.artifact, key, zlib.compress(one.data)) for key, one in sources)

    def is_here(self, artifact: str) -> bool:
        """Whether the object of an artifact is in the store."""
        source = self._sources.get(artifact)
        if source is None:
            return self.objects.exists(artifact)
        return self._holds({one.artifact: one for one in source[1].record.artifacts()}[artifact])

    def _holds(self, artifact: Artifact) -> bool:
        """Whether the store has the object that an artifact describes, whatever a record says of it."""
        if artifact.parts:
            return self.objects.has_parts(artifact.artifact, artifact.parts)
        return self.objects.intact(artifact.artifact, artifact.bytes, artifact.file_digest)

    def _pool(self, name: str, threads: int) -> ThreadPoolExecutor:
        with self._lock:
            if name not in self._pools:
                self._pools[name] = ThreadPoolExecutor(threads, thread_name_prefix=f"rules-{name}")
            return self._pools[name]
