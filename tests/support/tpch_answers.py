"""The 22 TPC-H queries as engines answer them that share no code with ours, and what a product differs in from that.

PostgreSQL takes the rules' texts as they are and computes decimals exactly. SQLite has neither dates nor decimals: it
gets dates as text and decimals as floats, and four constructs are spelled in its own way.
"""

from __future__ import annotations

import contextlib
import math
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from rules.config.profiles import PROFILES
from support.inprocess import build
from support.projects import SampleProject
from support.reference import read_rules

Answers = Mapping[str, Sequence[tuple[Any, ...]]]
"""The rows of each query, in order."""

SETTINGS = [
    (profile, filters, partitions) for profile in PROFILES for filters in (True, False) for partitions in (1, 2, 4)
]
"""Every built-in profile, dynamic filters on and off, numbers of partitions."""
SOME_SETTINGS = [
    ("prod_fast", True, 1), ("prod_fast", False, 4), ("dev_debug", False, 2), ("memory_tight", True, 4),
]  # fmt: skip
"""Of these so many that each profile, each number and both states occur."""
RELATIVE = 1e-9
"""The tolerance for floats."""
_IN_SQLITE = (
    (r"DATE '([\d-]+)' ([+-]) INTERVAL '(\d+)' (DAY|MONTH|YEAR)", r"DATE('\1', '\2\3 \4')"),
    (r"DATE '([\d-]+)'", r"'\1'"),
    (r"EXTRACT\(YEAR FROM ([\w.]+)\)", r"CAST(STRFTIME('%Y', \1) AS INTEGER)"),
    (r"SUBSTRING\(([\w.]+) FROM (\d+) FOR (\d+)\)", r"SUBSTR(\1, \2, \3)"),
    (r"0\.06 - 0\.01", "0.05"),  # exact in decimals; as floats 0.06 + 0.01 is less than 0.07
    (r"0\.06 \+ 0\.01", "0.07"),
)
_DYNAMIC_FILTERS = ("dynamic_filters", "join_dynamic_filters", "topk_dynamic_filters", "aggregate_dynamic_filters")
_INDEXES = (
    "customer (c_custkey)", "customer (c_nationkey)", "lineitem (l_orderkey)", "lineitem (l_partkey, l_suppkey)",
    "lineitem (l_suppkey)", "nation (n_nationkey)", "orders (o_custkey)", "orders (o_orderkey)", "part (p_partkey)",
    "partsupp (ps_partkey, ps_suppkey)", "partsupp (ps_suppkey)", "supplier (s_nationkey)", "supplier (s_suppkey)",
)  # fmt: skip


