"""Helpers for Python code that works on Arrow batches."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["explode", "plain_type"]


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return a type with plain texts and binaries for views of them, on which pyarrow has few functions."""
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(plain_type(field.type)) for field in kind])
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(plain_type(kind.value_type)), kind.list_size)
    for is_kind, make in ((pa.types.is_list, pa.list_), (pa.types.is_large_list, pa.large_list)):
        if is_kind(kind):
            return make(kind.value_field.with_type(plain_type(kind.value_type)))
    return kind


def explode(batch: pa.RecordBatch, column: str) -> pa.RecordBatch:
    """Return a row for each value of a list column, the other columns repeated beside it.

    The rows are those of SQL's UNNEST: a NULL or empty list gives none, a NULL in a list one. Lists may be of any kind
    (plain, large, of a fixed size, views) and hold any type, structs too; views of texts become plain. Raises
    `ValueError` for a column that is no list, and KeyError for one that the batch has not.
    """
    position = batch.schema.get_field_index(column)
    if position < 0:
        raise KeyError(f"the batch has no column '{column}': {', '.join(batch.schema.names)}")
    batch = batch.cast(pa.schema([field.with_type(plain_type(field.type)) for field in batch.schema]))
    lists = _plain_lists(batch.column(position), column)
    parents = pc.list_parent_indices(lists)
    values = pc.list_flatten(lists)
    columns = [values if number == position else taken.take(parents) for number, taken in enumerate(batch.columns)]
    fields = [
        pa.field(column, values.type) if number == position else field for number, field in enumerate(batch.schema)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields, batch.schema.metadata))


def _plain_lists(lists: pa.Array, column: str) -> pa.Array:
    """Return lists as large lists, those that are NULL without values: a fixed-size list has them even then."""
    kind = lists.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return lists
    if pa.types.is_fixed_size_list(kind):
        present = pc.cast(pc.is_valid(lists), pa.int64())
        offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(pc.multiply(present, kind.list_size))])
        return pa.LargeListArray.from_arrays(offsets, pc.list_flatten(lists), mask=pc.is_null(lists))
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return lists.cast(pa.large_list(kind.value_field))
    raise ValueError(f"the column '{column}' holds no lists, but {kind}")
