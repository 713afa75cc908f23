"""TPC-H's queries as rules, on two executors and locally: the same tables, and the least work after that."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.tpch.data import make_standard_project
from support import inprocess, spark, tpch
from support.projects import SampleProject

pytestmark = [pytest.mark.service, pytest.mark.timeout(900)]


AS_STANDARD = 1
"""From this scale on the data is that of the TPC's own generator."""
LONG = [pytest.mark.soak, pytest.mark.timeout(5400)]


@pytest.mark.parametrize("scale", [0.01, pytest.param(0.1, marks=LONG), pytest.param(AS_STANDARD, marks=LONG)])
def test_tpch_on_two_executors(remote: str, tmp_path: Path, scale: float) -> None:
    root = tmp_path / "here"
    made = make_standard_project(root, scale=scale) if scale >= AS_STANDARD else tpch.make_project(root, scale)
    here = SampleProject.at(made)
    here.write("rules.toml", here.read("rules.toml") + spark.profile(remote))
    there = SampleProject.copy_of(here.root, tmp_path / "there")
    planned = inprocess.run(there, "plan", "--profile", "cluster", "--json").document["products"]
    assert {one["name"]: one.get("engine_reason") for one in planned if one["engine"] != "spark"} == {}
    inprocess.build(here)
    built = inprocess.build(there, "--profile", "cluster")
    assert len(built.executed) == 22
    for name in built.executed:
        spark.assert_same_bag(here, there, name)
    again = inprocess.build(there, "--profile", "cluster")
    assert set(again.statuses.values()) == {"clean"}
    there.edit("rules/q06.sql", "l.l_quantity < 24", "l.l_quantity < 25")
    edited = inprocess.build(there, "--profile", "cluster")
    assert edited.executed == {"q06"}
