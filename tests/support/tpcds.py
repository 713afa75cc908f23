"""The TPC-DS sample project on tiny data: the 99 queries as rules over the 24 tables, the same on every machine."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from support.tpcds_dimensions import Row, make_dimensions
from support.tpcds_facts import make_facts

FIXTURE = Path(__file__).resolve().parents[2] / "fixtures" / "tpcds"
RULES = sorted((FIXTURE / "rules").glob("*.sql"))


def schemas() -> dict[str, pa.Schema]:
    """Return the schemas of the tables, as fixtures/tpcds/schema.json has them."""
    tables = json.loads((FIXTURE / "schema.json").read_text(encoding="utf-8"))
    return {table: pa.schema([(column, _type(kind)) for column, kind in columns]) for table, columns in tables.items()}


def make_tables(seed: int = 7) -> dict[str, pa.Table]:
    """Make the tables; only with the default seed is it known which queries have rows."""
    rows = {**make_dimensions(Random(seed)), **make_facts(Random(seed + 1))}
    return {name: _table(rows[name], schema) for name, schema in schemas().items()}


def make_project(path: Path) -> Path:
    """Make the project in `path` (created if missing) and return it."""
    shutil.copytree(FIXTURE / "rules", path / "rules", dirs_exist_ok=True)
    shutil.copy(FIXTURE / "rules.toml", path)
    (path / "data").mkdir()
    for name, table in make_tables().items():
        pq.write_table(table, path / "data" / f"{name}.parquet")
    return path


def _type(name: str) -> pa.DataType:
    if name.startswith("decimal128"):
        precision, scale = name.removeprefix("decimal128(").removesuffix(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    return pa.date32() if name == "date32[day]" else pa.type_for_alias(name)


def _table(rows: list[Row], schema: pa.Schema) -> pa.Table:
    unknown = {name for row in rows for name in row} - set(schema.names)
    assert not unknown, f"no such columns: {unknown}"
    return pa.table([_array([row.get(field.name) for row in rows], field.type) for field in schema], schema=schema)


def _array(values: list[object], kind: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(kind):
        return pa.array([None if value is None else Decimal(str(value)).scaleb(-kind.scale) for value in values], kind)
    return pa.array(values, kind)
