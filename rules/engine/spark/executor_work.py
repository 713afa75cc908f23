"""What executors do in Python: read row groups of Parquet objects from S3, and write rows there.

The functions are sent to the cluster by value, with the query: nothing of `rules` is installed there. So they use
nothing of ours but this module, and pyarrow and obstore, which have to be there. Whatever an executor reads is compared
with the digest of it that the process of `rules` has made, so that no other bytes come into a table. Credentials are
never sent: executors have those of their own environment, or of their machine's role.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

MARK = "rules-executor: "
"""The beginning of what went wrong, in the text of an exception of an executor."""
_ATTEMPTS = 6
_LONGEST_PAUSE = 5.0
_BATCH_ROWS = 1 << 16
_GROUP_BYTES = 32 << 20
_FILE_BYTES = 128 << 20
"""The size, as Parquet, from which on an executor begins another file."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
Batches = Iterable[pa.RecordBatch]


class Server(NamedTuple):
    """Where S3 is, for executors whose own environment does not say; "" for what is not known."""

    endpoint: str
    region: str


class Span(NamedTuple):
    """Bytes of an object. digest: see `digest_of`."""

    start: int
    length: int
    digest: bytes


class Piece(NamedTuple):
    """Row groups of a Parquet object. tag: its ETag; size: in bytes; spans: all that reading the groups takes."""

    bucket: str
    path: str
    tag: str
    size: int
    groups: tuple[int, ...]
    spans: tuple[Span, ...]


WRITTEN = pa.schema(
    [
        ("partition", pa.int64()),
        ("number", pa.int64()),
        ("path", pa.string()),
        ("rows", pa.int64()),
        ("size", pa.int64()),
        ("tag", pa.string()),
        ("digest", pa.binary()),
    ]
)
"""What an executor says of each file that it has written: of which partition, in the order of their numbers."""


def digest_of(data: bytes | memoryview) -> bytes:
    """Return the digest by which bytes are known again."""
    return hashlib.blake2b(data, digest_size=16).digest()


def reading(pieces: tuple[Piece, ...], types: pa.Schema, server: Server) -> Callable[[Batches], Iterator[Any]]:
    """Return a function for `mapInArrow` over numbers of pieces, which yields their rows as columns of `types`."""

    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from _rows(pieces[number], types, server)

    return work


def writing(bucket: str, prefix: str, server: Server) -> Callable[[Batches], Iterator[Any]]:
    """Return a function for `mapInArrow` that writes the rows of a partition to files, and yields `WRITTEN` of them.

    Each attempt at a task writes its own files; only those of the attempt that Spark accepts are reported.
    """

    def work(batches: Batches) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        partition, attempt = context.partitionId(), uuid.uuid4().hex
        for number, (file, rows) in enumerate(_files(batches)):
            with file:
                path = f"{prefix}{partition:05}-{number:05}-{attempt}.parquet"
                size, digest, tag = _sent(file, bucket, path, server)
            values = [partition, number, path, rows, size, tag, digest]
            yield pa.RecordBatch.from_pylist([dict(zip(WRITTEN.names, values, strict=True))], WRITTEN)

    return work


def _rows(piece: Piece, types: pa.Schema, server: Server) -> Iterator[pa.RecordBatch]:
    store = _store(piece.bucket, server)
    held = [(span.start, _fetched(store, piece, span)) for span in piece.spans]
    footer = pq.read_metadata(pa.BufferReader(held[-1][1]))  # pyarrow would read more of the file's end for it
    file = pq.ParquetFile(_Held(piece.size, held), metadata=footer, pre_buffer=False)
    for batch in file.iter_batches(_BATCH_ROWS, list(piece.groups), types.names, use_threads=False):
        table = pa.Table.from_batches([batch]).select(types.names)
        yield from table.cast(types).to_batches()


class _Held(io.RawIOBase):
    """A file of which some spans are held, each by its start."""

    def __init__(self, size: int, held: list[tuple[int, bytes]]) -> None:
        self._size, self._held, self._at = size, held, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._at + size, self._size)
        for start, data in self._held:
            if start <= self._at and end <= start + len(data):
                found = data[self._at - start : end - start]
                self._at = end
                return found
        raise OSError(f"bytes {self._at} to {end} of the file are not held")


