"""Sum up tables, to be compared with those of other tools. Needs duckdb alone; runs in any tool's environment.

Usage: python facts.py DATABASE_OR_EMPTY NAME=TABLE…   where TABLE is anything that can stand after FROM

Prints JSON: for each name the row count, and for each column the sum of its numbers, or its least and greatest text.
"""

from __future__ import annotations

import json
import sys

import duckdb  # type: ignore[import-not-found,unused-ignore]


def main() -> None:
    """Run the command line."""
    database, *tables = sys.argv[1:]
    connection = duckdb.connect(database or ":memory:", read_only=bool(database))
    found: dict[str, dict[str, str]] = {}
    for one in tables:
        name, _, table = one.partition("=")
        described = connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
        kinds = {column: kind for column, kind, *_ in described}
        facts = {"rows": "COUNT(*)"}
        for column, kind in kinds.items():
            text = kind == "VARCHAR"
            facts[column] = f"MIN({column}) || ' ' || MAX({column})" if text else f"SUM(CAST({column} AS HUGEINT))"
        values = connection.execute(f"SELECT {', '.join(facts.values())} FROM {table}").fetchone()
        found[name] = {fact: str(value) for fact, value in zip(facts, values or (), strict=True)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
