"""A table of many columns costs as much a column as a narrow one: nothing is done over for each of its columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.counting import work_of
from support.inprocess import build, run
from support.projects import SampleProject

SLACK = 1.15
CONSTANT = 600  # lines


def wide_project(root: Path, columns: int, files: int = 1) -> SampleProject:
    """Return a project that takes, computes, joins and adds up all columns of one source."""
    project = SampleProject(root, toml='\n[sources.wide]\npath = "data/*.parquet"\n')
    (root / "data").mkdir()
    for number in range(files):
        data = {"id": np.arange(5)} | {f"c{n}": np.arange(5) * n + number for n in range(columns)}
        pq.write_table(pa.table(data), root / "data" / f"{number}.parquet")
    names = [f"c{n}" for n in range(columns)]
    project.sql("one", "SELECT * FROM wide")
    project.sql("two", f"SELECT o.id, {', '.join(f'o.{c} + 1 AS {c}' for c in names)} FROM one AS o")
    project.sql("three", f"SELECT t.id, {', '.join(f'SUM(t.{c}) AS {c}' for c in names)} FROM two AS t GROUP BY t.id")
    joined = ", ".join(f"o.{c} AS a{c}, t.{c} AS b{c}" for c in names)
    project.sql("four", f"SELECT o.id, {joined} FROM one AS o JOIN two AS t ON o.id = t.id")
    return project


@pytest.mark.slow
def test_work_grows_no_faster_than_columns(tmp_path: Path) -> None:
    work = {}
    for columns in (15, 45):
        project = wide_project(tmp_path / str(columns), columns)
        work[columns, "cold"] = work_of(lambda project=project: build(project))  # type: ignore[misc]
        project.edit("rules/one.sql", "SELECT *", "SELECT *, 1 AS added")
        work[columns, "plan"] = work_of(lambda project=project: run(project, "plan", "--json"))  # type: ignore[misc]
        work[columns, "check"] = work_of(lambda project=project: run(project, "check", expect=None))  # type: ignore[misc]
    for command in ("cold", "plan", "check"):
        narrow, wide = work[15, command], work[45, command]
        faster = {step: (narrow[step], n) for step, n in wide.items() if n > narrow[step] * 3 * SLACK + CONSTANT}
        assert not faster, command


@pytest.mark.slow
def test_a_source_is_opened_as_often_however_wide_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    begin = pq.ParquetFile.__init__

    def counted(file: pq.ParquetFile, source: object, *arguments: object, **named: object) -> None:
        opened.append(source)
        begin(file, source, *arguments, **named)

    monkeypatch.setattr(pq.ParquetFile, "__init__", counted)
    counts = []
    for columns in (10, 60):
        project = wide_project(tmp_path / str(columns), columns, files=3)
        opened.clear()
        build(project)
        counts.append(len([source for source in opened if str(source).endswith(".parquet")]))
    assert counts[0] == counts[1] > 0
