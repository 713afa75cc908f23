"""Make small adversarial databases, run SQL on them in the real engine, and compare the tables that come out.

Everything here is deterministic from a seed. The domains are small, so that joins match, groups collide and sort keys
tie; the values are those that break rewrites: NULL, NaN, -0.0, infinities, integer extremes, empty strings, strings
that differ in case or blanks only, month ends, and hours that a time zone skips or repeats.
"""

import math
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
from datafusion import SessionConfig, SessionContext

Database = dict[str, pa.Table]

_MOMENT = pa.timestamp("us")
_INSTANT = pa.timestamp("us", tz="UTC")

TABLES: dict[str, pa.Schema] = {
    "orders": pa.schema(
        {
            "order_id": pa.int64(),
            "customer_id": pa.int64(),
            "item_id": pa.int32(),
            "status": pa.string(),
            "quantity": pa.int32(),
            "amount": pa.float64(),
            "price": pa.decimal128(10, 2),
            "paid": pa.bool_(),
            "placed_on": pa.date32(),
            "placed_at": _MOMENT,
        },
    ),
    "customers": pa.schema(
        {
            "customer_id": pa.int64(),
            "name": pa.string(),
            "region": pa.string(),
            "tier": pa.int32(),
            "active": pa.bool_(),
            "joined_on": pa.date32(),
        },
    ),
    # "Name" beside name: a quoted identifier keeps its case, a bare one is folded to lower case.
    "items": pa.schema(
        {
            "item_id": pa.int32(),
            "name": pa.string(),
            "Name": pa.string(),
            "category": pa.string(),
            "price": pa.decimal128(12, 3),
            "weight": pa.float32(),
            "in_stock": pa.bool_(),
        },
    ),
    "events": pa.schema(
        {
            "event_id": pa.int64(),
            "customer_id": pa.int64(),
            "kind": pa.string(),
            "happened_at": _INSTANT,
            "logged_at": _MOMENT,
            "step": pa.int32(),
        },
    ),
    "employees": pa.schema(
        {
            "employee_id": pa.int32(),
            "manager_id": pa.int32(),
            "name": pa.string(),
            "dept": pa.string(),
            "salary": pa.int64(),
            "bonus": pa.decimal128(10, 2),
            "hired_on": pa.date32(),
            "remote": pa.bool_(),
        },
    ),
    "readings": pa.schema(
        {
            "sensor_id": pa.int32(),
            "read_at": _MOMENT,
            "x": pa.float64(),
            "y": pa.float64(),
            "counter": pa.int64(),
            "ok": pa.bool_(),
        },
    ),
}

