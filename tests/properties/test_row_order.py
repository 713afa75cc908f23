"""What is held to depend on no order of rows gives the same rows from the same rows in any order.

Each aggregate and window function of the catalogue, and each construct that compares values, over every type, with the
values that compare in several ways: NaN, signed zeros, NULL, ties, extremes. The soak tries all of them.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compiler.compiled import Compiled, Options
from compiler.errors import SqlError
from compiler.sql import functions
from rules.config.profiles import PROFILES
from rules.engine.execute import open_frame
from rules.engine.protocol import EngineInput, EngineQuery
from rules.files.project_paths import DEFAULT_PROFILE
from rules.storage.types import to_schema
from support.compiling import TestCompiler

Rows = list[dict[str, Any]]

_NANS = [struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in (0x7FF8 << 48, (0x7FF8 << 48) + 1, 0xFFF8 << 48)]
_FLOATS = [0.0, -0.0, 1.5, 1e300, -1e300, float("inf"), float("-inf"), 0.1, 0.2, None]
_decimal = decimal.Decimal
COLUMNS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "f": (pa.float64(), [*_NANS, *_FLOATS]),
    "r": (pa.float32(), [0.0, -0.0, float("nan"), 1.5, float("inf"), float("-inf"), None]),
    "i": (pa.int64(), [2**63 - 1, -(2**63), 2**53 + 1, 2**53, 1, 0, -1, None]),
    "u": (pa.uint64(), [2**64 - 1, 0, 1, 2**63, None]),
    "m": (pa.int8(), [127, -128, 0, 3, None]),
    "d": (pa.decimal128(10, 2), [_decimal("1.00"), _decimal("-2.50"), _decimal("99999999.99"), None]),
    "s": (pa.string(), ["a", "A", "b", "", "é", "e\u0301", None]),
    "y": (pa.binary(), [b"a", b"", b"\xff", None]),
    "b": (pa.bool_(), [True, False, None]),
    "t": (pa.date32(), [datetime.date(2020, 1, 1), datetime.date(1, 1, 1), datetime.date(9999, 12, 31), None]),
    "w": (pa.timestamp("us"), [datetime.datetime(2020, 1, 1), datetime.datetime(2021, 5, 1, 3), None]),
    "l": (pa.list_(pa.float64()), [[0.0], [-0.0], [float("nan")], [], [1.0, None], None]),
    "o": (pa.struct([("p", pa.float64()), ("q", pa.int32())]), [{"p": 0.0, "q": 1}, {"p": -0.0, "q": 1}, None]),
    "g": (pa.int32(), [1, 2]),
    "z": (pa.float64(), [0.0, -0.0, 1.0]),
}
SCHEMA = pa.schema([(name, dtype) for name, (dtype, _) in COLUMNS.items()])
VALUES = [name for name in COLUMNS if name not in {"g", "z"}]
_OF_TWO = {name for name in functions.functions() if name.startswith(("regr_", "covar"))} | {"corr"}
_OF_A_FRACTION = {"approx_percentile_cont", "percentile_cont", "quantile_cont"}
_OTHERS = {"grouping", "approx_percentile_cont_with_weight"}
_IN_ORDER = {"array_agg", "first_value", "last_value"}

SHAPES = [
    "SELECT {call} AS v FROM tab",
    "SELECT tab.g, {call} AS v FROM tab GROUP BY tab.g",
    "SELECT tab.z, {call} AS v FROM tab GROUP BY tab.z",
    "SELECT {call} AS v FROM tab WHERE tab.m = 3",
    "SELECT tab.g, {call} AS v FROM tab GROUP BY ROLLUP (tab.g)",
    "SELECT p.g, (SELECT {call} AS v FROM tab WHERE tab.g = p.g) AS v FROM (SELECT DISTINCT tab.g FROM tab) AS p",
    "SELECT tab.g, {call} OVER (PARTITION BY tab.g) AS v FROM tab",
    "SELECT tab.f, {call} OVER (ORDER BY tab.f) AS v FROM tab",
    (
        "SELECT tab.m, {call} OVER (PARTITION BY tab.g ORDER BY tab.m RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS v"
        " FROM tab"
    ),
]
CONSTRUCTS = [
    "SELECT DISTINCT tab.{c} FROM tab",
    "SELECT tab.g, tab.{c}, COUNT(*) AS n FROM tab GROUP BY tab.g, tab.{c}",
    "SELECT tab.{c}, COUNT(*) AS n FROM tab GROUP BY ROLLUP (tab.{c}, tab.g)",
    "SELECT tab.{c} FROM tab UNION SELECT tab.{c} FROM tab WHERE tab.g = 1",
    "SELECT tab.{c} FROM tab INTERSECT SELECT tab.{c} FROM tab WHERE tab.g = 1",
    "SELECT tab.{c} FROM tab EXCEPT SELECT tab.{c} FROM tab WHERE tab.g = 1",
    "SELECT p.m, q.{c} FROM tab AS p JOIN tab AS q ON p.{c} = q.{c}",
    (
        "SELECT p.m, q.{c} FROM tab AS p LEFT JOIN (SELECT DISTINCT t.{c} FROM tab AS t WHERE t.g = 1) AS q"
        " ON p.{c} = q.{c}"
    ),
    (
        "SELECT p.{c} FROM tab AS p FULL JOIN (SELECT t.{c}, t.g FROM tab AS t WHERE t.g = 1) AS q"
        " ON p.{c} = q.{c} AND p.g = q.g"
    ),
    "SELECT tab.m, tab.{c} FROM tab WHERE tab.{c} IN (SELECT q.{c} FROM tab AS q WHERE q.g = 1)",
    "SELECT tab.{c}, rank() OVER (ORDER BY tab.{c}) AS v FROM tab",
    "SELECT tab.{c}, dense_rank() OVER (PARTITION BY tab.{c} ORDER BY tab.g) AS v FROM tab",
    "SELECT tab.{c}, cume_dist() OVER (ORDER BY tab.{c}) AS v FROM tab",
    "SELECT tab.{c}, COUNT(*) OVER (PARTITION BY tab.{c}) AS v FROM tab",
    "SELECT COUNT(DISTINCT tab.{c}) AS n FROM tab",
    "SELECT struct(tab.{c}, tab.g) AS v FROM tab GROUP BY struct(tab.{c}, tab.g)",
    "SELECT make_array(tab.{c}) AS v FROM tab GROUP BY make_array(tab.{c})",
    (
        "SELECT lower(CAST(tab.{c} AS VARCHAR)) AS v, MIN(tab.{c}) AS a, MAX(tab.{c}) AS z FROM tab"
        " GROUP BY lower(CAST(tab.{c} AS VARCHAR))"
    ),
]


def calls() -> Iterator[str]:
    for name, function in functions.functions().items():
        if "aggregate" not in function.kinds or name in _OTHERS:
            continue
        for column in VALUES:
            c = f"tab.{column}"
            if name in _OF_TWO:
                yield f"{name}({c}, tab.i)"
            elif name in _OF_A_FRACTION:
                yield f"{name}(0.5) WITHIN GROUP (ORDER BY {c})"
            elif name == "string_agg":
                yield f"string_agg({c}, ',' ORDER BY {c})"
            elif name == "nth_value":
                yield f"nth_value({c}, 1 ORDER BY {c})"
            elif name in _IN_ORDER:
                yield f"{name}({c} ORDER BY {c})"
            else:
                yield f"{name}({c})"
                yield f"{name}(DISTINCT {c})"


def queries() -> list[str]:
    shaped = [
        shape.format(call=call)
        for call in calls()
        for shape in SHAPES
        if "OVER" not in shape or not any(word in call for word in ("DISTINCT", "ORDER BY"))
    ]
    return shaped + [construct.format(c=column) for construct in CONSTRUCTS for column in VALUES]


@functools.cache
def compiler() -> TestCompiler:
    return TestCompiler({"tab": SCHEMA})


def independent(sql: str) -> Compiled | None:
    """Compile a query, if it can be and is held to be independent of the order of rows."""
    try:
        compiled = compiler().compile(sql, Options())
    except SqlError:  # no such function for this type
        return None
    return None if compiled.traits.order_dependent or compiled.traits.float_sensitive else compiled


def random_rows(chance: random.Random) -> Rows:
    count = chance.randrange(2, 9)
    # Few values, so that there are ties.
    some = {name: chance.sample(values, min(len(values), 3)) for name, (_, values) in COLUMNS.items()}
    return [{name: chance.choice(values) for name, values in some.items()} for _ in range(count)]


def write(folder: Path, rows: Rows, chance: random.Random) -> EngineInput:
    arrays = []
    for name, dtype in zip(SCHEMA.names, SCHEMA.types, strict=True):
        values = [row[name] for row in rows]
        if dtype == pa.float64():  # keeps the bits of NaN
            mask = np.array([value is None for value in values])
            arrays.append(pa.array(np.array([0.0 if value is None else value for value in values]), mask=mask))
        else:
            arrays.append(pa.array(values, dtype))
    table = pa.table(arrays, schema=SCHEMA)
    cut = chance.randrange(len(rows) + 1)
    folder.mkdir()
    files = []
    for number, part in enumerate((table.slice(0, cut), table.slice(cut))):
        files.append(folder / f"{number}.parquet")
        pq.write_table(part, files[-1], row_group_size=chance.choice([1, 3, 9]))
    return EngineInput("tab", tuple(files), to_schema(SCHEMA), tuple(SCHEMA.names))


def exact(value: Any) -> Any:
    if isinstance(value, float):
        return struct.pack("<d", value).hex()
    if isinstance(value, list):
        return [exact(item) for item in value]
    return {name: exact(item) for name, item in value.items()} if isinstance(value, dict) else value


def outcome(compiled: Compiled, given: EngineInput, scratch: Path) -> list[str] | str:
    try:
        frame = open_frame(EngineQuery(compiled.sql, (given,), PROFILES[DEFAULT_PROFILE]), scratch)
        rows = [row for batch in frame.execute_stream() for row in batch.to_pyarrow().to_pylist()]
    except Exception as error:  # noqa: BLE001 — the engine raises what it likes; a failure must not depend on order either
        return type(error).__name__
    return sorted(repr(exact(row)) for row in rows)


def differing(folder: Path, chance: random.Random, compiled: list[tuple[str, Compiled]]) -> list[str]:
    rows = random_rows(chance)
    inputs = [
        write(folder / str(number), chance.sample(rows, len(rows)) if number else rows, chance) for number in range(3)
    ]
    return [sql for sql, one in compiled if len({str(outcome(one, given, folder)) for given in inputs}) > 1]


@pytest.mark.slow
def test_no_order_of_rows_shows_where_none_should(tmp_path: Path) -> None:
    chance = random.Random(55)
    some = [*chance.sample(queries(), 150), "SELECT tab.g, MAX(tab.f) AS v FROM tab GROUP BY tab.g"]
    compiled = [(sql, one) for sql in some if (one := independent(sql)) is not None]
    assert len(compiled) > 40
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        assert differing(tmp_path / str(number), chance, compiled) == []


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
def test_no_order_of_rows_shows_in_any_function(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    compiled = [(sql, one) for sql in queries() if (one := independent(sql)) is not None]
    print(f"{len(compiled)} of {len(queries())} queries are held to depend on no order of rows")  # noqa: T201
    assert len(compiled) > 400
    assert differing(tmp_path, chance, compiled) == []
