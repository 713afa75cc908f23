"""One query on a cluster: its inputs as views over their Parquet files, its rows back as Arrow, written as any product.

Each query has a session of its own, in which only its inputs exist. Executors and driver see the files by the same
paths as this process, or on S3 (`rules.engine.spark.staging`). The rows come back in one order, a few batches at a
time: through the server, or in Parquet files that the executors have written. Either way they are written and digested
here, so that the table, its digests and the cut of its row groups are the same on any number of executors.
"""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from cache.removal import remove_scratch
from compiler.spark.refusal import LOCALLY
from compiler.spark.top_rows import TIED
from compiler.spark.translation import view_name
from compiler.spark.types import COUNTED
from rules.engine.fallbacks import Fallback
from rules.engine.protocol import EngineError, EngineQuery, Executed, Job, UndecidedError
from rules.engine.spark.connection import end_jobs, open_session, unanswered
from rules.engine.spark.executor_work import MARK, WRITTEN
from rules.engine.spark.reading import frame_of, literal
from rules.engine.stopping import Stop, StoppedError
from rules.engine.writing import ProductWriter
from rules.storage.types import to_arrow

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from rules.engine.protocol import EngineInput
    from rules.engine.spark.staging import Staging

_CONDITION = re.compile(r"^\[([A-Z_.]+)\]\s*")
_LOST = ("UNAVAILABLE", "failed to connect", "Connection refused", "Socket closed", "Connection reset")
_TOO_LARGE = "spark.driver.maxResultSize"
_BATCH_ROWS = 1 << 16


class _TooLargeError(EngineError):
    """A result may not pass through the server, whose memory it might exhaust."""


def execute(remote: str, job: Job, stop: Stop, staging: Staging | None = None) -> Executed:
    """Run a query and write its result, to files of the executors first if the profile says so or the server's memory.

    Raises `EngineError`, `StoppedError` and OSError.
    """
    # Spark's writer of Parquet gives every NaN the same bits, and no function of its SQL shows those it had.
    kinds = to_arrow(job.schema).types
    may_write = staging is not None or not any(pa.types.is_floating(kind) for kind in kinds)
    profile = job.query.profile
    if profile.spark_writes and may_write:
        return _execute(remote, job, stop, staging, in_files=True)
    try:
        return _execute(remote, job, stop, staging, in_files=False)
    except _TooLargeError as error:
        if not may_write:
            raise EngineError(f"{error}, and without spark_staging tables with DOUBLE come no other way") from error
        written = msgspec.structs.replace(profile, spark_writes=True)
        sentence = f"{error}, so executors wrote it to files, as they do at once with spark_writes = true"
        executed = _execute(remote, job, stop, staging, in_files=True)
        return replace(executed, fallback=Fallback("spark_writes", sentence, written, {}))


def _execute(remote: str, job: Job, stop: Stop, staging: Staging | None, *, in_files: bool) -> Executed:
    started = time.perf_counter()
    with ProductWriter(job.target, job.schema, job.order) as writer:
        schema = to_arrow(job.schema)
        scratch = job.target.parent
        if not in_files:
            rows = stream(remote, job.query, schema, stop, staging)
        elif staging is not None:
            rows = _staged_rows(remote, job.query, schema, scratch, stop, staging)
        else:
            rows = _written_rows(remote, job.query, schema, scratch, stop)
        with contextlib.closing(rows) as batches:
            for batch in batches:
                writer.write(batch)
        digest = writer.finish()
    return Executed.of(digest, job.schema, started)


def stream(
    remote: str, query: EngineQuery, schema: pa.Schema, stop: Stop, staging: Staging | None = None
) -> Generator[pa.RecordBatch]:
    """Yield the rows of a query, cast to `schema`. Raises `EngineError` and `StoppedError`."""
    with _errors(remote, stop), _asked(remote, query, stop, staging) as (session, frame):
        # The client's own way of a result that is not kept whole; DataFrame.toArrow() keeps it.
        plan: Any = frame._plan  # noqa: SLF001
        client: Any = session.client
        for found in client.to_table_as_iterator(plan.to_proto(client), plan.observations):
            if isinstance(found, pa.Table):
                for batch in _like(found, schema).to_batches():
                    stop.check()
                    yield batch


def _written_rows(
    remote: str, query: EngineQuery, schema: pa.Schema, scratch: Path, stop: Stop
) -> Generator[pa.RecordBatch]:
    """Let the cluster write the rows of a query into a folder of `scratch`, and yield them. Raises as `stream` does."""
    folder = scratch / uuid.uuid4().hex
    try:
        with _errors(remote, stop), _asked(remote, query, stop) as (session, frame):
            _numbered(frame, schema).write.option("compression", "zstd").parquet(str(folder))
            count = session.read.parquet(literal(folder)).count()
        yield from read_parts(sorted(folder.glob("part-*.parquet")), schema, count, stop)
    finally:
        with contextlib.suppress(OSError):  # never made, or a task still writes to it: a later build clears tmp/
            remove_scratch(folder)


