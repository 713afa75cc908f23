"""Column digests depend on content and on nothing else: not on layout, batches, process or hash seed."""

from __future__ import annotations

import os
import string
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cache.digests import TableDigest, TableDigester
from cache.levels import UnsupportedTypeError, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
# What draws from a strategy, inside a composite or from `st.data()`.
Draw: TypeAlias = "Callable[..., Any]"

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

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


def lay_out(draw: Draw, values: list[Any], dtype: pa.DataType) -> pa.Array:
    """Build an array of these values in a random physical layout, with garbage under nulls and beyond the slice."""
    padding = st.lists(cells(dtype), max_size=4)
    before, after = draw(padding), draw(padding)
    padded = before + values + after
    return encode(draw, padded, dtype).slice(len(before), len(values))


def encode(draw: Draw, values: list[Any], dtype: pa.DataType) -> pa.Array:
    encoding = draw(st.sampled_from(["plain", "plain", "plain", "dictionary", "runs"]))
    if encoding == "dictionary":
        order = draw(st.permutations(range(len(values))))
        positions = np.argsort(order).astype(np.int32)
        by_index = [value is None and draw(st.booleans()) for value in values]
        dictionary = lay_out(draw, [values[row] for row in order], dtype)
        if not pa.types.is_dictionary(dictionary.type) and not pa.types.is_run_end_encoded(dictionary.type):
            indices = with_validity(pa.array(positions), by_index, [])
            return pa.DictionaryArray.from_arrays(indices, dictionary)
    if encoding == "runs":
        ends = pa.array(np.arange(1, len(values) + 1, dtype=np.int32))
        runs = lay_out(draw, values, dtype)
        # pyarrow aborts the process when it shows a value of runs of a dictionary of nested values.
        if not pa.types.is_dictionary(runs.type) and not pa.types.is_run_end_encoded(runs.type):
            return pa.RunEndEncodedArray.from_arrays(ends, runs)
    return plain(draw, values, dtype)


def plain(draw: Draw, values: list[Any], dtype: pa.DataType) -> pa.Array:
    nulls = [value is None for value in values]
    if not any(nulls) and draw(st.booleans()):
        return pa.array(values, dtype)
    filled = [draw(present(dtype)) if value is None else value for value in values]
    if pa.types.is_struct(dtype):
        children = [lay_out(draw, [row[field.name] for row in filled], field.type) for field in dtype]
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
        return list_of(draw, filled, nulls, dtype)
    layouts = {pa.string(): [pa.large_string(), pa.string_view()], pa.binary(): [pa.large_binary(), pa.binary_view()]}
    layout = draw(st.sampled_from([dtype, *layouts.get(dtype, [])]))
    return with_validity(pa.array(filled, layout), nulls, [])


def list_of(draw: Draw, rows: list[list[Any]], nulls: list[bool], dtype: pa.DataType) -> pa.Array:
    bitmap = pa.py_buffer(np.packbits(~np.array(nulls, bool), bitorder="little"))
    lengths = np.array([len(row) for row in rows], np.int64)
    layout = "fixed" if pa.types.is_fixed_size_list(dtype) else draw(st.sampled_from(["list", "large", "view"]))
    order = draw(st.permutations(range(len(rows)))) if layout == "view" else range(len(rows))
    child = lay_out(draw, [item for row in order for item in rows[row]], dtype.value_type)
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


def batches_of(draw: Draw, table: dict[str, tuple[pa.DataType, list[Any]]], rows: int) -> list[pa.RecordBatch]:
    """Cut a table into batches at random places; every batch has a layout of its own."""
    cuts = sorted({0, rows, *draw(st.lists(st.integers(0, rows), max_size=3))})
    batches = []
    for start, stop in pairwise(cuts):
        arrays = [lay_out(draw, values[start:stop], dtype) for dtype, values in table.values()]
        batches.append(pa.RecordBatch.from_arrays(arrays, names=list(table)))
    return batches


def schema_of(table: dict[str, tuple[pa.DataType, list[Any]]]) -> pa.Schema:
    return pa.schema([(name, dtype) for name, (dtype, _) in table.items()])


def digest(schema: pa.Schema, batches: list[pa.RecordBatch]) -> TableDigest:
    digester = TableDigester(schema)
    for batch in batches:
        digester.update(batch)
    return digester.finish()


def column(array: pa.Array) -> str:
    """The column digest of one array."""
    batch = pa.RecordBatch.from_arrays([array], names=["c"])
    return digest(batch.schema, [batch]).columns["c"]


