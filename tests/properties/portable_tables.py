"""Make tiny databases for queries that several engines read the same way: integers, text and floats, NULLs everywhere.

The domains are so small that joins match, groups collide and duplicates are common; a table may be empty or hold one
row. NaN and infinities are there only for judges that have them. Sums of the floats are exact in any order.
"""

from __future__ import annotations

import math
import random

import pyarrow as pa
import pyarrow.compute as pc

INT, STR, FLOAT, BOOL = "int", "str", "float", "bool"
TYPES = {INT: pa.int64(), STR: pa.string(), FLOAT: pa.float64()}
TABLES: dict[str, dict[str, str]] = {
    "t": {"k": INT, "a": INT, "s": STR, "x": FLOAT},
    "u": {"k": INT, "b": INT, "s": STR, "y": FLOAT},
    "v": {"a": INT, "b": INT, "r": STR},
    "w": {"k": INT, "c": INT, "z": FLOAT},
}
"""Table → column → kind. Some names are shared, as by keys, so that USING and names read from outside find a place."""
_VALUES: dict[str, tuple[object, ...]] = {
    INT: (0, 1, 2, 3, -1, 5),
    STR: ("a", "b", "A", "", "ab", "a%", "b "),
    FLOAT: (0.0, -0.0, 1.5, -2.25, 1.0, 2.0, 0.5),
}
_SIZES = (0, 1, 2, 3, 4, 4, 5, 6)


def portable_database(seed: int, *, wild_floats: bool) -> dict[str, pa.Table]:
    """Return the tables of `TABLES`, the same ones for the same arguments on every machine.

    wild_floats: with NaN and infinities, in two databases of three.
    """
    rng = random.Random(seed)
    wild = wild_floats and seed % 3 > 0
    return {name: _table(rng, columns, wild=wild) for name, columns in TABLES.items()}


def _table(rng: random.Random, columns: dict[str, str], *, wild: bool) -> pa.Table:
    size = rng.choice(_SIZES)
    drawn = []
    for kind in columns.values():
        values = list(_VALUES[kind])
        if kind == FLOAT and wild:
            values += [math.nan, math.nan, math.inf, -math.inf]
        chosen = rng.sample(values, rng.randint(2, 5))
        nulls = rng.choice((0.0, 0.2, 0.2, 0.4))
        drawn.append([None if rng.random() < nulls else rng.choice(chosen) for _ in range(size)])
    rows = list(zip(*drawn, strict=True))
    for target in range(1, size):
        if rng.random() < 0.2:
            rows[target] = rows[rng.randrange(target)]
    cells = list(zip(*rows, strict=True)) if rows else [() for _ in columns]
    return pa.table(
        {name: pa.array(list(cell), TYPES[kind]) for (name, kind), cell in zip(columns.items(), cells, strict=True)}
    )


def without_signed_zeros(table: pa.Table) -> pa.Table:
    """Return a table with 0.0 in place of each -0.0."""
    columns = [pc.add(column, 0.0) if pa.types.is_floating(column.type) else column for column in table.columns]
    return pa.Table.from_arrays(columns, schema=table.schema)
