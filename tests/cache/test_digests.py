"""Column digests depend on content and on nothing else: not on layout, batches, process or hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cache.digests import TableDigester
from cache.levels import UnsupportedTypeError, type_name
from support.arrays import TYPES, batches_of, cells, columns, digest, schema_of

if TYPE_CHECKING:
    pass

ROOT = Path(__file__).parents[2]

QUICK = settings(max_examples=25)


def column(array: pa.Array) -> str:
    """The column digest of one array."""
    batch = pa.RecordBatch.from_arrays([array], names=["c"])
    return digest(batch.schema, [batch]).columns["c"]


def same(left: Any, right: Any, dtype: pa.DataType) -> bool:
    """Whether two values cannot be told apart; -0.0 and 0.0 can."""
    return repr(pa.array([left], dtype).to_pylist()) == repr(pa.array([right], dtype).to_pylist())


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
