"""The rows in which two stored tables differ, against a comparison in plain Python."""

import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache.rowdiff import diff_bags, diff_keyed, take

TABLE = pa.schema(
    [
        ("k", pa.string()),
        ("j", pa.int32()),
        ("x", pa.float64()),
        ("n", pa.list_(pa.struct([("a", pa.int64()), ("b", pa.string())]))),
        ("d", pa.decimal128(10, 2)),
    ]
)
NESTED: list[Any] = [None, [], [None], [{"a": 1, "b": None}], [{"a": 1, "b": ""}], [{"a": 1, "b": "x"}, None]]
FLOATS = [None, 0.0, -0.0, math.nan, 1.5, math.inf]


def comparable(value: Any) -> str:
    """Equal for what is no difference: a text that tells NULL, -0.0 and nested values apart."""
    return repr(value)


def random_rows(rng: random.Random, count: int) -> list[dict[str, Any]]:
    return [
        {
            "k": rng.choice([None, "", "a", "b"]),
            "j": rng.randrange(3) if rng.random() < 0.8 else None,
            "x": rng.choice(FLOATS),
            "n": rng.choice(NESTED),
            "d": None,
        }
        for _ in range(count)
    ]


def written(path: Path, rows: list[dict[str, Any]], group: int = 5) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, TABLE), path, row_group_size=group)
    return path


def texts(rows: list[dict[str, Any]], columns: list[str]) -> list[tuple[str, ...]]:
    return [tuple(comparable(row[column]) for column in columns) for row in rows]


def left(first: list[tuple[str, ...]], second: list[tuple[str, ...]]) -> Counter[tuple[str, ...]]:
    return Counter(first) - Counter(second)


@pytest.mark.parametrize("seed", range(30))
def test_bags(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    old, new = random_rows(rng, rng.randrange(30)), random_rows(rng, rng.randrange(30))
    found = diff_bags(written(tmp_path / "old", old), written(tmp_path / "new", new), TABLE.names)
    before, after = texts(old, TABLE.names), texts(new, TABLE.names)
    assert Counter(before[row] for row in found.removed) == left(before, after)
    assert Counter(after[row] for row in found.added) == left(after, before)
    assert not found.columns


@pytest.mark.parametrize("seed", range(40))
def test_keyed(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    key, rest = ["k", "j"], ["x", "n", "d"]
    old, new = random_rows(rng, rng.randrange(12)), random_rows(rng, rng.randrange(12))
    found = diff_keyed(written(tmp_path / "old", old), written(tmp_path / "new", new), key, rest)
    before, after = texts(old, TABLE.names), texts(new, TABLE.names)
    keys_before, keys_after = texts(old, key), texts(new, key)
    many = {one for one in (*keys_before, *keys_after) if max(keys_before.count(one), keys_after.count(one)) > 1}
    assert found.duplicated == len(many)
    one_old = {one: row for row, one in zip(old, keys_before, strict=True) if one not in many}
    one_new = {one: row for row, one in zip(new, keys_after, strict=True) if one not in many}
    changed = {one: [c for c in rest if comparable(one_old[one][c]) != comparable(one_new[one][c])]
               for one in one_old.keys() & one_new.keys()}  # fmt: skip
    pairs = list(zip(*found.changed, strict=True))
    assert pairs == sorted(pairs, key=lambda pair: pair[1])
    assert {keys_before[row]: keys_after[other] for row, other in pairs} == {
        one: one for one in changed if changed[one]
    }
    told: dict[tuple[str, ...], list[str]] = {}
    for column in rest:
        for pair in found.columns.get(column, ()):
            told.setdefault(keys_before[pairs[pair][0]], []).append(column)
    assert told == {one: columns for one, columns in changed.items() if columns}
    gone = [one for one in before if one[:2] not in changed]
    come = [one for one in after if one[:2] not in changed]
    assert Counter(before[row] for row in found.removed) == left(gone, come)
    assert Counter(after[row] for row in found.added) == left(come, gone)


def test_a_column_that_is_known_to_be_the_same_is_not_read(tmp_path: Path) -> None:
    rows = [{"k": name, "j": 1, "x": 1.0} for name in "ab"]
    old, new = written(tmp_path / "old", rows), written(tmp_path / "new", [{**row, "x": 2.0} for row in rows])
    assert set(diff_keyed(old, new, ["k"], ["j", "x"]).columns) == {"x"}
    assert not diff_keyed(old, new, ["k"], ["j", "x"], same={"x"}).columns
    turned = written(tmp_path / "turned", [{**row, "x": 2.0} for row in reversed(rows)])
    assert set(diff_keyed(old, turned, ["k"], ["j", "x"], same={"x"}).columns) == {"x"}, "the rows do not stand alike"


def test_every_nan_is_the_same(tmp_path: Path) -> None:
    other = pa.Array.from_buffers(pa.float64(), 1, [None, pa.py_buffer(bytes([1, 0, 0, 0, 0, 0, 0xF8, 0xFF]))])
    pq.write_table(pa.table({"x": [math.nan]}), tmp_path / "old")
    pq.write_table(pa.table({"x": other}), tmp_path / "new")
    assert len(diff_bags(tmp_path / "old", tmp_path / "new", ["x"]).added) == 0


def test_rows_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    table = pa.table({"i": range(1000), "s": pa.array([f"v{i}" for i in range(1000)], pa.string_view())})
    pq.write_table(table, tmp_path / "t", row_group_size=64)
    rows = pa.array([999, 0, 64, 63, 500]).to_numpy()
    assert take(tmp_path / "t", ["s", "i"], rows).to_pylist() == [{"s": f"v{i}", "i": i} for i in rows]
    assert take(tmp_path / "t", ["i"], rows[:0]).num_rows == 0
