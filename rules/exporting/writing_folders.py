"""Files that are written side by side, one for each folder of a partitioned table, as the table is read."""

from __future__ import annotations

import resource
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pyarrow as pa

from cache.table_files import read_batches
from rules.exporting.partitions import split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from rules.exporting.row_writers import RowWriter

BATCH_ROWS = 1 << 16
_GROUP_ROWS = 1 << 20
_GROUP_BYTES = 16 << 20
"""The size of what is written to a file of a folder at once: a row group of Parquet."""
_BUFFERED_BYTES = 256 << 20
"""Of all files of a folder that are written side by side. Beyond, the largest is written."""
_OPEN_FILES = 400
"""Files that are written side by side; a table of more folders is read once for every so many."""


def write_folders(
    table: Path,
    keys: Sequence[str],
    folders: Sequence[str],
    opened: Callable[[str], AbstractContextManager[RowWriter]],
    changed: Callable[[pa.RecordBatch], pa.RecordBatch],
) -> None:
    """Write the rows of some folders of a stored table that is partitioned by `keys`.

    opened: opens the file of a folder; changed: makes of a table's rows those of the file. Raises as they do, and
    OSError.
    """
    most = min(_OPEN_FILES, max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
    for at in range(0, len(folders), most):
        some = folders[at : at + most]
        with ExitStack() as held:
            files = _Files({folder: held.enter_context(opened(folder)) for folder in some})
            for batch in read_batches(table, None, BATCH_ROWS):
                for folder, rows in split(batch, keys, frozenset(some)):
                    files.add(folder, changed(rows))
            files.finish()


class _Files:
    """Gathers the rows of each file, and writes them as they become many."""

    def __init__(self, writers: dict[str, RowWriter]) -> None:
        self._writers = writers
        self._batches: dict[str, list[pa.RecordBatch]] = {folder: [] for folder in writers}
        self._rows = dict.fromkeys(writers, 0)
        self._bytes = dict.fromkeys(writers, 0)

    def add(self, folder: str, batch: pa.RecordBatch) -> None:
        """Take rows of a file."""
        self._batches[folder].append(batch)
        self._rows[folder] += batch.num_rows
        self._bytes[folder] += batch.nbytes
        if self._rows[folder] >= _GROUP_ROWS or self._bytes[folder] >= _GROUP_BYTES:
            self._write(folder)
        elif sum(self._bytes.values()) > _BUFFERED_BYTES:
            self._write(max(self._bytes, key=lambda one: (self._bytes[one], one)))

    def finish(self) -> None:
        """Write what is left."""
        for folder in self._writers:
            self._write(folder)

    def _write(self, folder: str) -> None:
        if self._batches[folder]:
            self._writers[folder].write(pa.concat_batches(self._batches[folder]))
        self._batches[folder], self._rows[folder], self._bytes[folder] = [], 0, 0
