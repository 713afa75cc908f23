"""Random Arrow tables of every type, and random physical layouts of them."""

from __future__ import annotations

import string
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from cache.digests import TableDigest, TableDigester

if TYPE_CHECKING:
    from collections.abc import Callable

# What draws from a strategy, inside a composite or from `st.data()`.
Draw: TypeAlias = "Callable[..., Any]"

WORDS = st.text(alphabet=[*string.ascii_letters, "\0", "é", "\U0001f4a1"], max_size=30)
LEAVES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.bool_(), st.booleans()),
    *((dtype, st.integers(-(2**7), 2**7 - 1)) for dtype in (pa.int8(), pa.int16(), pa.int32(), pa.int64())),
    *((dtype, st.integers(0, 2**8 - 1)) for dtype in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())),
    (pa.float16(), st.floats(width=16)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    *((dtype, st.decimals(-999, 999, places=2)) for dtype in (pa.decimal32(5, 2), pa.decimal64(12, 2))),
    *((dtype, st.decimals(-999, 999, places=2)) for dtype in (pa.decimal128(20, 2), pa.decimal256(50, 2))),
    (pa.date32(), st.integers(-1000, 30000)),
    (pa.date64(), st.integers(-1000, 1000).map(lambda day: day * 86_400_000)),
    (pa.time32("ms"), st.integers(0, 86_399_999)),
    # Whole microseconds: Python can hold no others, and these tests compare through Python.
    (pa.time64("ns"), st.integers(0, 86_399_999_999).map(lambda micro: micro * 1000)),
    (pa.timestamp("us"), st.integers(0, 2**50)),
    (pa.timestamp("ns", "Europe/Zurich"), st.integers(0, 2**50).map(lambda micro: micro * 1000)),
    (pa.duration("s"), st.integers(-(10**9), 10**9)),
    (pa.month_day_nano_interval(), st.tuples(*[st.integers(-100, 100)] * 3)),
    (pa.binary(5), st.binary(min_size=5, max_size=5)),
    (pa.binary(16), st.binary(min_size=16, max_size=16)),
    (pa.binary(), st.binary(max_size=40)),
    (pa.string(), WORDS),
]
LEAF_VALUES = dict(LEAVES)
TYPES = st.recursive(
    st.sampled_from([dtype for dtype, _ in LEAVES]),
    lambda inner: (
        inner.map(pa.list_)
        | inner.map(lambda dtype: pa.list_(dtype, 2))
        | st.lists(inner, min_size=1, max_size=2).map(lambda types: pa.struct(list(zip("ab", types, strict=False))))
        | inner.map(lambda dtype: pa.map_(pa.string(), dtype))
    ),
    max_leaves=3,
)


def present(dtype: pa.DataType) -> st.SearchStrategy[Any]:
    """Values of a type, never null at the top."""
    if pa.types.is_fixed_size_list(dtype):
        return st.lists(cells(dtype.value_type), min_size=dtype.list_size, max_size=dtype.list_size)
    if pa.types.is_list(dtype):
        return st.lists(cells(dtype.value_type), max_size=4)
    if pa.types.is_map(dtype):
        return st.lists(st.tuples(WORDS, cells(dtype.item_type)), max_size=3)
    if pa.types.is_struct(dtype):
        return st.fixed_dictionaries({field.name: cells(field.type) for field in dtype})
    return LEAF_VALUES[dtype]


def cells(dtype: pa.DataType) -> st.SearchStrategy[Any]:
    return st.none() | present(dtype) | present(dtype)


@st.composite
def columns(draw: st.DrawFn, rows: int) -> tuple[pa.DataType, list[Any]]:
    """A type, and values of it for so many rows."""
    dtype = draw(TYPES)
    return dtype, draw(st.lists(cells(dtype), min_size=rows, max_size=rows))


def with_validity(array: pa.Array, nulls: list[bool], children: list[pa.Array]) -> pa.Array:
    """The same buffers, with these rows null and their garbage left in place."""
    bitmap = pa.py_buffer(np.packbits(~np.array(nulls, bool), bitorder="little"))
    own = array.buffers()[1 : array.type.num_buffers] if children else array.buffers()[1:]
    return pa.Array.from_buffers(array.type, len(array), [bitmap, *own], children=children)