_WORDS: dict[str, tuple[str, ...]] = {
    "status": ("open", "held", "closed", "Open", "open ", "", "o_en", "done"),
    "region": ("north", "south", "North", "", "east"),
    "kind": ("click", "view", "buy", "Click", ""),
    "dept": ("ops", "dev", "Dev", "hr", ""),
    "category": ("toy", "book", "Toy", "50%", ""),
}
_NAMES = ("ann", "bob", "Ann", "", "zoë", "zoe\u0308", "a%b", "bob ")
_MOMENTS = (
    datetime(2023, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2024, 1, 1, tzinfo=UTC),
    datetime(2024, 1, 31, 12, 30, tzinfo=UTC),
    datetime(2024, 2, 29, 8, 15, 30, 500_000, tzinfo=UTC),
    datetime(2024, 3, 31, 1, 30, tzinfo=UTC),  # an hour that Berlin skips
    datetime(2024, 10, 27, 0, 30, tzinfo=UTC),  # an hour that Berlin repeats
    datetime(2024, 10, 27, 1, 30, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
)
_DAYS = (
    date(2023, 12, 31),
    date(2024, 1, 1),
    date(2024, 1, 30),
    date(2024, 1, 31),
    date(2024, 2, 29),
    date(2024, 3, 31),
    date(1969, 12, 31),
)
_FLOATS = (0.0, -0.0, 0.1, 0.2, 0.3, 1.0, 1.5, -2.5, 100.0)
# x86 makes the NaN whose sign bit is set; the engine orders it below -inf, and the other one above inf.
_WILD_FLOATS = (*_FLOATS, math.nan, -math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 2.0**53 + 2)
_CENTS = ("0.00", "0.01", "0.10", "1.00", "1.50", "-2.25", "99.99", "10.00")
_INTS = (0, 1, 2, 3, 4, 5, 7, -1)


def random_database(seed: int, rows: int) -> Database:
    """A database with every table of ``TABLES``, the same one for the same arguments on every machine.

    ``rows`` is the row count of a full table; one table in ten is empty and one in five shorter. About one database in
    four holds NaN and infinities and one in four integer extremes, so that most databases stay free of overflow.
    """
    rng = random.Random(seed)
    wild_floats = rng.random() < 0.25
    wild_ints = rng.random() < 0.25
    database: Database = {}
    for name, schema in TABLES.items():
        size = rows
        fate = rng.random()
        if fate < 0.1:
            size = 0
        elif fate < 0.3:
            size = rng.randint(0, rows)
        columns: list[list[object]] = []
        for field in schema:
            draw = _drawer(rng, field, wild_floats=wild_floats, wild_ints=wild_ints)
            null_share = rng.choice((0.0, 0.1, 0.1, 0.25, 0.25, 0.5, 1.0 if rng.random() < 0.3 else 0.1))
            columns.append([None if rng.random() < null_share else draw() for _ in range(size)])
        rows_of = list(zip(*columns, strict=True))
        # A bag with exact duplicates tells DISTINCT, UNION ALL and row counts apart.
        for target in range(1, len(rows_of)):
            if rng.random() < 0.2:
                rows_of[target] = rows_of[rng.randrange(target)]
        cells = list(zip(*rows_of, strict=True)) if rows_of else [() for _ in schema]
        arrays = [pa.array(cell, type=field.type) for cell, field in zip(cells, schema, strict=True)]
        database[name] = pa.Table.from_arrays(arrays, schema=schema)
    return database


def _drawer(
    rng: random.Random,
    field: pa.Field,
    *,
    wild_floats: bool,
    wild_ints: bool,
) -> Callable[[], object]:
    """A function of no arguments that draws one value of the field's type."""
    kind = field.type
    values: tuple[object, ...]
    if pa.types.is_boolean(kind):
        values = (True, False)
    elif pa.types.is_integer(kind):
        bits = kind.bit_width
        values = (*_INTS, 2 ** (bits - 1) - 1, -(2 ** (bits - 1))) if wild_ints else _INTS
        if not wild_ints and field.name == "counter":
            values = (*_INTS, 2**53 + 1, 2**31)
    elif pa.types.is_float32(kind):
        values = (0.0, -0.0, 0.5, 1.25, 0.1, math.nan, math.inf) if wild_floats else (0.0, 0.5, 1.25, 0.1)
    elif pa.types.is_floating(kind):
        values = _WILD_FLOATS if wild_floats else _FLOATS
    elif pa.types.is_decimal(kind):
        values = tuple(Decimal(text) for text in _CENTS)
        if kind.scale > 2:
            values = (*values, Decimal("0.005"), Decimal("1.005"))
    elif pa.types.is_date(kind):
        values = _DAYS
    elif pa.types.is_timestamp(kind):
        values = _MOMENTS if kind.tz else tuple(moment.replace(tzinfo=None) for moment in _MOMENTS)
    else:
        values = _WORDS.get(field.name, _NAMES)
    # A narrower choice a column makes ties and matches likely even among few rows.
    chosen = rng.sample(values, rng.randint(2, len(values)))
    return lambda: rng.choice(chosen)


def open_database(database: Database) -> SessionContext:
    """A fresh single-partition session that holds the tables of ``database``."""
    context = SessionContext(SessionConfig().with_target_partitions(1))
    for name, table in database.items():
        batches = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
        context.register_record_batches(name, [batches])
    return context


def run(context: SessionContext, sql: str) -> pa.Table:
    """The result of one query. Raises what the engine raises: ValueError in planning, Exception in execution."""
    frame = context.sql(sql)
    batches = frame.collect()
    # The types are those of the rows: the frame's schema is older than the engine's type coercion and can disagree
    # (a UNION of int and bigint). Nullability is left out, as it differs between batches of one result.
    typed = batches[0].schema if batches else frame.schema()
    schema = pa.schema([(field.name, field.type) for field in typed])
    return pa.Table.from_batches([batch.cast(schema) for batch in batches], schema=schema)


def execute(sql: str, database: Database) -> pa.Table:
    """The result of one query on a fresh session. Raises the engine's exceptions."""
    return run(open_database(database), sql)


def same_table(a: pa.Table, b: pa.Table, *, ordered: bool, float_tolerance: float = 0.0) -> bool:
    """Whether two tables have the same column names in order, the same types, and the same rows.

    Rows are compared as a bag, or in order when ``ordered``. Floats are compared by their bits (so -0.0 is not 0.0 and
    NaN is NaN) unless ``float_tolerance``, a relative tolerance, is given. A string view counts as a string: the two
    layouts hold the same values, and which of them the engine picks says nothing about a query.
    """
    if a.schema.names != b.schema.names or a.num_rows != b.num_rows:
        return False
    if [_plain(kind) for kind in a.schema.types] != [_plain(kind) for kind in b.schema.types]:
        return False
    if float_tolerance:
        return _same_nearly(a, b, ordered=ordered, tolerance=float_tolerance)
    left, right = _rows(a), _rows(b)
    return left == right or (not ordered and Counter(left) == Counter(right))


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    return kind


def _rows(table: pa.Table) -> list[tuple[object, ...]]:
    if not table.num_columns:
        return [()] * table.num_rows
    return list(zip(*(_cells(column) for column in table.columns), strict=True))


def _cells(column: pa.ChunkedArray) -> list[object]:
    """The values of a column as hashable Python objects, floats and times as their bits."""
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        raw = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[kind.bit_width]
        return [cell for chunk in column.chunks for cell in chunk.view(raw).to_pylist()]
    cells: list[object] = column.to_pylist()
    return [_frozen(cell) for cell in cells] if pa.types.is_nested(kind) else cells


def _frozen(value: object) -> object:
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, dict):
        return tuple((key, _frozen(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    return value


def _same_nearly(a: pa.Table, b: pa.Table, *, ordered: bool, tolerance: float) -> bool:
    floats = [pa.types.is_floating(kind) for kind in a.schema.types]

    def rows(table: pa.Table) -> list[tuple[tuple[object, ...], tuple[float | None, ...]]]:
        columns = [
            column.to_pylist() if inexact else _cells(column)
            for column, inexact in zip(table.columns, floats, strict=True)
        ]
        split = [
            (
                tuple(cell for cell, inexact in zip(row, floats, strict=True) if not inexact),
                tuple(cell for cell, inexact in zip(row, floats, strict=True) if inexact),
            )
            for row in zip(*columns, strict=True)
        ]
        return split if ordered else sorted(split, key=lambda row: (repr(row[0]), _order_of(row[1])))

    return all(
        exact_a == exact_b and all(_close(x, y, tolerance) for x, y in zip(near_a, near_b, strict=True))
        for (exact_a, near_a), (exact_b, near_b) in zip(rows(a), rows(b), strict=True)
    )


def _order_of(values: Iterable[float | None]) -> tuple[tuple[int, float], ...]:
    """A sort key that is total on NULL and NaN."""
    return tuple((0, 0.0) if v is None else (1, 0.0) if math.isnan(v) else (2, v) for v in values)


def _close(x: float | None, y: float | None, tolerance: float) -> bool:
    if x is None or y is None:
        return x is y
    return (math.isnan(x) and math.isnan(y)) or math.isclose(x, y, rel_tol=tolerance, abs_tol=tolerance)