def _fetched(store: Any, piece: Piece, span: Span) -> bytes:
    import obstore
    from obstore import exceptions

    url = f"s3://{piece.bucket}/{piece.path}"
    options: Any = {"if_match": piece.tag, "range": (span.start, span.start + span.length)}
    problem = ""
    for attempt in range(_ATTEMPTS):
        _pause(attempt)
        try:
            data = bytes(obstore.get(store, piece.path, options=options).bytes())
        except (exceptions.PreconditionError, FileNotFoundError):
            raise RuntimeError(f"{MARK}{url} was replaced or removed while the build read it") from None
        except Exception as error:  # noqa: BLE001 — its text may hold a signed URL
            problem = f"cannot be read: {_kind(error)}"
        else:
            if len(data) == span.length and digest_of(data) == span.digest:
                return data
            problem = "has other bytes than were digested"
    raise RuntimeError(f"{MARK}{url} {problem}") from None


def _files(batches: Batches) -> Iterator[tuple[IO[bytes], int]]:
    """Yield the files of a partition, each written, with its number of rows."""
    file: IO[bytes] | None = None
    writer: Any = None
    group: list[pa.RecordBatch] = []
    rows = held = 0

    def write_group() -> None:
        nonlocal file, writer, held
        if not group:
            return
        table = pa.Table.from_batches(group)
        if writer is None:
            file = tempfile.TemporaryFile()  # noqa: SIM115 — whoever takes it closes it
            writer = pq.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=table.num_rows)
        group.clear()
        held = 0

    for batch in batches:
        if not batch.num_rows:
            continue
        group.append(batch)
        rows, held = rows + batch.num_rows, held + batch.nbytes
        if held < _GROUP_BYTES:
            continue
        write_group()
        if file is not None and file.tell() >= _FILE_BYTES:
            writer.close()
            yield file, rows
            file, writer, rows = None, None, 0
    write_group()
    if file is not None:
        writer.close()
        yield file, rows


def _sent(file: IO[bytes], bucket: str, path: str, server: Server) -> tuple[int, bytes, str]:
    """Write an object. Return its size, its digest and its ETag."""
    import obstore

    store = _store(bucket, server)
    file.seek(0)
    state, size = hashlib.blake2b(digest_size=16), 0
    while data := file.read(1 << 20):
        state.update(data)
        size += len(data)
    problem = ""
    for attempt in range(_ATTEMPTS):
        _pause(attempt)
        file.seek(0)
        try:
            tag = obstore.put(store, path, file)["e_tag"]
        except Exception as error:  # noqa: BLE001 — its text may hold a signed URL
            problem = _kind(error)
        else:
            if not tag:
                raise RuntimeError(f"{MARK}the server of s3://{bucket} gives no ETags, without which nothing is pinned")
            return size, state.digest(), tag
    raise RuntimeError(f"{MARK}s3://{bucket}/{path} cannot be written: {problem}") from None


def _store(bucket: str, server: Server) -> Any:
    """Return a client of S3 with the credentials of this machine. Who calls it tries again."""
    try:
        from obstore.store import from_url
    except ImportError:
        raise RuntimeError(f"{MARK}obstore is not installed for the Python of the executors") from None
    endpoint = next((os.environ[one] for one in _ENDPOINTS if os.environ.get(one)), server.endpoint)
    config: Any = {"endpoint": endpoint} if endpoint else {}
    if server.region and not any(os.environ.get(one) for one in _REGIONS):
        config["region"] = server.region
    client: Any = {"connect_timeout": "10s", "timeout": "120s", "allow_http": endpoint.startswith("http:")}
    return from_url(f"s3://{bucket}", config=config or None, client_options=client, retry_config={"max_retries": 0})


def _kind(error: Exception) -> str:
    """Say what kind of failure it is, in words that hold no address and no secret."""
    denied = type(error).__name__ in {"PermissionDeniedError", "UnauthenticatedError"}
    return "access was denied; has the executor credentials?" if denied else type(error).__name__


def _pause(attempt: int) -> None:
    if attempt:
        time.sleep(min(0.2 * 2**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1))  # noqa: S311 — it guards nothing
