"""The type of a column of texts: the same however values are cut and ordered, and no two spellings become one value."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from rules.formats.spelling import Column

POOLS = [
    [
        "0",
        "7",
        "-7",
        "07",
        "-0",
        "+7",
        "9223372036854775807",
        "9223372036854775808",
        "11111111111111111111111111111111111111",
        "111111111111111111111111111111111111111",
        "7.0",
        "7.",
    ],
    [
        "1.5",
        "1.50",
        "2.25",
        "3",
        "3.0",
        "3.00",
        "10.10",
        "10.1",
        ".5",
        "0.5",
        "-.5",
        "0.0",
        "-0.0",
        "1e5",
        "100000",
    ],
    [
        "1e-05",
        "0.00001",
        "1e-5",
        "1E-05",
        "1.0e-07",
        "2.5e+20",
        "2.5e20",
        "1e+05",
        "1.5e+05",
        "150000",
        "nan",
        "NaN",
        "inf",
    ],
    [
        "0.1",
        "0.123456789012345",
        "0.1234567890123456",
        "123456789012345678",
        "0.12345678901234567891",
        "9007199254740993",
    ],
    [
        "true",
        "false",
        "TRUE",
        "False",
        "1",
        "0",
        "t",
    ],
    [
        "2024-01-01",
        "2024-02-30",
        "0001-01-01",
        "9999-12-31",
        "2024-1-1",
        "2024-01-01 00:00:00",
        "20240101",
    ],
    [
        "2024-01-01 00:00:00",
        "2024-01-01T00:00:00",
        "2024-01-01 00:00",
        "2024-01-01 00:00:00.5",
        "2024-01-01 00:00:00.50",
        "9999-12-31 00:00:00",
        "9999-12-31 00:00:00.5",
        "2024-01-01 00:00:00.1234567",
        "2024-01-01 00:00:00Z",
        "2024-01-01 02:00:00+02:00",
        "2024-01-01 24:00:00",
    ],
    [
        "12:00",
        "12:00:00",
        "13:30:01",
        "24:00",
        "1200",
        "12:00:00.5",
    ],
]


def dtype_of(values: list[str | None], cuts: list[int], *, of_timestamps: bool = False) -> pa.DataType:
    column = Column(of_timestamps=of_timestamps)
    for start, end in zip([0, *cuts], [*cuts, len(values)], strict=True):
        column.add(pa.array(values[start:end], pa.string()))
    return column.dtype()


@pytest.mark.parametrize("seed", range(4))
def test_types_do_not_depend_on_cuts_or_order_and_keep_spellings_apart(seed: int) -> None:
    chance = random.Random(seed)
    typed = 0
    for _ in range(60):
        pool = chance.choice(POOLS)
        several = chance.sample(pool, chance.randint(1, min(4, len(pool))))
        values: list[str | None] = [chance.choice([*several, None]) for _ in range(chance.randint(1, 90))]
        of_timestamps = chance.random() < 0.2
        whole = dtype_of(values, [], of_timestamps=of_timestamps)
        for _ in range(3):
            cuts = sorted(chance.choices(range(len(values) + 1), k=chance.randint(0, 5)))
            assert dtype_of(values, cuts, of_timestamps=of_timestamps) == whole, (values, cuts)
        shuffled = chance.sample(values, len(values))
        assert dtype_of(shuffled, [1] if len(shuffled) > 1 else [], of_timestamps=of_timestamps) == whole, values
        texts = sorted({value for value in values if value is not None})
        if whole != pa.string() and not pa.types.is_time(whole):  # of which texts cannot be cast
            typed += 1
            read = pa.array(texts).cast(whole)
            assert len(set(map(str, read.cast(pa.string()).to_pylist()))) == len(texts), (texts, whole)
    assert typed > 10


def test_no_values_are_text() -> None:
    assert dtype_of([], []) == pa.string()
    assert dtype_of([None, None], [1]) == pa.string()
