"""Inputs and results of a cluster on S3, so that it needs no folder which this process has too.

An input is read where it is, if it is an object of S3 that was listed under a strong ETag; any other file is sent to
the staging prefix, once for its content. Executors read both in Python, under the ETag, and compare each span of bytes
with the digest that is made here of this machine's own file, which is the one in the keys.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from cache.remote.bucket import AbsentError, BucketError, Persistent, SwappedError
from cache.signatures import signature
from compiler.spark.translation import view_columns
from rules.engine.protocol import EngineError
from rules.engine.spark.executor_work import Piece, Server, Span, digest_of, reading, writing
from rules.files.lazy_paths import origin_of, whole
from rules.files.locations import location_of
from rules.storage.types import to_arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from cache.remote.obstore_bucket import ObstoreBucket
    from cache.remote.outside_store import OutsideStore
    from rules.engine.protocol import EngineInput
    from rules.engine.stopping import Stop

T = TypeVar("T")
_TIMEOUT = 10.0
_PATIENCE = 30.0
"""Seconds for a request that moves little, and for all attempts at one."""
_PIECE_BYTES = 64 << 20
"""About so many bytes are one task's."""
_TAIL_BYTES = 1 << 16
"""So many bytes at the end of a file are one request."""
_FOOTER_END = 8
_GAP = 1 << 18
"""Spans with less than this between them are read as one."""
_MARGIN = 128
"""Bytes behind a column chunk that pyarrow reads too of some files, whose writers have counted too few."""


