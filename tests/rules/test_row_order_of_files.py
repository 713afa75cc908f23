"""The rows of an input of several files stand in the order of the files, also for LIMIT."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from support.projects import SampleProject

RULES = {
    "first_rows": ("SELECT m.n FROM many AS m LIMIT 10", range(10)),
    "later_rows": ("SELECT m.n FROM many AS m LIMIT 40 OFFSET 8500", range(8500, 8540)),
    "of_several": ("SELECT m.n, m.x FROM many AS m LIMIT 4500", range(4500)),
    "within": ("SELECT COUNT(*) AS n FROM (SELECT m.n FROM many AS m LIMIT 3000) AS f WHERE f.n < 3000", [3000]),
}


def test_a_limit_takes_the_rows_of_the_first_files(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, toml='\n[sources.many]\npath = "data/*.parquet"\n')
    (project.root / "data").mkdir()
    for number in range(12):
        numbers = np.arange(number * 1000, number * 1000 + 1000)
        table = pa.table({"n": numbers, "x": numbers / 7})
        pq.write_table(table, project.root / "data" / f"{number:02}.parquet", row_group_size=300)
    for name, (sql, _) in RULES.items():
        project.sql(name, sql)
    for _ in range(3):
        shutil.rmtree(project.root / ".rules", ignore_errors=True)
        project.build()
        for name, (_, expected) in RULES.items():
            assert project.product(name)["n"].to_pylist() == list(expected), name
