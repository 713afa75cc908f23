"""A project of 60 rules in DuckDB's SQL (fixtures/duckdb), what DuckDB makes of it, and what we make of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from support.battery import agree, plain
from support.inprocess import run
from support.projects import FIXTURES, SampleProject

FOLDER = FIXTURES / "duckdb"
SOURCES = ("customers", "products", "orders", "items", "events", "campaigns")
Row = dict[str, Any]


def texts() -> dict[str, str]:
    """Return the rules' texts by product."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("rules/*/*.sql"))}


def judged(data: Path) -> dict[str, list[Row]]:
    """Return DuckDB's rows of each product, and write the sources to a folder as Parquet."""
    waiting = texts()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute((FOLDER / "data.sql").read_text(encoding="utf-8"))
        for name in SOURCES:
            connection.execute(f"COPY {name} TO '{data / name}.parquet'")
        found: dict[str, list[Row]] = {}
        while waiting:
            before = len(waiting)
            for name, text in list(waiting.items()):
                try:
                    connection.execute(f"CREATE TABLE {name} AS {text}")
                except duckdb.CatalogException:  # it reads a product that is not made yet
                    continue
                made = connection.execute(f"FROM {name}")
                names = [column[0].lower() for column in made.description or ()]
                found[name] = [dict(zip(names, row, strict=True)) for row in plain(made.fetchall())]
                del waiting[name]
            assert len(waiting) < before, sorted(waiting)
    return found


def project(root: Path, data: Path, *, own: str = "", policy: str = "") -> SampleProject:
    """Return the project with an option of [project], or a policy."""
    made = SampleProject(root)
    shutil.rmtree(made.root / "rules", ignore_errors=True)
    shutil.copytree(FOLDER / "rules", made.root / "rules")
    shutil.copytree(data, made.root / "data", dirs_exist_ok=True)
    sources = "".join(f'[sources.{name}]\npath = "data/{name}.parquet"\n' for name in SOURCES)
    (made.root / "rules.toml").write_text(f'[project]\nname = "shop"\n{own}\n{policy}\n{sources}')
    return made


def differences(made: SampleProject, theirs: Mapping[str, list[Row]]) -> dict[str, object]:
    """Return the products that are not DuckDB's: the first rows that differ, or the columns."""
    wrong: dict[str, object] = {}
    for name, rows in theirs.items():
        ours = run(made, "show", name, "-n", "100000", "--json").document["data"]
        if rows and [*ours[0]] != [*rows[0]]:
            wrong[name] = [*ours[0]], [*rows[0]]
            continue
        pairs = list(zip(_in_order(rows), _in_order(ours), strict=False))
        apart = [pair for pair in pairs if not agree([*pair[0].values()], [*pair[1].values()])]
        if apart or len(rows) != len(ours):
            wrong[name] = len(rows), len(ours), apart[:2]
    return wrong


def _in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: json.dumps([_key(value) for value in row.values()], default=str))


def _key(value: object) -> object:
    """Return what rows are ordered by: numbers that print alike, and moments, whoever wrote them."""
    if isinstance(value, list):
        return [_key(one) for one in value]
    if isinstance(value, bool) or value is None:
        return value
    try:
        return f"{float(str(value)):.9g}"
    except ValueError:
        return str(value).replace("T", " ").removesuffix(" 00:00:00")
