"""Checks, lineage and editors over local Delta and Iceberg tables: they know the columns, and read no values."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pyiceberg.catalog.sql import SqlCatalog

from support.inprocess import build, run
from support.language_client import asked
from support.projects import SampleProject

pytestmark = pytest.mark.slow
KINDS = pytest.mark.parametrize("kind", ["delta", "iceberg"])
ROWS = pa.table({"id": list(range(1000)), "amount": [n * n for n in range(1000)], "day": ["mon", "tue"] * 500})


class Lake:
    """A project that reads a table of a folder."""

    def __init__(self, root: Path, kind: str) -> None:
        self.kind, self.folder = kind, root / "lake" / "n" / "t"
        self.folder.parent.mkdir(parents=True)
        self._table: Any = None
        self.append(ROWS)
        self.project = SampleProject(root, toml=f'\n[sources.t]\npath = "lake/n/t"\nformat = "{kind}"\n')
        self.project.sql("total", "SELECT SUM(t.amount) AS amount FROM t WHERE t.day = 'mon'")

    def append(self, rows: pa.Table) -> None:
        if self.kind == "delta":
            write_deltalake(self.folder, rows, mode="append", schema_mode="merge")
            return
        if self._table is None:
            place = self.folder.parents[2]
            catalog = SqlCatalog("c", uri=f"sqlite:///{place}/catalog.db", warehouse=f"file://{place}/lake")
            weakref.finalize(self, catalog.close)
            catalog.create_namespace("n")
            self._table = catalog.create_table("n.t", rows.schema, location=f"file://{self.folder}")
        with self._table.update_schema() as change:
            change.union_by_name(rows.schema)
        self._table.append(rows)

    def data(self) -> list[Path]:
        return [path for path in self.folder.rglob("*.parquet") if "_delta_log" not in path.parts]

    def break_values(self) -> None:
        """Overwrite all values in the data files, so that whoever reads one fails; footers stay as they are."""
        for path in self.data():
            data = bytearray(path.read_bytes())
            start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
            data[4:start] = b"\xff" * (start - 4)
            path.write_bytes(data)
            with pytest.raises((OSError, pa.ArrowException)):
                pq.read_table(path)


@pytest.fixture
def lake(tmp_path: Path, kind: str) -> Lake:
    return Lake(tmp_path, kind)


def answers(project: SampleProject) -> None:
    """All that an author asks of a rule over the table, before it was ever built."""
    project.sql("twice", "SELECT t.amount * 2 AS twice FROM t")
    hover, defined = asked(project, "rules/twice.sql", "t.amo|unt")
    assert "t.amount" in hover
    assert "int64" in hover
    assert defined == "rules.toml"
    assert run(project, "check").code == 0
    found = run(project, "lineage", "twice.twice", "--json").document
    assert found["sources"] == ["t.amount"]
    assert "t.day" in str(run(project, "lineage", "total.amount", "--json").document["upstream"])
    project.sql("twice", "SELECT t.amonut * 2 AS twice FROM t")
    assert "amount" in run(project, "check", expect=1).stdout, "columns are known"


@KINDS
def test_no_value_is_read(lake: Lake) -> None:
    lake.break_values()
    answers(lake.project)
    assert build(lake.project, "-s", "total", expect=1).code == 1, "a build does read them"


@KINDS
def test_a_commit_with_another_column_is_seen(lake: Lake) -> None:
    answers(lake.project)
    lake.append(pa.table({"id": [1], "amount": [1], "day": ["mon"], "region": ["EU"]}))
    lake.project.sql("twice", "SELECT t.region FROM t")
    hover, _ = asked(lake.project, "rules/twice.sql", "t.reg|ion")
    assert "string" in hover
    assert run(lake.project, "check").code == 0
    assert run(lake.project, "lineage", "twice.region", "--json").document["sources"] == ["t.region"]