class Staging:
    """A prefix of a bucket, s3://BUCKET/PREFIX, for inputs and results. Threads may share it."""

    def __init__(self, url: str) -> None:
        """Nothing is asked until it is used."""
        self.url = url.rstrip("/")
        place = location_of(f"{self.url}/x")
        self.host, self._prefix = place.host, place.path.removesuffix("x")
        self._attempts = Persistent(_PATIENCE)
        self._lock = threading.Lock()
        self._sending: dict[str, threading.Lock] = {}
        self._sent: dict[tuple[str, object], tuple[str, str]] = {}

    def __reduce__(self) -> tuple[Callable[[str], Staging], tuple[str]]:
        """Leave behind what only this process has asked."""
        return Staging, (self.url,)

    def frame(self, session: SparkSession, entry: EngineInput) -> DataFrame:
        """Return an input as the cluster reads it from S3. Raises `EngineError` and OSError."""
        kinds = {field.name: field.type for field in to_arrow(entry.schema)}
        types = pa.schema([(name, _plain(kinds[name])) for name in entry.columns])
        pieces = tuple(piece for file in entry.files for piece in self.pieces(file, entry.columns))
        numbers = session.range(0, len(pieces), 1, max(1, len(pieces)))
        return numbers.mapInArrow(
            by_value(reading(pieces, types, self._done(server_of))), view_columns(entry.schema, entry.columns)
        )

    def pieces(self, file: Path, columns: Sequence[str]) -> Iterator[Piece]:
        """Yield what the tasks read of a Parquet file, which is sent there if it is not. Raises as `frame` does."""
        bucket, path, tag = self._placed(file)
        # The copy of an object may have holes, so that nothing counts but what was asked for.
        gap, margin, least = (_GAP, _MARGIN, _TAIL_BYTES) if origin_of(file) is None else (0, 0, 0)
        with file.open("rb") as opened:
            try:
                metadata = pq.ParquetFile(opened).metadata
            except pa.ArrowException as error:
                raise EngineError(f"{file.name} cannot be read: {error}") from error
            size = os.fstat(opened.fileno()).st_size
            for groups, wanted in _cut(metadata, columns):
                spans = [
                    Span(start, end - start, digest_of(_read(opened, start, end)))
                    for start, end in _joined(
                        [*((start, end + margin) for start, end in wanted), (size - _tail(opened, size, least), size)],
                        size,
                        gap,
                    )
                ]
                yield Piece(bucket, path, tag, size, groups, tuple(spans))

    def result(self) -> tuple[str, Callable[..., Any]]:
        """Return a new prefix of the bucket, and the function with which executors write below it."""
        prefix = f"{self._prefix}results/{uuid.uuid4().hex}/"
        return prefix, by_value(writing(self.host, prefix, self._done(server_of)))

    def fetch(self, found: pa.Table, folder: Path, stop: Stop) -> Iterator[Path]:
        """Yield the files that executors have written, in the order of the rows. found: `WRITTEN` of them.

        Raises `EngineError` for one that is not what its executor has written, and OSError.
        """
        from cache.remote.outside_store import OutsideStore

        rows = sorted(found.to_pylist(), key=lambda one: (one["partition"], one["number"]))
        if len({(one["partition"], one["number"]) for one in rows}) != len(rows):
            raise EngineError("Spark names two files of one partition under one number")
        store = self._done(lambda: OutsideStore(f"s3://{self.host}", _TIMEOUT))
        for place, one in enumerate(rows):
            stop.check()
            target = folder / f"part-{place:05}.parquet"
            self._done(functools.partial(_fetch, store, one, target))
            if _digest(target, lambda: hashlib.blake2b(digest_size=16)) != one["digest"]:
                raise EngineError(f"{self._shown(one['path'])} has other bytes than Spark has written")
            yield target

    def remove(self, prefix: str) -> None:
        """Remove what is below a prefix; what cannot be removed stays."""
        try:
            bucket = self._bucket()
            bucket.remove([one.path for one in bucket.entries(prefix)])
        except (BucketError, EngineError):
            return  # of no use to anybody, and in nobody's way: docs/spark.md says how to have it removed

    def _placed(self, file: Path) -> tuple[str, str, str]:
        """Return bucket, name and ETag of an object with the bytes of a file."""
        origin = origin_of(file)
        if origin is not None and (place := location_of(origin.url)).scheme == "s3":
            return place.host, place.path, origin.tag
        file = whole(file)
        key = (str(file), signature(file))
        with self._lock:
            waiting = self._sending.setdefault(str(file), threading.Lock())
        with waiting:
            if key not in self._sent:
                self._sent[key] = self._send(file)
            return (self.host, *self._sent[key])

    def _send(self, file: Path) -> tuple[str, str]:
        """Return name and ETag of a file in the staging prefix."""
        from cache.remote.tags import is_named, kind_of_tag

        digest = _digest(file, lambda: hashlib.md5(usedforsecurity=False)).hex()
        path, size, bucket = f"{self._prefix}inputs/{digest}.parquet", file.stat().st_size, self._bucket()

        def tag() -> str | None:
            """Return the ETag of the object, if it is the file."""
            entry = self._attempts.call(lambda: bucket.entry(path))
            is_it = kind_of_tag(entry.tag) is None or is_named(entry.tag or "", digest, file)
            return entry.tag if entry.bytes == size and is_it else None

        def work() -> str:
            try:
                found = tag()
            except AbsentError:
                found = None
            if found is None:
                self._attempts.call(lambda: bucket.write(path, file), seconds=_PATIENCE + size / (1 << 17))
                found = tag()
            if found is None:
                raise BucketError("it keeps other bytes than were sent")
            return found

        return path, self._done(work)

    def _bucket(self) -> ObstoreBucket:
        from cache.remote.obstore_bucket import ObstoreBucket

        return self._done(lambda: ObstoreBucket(f"s3://{self.host}", _TIMEOUT))

    def _done(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except BucketError as error:
            raise EngineError(f"the staging place {self.url} cannot be used: {error}") from error

    def _shown(self, path: str) -> str:
        return f"s3://{self.host}/{path}"


def server_of() -> Server:
    """Return where S3 is, as this process has it."""
    from cache.remote.aws_profile import endpoint_of, of_this_process

    own = of_this_process()
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or own.get("region", "")
    return Server(endpoint_of(os.environ, own), region)


def by_value(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have a function of `executor_work` sent with all that it uses of that module."""
    from pyspark import cloudpickle

    from rules.engine.spark import executor_work

    register: Any = cloudpickle.register_pickle_by_value
    register(executor_work)
    return function


def _fetch(store: OutsideStore, written: Mapping[str, Any], target: Path) -> None:
    listed = store.entry(written["path"])
    if (listed.size, listed.etag) != (written["size"], written["tag"]):
        raise SwappedError("a file was replaced after Spark had written it")
    store.fetch(listed, target)


def _plain(kind: pa.DataType) -> pa.DataType:
    is_text = pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return pa.string() if is_text else kind


def _cut(metadata: Any, columns: Sequence[str]) -> Iterator[tuple[tuple[int, ...], list[tuple[int, int]]]]:
    """Yield runs of row groups, each with the ranges of bytes that hold the columns."""
    groups, spans, held = list[int](), list[tuple[int, int]](), 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            chunk = group.column(place)
            if chunk.path_in_schema in columns or chunk.path_in_schema.partition(".")[0] in columns:
                start = min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset)))
                spans.append((start, start + chunk.total_compressed_size))
                held += chunk.total_compressed_size
        groups.append(number)
        if held >= _PIECE_BYTES:
            yield tuple(groups), spans
            groups, spans, held = [], [], 0
    if groups:
        yield tuple(groups), spans


def _joined(spans: Sequence[tuple[int, int]], size: int, gap: int) -> list[tuple[int, int]]:
    """Return ranges of bytes of a file in their order, near ones together."""
    found: list[tuple[int, int]] = []
    for start, end in sorted((start, min(end, size)) for start, end in spans):
        if found and start <= found[-1][1] + gap:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _tail(file: Any, size: int, least: int) -> int:
    """Return how many bytes at the end of a Parquet file hold its footer, at least so many."""
    footer = int.from_bytes(_read(file, size - _FOOTER_END, size - _FOOTER_END + 4), "little")
    return min(max(least, footer + _FOOTER_END), size)


def _read(file: Any, start: int, end: int) -> bytes:
    file.seek(start)
    data: bytes = file.read(end - start)
    return data


def _digest(file: Path, state: Callable[[], Any]) -> bytes:
    with file.open("rb") as opened:
        digest: bytes = hashlib.file_digest(opened, state).digest()
    return digest
