"""Bag digests depend on the rows and their multiplicity, and on nothing else: not on order, batches or layout."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cache.bags import bag_digest
from cache.levels import UnsupportedTypeError
from support.arrays import TYPES, batches_of, cells, columns, schema_of

# Tables whose digests are written down are those of the column digests' tests.
tables = importlib.import_module("tests.cache.test_digests")
KNOWN, ROOT, same = tables.KNOWN, tables.ROOT, tables.same

QUICK = settings(max_examples=25)


def bag(**values: Any) -> str:
    """The bag digest of one batch of these columns."""
    batch = pa.RecordBatch.from_pydict(values)
    return bag_digest(batch.schema, [batch], batch.schema.names)


@pytest.mark.slow
@QUICK
@given(st.data())
def test_order_layout_and_batches_do_not_matter(data: st.DataObject) -> None:
    rows = data.draw(st.integers(0, 10))
    table = {name: data.draw(columns(rows)) for name in ("x", "y")}
    order = data.draw(st.permutations(range(rows)))
    permuted = {name: (dtype, [values[row] for row in order]) for name, (dtype, values) in table.items()}
    schema = schema_of(table)
    before = bag_digest(schema, batches_of(data.draw, table, rows), schema.names)
    assert bag_digest(schema, batches_of(data.draw, permuted, rows), schema.names) == before


@QUICK
@given(st.data())
def test_a_changed_value_changes_the_bag(data: st.DataObject) -> None:
    dtype, values = data.draw(columns(3))
    other = data.draw(cells(dtype))
    assume(not same(values[0], other, dtype))
    assert bag(x=pa.array(values, dtype)) != bag(x=pa.array([other, *values[1:]], dtype))


@QUICK
@given(st.data())
def test_duplicates_count(data: st.DataObject) -> None:
    dtype = data.draw(TYPES)
    value, other = data.draw(cells(dtype)), data.draw(cells(dtype))
    found = {bag(x=pa.array([*[value] * times, other], dtype)) for times in range(5)}
    assert len(found) == 5


@pytest.mark.slow
@QUICK
@given(st.data())
def test_a_swap_between_rows_in_one_column_changes_the_bag(data: st.DataObject) -> None:
    (left, (a, b)), (right, (c, d)) = data.draw(columns(2)), data.draw(columns(2))
    assume(not same(a, b, left) and not same(c, d, right))
    whole = bag(x=pa.array([a, b], left), y=pa.array([c, d], right))
    assert bag(x=pa.array([b, a], left), y=pa.array([c, d], right)) != whole
    assert bag(x=pa.array([b, a], left), y=pa.array([d, c], right)) == whole


@QUICK
@given(st.data())
def test_swapping_two_columns_changes_the_bag(data: st.DataObject) -> None:
    dtype = data.draw(TYPES)
    one, two = data.draw(cells(dtype)), data.draw(cells(dtype))
    assume(not same(one, two, dtype))
    x, y = pa.array([one], dtype), pa.array([two], dtype)
    assert bag(x=x, y=y) != bag(x=y, y=x)
    assert bag(x=x, y=y) != bag(y=y, x=x)


def test_names_and_types_count() -> None:
    assert bag(x=pa.array([1], pa.int8())) != bag(x=pa.array([1], pa.int16()))
    assert bag(x=pa.array([1])) != bag(y=pa.array([1]))
    assert bag(x=pa.array(["a"])) == bag(x=pa.array(["a"], pa.string_view()))


def test_nulls_move_with_their_row() -> None:
    assert bag(x=[1, 2], y=[None, 0]) != bag(x=[1, 2], y=[0, None])
    assert bag(x=[None, None], y=[1, None]) != bag(x=[None, 1], y=[None, None])


def test_items_stay_in_their_place_and_in_their_row() -> None:
    lists = [[[1, 2], [3]], [[2, 1], [3]], [[1], [2, 3]], [[1, 2, 3], []], [[1, 2, 3], None], [[1, 2], [3, None]]]
    assert len({bag(x=pa.array(rows, pa.list_(pa.int64()))) for rows in lists}) == len(lists)
    nested = [[[[1], [2]]], [[[1, 2]]], [[[1, 2], []]], [[[], [1, 2]]], [[None, [1, 2]]], [None], [[]]]
    assert len({bag(x=pa.array(rows, pa.list_(pa.list_(pa.int64())))) for rows in nested}) == len(nested)


def test_strings_are_told_apart_at_every_length() -> None:
    texts = ["\0" * size for size in range(40)] + ["a" * size for size in range(1, 40)]
    texts += ["a" * at + "b" + "a" * (39 - at) for at in range(40)]
    assert len({bag(x=[text]) for text in texts}) == len(texts)
    assert bag(x=["12345678", "x"]) != bag(x=["12345678x", ""])
    for dtype in (pa.binary(), pa.binary(16)):
        words = (b"abcdefgh", b"12345678")
        assert bag(x=pa.array([b"".join(words)], dtype)) != bag(x=pa.array([b"".join(words[::-1])], dtype))


def test_many_rows_in_any_batches_and_any_order() -> None:
    rng = np.random.default_rng(7)
    numbers = rng.integers(0, 1 << 40, 40_000)
    texts = pa.array([None if n % 11 == 0 else f"{n:x}" * (1 + n % 4) for n in numbers.tolist()])
    table = pa.table({"n": numbers, "s": texts, "l": [list(range(n % 5)) for n in numbers.tolist()]})
    shuffled = table.take(rng.permutation(len(table)))
    whole = bag_digest(table.schema, table.combine_chunks().to_batches(), table.schema.names)
    assert bag_digest(table.schema, shuffled.to_batches(max_chunksize=1001), table.schema.names) == whole
    moved = pa.table({"n": table["n"], "s": shuffled["s"], "l": table["l"]})
    assert bag_digest(moved.schema, moved.to_batches(), moved.schema.names) != whole


def test_row_hashes_of_small_domains_do_not_collide() -> None:
    """Sums of close numbers are where a weak mixer shows: all pairs of rows drawn from a small grid differ."""
    found = [bag(x=[a, b], y=[c, d]) for a in range(6) for b in range(a, 6) for c in range(6) for d in range(6)]
    pairs = {tuple(sorted([(a, c), (b, d)])) for a in range(6) for b in range(a, 6) for c in range(6) for d in range(6)}
    assert len(set(found)) == len(pairs)


def test_without_columns_only_the_row_count_matters() -> None:
    one, two = pa.RecordBatch.from_pydict({"a": [1, 2]}), pa.RecordBatch.from_pydict({"a": [3]})
    assert bag_digest(one.schema, [one, two], []) == bag_digest(one.schema, [two, two, two], [])
    assert bag_digest(one.schema, [one, two], []) != bag_digest(one.schema, [one], [])


def test_what_cannot_be_digested_is_refused_by_name() -> None:
    union = pa.sparse_union([pa.field("a", pa.int8())])
    with pytest.raises(UnsupportedTypeError, match="column 'u' of type sparse_union"):
        bag_digest(pa.schema([("u", union)]), [], ["u"])
    with pytest.raises(KeyError, match="no column 'v'"):
        bag_digest(pa.schema([("u", pa.int8())]), [], ["v"])
    with pytest.raises(ValueError, match="'u' is int8 in the schema and int64 in a batch"):
        bag_digest(pa.schema([("u", pa.int8())]), [pa.RecordBatch.from_pydict({"u": [1]})], ["u"])


KNOWN_BAGS = {
    "none": "154b2bf793ff2abde30cc563c2044913",
    "i": "0e41ef408b04d615150cb6ad209f4bbc",
    "f": "aea71565f31e2a634d4d48e5efac0fe1",
    "b": "5f55d086103d2eba85077c926b83ff6e",
    "s": "3ee8d5ff925918fbfc14736f45ad1ec3",
    "d": "44afccc804b8a541c7ae9d282c66197a",
    "t": "8cecea268037986709d5e379a0e16465",
    "l": "65258095edc387ad88d285fd006c3167",
    "r": "eb9c1e0de0b844151bf489e1ac39e6e8",
    "m": "b3ca3f4a9156f27fc0c7369dae437e1c",
    "all": "cb7875c02a6fc29240337da0fa81ceb6",
}


@pytest.mark.parametrize("seed", ["0", "4242"])
def test_bag_digests_are_the_same_in_every_process(seed: str) -> None:
    script = KNOWN + (
        "from cache.bags import bag_digest\n"
        "names = BATCH.schema.names\n"
        "for columns in [[], *([name] for name in names), names]:\n"
        "    print(bag_digest(BATCH.schema, [BATCH], columns))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    assert run.stdout.split() == list(KNOWN_BAGS.values())
