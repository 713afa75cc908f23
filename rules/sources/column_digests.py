"""Digests of the columns of sources that are read where they lie, each made once and then remembered."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from cache.keys import Content
from rules.config.machine import usable_cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cache.index import Index
    from rules.formats.row_groups import FileRows
    from rules.sources.source_files import SourceFiles
    from rules.sources.source_table import SourcePart, SourceTable


class ColumnDigests:
    """The columns of sources, and of their parts, of one project."""

    def __init__(self, index: Index, sources: SourceFiles) -> None:
        self._index = index
        self._sources = sources

    def contents(self, table: SourceTable, parts: Sequence[SourcePart], columns: list[str]) -> list[Content]:
        """Return the contents of parts of a source, restricted to `columns`; digests what was never digested."""
        types = {column.name: column.type for column in table.schema.columns}
        known = self._index.column_digests([part.content for part in parts])
        digests = [known.get(part.content, {}) for part in parts]
        missing = {place: sorted(set(columns) - set(one)) for place, one in enumerate(digests)}
        new = [place for place, some in missing.items() if some]
        cores = usable_cores()
        if len(new) < cores:
            for place in new:
                digests[place] |= self._digest(table, parts[place], missing[place], cores)
        else:
            ended = threading.Event()

            def work(place: int) -> dict[str, str]:
                return self._digest(table, parts[place], missing[place], 1, ended)

            with ThreadPoolExecutor(cores) as pool:
                try:
                    for place, some in zip(new, pool.map(work, new), strict=True):
                        digests[place] |= some
                except BaseException:  # such as an interrupt, which would wait for all parts
                    ended.set()
                    raise
        return [
            Content(part.rows, {column: (types[column], one[column]) for column in columns})
            for part, one in zip(parts, digests, strict=True)
        ]

    def files_of(self, table: SourceTable, part: SourcePart) -> tuple[FileRows, ...]:
        """Return the files of a part, or which row groups of a file it is."""
        from rules.formats.row_groups import FileRows

        return tuple(FileRows(self._sources.path(table.name, file), part.groups) for file in table.files[part.files])

    def constants(self, table: SourceTable, some: slice) -> dict[str, Any]:
        """Return the columns that the names of folders hold: arrays with one value for each of some of the files."""
        if table.partitions is None:
            return {}
        values = table.partitions.typed(self._sources.project.sources[table.name].columns)
        return {column: array[some] for column, array in values.items()}

    def _digest(
        self,
        table: SourceTable,
        part: SourcePart,
        columns: list[str],
        workers: int,
        ended: threading.Event | None = None,
    ) -> dict[str, str]:
        """Return the digests of some columns of a part. workers, ended: as for `column_digests`."""
        from rules.formats import parquet_files
        from rules.formats.contract import IngestError

        files = table.files[part.files]
        rows = self.files_of(table, part)
        constants = {one: values for one, values in self.constants(table, part.files).items() if one in columns}
        columns = [column for column in columns if column not in constants]
        try:
            chunks = parquet_files.chunk_digests(rows, columns, table.schema)
            known = self._index.chunk_digests(chunks.values())
            digests = {column: known[chunk] for column, chunk in chunks.items() if chunk in known}
            unknown = [column for column in columns if column not in digests]
            digests |= parquet_files.column_digests(rows, unknown, table.schema, workers, ended)
            digests |= parquet_files.partition_digests(rows, constants) if constants else {}
        except IngestError as error:
            raise self._sources.unusable(table.name, files, error) from error
        self._sources.require_same(table.name, files)
        with self._index.transaction():
            self._index.remember_chunks({chunk: digests[column] for column, chunk in chunks.items()})
            self._index.remember_column_digests(part.content, digests)
        return digests
