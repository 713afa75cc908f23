"""A store that is sound in itself, and holds a wrong table."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from cache.digests import TableDigester
from cache.filedigest import file_digest

if TYPE_CHECKING:
    from support.projects import SampleProject


def make_stale(project: SampleProject, name: str) -> None:
    """Put another table in the place of a product's artifact, in a store that is sound in itself."""
    index = sqlite3.connect(project.root / ".rules" / "index.sqlite")
    (artifact,) = index.execute("SELECT artifact FROM products WHERE name = ?", (name,)).fetchone()
    (columns,) = index.execute("SELECT columns FROM artifacts WHERE artifact = ?", (artifact,)).fetchone()
    table = pq.read_table(project.root / ".rules" / "products" / f"{name}.parquet")
    wrong = pa.concat_tables([table.slice(1), table.slice(2, 1)])
    digester = TableDigester(wrong.schema)
    for batch in wrong.to_batches():
        digester.update(batch)
    digest = digester.finish()
    path = project.root / ".rules" / "objects" / digest.table[:2] / f"{digest.table[2:]}.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(wrong, path)
    types = {column: kind for column, (kind, _) in json.loads(columns).items()}
    facts = {column: [types[column], value] for column, value in digest.columns.items()}
    row = (digest.table, wrong.num_rows, path.stat().st_size, file_digest(path), json.dumps(facts), "test")
    with contextlib.closing(index), index:
        index.execute("REPLACE INTO artifacts VALUES (?,?,?,?,?,?)", row)
        for table_name in ("products", "actions"):
            index.execute(f"UPDATE {table_name} SET artifact = ? WHERE artifact = ?", (digest.table, artifact))
        index.execute("DELETE FROM snapshots")
