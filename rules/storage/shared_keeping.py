"""Look after a whole shared cache: collect what is old, and verify all that is there. Both list it; no build does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cache.remote.action_records import MOST_BYTES, decoded
from cache.remote.bucket import AbsentError, BucketError, Persistent, TooLargeError
from cache.remote.envelopes import RefusedError
from cache.remote.layout import ACTIONS, OBJECTS, PACKS, key_of, pack_of, sha256_of
from cache.remote.packs import MOST_PACKED, unpacked
from cache.remote.sweeping import Swept, sweep
from cache.remote.transfer import PIECE
from rules.errors import FAILED, UserError
from rules.storage.shared_connection import INSTALL
from rules.storage.shared_report import SharedReport
from rules.storage.shared_settings import MODE, SharedSettings, is_off, shared_settings

if TYPE_CHECKING:
    from cache.remote.bucket import Bucket, Entry
    from rules.storage.shared_cache import SharedCache
    from rules.storage.store import Store

_THREADS = 16


class BadEntry(NamedTuple):
    """Something in a shared cache that nobody would use. problem: a clause after "it"."""

    name: str
    problem: str


def settings_at(root: Path) -> SharedSettings:
    """Return the shared cache that a project names. Raises `UserError` if it names none, or it is off."""
    found = shared_settings(root)
    if found is None and is_off():
        raise UserError("the shared cache is off", code="no-shared-cache", hint=f"set {MODE} to read or read-write")
    if found is None:
        hint = 'add [cache] with remote = "s3://…" to rules.toml'
        raise UserError("the project has no shared cache", code="no-shared-cache", hint=hint)
    return found


def sweep_shared(root: Path, *, dry_run: bool) -> Swept:
    """Collect garbage. Raises `UserError`."""
    settings = settings_at(root)
    if not settings.writes and not dry_run:
        hint = 'mode = "read-write" in [cache], or RULES_CACHE_MODE=read-write'
        raise UserError("the shared cache may only be read", code="shared-cache", hint=hint)
    with _bucket(settings) as bucket:
        return sweep(bucket, settings.keep, dry_run=dry_run)


def require_pushing(store: Store) -> SharedCache:
    """Return the shared cache, if others would believe what is sent there. Raises `UserError`."""
    shared = store.shared
    if store.root is None or not settings_at(store.root).writes or shared is None:
        hint = 'mode = "read-write" in [cache], or RULES_CACHE_MODE=read-write'
        raise UserError("there is no shared cache that may be written", code="shared-cache", hint=hint)
    if shared.settings.trust and shared.connection.signer is None:
        message = "this writer has no key, so nobody would believe what it sends"
        raise UserError(message, code="cache-key", hint="set RULES_CACHE_KEY_FILE to what rules cache keygen wrote")
    return shared


def push_shared(store: Store) -> SharedReport:
    """Send what products and checks are now, as far as it is here. Raises `UserError`."""
    shared = require_pushing(store)
    known = store.index.actions(state.key for state in store.states.values())
    for name, state in store.states.items():
        artifact = store.artifact(state.artifact)
        if artifact is not None and known.get(state.key) == state.artifact:  # a volatile rule has no action
            shared.tell(state.key, artifact, state.seconds, name)
    return store.finish_sharing() or SharedReport()


def verify_shared(root: Path) -> tuple[int, list[BadEntry]]:
    """Read every record, pack and file of a shared cache; return how many, and what is bad. Raises `UserError`."""
    settings = settings_at(root)
    with _bucket(settings) as bucket:
        again = Persistent(settings.timeout)

        def look(entry: Entry) -> BadEntry | None:
            return _look(bucket, again, entry, settings.trust)

        entries = [one for prefix in (ACTIONS, OBJECTS, PACKS) for one in bucket.entries(prefix)]
        with ThreadPoolExecutor(_THREADS) as pool:
            bad = [one for one in pool.map(look, entries) if one is not None]
    return len(entries), bad


def _look(bucket: Bucket, again: Persistent, entry: Entry, trusted: tuple[str, ...]) -> BadEntry | None:
    try:
        key = key_of(entry.path)
        if key is not None:
            decoded(again.call(lambda: bucket.read(entry.path, MOST_BYTES)).data, key, trusted)
            return None
        address = pack_of(entry.path)
        if address is not None:
            unpacked(again.call(lambda: bucket.read(entry.path, MOST_PACKED)).data, address)
            return None
        sha256 = sha256_of(entry.path)
        if sha256 is None:
            return None
        digest = hashlib.sha256()
        for start in range(0, entry.bytes, PIECE):
            digest.update(again.call(lambda at=start: bucket.read_range(entry.path, at, PIECE)))  # type: ignore[misc]
        found = digest.hexdigest()
    except RefusedError as error:
        return BadEntry(entry.path, str(error))
    except TooLargeError:
        return BadEntry(entry.path, "is longer than it may be")
    except AbsentError:  # collected meanwhile
        return None
    return None if found == sha256 else BadEntry(entry.path, "has other bytes than its name says")


@contextmanager
def _bucket(settings: SharedSettings) -> Iterator[Bucket]:
    try:
        from cache.remote.obstore_bucket import ObstoreBucket
    except ImportError as error:
        message = "the shared cache needs the package obstore, which is not installed"
        raise UserError(message, code="shared-cache", hint=INSTALL) from error
    try:
        yield ObstoreBucket(settings.remote, settings.timeout)
    except BucketError as error:
        raise UserError(f"the shared cache cannot be used: {error}", code="shared-cache", exit_code=FAILED) from error
