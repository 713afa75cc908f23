"""The comparison on data that grows, in its short form, of ours alone: few parts are read, all tables are right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.service
@pytest.mark.timeout(600)
def test_on_data_that_grows_all_tables_are_right(tmp_path: Path) -> None:
    words = ["--days", "12", "--rows", "300", "--min-rows", "1200", "--tools", "rules", "floor"]
    command = [sys.executable, "-m", "benchmarks.growing", "--folder", str(tmp_path / "results"), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    found = json.loads((tmp_path / "results" / "results.json").read_text())["measurements"]
    assert {(one["error"], len(one["wrong"])) for one in found} == {("", 0)}
    read = {one["scenario"]: one["rows_read"] for one in found if one["tool"] == "rules"}
    assert read["no-op"] == 0
    assert read["append"] < read["cold"] / 2
    table = (tmp_path / "results" / "table.md").read_text()
    assert table.count("| append |") == 2
    assert table.count("| yes |") == 9  # and it would not have ended with 0