def sqlite_answers(project: Path) -> Answers:
    """Answer the queries of a TPC-H project by SQLite."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA case_sensitive_like = ON")
        for table, file in _files(project):
            names = file.schema_arrow.names
            connection.execute(f"CREATE TABLE {table} ({', '.join(names)})")
            marks = ", ".join("?" * len(names))
            for batch in file.iter_batches():
                columns = [_for_sqlite(column).to_pylist() for column in batch.columns]
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", zip(*columns, strict=True))
        for index in _INDEXES:
            connection.execute(f"CREATE INDEX {re.sub('[^a-z]+', '_', index)} ON {index}")
        connection.execute("ANALYZE")
        return {name: connection.execute(_sqlite_text(sql)).fetchall() for name, sql in _queries(project)}


@contextmanager
def postgresql_tables(address: str, project: Path) -> Iterator[Any]:
    """Yield a connection to a server that holds the tables of a TPC-H project, until the caller is done."""
    import psycopg  # only tests that start a server need it

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SET max_parallel_workers_per_gather = 0")  # other tests run beside this one
        connection.execute("SET work_mem = '256MB'")
        connection.execute("SET maintenance_work_mem = '512MB'")
        for table, file in _files(project):
            columns = ", ".join(f"{field.name} {_postgresql_type(field.type)}" for field in file.schema_arrow)
            connection.execute(f"CREATE TABLE {table} ({columns})".encode())
            with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv)".encode()) as copy:
                for batch in file.iter_batches():
                    copy.write(_csv(batch))
        for index in _INDEXES:
            connection.execute(f"CREATE INDEX ON {index}".encode())
        connection.execute("ANALYZE")
        try:
            yield connection
        finally:
            for table, _ in _files(project):
                connection.execute(f"DROP TABLE {table}".encode())


def postgresql_answers(address: str, project: Path) -> Answers:
    """Answer the queries of a TPC-H project by a PostgreSQL server."""
    with postgresql_tables(address, project) as connection:
        return {name: connection.execute(sql.encode()).fetchall() for name, sql in _queries(project)}


def built_under(project: SampleProject, profile: str, partitions: int, *, filters: bool) -> dict[str, pa.Table]:
    """Build all products of a TPC-H project anew with some settings, and return them."""
    switches = [word for name in _DYNAMIC_FILTERS for word in ("--set", f"{name}={str(filters).lower()}")]
    settings = ["--profile", profile, "--set", f"partitions={partitions}", *switches]
    ran = build(project, "--force", "*", *settings)
    assert len(ran.executed) == len(_queries(project.root))
    return {name: project.product(name) for name in ran.executed}


def differences(project: Path, products: Mapping[str, pa.Table], answers: Answers) -> list[str]:
    """Return a sentence for each product of a TPC-H project that is not what was answered.

    Texts, integers and dates are equal. Decimals are equal to exact ones where they have their digits; those with more
    digits, which come from a division, are cut or rounded to the product's. Floats differ by `RELATIVE` at most, on
    either side. Rows come in the order that the query asks for, and only rows that are tied in it may change places.
    """
    found = []
    for name, sql in _queries(project):
        product, answer = products[name], answers[name]
        if product.num_rows != len(answer) or any(product.num_columns != len(row) for row in answer[:1]):
            found.append(f"{name}: {product.num_rows} rows, not {len(answer)}")
            continue
        kinds = product.schema.types
        ours = list(zip(*(column.to_pylist() for column in product.columns), strict=True))
        keys = [product.column_names.index(one) for one in _order(sql)]
        for number, (mine, theirs) in enumerate(zip(ours, answer, strict=True)):
            wrong = [key for key in keys if not _same(mine[key], theirs[key], kinds[key])]
            if wrong:
                found.append(f"{name}: row {number} is {mine}, not {theirs}, which is another order")
                break
        pairs = zip(_sorted(ours, kinds), _sorted(answer, kinds), strict=True)
        found += [
            f"{name}: {mine} is not {theirs}" for mine, theirs in pairs if not all(map(_same, mine, theirs, kinds))
        ][:3]
    return found


def _files(project: Path) -> Iterator[tuple[str, pq.ParquetFile]]:
    for path in sorted((project / "data").glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            yield path.stem, file


def _queries(project: Path) -> list[tuple[str, str]]:
    return [(name, rule.sql) for name, rule in read_rules(project).items()]


def _sqlite_text(sql: str) -> str:
    for pattern, written in _IN_SQLITE:
        sql = re.sub(pattern, written, sql)
    return sql


def _for_sqlite(column: pa.Array) -> pa.Array:
    if pa.types.is_date(column.type):
        return column.cast(pa.string())
    return column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column


def _postgresql_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision}, {kind.scale})"
    return {"int64": "bigint", "int32": "integer", "date32[day]": "date"}.get(str(kind), "text")


def _csv(batch: pa.RecordBatch) -> bytes:
    views = [column.cast(pa.string()) if pa.types.is_string_view(column.type) else column for column in batch.columns]
    plain = pa.RecordBatch.from_arrays(views, names=batch.schema.names)
    sink = pa.BufferOutputStream()
    pacsv.write_csv(plain, sink, pacsv.WriteOptions(include_header=False))
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _order(sql: str) -> list[str]:
    """Return the columns by which a query sorts its result; each is one of its columns."""
    clauses = re.findall(r"^ORDER BY (.+)$", sql, re.MULTILINE)
    if not clauses:
        return []
    return [re.sub(r"^\w+\.| DESC$", "", key) for key in re.split(r",\s*", clauses[-1])]


def _sorted(rows: Iterable[tuple[Any, ...]], kinds: Sequence[pa.DataType]) -> list[tuple[Any, ...]]:
    """Return rows sorted by what is exact in them, then by the rest."""
    rough = [pa.types.is_floating(kind) or pa.types.is_decimal(kind) for kind in kinds]

    def key(row: tuple[Any, ...]) -> tuple[list[str], list[float]]:
        exact = [str(value) for value, is_rough in zip(row, rough, strict=True) if not is_rough]
        return exact, [float(value) for value, is_rough in zip(row, rough, strict=True) if is_rough]

    return sorted(rows, key=key)


def _same(ours: Any, theirs: Any, kind: pa.DataType) -> bool:
    if pa.types.is_decimal(kind):
        unit = Decimal(1).scaleb(-kind.scale)
        if isinstance(theirs, float):
            return math.isclose(ours, theirs, rel_tol=RELATIVE, abs_tol=float(unit))
        return bool(ours == theirs or (theirs % unit and abs(ours - theirs) < unit))
    if pa.types.is_floating(kind):
        return math.isclose(ours, theirs, rel_tol=RELATIVE)
    return str(ours) == str(theirs)
