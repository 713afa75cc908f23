"""What of a damaged index can still be used: rows that are what was written, of what cannot be worked out again.

Actions, artifacts, pointers and history are kept; memos are made again. An artifact is named by the digest of its row
count and columns, which proves its row; its object is proved by its own digest, when it is read.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cache.database import UNREADABLE, VERSION, is_refusal
from cache.digests import ingested_digest, table_digest
from cache.errors import DamagedIndexError, StoreError
from cache.history import read_state
from cache.housekeeping import past_record
from cache.index import Index
from cache.readonly import uri
from cache.records import parts_of
from cache.untrusted import parsed

_DIGEST = re.compile(r"[0-9a-f]{32}")
Row = Mapping[str, Any]


def salvage(damaged: Path, fresh: Index) -> None:
    """Copy what is sound from a damaged index into a fresh one; of another version nothing is.

    Raises `StoreError` if the system refuses to let it be read.
    """
    if not damaged.is_file():
        return
    with _as_far_as_sound(), contextlib.closing(_opened(damaged)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            return
        artifacts = {row["artifact"]: row for row in _sound(connection, "artifacts", _is_artifact)}
        fresh.restore("artifacts", artifacts.values())
        for table, holds in _TABLES.items():
            rows = (row for row in _sound(connection, table, holds) if row.get("artifact") in {None, *artifacts})
            fresh.restore(table, list(rows))


def faults(path: Path) -> str | None:
    """Say what is wrong with an index, None if nothing is found: every page and every lasting record is looked at.

    None, too, if the system refuses to let it be read.
    """
    if (fault := broken_pages(path)) is not None:
        return fault
    try:
        with contextlib.closing(_opened(path)) as connection:
            for table, holds in {"artifacts": _is_artifact, **_TABLES}.items():
                (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
                if count != sum(1 for _ in _sound(connection, table, holds)):
                    return f"a record of {table} cannot be read"
    except UNREADABLE as error:
        return None if is_refusal(error) else str(error)
    return None


def broken_pages(path: Path) -> str | None:
    """Say what is wrong with the pages of an index, None if nothing is found, or the system refuses it."""
    try:
        with contextlib.closing(_opened(path)) as connection:
            (first,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except UNREADABLE as error:
        return None if is_refusal(error) else str(error)
    return None if first == "ok" else str(first)


@contextlib.contextmanager
def _as_far_as_sound() -> Iterator[None]:
    """End quietly at what is damaged. Raises `StoreError` where the system refuses instead."""
    try:
        yield
    except UNREADABLE as error:
        if is_refusal(error):
            raise StoreError(f"the index cannot be read: {error}") from error


def _opened(path: Path) -> sqlite3.Connection:
    blocked = any(os.path.isdir(f"{path}{suffix}") for suffix in ("-wal", "-shm"))
    return sqlite3.connect(uri(path, "immutable=1" if blocked else "mode=ro"), uri=True)


def _sound(connection: sqlite3.Connection, table: str, holds: Callable[[Row], bool]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table that can be read and are what was written; none where there is no such table."""
    connection.row_factory = sqlite3.Row
    with _as_far_as_sound():  # what comes before a damaged page is still of use
        for row in connection.execute(f"SELECT * FROM {table}"):
            found = dict(row)
            try:
                if holds(found):
                    yield found
            except (AttributeError, KeyError, TypeError, ValueError, DamagedIndexError):
                continue


def _is_artifact(row: Row) -> bool:
    columns = parsed(row["columns"])
    digests = [table_digest(row["rows"], {name: digest for name, (_, digest) in columns.items()})]
    digests.append(ingested_digest(row["rows"], columns))
    numbers = isinstance(row["rows"], int) and isinstance(row["bytes"], int)
    files = parts_of(row["file_digest"]) or [row["file_digest"]]
    return numbers and row["artifact"] in digests and all(map(_is_digest, files))


def _is_action(row: Row) -> bool:
    return _is_digest(row["key"]) and _is_digest(row["artifact"]) and _is_seconds(row["seconds"])


def _is_pointer(row: Row) -> bool:
    read_state(row["record"], row["name"])
    texts = (row["root"], row["name"], row["key"], row["fingerprint"], row["memo"], row["build"])
    return _are_texts(texts) and _is_digest(row["artifact"]) and _is_seconds(row["seconds"])


def _is_build(row: Row) -> bool:
    summary = parsed(row["summary"])
    counts = isinstance(summary, dict) and all(isinstance(count, int) for count in summary.values())
    timed = row["seconds"] is None or _is_seconds(row["seconds"])
    return counts and timed and _are_texts((row["root"], row["build"], row["started"], row["status"]))


def _is_result(row: Row) -> bool:
    timed = row["seconds"] is None or _is_seconds(row["seconds"])
    texts = _are_texts((row["build"], row["product"], row["status"], row["reason"]))
    return timed and texts and (row["artifact"] is None or _is_digest(row["artifact"]))


def _is_state(row: Row) -> bool:
    past_record(row["record"], row["product"])
    texts = (row["product"], row["key"], row["fingerprint"], row["memo"], row["build"])
    return _are_texts(texts) and _is_digest(row["artifact"]) and _is_seconds(row["seconds"])


def _is_pin(row: Row) -> bool:
    return _are_texts((row["root"], row["build"], row["product"]))


def _are_savings(row: Row) -> bool:
    numbers = (row["hits"], row["misses"], row["seconds_saved"], row["bytes_saved"], row["seconds_spent"])
    return _are_texts((row["root"], row["product"], row["month"])) and all(map(_is_seconds, numbers))


def _is_body(row: Row) -> bool:
    try:
        return _are_texts([row["memo"]]) and isinstance(parsed(zlib.decompress(row["body"])), dict)
    except zlib.error:
        return False


_TABLES: Mapping[str, Callable[[Row], bool]] = {
    "actions": _is_action,
    "products": _is_pointer,
    "builds": _is_build,
    "results": _is_result,
    "states": _is_state,
    "pins": _is_pin,
    "savings": _are_savings,
    "bodies": _is_body,
}


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _is_seconds(value: object) -> bool:
    return isinstance(value, float | int)


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)