@dataclass(frozen=True)
class Layouts:
    """Builds arrays in random physical layouts. exotic: also in those that the engine never yields."""

    draw: Draw
    exotic: bool = True

    def lay_out(self, values: list[Any], dtype: pa.DataType) -> pa.Array:
        """Build an array of these values in a random physical layout, with garbage under nulls and beyond the slice."""
        padding = st.lists(cells(dtype), max_size=4)
        before, after = self.draw(padding), self.draw(padding)
        padded = before + values + after
        return self.encode(padded, dtype).slice(len(before), len(values))

    def encode(self, values: list[Any], dtype: pa.DataType) -> pa.Array:
        encoding = self.draw(st.sampled_from(["plain", "plain", "plain", "dictionary", "runs"]))
        if not self.exotic:
            if encoding == "dictionary" and dtype in LEAF_VALUES:
                return pa.DictionaryArray.from_arrays(np.arange(len(values), dtype=np.int32), pa.array(values, dtype))
            return self.plain(values, dtype)
        if encoding == "dictionary":
            order = self.draw(st.permutations(range(len(values))))
            positions = np.argsort(order).astype(np.int32)
            by_index = [value is None and self.draw(st.booleans()) for value in values]
            dictionary = self.lay_out([values[row] for row in order], dtype)
            if not pa.types.is_dictionary(dictionary.type) and not pa.types.is_run_end_encoded(dictionary.type):
                indices = with_validity(pa.array(positions), by_index, [])
                return pa.DictionaryArray.from_arrays(indices, dictionary)
        if encoding == "runs":
            ends = pa.array(np.arange(1, len(values) + 1, dtype=np.int32))
            runs = self.lay_out(values, dtype)
            # pyarrow aborts the process when it shows a value of runs of a dictionary of nested values.
            if not pa.types.is_dictionary(runs.type) and not pa.types.is_run_end_encoded(runs.type):
                return pa.RunEndEncodedArray.from_arrays(ends, runs)
        return self.plain(values, dtype)

    def plain(self, values: list[Any], dtype: pa.DataType) -> pa.Array:
        nulls = [value is None for value in values]
        if not any(nulls) and self.draw(st.booleans()):
            return pa.array(values, dtype)
        filled = [self.draw(present(dtype)) if value is None else value for value in values]
        if pa.types.is_struct(dtype):
            children = [self.lay_out([row[field.name] for row in filled], field.type) for field in dtype]
            fields = [pa.field(field.name, child.type) for field, child in zip(dtype, children, strict=True)]
            bitmap = pa.py_buffer(np.packbits(~np.array(nulls, bool), bitorder="little"))
            return pa.Array.from_buffers(pa.struct(fields), len(values), [bitmap], children=children)
        if pa.types.is_map(dtype):
            pairs = pa.struct([pa.field("key", pa.string(), nullable=False), pa.field("value", dtype.item_type)])
            rows = [[{"key": key, "value": item} for key, item in row] for row in filled]
            lists = pa.array(rows, pa.list_(pairs))
            plain_map = pa.Array.from_buffers(dtype, len(values), lists.buffers()[:2], children=[lists.values])
            return with_validity(plain_map, nulls, [lists.values])
        if pa.types.is_fixed_size_list(dtype) or pa.types.is_list(dtype):
            return self.list_of(filled, nulls, dtype)
        layouts = {
            pa.string(): [pa.large_string(), pa.string_view()],
            pa.binary(): [pa.large_binary(), pa.binary_view()],
        }
        layout = self.draw(st.sampled_from([dtype, *layouts.get(dtype, [])]))
        return with_validity(pa.array(filled, layout), nulls, [])

    def list_of(self, rows: list[list[Any]], nulls: list[bool], dtype: pa.DataType) -> pa.Array:
        bitmap = pa.py_buffer(np.packbits(~np.array(nulls, bool), bitorder="little"))
        lengths = np.array([len(row) for row in rows], np.int64)
        kinds = st.sampled_from(["list", "large", *(["view"] if self.exotic else [])])
        layout = "fixed" if pa.types.is_fixed_size_list(dtype) else self.draw(kinds)
        order = self.draw(st.permutations(range(len(rows)))) if layout == "view" else range(len(rows))
        child = self.lay_out([item for row in order for item in rows[row]], dtype.value_type)
        if layout == "fixed":
            whole = pa.list_(child.type, dtype.list_size)
            return pa.Array.from_buffers(whole, len(rows), [bitmap], children=[child])
        ends = np.cumsum(lengths[list(order)]) if len(rows) else lengths
        if layout == "view":
            starts = np.zeros(len(rows), np.int32)
            starts[list(order)] = ends - lengths[list(order)]
            buffers = [bitmap, pa.py_buffer(starts), pa.py_buffer(lengths.astype(np.int32))]
            return pa.Array.from_buffers(pa.list_view(child.type), len(rows), buffers, children=[child])
        make, width = (pa.list_, np.int32) if layout == "list" else (pa.large_list, np.int64)
        offsets = pa.py_buffer(np.concatenate([[0], ends]).astype(width))
        return pa.Array.from_buffers(make(child.type), len(rows), [bitmap, offsets], children=[child])


def batches_of(
    draw: Draw, table: dict[str, tuple[pa.DataType, list[Any]]], rows: int, *, exotic: bool = True
) -> list[pa.RecordBatch]:
    """Cut a table into batches at random places; every batch has a layout of its own."""
    layouts = Layouts(draw, exotic)
    cuts = sorted({0, rows, *draw(st.lists(st.integers(0, rows), max_size=3))})
    batches = []
    for start, stop in pairwise(cuts):
        arrays = [layouts.lay_out(values[start:stop], dtype) for dtype, values in table.values()]
        batches.append(pa.RecordBatch.from_arrays(arrays, names=list(table)))
    return batches


def schema_of(table: dict[str, tuple[pa.DataType, list[Any]]]) -> pa.Schema:
    return pa.schema([(name, dtype) for name, (dtype, _) in table.items()])


def digest(schema: pa.Schema, batches: list[pa.RecordBatch]) -> TableDigest:
    digester = TableDigester(schema)
    for batch in batches:
        digester.update(batch)
    return digester.finish()
