"""The comparison with other tools, of ours and the floors alone: it finds the ideal executed, and equal tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.versus.scenarios import Subject

ROOT = Path(__file__).resolve().parents[2]
SIZE = 10
CHOSEN = ("no-op", "equal root", "source column")


def measured(folder: Path, *options: str) -> list[dict[str, Any]]:
    words = ["--sizes", "--own-sizes", str(SIZE), "--rows", "200", "--folder", str(folder), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks.versus", *words]
    subprocess.run(command, cwd=folder.parent, env=environment, check=True, capture_output=True)
    found: list[dict[str, Any]] = json.loads((folder / "results.json").read_text())["measurements"]
    return found


@pytest.mark.service
def test_a_comparison_goes_on_where_it_was_and_finds_the_ideal(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    tools = ("rules", "floor: engine", "floor: stat")
    first = measured(folder, "--runs", "1", "--tools", *tools, "--scenarios", *CHOSEN)
    assert [one for one in first if one["error"]] == []
    ideal = Subject(SIZE).ideal
    executed = {one["scenario"]: one["executed"] for one in first if one["tool"] == "rules"}
    assert executed == {scenario: ideal[scenario] for scenario in CHOSEN}
    assert {one["agrees"] for one in first if one["tool"] != "floor: stat"} == {True}
    assert all(one["cpu"] > 0 and one["peak"] > 1 for one in first)
    (folder / f"{SIZE}x200" / "rules.state").write_text("null")  # as after a run that was cut short
    again = measured(folder, "--runs", "2", "--tools", "rules", "--scenarios", "equal root")
    assert again[: len(first)] == first
    assert [(one["scenario"], one["run"], one["executed"], one["agrees"]) for one in again[len(first) :]] == [
        ("equal root", 2, 1, True)
    ]
    assert (folder / "table.md").read_text().count("| equal root |") == 2
