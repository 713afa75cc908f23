"""Early cutoff of tables in parts: only the parts that differ are compared, as bags of rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from rules.running import cutoff
from support.inprocess import build
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TOML = '\n[sources.t]\npath = "data/{0}"\n[parts]\nmin_rows = 100\n'


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_rows_of_a_part_that_only_moved_run_no_reader(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = SampleProject(tmp_path / "project", toml=TOML.format(form))

    def put(number: int, values: list[int]) -> None:
        if form == "parquet":
            project.parquet(f"{form}/{number}", {"k": [value % 3 for value in values], "v": values})
        else:
            lines = (json.dumps({"k": value % 3, "v": value}) for value in values)
            project.write(f"data/{form}/{number}.{form}", "".join(f"{line}\n" for line in lines))

    for number in range(10):
        put(number, list(range(number * 10, number * 10 + 12)))
    project.sql("some", "SELECT t.k, t.v FROM t WHERE t.v > 1")
    project.sql("sums", "SELECT s.k, SUM(s.v) AS v FROM some AS s GROUP BY s.k")
    project.sql("most", "SELECT s.k, MAX(s.v) AS v FROM some AS s GROUP BY s.k")
    build(project)
    compared: list[int] = []
    real = cutoff.bag_of_files

    def counted(paths: Sequence[Path], columns: Sequence[str]) -> str:
        compared.append(len(paths))
        return real(paths, columns)

    monkeypatch.setattr(cutoff, "bag_of_files", counted)
    put(4, list(reversed(range(40, 52))))
    ran = build(project)
    assert not ran.executed & {"sums", "most"}
    assert compared
    assert set(compared) == {1}
    put(4, [*range(40, 51), 99])
    assert build(project).executed >= {"sums", "most"}
    assert set(compared) == {1}
