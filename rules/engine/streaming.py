"""A query in a thread of its own, whose batches go, a few at a time, to a caller that stays interruptible.

The engine ignores signals while it computes, and Python wakes only the main thread for them.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path
from queue import Empty, Full, Queue

import pyarrow as pa

from rules.engine.execute import open_frame
from rules.engine.failures import engine_errors
from rules.engine.protocol import EngineQuery

_AHEAD = 2
"""The number of batches that are computed in advance."""
_PATIENCE = 0.1


def stream(query: EngineQuery, schema: pa.Schema, scratch: Path) -> Generator[pa.RecordBatch]:
    """Yield the rows of a query, cast to `schema`. Raises `EngineError`.

    Only a few batches are held at once. When the caller stops, the query does after its next batch.
    """
    handover = _Handover()

    def work() -> None:
        try:
            with engine_errors():
                for batch in open_frame(query, scratch).execute_stream():
                    if not handover.give(_cast(batch.to_pyarrow(), schema)):
                        return
        except BaseException as error:  # noqa: BLE001 — it is raised by who reads
            handover.give(error)
        else:
            handover.give(None)

    threading.Thread(target=work, name="rules-query").start()
    try:
        while (batch := handover.take()) is not None:
            yield batch
    finally:
        handover.stop()


class _Handover:
    """Passes batches from one thread to another, a few at a time; then None, or the exception."""

    def __init__(self) -> None:
        self._ready: Queue[pa.RecordBatch | BaseException | None] = Queue(_AHEAD)
        self._stopped = threading.Event()

    def give(self, item: pa.RecordBatch | BaseException | None) -> bool:
        """Pass an item on, once there is room; return False if it is no longer wanted."""
        while not self._stopped.is_set():
            try:
                self._ready.put(item, timeout=_PATIENCE)
            except Full:
                continue
            return True
        return False

    def take(self) -> pa.RecordBatch | None:
        """Return the next batch, None after the last. Raises the other thread's exception."""
        while True:
            try:
                item = self._ready.get(timeout=_PATIENCE)  # an endless wait could not be interrupted on every platform
            except Empty:
                continue
            if isinstance(item, BaseException):
                raise item
            return item

    def stop(self) -> None:
        """Accept no more batches."""
        self._stopped.set()


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        column if column.type.equals(field.type) else column.cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
