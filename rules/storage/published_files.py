"""A product's table written once more, as its author wishes, for readers outside: the object in the store stays.

Rules read the object. Its row groups decide in which order a reader adds up floats, so they depend on the table alone;
and objects are shared by projects that may wish different things.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cache.durability import synchronise
from cache.table_files import READ_ROWS, read_batches, rows_of, schema_of
from rules.storage.encodings import leaves, writer_options
from rules.storage.writer_options import WriterOptions

_GROUP_ROWS = 1 << 20
_GROUP_BYTES = 8 << 20
_ENCODINGS = {
    "plain": "PLAIN",
    "delta": "DELTA_BINARY_PACKED",
    "delta_length": "DELTA_LENGTH_BYTE_ARRAY",
    "delta_text": "DELTA_BYTE_ARRAY",
    "byte_stream_split": "BYTE_STREAM_SPLIT",
}


def write_published(source: Path, target: Path, options: WriterOptions) -> None:
    """Write the stored table `source` to `target`, and synchronise it. Raises OSError.

    A table that is to be sorted is held in memory; ties keep their order.
    """
    schema, rows = schema_of(source), rows_of(source)
    batches: Iterable[pa.RecordBatch] = read_batches(source)
    if options.sort_by:
        batches = pa.Table.from_batches(batches, schema).sort_by(options.sorting).to_batches(READ_ROWS)
    groups = _groups(batches, options)
    first = next(groups, None)
    sample = schema.empty_table() if first is None else first
    writer = pq.ParquetWriter(target, schema, **_arguments(sample, rows, options))
    with writer:
        group = first
        while group is not None:
            writer.write_table(group, row_group_size=max(1, group.num_rows))
            group = next(groups, None)
    synchronise(target)


def _groups(batches: Iterable[pa.RecordBatch], options: WriterOptions) -> Iterator[pa.Table]:
    """Yield row groups: full ones by rows, and those that reach the size in bytes."""
    most, size = options.row_group_rows or _GROUP_ROWS, options.row_group_bytes or _GROUP_BYTES
    kept: list[pa.RecordBatch] = []
    rows = held = 0
    for batch in batches:
        per_row = max(1, batch.nbytes // max(1, batch.num_rows))
        while batch.num_rows:
            room = max(1, min(most - rows, (size - held) // per_row))
            piece, batch = batch.slice(0, room), batch.slice(room)  # noqa: PLW2901 — what is left of it
            kept.append(piece)
            rows, held = rows + piece.num_rows, held + piece.num_rows * per_row
            if rows >= most or held + per_row > size:
                yield pa.Table.from_batches(kept)
                kept, rows, held = [], 0, 0
    if kept:
        yield pa.Table.from_batches(kept)


def _arguments(sample: pa.Table, rows: int, options: WriterOptions) -> dict[str, Any]:
    """Return the options of `pyarrow.parquet.ParquetWriter`. sample: the first rows; rows: of the whole table."""
    found = writer_options(sample)
    paths = leaves(sample.schema)
    tops = {path: path.split(".")[0] if path.split(".")[0] in options.columns else path for path in paths}
    own = {path: options.columns.get(tops[path]) for path in paths}
    codecs, levels = {}, {}
    for path in paths:
        column = own[path]
        codec = (column and column.compression) or options.compression or "zstd"
        same = column is None or column.compression is None
        level = (column and column.compression_level) or (options.compression_level if same else None)
        codecs[path] = codec
        if level is None and codec == "zstd":
            level = found["compression_level"]
        if level is not None:
            levels[path] = level
    found["compression"], found["compression_level"] = codecs, levels or None
    found |= _encodings(found, paths, own, options.dictionary)
    stated = found["write_statistics"]
    whole = set(paths) if stated is True else set(stated or ())
    whole = set() if options.statistics == "none" else whole
    for path in paths:
        wish = own[path].statistics if own[path] is not None else None  # type: ignore[union-attr]
        if wish is not None:
            whole = whole | {path} if wish else whole - {path}
    found["write_statistics"] = [path for path in paths if path in whole] or False
    found["write_page_index"] = options.statistics == "page"
    if options.page_checksums is not None:
        found["write_page_checksum"] = options.page_checksums
    if options.bloom_filters:
        distinct = max(1, min(rows, options.row_group_rows or _GROUP_ROWS))
        found["bloom_filter_options"] = {name: {"ndv": distinct, "fpp": 0.05} for name in options.bloom_filters}
    if options.sort_by:
        found["sorting_columns"] = pq.SortingColumn.from_ordering(sample.schema, options.sorting, "at_end")
    return found


def _encodings(base: dict[str, Any], paths: list[str], own: dict[str, Any], dictionary: bool | None) -> dict[str, Any]:  # noqa: FBT001 — None means unsaid
    """Return the encoding of each column, as wished, else as `base` has it."""
    encoded = dict(base.get("column_encoding", {}))
    with_dictionary = set(base.get("use_dictionary", paths))
    for path in paths:
        column = own[path]
        wish = column.dictionary if column is not None and column.dictionary is not None else dictionary
        if column is not None and column.encoding is not None:
            encoded[path] = _ENCODINGS[column.encoding]
            with_dictionary.discard(path)
        elif wish:
            encoded.pop(path, None)
            with_dictionary.add(path)
        elif wish is False:
            with_dictionary.discard(path)
    listed = [path for path in paths if path in with_dictionary]
    return {"use_dictionary": listed or False, "column_encoding": encoded or None}