def same(left: Any, right: Any, dtype: pa.DataType) -> bool:
    """Whether two values cannot be told apart; -0.0 and 0.0 can."""
    return repr(pa.array([left], dtype).to_pylist()) == repr(pa.array([right], dtype).to_pylist())


@QUICK
@given(st.data())
def test_layout_and_batches_do_not_matter(data: st.DataObject) -> None:
    rows = data.draw(st.integers(0, 12))
    table = {name: data.draw(columns(rows)) for name in ("x", "y")}
    logical = pa.RecordBatch.from_arrays([pa.array(v, t) for t, v in table.values()], schema=schema_of(table))
    batches = batches_of(data.draw, table, rows)
    for name in table:
        # The layouts are the test's own work: they must be valid Arrow and hold the same values.
        assert repr([v for batch in batches for v in batch[name].to_pylist()]) == repr(logical[name].to_pylist())
        assert all(batch[name].validate(full=True) is None for batch in batches)
    assert digest(schema_of(table), batches) == digest(schema_of(table), [logical])


@QUICK
@given(st.data())
def test_a_changed_value_changes_its_column_and_no_other(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 8))
    table = {name: data.draw(columns(rows)) for name in ("x", "y")}
    row = data.draw(st.integers(0, rows - 1))
    dtype, values = table["x"]
    other = data.draw(cells(dtype))
    assume(not same(values[row], other, dtype))
    edited = {**table, "x": (dtype, [*values[:row], other, *values[row + 1 :]])}
    before = digest(schema_of(table), batches_of(data.draw, table, rows))
    after = digest(schema_of(table), batches_of(data.draw, edited, rows))
    assert after.columns["x"] != before.columns["x"]
    assert after.columns["y"] == before.columns["y"]
    assert after.table != before.table


@QUICK
@given(st.data())
def test_order_matters(data: st.DataObject) -> None:
    dtype, (one, two, *rest) = data.draw(columns(4))
    assume(not same(one, two, dtype))
    assert column(pa.array([one, two, *rest], dtype)) != column(pa.array([two, one, *rest], dtype))


@QUICK
@given(TYPES, TYPES)
def test_type_matters_even_without_a_value(one: pa.DataType, two: pa.DataType) -> None:
    assume(one != two)
    assert type_name(one) != type_name(two)
    assert column(pa.array([], one)) != column(pa.array([], two))
    assert column(pa.nulls(3, one)) != column(pa.nulls(3, two))


def test_a_null_is_not_a_zero_an_empty_value_or_a_missing_row() -> None:
    for dtype, empty in [
        (pa.int64(), 0),
        (pa.string(), ""),
        (pa.bool_(), False),
        (pa.list_(pa.int64()), []),
        (pa.list_(pa.int64()), [None]),
        (pa.struct([("a", pa.int64())]), {"a": None}),
        (pa.map_(pa.string(), pa.int64()), []),
    ]:
        found = [column(pa.array(values, dtype)) for values in ([None], [empty], [], [None, None], [empty, empty])]
        assert len(set(found)) == 5


def test_boundaries_between_values_matter() -> None:
    assert column(pa.array(["ab", "c"])) != column(pa.array(["a", "bc"]))
    assert column(pa.array(["a", "\0"])) != column(pa.array(["a\0", ""]))
    assert column(pa.array([[1, 2], [3]])) != column(pa.array([[1], [2, 3]]))


def test_floats_are_told_apart_by_their_bits() -> None:
    bits = np.array([0x7FF8000000000000, 0x7FF8000000000001, 0xFFF8000000000000, 0, 1 << 63], np.uint64)
    digests = {column(pa.array(bits[i : i + 1].view(np.float64), from_pandas=False)) for i in range(len(bits))}
    assert len(digests) == len(bits)


def test_logical_types_have_one_name() -> None:
    for layout in (pa.string_view(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())):
        assert type_name(layout) == "string"
    assert type_name(pa.run_end_encoded(pa.int16(), pa.date32())) == "date32"
    assert type_name(pa.large_list(pa.field("element", pa.int8(), nullable=False))) == type_name(pa.list_(pa.int8()))
    assert type_name(pa.list_view(pa.int8())) == "list<int8>"
    assert type_name(pa.struct([("a, b", pa.decimal128(9, 2))])) == 'struct<"a, b": decimal128<9, 2>>'
    assert type_name(pa.timestamp("us", "UTC")) != type_name(pa.timestamp("us"))
    assert type_name(pa.uuid()) == type_name(pa.binary(16)) == "binary<16>"