def _staged_rows(
    remote: str, query: EngineQuery, schema: pa.Schema, scratch: Path, stop: Stop, staging: Staging
) -> Generator[pa.RecordBatch]:
    """Let executors write the rows of a query to S3, and yield them from copies. Raises as `stream` does."""
    folder = scratch / uuid.uuid4().hex
    prefix, writing = staging.result()
    try:
        with _errors(remote, stop), _asked(remote, query, stop, staging) as (_, frame):
            from pyspark.sql.pandas.types import from_arrow_schema

            found = _numbered(frame, schema).mapInArrow(writing, from_arrow_schema(WRITTEN)).toArrow()
        folder.mkdir()
        count = sum(found.column("rows").to_pylist())
        yield from read_parts(staging.fetch(found, folder, stop), schema, count, stop)
    finally:
        staging.remove(prefix)
        with contextlib.suppress(FileNotFoundError):
            remove_scratch(folder)


def _numbered(frame: DataFrame, schema: pa.Schema) -> DataFrame:
    """Return a result under names that any column may have in a file of Spark's."""
    return frame.toDF(*(f"c{place}" for place in range(len(schema))))


def read_parts(files: Iterable[Path], schema: pa.Schema, count: int, stop: Stop) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the files that a cluster has written.

    count: of the rows, as the cluster has counted them. A shared file system may show a new file late, which must not
    pass for a smaller table. Raises `EngineError` and `StoppedError`.
    """
    found = 0
    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                for batch in opened.iter_batches(_BATCH_ROWS):
                    stop.check()
                    found += batch.num_rows
                    table = pa.Table.from_batches([batch]).rename_columns(schema.names)
                    yield from _like(table, schema).to_batches()
        except pa.ArrowException as error:
            raise EngineError(f"{file}, which Spark has written, cannot be read: {error}") from error
    if found != count:
        raise EngineError(f"Spark has written {count:,} rows, of which {found:,} are seen here: is the folder shared?")


@contextlib.contextmanager
def _asked(
    remote: str, query: EngineQuery, stop: Stop, staging: Staging | None = None
) -> Iterator[tuple[SparkSession, DataFrame]]:
    """Open a session with the inputs of a query, and yield it with the query's result, which nothing has computed."""
    if query.functions or any(entry.constants for entry in query.inputs):
        raise AssertionError("rules with functions, or columns outside of their files, run locally")
    with open_session(remote) as session, stop.ending(lambda: end_jobs(session)):
        for place, entry in enumerate(sorted(query.inputs, key=lambda one: one.name)):
            _input(session, entry, staging).createOrReplaceTempView(view_name(place))
        frame = session.sql(query.sql)
        stop.check()  # so that nothing begins after all of it was interrupted
        yield session, frame


def _input(session: SparkSession, entry: EngineInput, staging: Staging | None) -> DataFrame:
    if not entry.columns:  # only the number of its rows counts
        return session.range(sum(pq.read_metadata(file).num_rows for file in entry.files))
    if staging is not None:
        return staging.frame(session, entry)
    return frame_of(session, entry)


def _like(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table of the schema's layout. Raises `EngineError` if it has other columns."""
    found = [(field.name, _logical(field.type)) for field in table.schema]
    planned = [(field.name, _signed(_logical(field.type))) for field in schema]
    if found != planned:
        raise EngineError(f"Spark returned the columns {found}, but {planned} were planned")
    return table.cast(pa.schema([pa.field(field.name, field.type) for field in schema]))


def _signed(kind: str) -> str:
    """Return a type as Spark returns it: counts of rows are without a sign here only."""
    return "int64" if kind == COUNTED else kind


def _logical(kind: pa.DataType) -> str:
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return "string" if is_text else str(kind)


@contextlib.contextmanager
def _errors(remote: str, stop: Stop) -> Iterator[None]:
    """Turn the client's exceptions into `EngineError`, or `StoppedError` if that is why they came."""
    try:
        yield
    except (EngineError, StoppedError, OSError, AssertionError, GeneratorExit):
        raise
    except Exception as error:
        if stop.asked:
            raise StoppedError from error
        for sign in (TIED, LOCALLY):
            if sign in str(error):
                raise UndecidedError(sign) from error
        if _TOO_LARGE in str(error):
            sentence = f"the result was larger than the Spark server lets pass ({_TOO_LARGE})"
            raise _TooLargeError(sentence) from error
        raise EngineError(_sentence(error, remote)) from error


def _sentence(error: Exception, remote: str) -> str:
    text = str(error)
    if any(sign in text for sign in _LOST):
        return unanswered(remote)
    if MARK in text:
        return text.partition(MARK)[2].partition("\n")[0].strip()
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    condition = _CONDITION.match(first)
    return f"Spark: {first[condition.end() :] if condition else first}"
