"""Sum up tables, to be compared with those of other tools.

Usage: python facts.py DATABASE NAME=TABLE…     tables of a DuckDB database, in the environment that made it
       python facts.py "" NAME=FILE.parquet…    Parquet files, in our own environment

Prints JSON: for each name the row count, and for each column the sum of its numbers, or its least and greatest text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

Ask = Callable[[str], Mapping[str, Any]]


def main() -> None:
    """Run the command line."""
    database, *tables = sys.argv[1:]
    found: dict[str, dict[str, str]] = {}
    for one in tables:
        name, _, table = one.partition("=")
        ask = in_database(database) if database else in_file(table)
        source = table if database else "stored"
        kinds = ask(f"SELECT * FROM {source} LIMIT 1")
        facts = ["COUNT(*) AS row_count"]
        for column, value in kinds.items():
            text = isinstance(value, str)
            fact = f"MIN({column}) || ' ' || MAX({column})" if text else f"SUM(CAST({column} AS BIGINT))"
            facts.append(f"{fact} AS {column}")
        values = ask(f"SELECT {', '.join(facts)} FROM {source}")
        found[name] = {fact: str(value) for fact, value in values.items()}
    print(json.dumps(found))


def in_database(path: str) -> Ask:
    """Return what answers a query by its first row."""
    import duckdb  # type: ignore[import-not-found,unused-ignore]

    connection = duckdb.connect(path, read_only=True)

    def ask(sql: str) -> Mapping[str, Any]:
        answer = connection.execute(sql)
        names = [column[0] for column in answer.description]
        return dict(zip(names, answer.fetchone(), strict=True))

    return ask


def in_file(path: str) -> Ask:
    """Return what answers a query on the table `stored` by its first row."""
    from datafusion import SessionContext

    context = SessionContext()
    context.register_parquet("stored", path)
    return lambda sql: context.sql(sql).to_pylist()[0]


if __name__ == "__main__":
    main()