def test_extension_types_count_as_their_storage() -> None:
    storage = pa.array([b"0123456789abcdef", None], pa.binary(16))
    assert column(pa.ExtensionArray.from_storage(pa.uuid(), storage)) == column(storage)


def test_a_union_is_refused_by_name() -> None:
    union = pa.list_(pa.sparse_union([pa.field("a", pa.int8())]))
    with pytest.raises(UnsupportedTypeError, match=r"column 'shape' of type sparse_union<a: int8=0>"):
        TableDigester(pa.schema([("id", pa.int64()), ("shape", union)]))


def test_only_the_columns_asked_for_count() -> None:
    batch = pa.RecordBatch.from_pydict({"a": [1, 2], "b": ["x", None], "c": [1.0, 2.0]})
    digester = TableDigester(batch.schema, ["b", "a"])
    digester.update(batch)
    found = digester.finish()
    assert list(found.columns) == ["b", "a"]
    assert found.columns == {name: column(batch.column(name)) for name in ("b", "a")}
    with pytest.raises(KeyError, match="no column 'd'"):
        TableDigester(batch.schema, ["d"])


def test_ambiguous_columns_and_batches_of_another_type_are_refused() -> None:
    twice = pa.schema([("a", pa.int8()), ("a", pa.int8())])
    with pytest.raises(ValueError, match="'a' occurs more than once"):
        TableDigester(twice)
    digester = TableDigester(pa.schema([("a", pa.int64())]))
    with pytest.raises(ValueError, match="'a' is int64 in the schema and string in a batch"):
        digester.update(pa.RecordBatch.from_pydict({"a": ["x"]}))


def test_batches_may_order_their_columns_differently() -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.int64())])
    one = pa.RecordBatch.from_pydict({"a": [1], "b": [2]})
    two = pa.RecordBatch.from_pydict({"b": [2], "a": [1]})
    assert digest(schema, [one, two]) == digest(schema, [one, one])


def test_a_large_column_with_a_view_layout_and_many_batches() -> None:
    values = [None if i % 7 == 0 else f"carrier {i % 1000} {'x' * (i % 50)}" for i in range(50_000)]
    table = pa.table({"s": pa.array(values)})
    views = table.cast(pa.schema([("s", pa.string_view())]))
    assert digest(table.schema, table.to_batches()) == digest(views.schema, views.to_batches(max_chunksize=999))


KNOWN = """
import decimal, pyarrow as pa
BATCH = pa.RecordBatch.from_pydict({
    "i": pa.array([1, None, -3, 3], pa.int64()),
    "f": pa.array([0.5, -0.0, None, None], pa.float64()),
    "b": pa.array([True, None, False, False]),
    "s": pa.array(["", None, "hello", "a longer piece of text \\U0001f4a1"]),
    "d": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-7.00"), None], pa.decimal128(20, 2)),
    "t": pa.array([0, 1, None, 2**50], pa.timestamp("us", "UTC")),
    "l": pa.array([[1, None], [], None, [4]], pa.list_(pa.int32())),
    "r": pa.array([{"x": 1, "y": ["a"]}, None, {"x": None, "y": None}, {"x": 2, "y": []}],
                  pa.struct([("x", pa.int8()), ("y", pa.list_(pa.string()))])),
    "m": pa.array([[("k", 1)], None, [], [("k", None), ("l", 2)]], pa.map_(pa.string(), pa.int16())),
})
"""
KNOWN_COLUMNS = {
    "i": "e56a8dfe7a0bbcace2fa4f06ca5009fc",
    "f": "99f4941a1b1c1c8a98ab6d932eb0452d",
    "b": "ddc716aa1060ed9e9705c1e985ad4863",
    "s": "dce306c107f24da495d1fb1093a6c4be",
    "d": "bc72f31aff6cd9842eef0d75ab224c78",
    "t": "2c45eb92b48f1ed5ea740154a821b6b4",
    "l": "a409b6d521fd2c504667c1e43268f2b7",
    "r": "52c6416d3e971ed2093014445513b754",
    "m": "cc5f4fbd257047770aeed31380ecfc30",
}
KNOWN_TABLE = "e95742ba79e73e6e1029e80a81090a2a"


@pytest.mark.parametrize("seed", ["0", "4242"])
def test_digests_are_the_same_in_every_process(seed: str) -> None:
    script = KNOWN + (
        "from cache.digests import TableDigester\n"
        "digester = TableDigester(BATCH.schema)\n"
        "digester.update(BATCH)\n"
        "found = digester.finish()\n"
        "print(*found.columns.values(), found.table)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    assert run.stdout.split() == [*KNOWN_COLUMNS.values(), KNOWN_TABLE]
