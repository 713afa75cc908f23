"""Sum up tables row by row, to be compared with those of other tools: the number of rows, and two sums of row hashes.

Usage: python facts.py DATABASE NAME=TABLE…     tables of a DuckDB database, in the environment that made it
       python facts.py "" NAME=FILE.parquet…    Parquet files, or folders of some, in our own environment
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

Ask = Callable[[str], Mapping[str, Any]]
_PRIME = 1_000_003


def main() -> None:
    """Run the command line."""
    database, *tables = sys.argv[1:]
    found = {}
    for one in tables:
        name, _, table = one.partition("=")
        ask = in_database(database) if database else in_files(table)
        found[name] = _facts(ask, table if database else "stored")
    print(json.dumps(found))


def _facts(ask: Ask, table: str) -> list[int]:
    first = ask(f"SELECT * FROM {table} LIMIT 1")
    mixed = "CAST(7 AS BIGINT)"
    for column in sorted(first):
        mixed = f"(({mixed} * 31 + {_number(column, first[column])}) % {_PRIME})"
    hashes = f"SELECT {mixed} AS h FROM {table}"
    sums = ask(
        f"SELECT COUNT(*) AS n, CAST(SUM(h) AS BIGINT) AS one, CAST(SUM(h * h % {_PRIME}) AS BIGINT) AS two "
        f"FROM ({hashes}) AS hashed"
    )
    return [int(value or 0) for value in sums.values()]


def _number(column: str, value: object) -> str:
    if isinstance(value, str):
        return f"(CAST(ascii(right({column}, 1)) + 256 * ascii(right({column}, 2)) + length({column}) AS BIGINT))"
    if isinstance(value, int):
        return f"(CAST({column} AS BIGINT) % {_PRIME})"
    return f"CAST(date_part('year', {column}) * 400 + date_part('doy', {column}) AS BIGINT)"


def in_database(path: str) -> Ask:
    """Return what answers a query by its first row."""
    import duckdb  # type: ignore[import-not-found,unused-ignore]

    connection = duckdb.connect(path, read_only=True)

    def ask(sql: str) -> Mapping[str, Any]:
        answer = connection.execute(sql)
        names = [column[0] for column in answer.description]
        return dict(zip(names, answer.fetchone() or [""] * len(names), strict=True))

    return ask


def in_files(path: str) -> Ask:
    """Return what answers a query on the table `stored` by its first row."""
    from datafusion import SessionContext

    context = SessionContext()
    context.register_parquet("stored", path)

    def ask(sql: str) -> Mapping[str, Any]:
        rows: list[dict[str, Any]] = context.sql(sql).to_pylist()
        return rows[0] if rows else {}

    return ask


if __name__ == "__main__":
    main()
