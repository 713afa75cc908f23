"""`rules.arrow.explode`: the rows of UNNEST, for every kind of list."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from datafusion import SessionContext

from rules.arrow import explode

VALUES: list[Any] = [[1, 2], None, [], [None, 3], [4, 5]]
STRUCTS: list[Any] = [[{"a": 1, "b": "x"}, None], None, [], [{"a": None, "b": "y"}]]
CASES: dict[str, pa.Array] = {
    "list": pa.array(VALUES, pa.list_(pa.int64())),
    "large list": pa.array(VALUES, pa.large_list(pa.int64())),
    "fixed size": pa.array([[1, 2], None, [None, 3], [4, 5]], pa.list_(pa.int64(), 2)),
    "structs": pa.array(STRUCTS, pa.list_(pa.struct([("a", pa.int64()), ("b", pa.string())]))),
    "lists of lists": pa.array([[[1], []], None, [None, [2, 3]]], pa.list_(pa.list_(pa.int64()))),
    "texts": pa.array([["a", ""], [], None, ["b"]], pa.list_(pa.string())),
    "nothing but NULL": pa.array([None, None], pa.list_(pa.int64())),
    "no rows": pa.array([], pa.list_(pa.int64())),
}


def _expected(lists: pa.Array) -> list[dict[str, Any]]:
    rows = enumerate(lists.to_pylist())
    return [{"id": number, "l": value, "n": -number} for number, values in rows for value in values or ()]


def _batch(lists: pa.Array) -> pa.RecordBatch:
    ids = pa.array(range(len(lists)), pa.int64())
    minus = pa.array([-number for number in range(len(lists))], pa.int32())
    return pa.RecordBatch.from_arrays([ids, lists, minus], ["id", "l", "n"])


@pytest.mark.parametrize("name", CASES)
def test_every_value_has_a_row(name: str) -> None:
    exploded = explode(_batch(CASES[name]), "l")
    assert exploded.to_pylist() == _expected(CASES[name])
    assert exploded.schema.names == ["id", "l", "n"]
    assert exploded.schema.field("l").type == CASES[name].type.value_type
    exploded.validate(full=True)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("start", [1, 2])
def test_slices_too(name: str, start: int) -> None:
    batch = _batch(CASES[name])
    whole = _expected(CASES[name])
    assert explode(batch.slice(start), "l").to_pylist() == [row for row in whole if row["id"] >= start]


@pytest.mark.parametrize("name", CASES)
def test_the_engine_gives_the_same_rows(name: str) -> None:
    batch = _batch(CASES[name])
    context = SessionContext()
    context.register_record_batches("t", [[batch]])
    engine = context.sql("SELECT id, unnest(l) AS l, n FROM t").to_arrow_table()
    assert engine.to_pylist() == explode(batch, "l").to_pylist()


def test_views_become_plain() -> None:
    tags = pa.array([["a", None], []], pa.list_(pa.string_view()))
    names = pa.array(["x", "y"], pa.string_view())
    batch = pa.RecordBatch.from_arrays([names, tags], ["name", "tag"])
    exploded = explode(batch, "tag")
    assert exploded.to_pylist() == [{"name": "x", "tag": "a"}, {"name": "x", "tag": None}]
    assert exploded.schema.types == [pa.string(), pa.string()]


def test_wrong_columns_are_refused() -> None:
    batch = _batch(CASES["list"])
    with pytest.raises(KeyError, match="the batch has no column 'x'"):
        explode(batch, "x")
    with pytest.raises(ValueError, match="the column 'id' holds no lists, but int64"):
        explode(batch, "id")
